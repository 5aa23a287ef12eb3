"""A template that Packer bakes in a second, against a simulated EC2; what the tests of packer_image share.

The builds use the amazon-ebs builder without a communicator, so that an "image" takes a second; what the
provisioners do, they do on this machine. Bakes of real machines are the e2e tests' part.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from ansible_collections.iac.ds_stack.plugins.modules import packer_image
from botocore.config import Config
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami

REPOSITORY = Path(__file__).resolve().parents[2]
REGION = "us-east-1"

#: The Packer that the tests run; its plugins are where PACKER_PLUGIN_PATH says.
PACKER = os.environ.get("DS_STACK_TEST_PACKER", "packer")

SECRET = 'Geheim,"1\n2-really'

VARIABLES = """
variable "image_name" { type = string }
variable "region" { type = string }
variable "base_image_id" { type = string }
variable "tags" { type = map(string) }
variable "run_tags" { type = map(string) }
variable "manifest_path" { type = string }
variable "provisioner_variables_file" { type = string }
variable "ansible_playbook" { type = string }
variable "collections_path" { type = string }
variable "script" {
  type    = string
  default = "echo working"
}
variable "licence" {
  type      = string
  default   = ""
  sensitive = true
}
variable "numbers" {
  type    = map(list(number))
  default = {}
}
variable "endpoint" {
  type    = string
  default = env("AWS_ENDPOINT_URL")
}
"""

SOURCE = """
source "amazon-ebs" "tiny" {
  ami_name                = var.image_name
  region                  = var.region
  source_ami              = var.base_image_id
  instance_type           = "t3.micro"
  communicator            = "none"
  custom_endpoint_ec2     = var.endpoint
  skip_metadata_api_check = true
  skip_region_validation  = true
  tags                    = var.tags
  snapshot_tags           = var.tags
  run_tags                = var.run_tags
  aws_polling {
    delay_seconds = 1
    max_attempts  = 60
  }
}
"""

BUILD = """
build {
  sources = ["source.amazon-ebs.tiny"]
  provisioner "shell-local" {
    environment_vars = [
      "PLAYBOOK=${var.ansible_playbook}",
      "COLLECTIONS=${var.collections_path}",
      "PROVISIONER_VARIABLES=${var.provisioner_variables_file}",
      "NUMBERS=${jsonencode(var.numbers)}",
    ]
    # Not among environment_vars: Packer puts those on the command line.
    inline = ["LICENCE='${var.licence}'", var.script]
  }
  post-processor "manifest" { output = var.manifest_path }
}
"""

#: What every module may return, and every module of AWS.
ANSIBLE_ADDS = {"changed", "deprecations", "diff", "exception", "failed", "invocation", "msg", "warnings"}
AWS_ADDS = {"boto3_version", "botocore_version", "response_metadata"}

RUN_MODULE = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.iac.ds_stack.plugins.modules import packer_image
with patch_module_args(json.load(sys.stdin)):
    packer_image.main()
"""


@pytest.fixture(scope="module")
def needs_packer() -> None:
    """Skip what cannot be shown without Packer."""
    if shutil.which(PACKER) is None:
        pytest.skip(f"{PACKER} is not installed")


@pytest.fixture(scope="module", autouse=True)
def tags_for_snapshots() -> Iterator[None]:
    """CreateImage with tags for snapshots, as today's plugin sends them; moto knows those of images alone."""
    create_image = EC2Backend.create_image

    def create(self: EC2Backend, *args: Any, tag_specifications: list[dict[str, Any]], **kwargs: Any) -> Ami:
        of = {one["ResourceType"]: one["Tags"] for one in tag_specifications}
        of_snapshots = of.pop("snapshot", [])
        known = [{"ResourceType": kind, "Tags": tags} for kind, tags in of.items()]
        image = create_image(self, *args, tag_specifications=known, **kwargs)
        self.create_tags([image.ebs_snapshot.id], {tag["Key"]: tag["Value"] for tag in of_snapshots})
        return image

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EC2Backend, "create_image", create)
        yield


@pytest.fixture(scope="module")
def ec2(endpoint: str) -> Any:
    """A client of it."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "testtest"}
    patient = Config(read_timeout=300)  # the first answer takes long where much else runs
    return boto3.client("ec2", region_name=REGION, endpoint_url=endpoint, config=patient, **keys)


@pytest.fixture(scope="module")
def base_image_id(ec2: Any) -> str:
    """An image to bake from."""
    return min(image["ImageId"] for image in ec2.describe_images(Owners=["amazon"])["Images"])


@dataclass
class Baker:
    """A template with its folder, and the module to bake it."""

    folder: Path
    environment: dict[str, str]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def template(self) -> Path:
        return self.folder / "template"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def command(self, **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN_MODULE],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps({**self.options, **options}))
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, **options: Any) -> dict[str, Any]:
        output, errors = self.command(**options).communicate(timeout=120)
        assert output, errors
        return json.loads(output)

    def bake(self, **options: Any) -> dict[str, Any]:
        result = self.run(**options)
        assert not result.get("failed"), result
        assert not undocumented(result)
        return result

    def fail(self, **options: Any) -> dict[str, Any]:
        result = self.run(**options)
        assert result.get("failed"), result
        assert not undocumented(result)
        return result


def undocumented(result: dict[str, Any]) -> dict[str, Any]:
    """What of a result is not in the module's documentation, or of another type than is said there."""
    types = {"str": str, "bool": bool, "dict": dict, "float": float, "list": list}
    documented = {name: says["type"] for name, says in yaml.safe_load(packer_image.RETURN).items()}
    return {
        name: value
        for name, value in result.items()
        if name not in ANSIBLE_ADDS | AWS_ADDS
        and (name not in documented or not isinstance(value, (types[documented[name]], type(None))))
    }


@pytest.fixture
def baker(tmp_path: Path, endpoint: str, base_image_id: str) -> Baker:
    """A template that bakes in a second, in a folder of its own, and a stack of its own."""
    template = tmp_path / "template"
    template.mkdir()
    (template / "variables.pkr.hcl").write_text(VARIABLES)
    (template / "source.pkr.hcl").write_text(SOURCE)
    (template / "build.pkr.hcl").write_text(BUILD)
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "PKR_", "PACKER_")) or name == "PACKER_PLUGIN_PATH"
        },
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "testtest",
        "PYTHONPATH": str(REPOSITORY / ".cache/collections"),
    }
    options = {
        "template": str(template),
        "work_dir": str(tmp_path / "work"),
        "binary": PACKER,
        "name": "tiny",
        "region": REGION,
        "base_image_id": base_image_id,
        "tags": {"ds-stack:name": tmp_path.name},
    }
    return Baker(tmp_path, environment, options)


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.1)
