"""The whole product on the local cloud: a running cloud, and a stack that the playbooks make on it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests import listings

ROOT = Path(__file__).resolve().parents[2]
collect_ignore = (
    [] if os.environ.get("DS_STACK_SOAK") else ["test_cluster.py", "test_replacing.py", "test_two_bakes.py"]
)
RUN = Path(os.environ.get("DS_STACK_CACHE", ROOT / ".cache")) / "localcloud/run"


def localcloud(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the local cloud's command and return what it said.

    With the offline mirror, so that the tests are the same everywhere, unless ``MIRROR`` says otherwise.
    """
    command = [sys.executable, "-m", "localcloud", *arguments]
    settings = {"MIRROR": "offline", **os.environ}
    return subprocess.run(command, cwd=ROOT, env=settings, check=True, capture_output=True, text=True)


def environment() -> dict[str, str]:
    """Return the AWS variables that the local cloud wrote."""
    lines = (RUN / "env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


@dataclass(frozen=True)
class Played:
    """What a playbook printed, what its recap counts, and how long it took."""

    text: str
    seconds: float

    @property
    def changed(self) -> int:
        """Return the number of changed tasks."""
        counts = re.findall(r"^localhost .*changed=(\d+)", self.text, re.MULTILINE)
        assert counts, f"the playbook ended without a recap:\n{self.text[-2000:]}"
        return int(counts[-1])

    @property
    def planned(self) -> dict[str, str]:
        """Return what check mode says of each stage in its last block: the head of it."""
        block = self.text.partition("nothing was changed; this is what would be done.\n")[2]
        assert block, f"check mode ended without its block:\n{self.text[-2000:]}"
        return dict(re.findall(r"^  (\w+) {2,}(.+)$", block.partition("\n-----")[0], re.MULTILINE))


@dataclass
class Stack:
    """A stack on the local cloud, made by the product's playbooks."""

    name: str
    folder: Path
    variables: dict[str, Any] = field(default_factory=dict)

    def begin(self, playbook: str, *options: str, **extra: Any) -> subprocess.Popen[str]:
        """Start a playbook from a folder of the user's own, as a user does."""
        variables = {
            "ds_stack_name": self.name,
            "ds_stack_dir": str(self.dir),
            "ds_stack_os": "debian-12",
            **self.variables,
            **extra,
        }
        command = [str(ROOT / "scripts/on-localcloud"), "ansible-playbook", f"iac.ds_stack.{playbook}"]
        return subprocess.Popen(
            [*command, *options, "-e", json.dumps(variables)],
            cwd=self.folder,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def play(self, playbook: str, *options: str, **extra: Any) -> Played:
        """Run a playbook to its end, which must be a good one."""
        began = time.monotonic()
        process = self.begin(playbook, *options, **extra)
        text, _ = process.communicate()
        (self.folder.parent / f"{self.name}-{playbook}.log").write_text(text)
        if process.returncode:
            calls = "\n".join((RUN / "log").read_text().splitlines()[-20:])
            pytest.fail(f"{playbook} failed:\n{text[-6000:]}\nThe account's last calls:\n{calls}")
        return Played(text, time.monotonic() - began)

    def check(self, playbook: str, **extra: Any) -> Played:
        """Run a playbook in check and diff mode, which must change nothing anywhere and show no password."""
        before = listings.account(client), listings.folder(self.folder)
        played = self.play(playbook, "--check", "--diff", **extra)
        assert (listings.account(client), listings.folder(self.folder)) == before
        for password in self.passwords().values():
            assert password not in played.text
        return played

    @property
    def dir(self) -> Path:
        """Return the folder with the stack's state, logs and work folders."""
        return self.folder / f".ds_stack/{self.name}"

    def passwords(self) -> dict[str, str]:
        """Return the generated passwords, as the operator reads them."""
        path = f"/ds-stack/{self.name}/operator/passwords"
        found = client("ssm").get_parameters_by_path(Path=path, WithDecryption=True)["Parameters"]
        return {parameter["Name"].rsplit("/", 1)[1]: parameter["Value"] for parameter in found}

    def reported(self) -> dict[str, Any]:
        """Return what the machine has said last."""
        name = f"/ds-stack/{self.name}/machine/status/{self.machine()['InstanceId']}"
        found: dict[str, Any] = json.loads(client("ssm").get_parameter(Name=name)["Parameter"]["Value"])
        return found

    def machine(self) -> dict[str, Any]:
        """Return the stack's one machine as the API describes it."""
        machines = [one for one in self._machines() if one["State"]["Name"] != "terminated"]
        assert len(machines) == 1
        return machines[0]

    def addresses(self) -> list[str]:
        """Return the public addresses of the machines that run: two while one replaces the other."""
        return [machine["PublicIpAddress"] for machine in self._machines() if "PublicIpAddress" in machine]

    def _machines(self) -> list[dict[str, Any]]:
        """Return those that users sign in to: no bake's, and no cluster's nodes."""
        filters = [*self.filters(), {"Name": "tag:ds-stack:part", "Values": ["instance"]}]
        found = client("ec2").describe_instances(Filters=filters)["Reservations"]
        return [dict(machine) for reservation in found for machine in reservation["Instances"]]

    def filters(self) -> list[dict[str, Any]]:
        """Return the API's filter for what carries the stack's tag."""
        return [{"Name": "tag:ds-stack:name", "Values": [self.name]}]

    def left(self) -> dict[str, list[str]]:
        """Return the ids of all that carries the stack's tag or name, by kind without the empty ones."""
        ec2, filters = client("ec2"), self.filters()
        found = {
            "instance": [
                instance["InstanceId"]
                for reservation in ec2.describe_instances(Filters=filters)["Reservations"]
                for instance in reservation["Instances"]
                if instance["State"]["Name"] != "terminated"
            ],
            "volume": [one["VolumeId"] for one in ec2.describe_volumes(Filters=filters)["Volumes"]],
            "snapshot": [
                one["SnapshotId"]
                for one in ec2.describe_snapshots(Filters=filters, OwnerIds=["self"])["Snapshots"]
            ],
            "image": [
                one["ImageId"] for one in ec2.describe_images(Filters=filters, Owners=["self"])["Images"]
            ],
            "vpc": [one["VpcId"] for one in ec2.describe_vpcs(Filters=filters)["Vpcs"]],
            "subnet": [one["SubnetId"] for one in ec2.describe_subnets(Filters=filters)["Subnets"]],
            "security group": [
                one["GroupId"] for one in ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
            ],
            "gateway": [
                one["InternetGatewayId"]
                for one in ec2.describe_internet_gateways(Filters=filters)["InternetGateways"]
            ],
            "route table": [
                one["RouteTableId"] for one in ec2.describe_route_tables(Filters=filters)["RouteTables"]
            ],
            "key pair": [one["KeyName"] for one in ec2.describe_key_pairs(Filters=filters)["KeyPairs"]],
            "role": [
                one["RoleName"]
                for one in client("iam").list_roles()["Roles"]
                if one["RoleName"].startswith(f"ds-stack-{self.name}")
                or one["RoleName"].startswith(self.name)
            ],
            "instance profile": [
                one["InstanceProfileName"]
                for one in client("iam").list_instance_profiles()["InstanceProfiles"]
                if self.name in one["InstanceProfileName"]
            ],
            "parameter": [
                one["Name"]
                for one in client("ssm").get_parameters_by_path(
                    Path=f"/ds-stack/{self.name}", Recursive=True
                )["Parameters"]
            ],
        }
        return {kind: ids for kind, ids in found.items() if ids}


def client(service: str) -> Any:
    """Return an API client of the local cloud."""
    values = environment()
    names = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    return _client(service, *(values[name] for name in names))


@cache  # to make one takes as long as hundreds of its calls
def _client(service: str, endpoint: str, region: str, key: str, secret: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )


@pytest.fixture(scope="session")
def cloud() -> Iterator[None]:
    """Start the local cloud for all tests, and stop it after them."""
    if "AWS_ENDPOINT_URL" not in (environment() if (RUN / "env").exists() else {}):
        localcloud("start")
    yield
    localcloud("stop")


@pytest.fixture(scope="module")
def stack(cloud: None, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Return a stack that is not made yet."""
    return Stack("e2e", tmp_path_factory.mktemp("operator"))
