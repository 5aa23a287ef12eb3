"""Somebody who runs the playbooks against moto's account, with the real Terraform and AWS provider."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import boto3

from localcloud import provider
from tests.which_ansible import PLAYBOOK

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"


@cache  # to make one takes as long as hundreds of its calls
def _client(service: str, endpoint: str, region: str) -> Any:
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


@contextmanager
def running_provider(binary: Path, environment: dict[str, str]) -> Iterator[None]:
    """Start the AWS provider once for all of Terraform's commands in an environment, which is told.

    Terraform would start it two or three times for each command, and read its 700 MB through before.
    """
    with subprocess.Popen(
        [binary, "-debug"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout
        reattach = next(line for line in process.stdout if "TF_REATTACH_PROVIDERS=" in line)
        environment["TF_REATTACH_PROVIDERS"] = reattach.partition("'")[2].rpartition("'")[0]
        try:
            yield
        finally:
            del environment["TF_REATTACH_PROVIDERS"]
            process.terminate()


@dataclass(frozen=True)
class Operator:
    """A person with an account, an empty folder, and the variables of one stack."""

    folder: Path
    environment: dict[str, str]
    variables: dict[str, Any]

    @classmethod
    def with_account(cls, folder: Path, endpoint: str, **variables: Any) -> Operator:
        """Make one whose account is at an endpoint; Terraform's settings lie beside the folder."""
        (folder / "home").mkdir()
        (folder / "terraform.rc").write_text(provider.configuration(provider.find()))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
        environment = {
            **kept,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CHECKPOINT_DISABLE": "1",
            "PWD": str(folder / "home"),  # as a shell has it there; the playbooks write below it
            "TF_CLI_CONFIG_FILE": str(folder / "terraform.rc"),
        }
        given = {
            "ds_stack_region": REGION,
            # One of the images that every account of moto has.
            "ds_stack_base_image": {"name": "ubuntu/images/hvm-ssd/ubuntu-xenial-16.04-amd64-server-*"},
            "ds_stack_packer_overlay": str(ROOT / "localcloud/packer"),  # for the Packer of these machines
            **variables,
        }
        return cls(folder / "home", environment, given)

    def moved(self, folder: Path) -> Operator:
        """Return the same person in another folder."""
        return replace(self, folder=folder, environment={**self.environment, "PWD": str(folder)})

    def elsewhere(self, folder: Path) -> Operator:
        """Return a colleague in an empty folder, who knows nothing but the stack's name and the region."""
        known = ("ds_stack_name", "ds_stack_region")
        return replace(self.moved(folder), variables={name: self.variables[name] for name in known})

    def running_provider(self) -> AbstractContextManager[None]:
        """Start the AWS provider once for all that is run in the meantime, where it lies on this machine."""
        mirror = provider.find()
        if mirror is None:
            return nullcontext()
        (binary,) = mirror.glob("registry.terraform.io/hashicorp/aws/*/*/terraform-provider-aws_*")
        return running_provider(binary, self.environment)

    def client(self, service: str, region: str = REGION) -> Any:
        """Return an API client of the account."""
        return _client(service, self.environment["AWS_ENDPOINT_URL"], region)

    def run(self, playbook: str, *options: str, code: int = 0, **variables: Any) -> str:
        """Run a playbook, ours or a file, to its end, which must have the exit code; what it printed."""
        name = playbook if playbook.endswith(".yml") else f"iac.ds_stack.{playbook}"
        extra = json.dumps({**self.variables, **variables})
        played = subprocess.run(
            [PLAYBOOK, name, *options, "-e", extra],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        said = played.stdout + played.stderr
        assert played.returncode == code, said[-6000:]
        return said
