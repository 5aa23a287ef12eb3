"""The playbooks in check mode on an empty account: moto's, with the real Terraform and AWS provider.

Of a stack that is there, check mode is tested where there is one: in tests/e2e.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests import listings
from tests.integration.operators import REGION, Operator

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

VARIABLES = {"ds_stack_name": "empty", "ds_stack_users": [{"name": "ada"}, {"name": "grace"}]}
# Of nodes that are baked from one of the images that every account of moto has.
BASE = {"name": "ubuntu/images/hvm-ssd/ubuntu-xenial-16.04-amd64-server-*", "owner": "099720109477"}
CLUSTER: dict[str, Any] = {"ds_stack_cluster": {"instance_type": "m5.xlarge", "base_image": BASE}}


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Iterator[Operator]:
    someone = Operator.with_account(tmp_path_factory.mktemp("operator"), endpoint, **VARIABLES)
    with someone.running_provider():
        yield someone


@pytest.fixture(scope="module")
def said(operator: Operator) -> dict[str, str]:
    """What each playbook says, after none of them has changed anything anywhere."""
    playbooks = ("site", "instance", "bake", "users", "cluster", "destroy")

    def check(playbook: str) -> str:
        return operator.run(playbook, "--check", "--diff", **(CLUSTER if playbook == "cluster" else {}))

    before = listings.account(operator.client)
    with ThreadPoolExecutor(max_workers=2) as pool:  # they share nothing, not even a folder that they make
        printed = dict(zip(playbooks, pool.map(check, playbooks), strict=True))
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
HOMES = {
    "aws_dlm_lifecycle_policy",
    "aws_ebs_volume",
    "aws_iam_role",
    "aws_iam_role_policy",
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
    assert list(plan) == ["image", "states", "network", "homes", "users", "settings", "machine", "Not"]
    assert plan["image"][:2] == ["1 to bake", "because: no image with this content"]
    assert "to pin in" in plan["image"][2]
    assert plan["states"] == ["1 bucket to make", f"s3://ds-stack-state-123456789012-{REGION}/empty"]
    assert created(plan["network"]) == NETWORK
    assert plan["network"][0] == f"{len(plan['network']) - 1} to add"
    assert created(plan["homes"]) == HOMES
    assert plan["users"][1:] == ["ada: gets a first password", "grace: gets a first password"]
    assert plan["settings"] == ["to write, for the machine to read: /ds-stack/empty/machine/config"]
    assert created(plan["machine"]) == MACHINE
    assert plan["machine"][0] == "5 to add"


def test_a_cluster_is_shown_before_there_is_a_machine(said: dict[str, str]) -> None:
    plan = plan_of(said["cluster"])
    assert plan["nodes"] == ["1 image to bake", "because: no image with this content"]
    assert plan["secrets"] == ["token and certificate to make"]
    assert created(plan["cluster"]) > {"aws_emr_cluster", "aws_subnet", "aws_vpc_endpoint", "aws_iam_role"}
    assert "  cluster.yml would stop, as the stack is now: empty has no network in " in said["cluster"]


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
    assert created(plan["homes"]) == HOMES
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
    assert "Run bake.yml first, or site.yml for all stages." in operator.run("instance", code=2)
    assert listings.folder(operator.folder) == {}
