"""The examples in the documentation of the Terraform plugins, run as they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import boto3
import pytest
import yaml
from ansible_collections.iac.ds_stack.plugins.lookup import terraform_output
from ansible_collections.iac.ds_stack.plugins.modules import terraform_drift_info, terraform_stack

from tests.which_ansible import PLAYBOOK

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]

NETWORK = """
variable "name" {}
variable "vpc_cidr" {
  default = null
}
variable "ports" {
  default = {}
}
resource "terraform_data" "subnet" {}
output "subnet_ids" {
  value = { us-east-1a = terraform_data.subnet.id }
}
"""

INSTANCE = """
variable "name" {}
variable "subnet_id" {}
variable "token" {
  sensitive = true
  default   = null
}
resource "terraform_data" "machine" {
  input = [var.name, var.subnet_id, var.token]
}
output "public_ip" {
  value = "198.51.100.17"
}
"""


@pytest.fixture
def environment(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Where the bucket of the examples is."""
    names = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-secret"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="eu-central-1")
    s3.create_bucket(
        Bucket="example-states", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    others = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    return {
        **others,
        "AWS_ENDPOINT_URL": endpoint,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
    }


def test_the_examples_run(tmp_path: Path, environment: dict[str, str]) -> None:
    for name, config in (("network", NETWORK), ("instance", INSTANCE)):
        (tmp_path / "terraform" / name).mkdir(parents=True)
        (tmp_path / "terraform" / name / "main.tf").write_text(config)
    *made, destroyed = yaml.safe_load(terraform_stack.EXAMPLES)
    tasks = [
        *made,
        *yaml.safe_load(terraform_drift_info.EXAMPLES),
        *yaml.safe_load(terraform_output.EXAMPLES),
        destroyed,
    ]
    playbook = tmp_path / "play.yml"
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"vault_token": "hidden-token"},
        "tasks": tasks,
    }
    playbook.write_text(yaml.safe_dump([play]))
    run = subprocess.run(
        [PLAYBOOK, playbook],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "changed=3 " in run.stdout, "network, machine, and its end"
    assert "msg: 198.51.100.17" in run.stdout
    assert "plan: 1 to destroy" in run.stdout
    assert "hidden-token" not in run.stdout + run.stderr
