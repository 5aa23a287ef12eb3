"""The playbooks in check mode on an empty account: moto's, with the real Terraform and AWS provider.

Of a stack that is there, check mode is tested where there is one: in tests/e2e.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from localcloud import provider
from tests import listings
from tests.which_ansible import PLAYBOOK

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
VARIABLES = {
    "ds_stack_name": "empty",
    "ds_stack_region": REGION,
    # One of the images that every account of moto has.
    "ds_stack_base_image": {"name": "ubuntu/images/hvm-ssd/ubuntu-xenial-16.04-amd64-server-*"},
    "ds_stack_packer_overlay": str(ROOT / "localcloud/packer"),  # for the Packer of these machines
    "ds_stack_users": [{"name": "ada"}, {"name": "grace"}],
}


@dataclass(frozen=True)
class Operator:
    """Somebody with an account in which nothing is, and a folder in which nothing is."""

    folder: Path
    environment: dict[str, str]

    def client(self, service: str) -> Any:
        """Return an API client of the account."""
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def check(self, playbook: str, **variables: Any) -> str:
        """Run a playbook in check mode to its end, which must be a good one, and return what it printed."""
        played = subprocess.run(
            [
                PLAYBOOK,
                f"iac.ds_stack.{playbook}",
                "--check",
                "--diff",
                "-e",
                json.dumps({**VARIABLES, **variables}),
            ],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert played.returncode == 0, (played.stdout + played.stderr)[-6000:]
        return played.stdout + played.stderr


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Operator:
    settings = tmp_path_factory.mktemp("terraform") / "terraform.rc"
    settings.write_text(provider.configuration(provider.find()))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
    return Operator(
        tmp_path_factory.mktemp("operator"),
        {
            **kept,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": str(settings),
        },
    )


@pytest.fixture(scope="module")
def said(operator: Operator) -> dict[str, str]:
    """What each playbook says, after none of them has changed anything anywhere."""
    playbooks = ("site", "instance", "bake", "users", "destroy")
    before = listings.account(operator.client)
    with ThreadPoolExecutor(max_workers=2) as pool:  # they share nothing, not even a folder that they make
        printed = dict(zip(playbooks, pool.map(operator.check, playbooks), strict=True))
    assert listings.account(operator.client) == before
    assert listings.folder(operator.folder) == {}
    return printed


def plan_of(text: str) -> dict[str, list[str]]:
    """Return the last block's lines by stage: the head, then what is below it."""
    assert text.count("nothing was changed; this is what would be done.") == 1
    block = text.partition("this is what would be done.\n")[2].partition("\n-----")[0]
    stages: dict[str, list[str]] = {}
    for line in block.splitlines():
        if head := re.match(r"  (\w+) +(.+)", line):
            name = head[1]
            stages[name] = [head[2]]
        elif line.startswith(" " * 17):
            stages[name].append(line.strip())
    return stages


def created(lines: list[str]) -> set[str]:
    """Return the types of the resources that a stage would create; nothing else may be among its lines."""
    found = [re.match(r"create .*\.(aws_\w+)\.\w+(\[.*\])?$", line) for line in lines[1:]]
    assert None not in found, lines
    return {match[1] for match in found if match}


NETWORK = {
    "aws_default_security_group",
    "aws_internet_gateway",
    "aws_route",
    "aws_route_table",
    "aws_route_table_association",
    "aws_security_group",
    "aws_subnet",
    "aws_vpc",
    "aws_vpc_security_group_egress_rule",
}
MACHINE = {
    "aws_iam_instance_profile",
    "aws_iam_role",
    "aws_iam_role_policy",
    "aws_instance",
    "aws_volume_attachment",
}


def test_the_whole_stack_is_shown(said: dict[str, str]) -> None:
    plan = plan_of(said["site"])
    assert list(plan) == ["image", "network", "homes", "users", "settings", "machine", "Not"]
    assert plan["image"][:2] == ["1 to bake", "because: no image with this content"]
    assert "to pin in" in plan["image"][2]
    assert created(plan["network"]) == NETWORK
    assert plan["network"][0] == f"{len(plan['network']) - 1} to add"
    assert created(plan["homes"]) == {"aws_ebs_volume"}
    assert plan["users"][1:] == ["ada: gets a first password", "grace: gets a first password"]
    assert plan["settings"] == ["to write, for the machine to read: /ds-stack/empty/machine/config"]
    assert created(plan["machine"]) == MACHINE
    assert plan["machine"][0] == "5 to add"


def test_ids_to_come_are_told_from_those_that_are_there(said: dict[str, str]) -> None:
    to_come = [
        "ami-known-after-bake",
        "subnet-known-after-network",
        "sg-known-after-network",
        "vol-known-after-data",
    ]
    assert plan_of(said["site"])["Not"][1:] == to_come
    for one in to_come:
        assert f"{one}\n" in said["site"].partition("TASK [Apply the data volume]")[2]
    # The zones are asked of the region, so the volume's is known before the network is made.
    assert f"availability_zone: {REGION}a" in said["site"]


def test_every_resource_is_in_the_diff(said: dict[str, str]) -> None:
    plan = plan_of(said["site"])
    for stage in ("network", "homes", "machine"):
        for line in plan[stage][1:]:
            assert f"+++ after: {line.split()[1]} (create)" in said["site"]


def test_the_machine_alone_says_what_has_to_come_first(said: dict[str, str]) -> None:
    plan = plan_of(said["instance"])
    assert created(plan["homes"]) == {"aws_ebs_volume"}
    assert created(plan["machine"]) == MACHINE
    assert f"{REGION}-known-after-network" in plan["Not"]
    assert "The homes would lie in the network's first zone" in said["instance"]
    assert "run bake.yml and network.yml first" in said["instance"]


def test_a_stage_alone_shows_itself(said: dict[str, str]) -> None:
    assert plan_of(said["bake"]) == {"image": plan_of(said["site"])["image"]}


def test_there_is_nothing_to_destroy_and_nobody_to_show(said: dict[str, str]) -> None:
    heads = {stage: lines[0].partition(":")[0] for stage, lines in plan_of(said["destroy"]).items()}
    assert heads == dict.fromkeys(
        ("machine", "parameters", "snapshots", "homes", "network", "images"), "nothing"
    )
    assert "empty has no users in us-east-1." in said["users"]


def test_without_check_the_machine_is_refused(operator: Operator) -> None:
    played = subprocess.run(
        [PLAYBOOK, "iac.ds_stack.instance", "-e", json.dumps(VARIABLES)],
        cwd=operator.folder, env=operator.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert played.returncode == 2
    assert "Run bake.yml first, or site.yml for all stages." in played.stdout + played.stderr
    assert listings.folder(operator.folder) == {}
