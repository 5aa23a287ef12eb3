"""terraform_stack and terraform_drift_info with the real AWS provider against moto."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.init import cache_lock

from localcloud import provider
from tests.integration.terraform_stacks import DRIFT, Stack, isolated_stack
from tests.which_ansible import PLAYBOOK, PYTHON

ROOT = Path(__file__).resolve().parents[2]

CONFIG = """
provider "aws" {
  region = "us-east-1"
}
resource "aws_iam_user" "ada" {
  name = "ada"
  path = "/people/"
}
resource "aws_ssm_parameter" "secret" {
  name  = "/demo/secret"
  type  = "SecureString"
  value = "correct-horse-battery"
}
output "user" {
  value = aws_iam_user.ada.arn
}
"""


@pytest.fixture
def overrides(endpoint: str) -> dict[str, Any]:
    """What an ordinary user's play gives for other endpoints."""
    return {
        "provider": {
            "aws": {
                "access_key": "testing",
                "secret_key": "testing-secret-key",
                "endpoints": {"iam": endpoint, "ssm": endpoint, "sts": endpoint},
                "skip_credentials_validation": True,
                "skip_metadata_api_check": True,
                "skip_requesting_account_id": True,
            }
        }
    }


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    stack = isolated_stack(tmp_path, monkeypatch)
    rc = tmp_path / "terraform.rc"
    rc.write_text(provider.configuration(provider.find()))
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(rc))
    stack.write(CONFIG)
    return stack


def client(service: str, endpoint: str) -> Any:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", **keys)


def commands(result: dict[str, Any]) -> list[str]:
    log = Path(result["log_path"]).read_text()
    return [line.split()[2] for line in log.splitlines() if line.startswith("$ ")]


def test_each_start_of_the_provider_is_needed_and_drift_is_told(
    stack: Stack, overrides: dict[str, Any], endpoint: str
) -> None:
    created = stack.apply(overrides=overrides)
    # The first plan only asks for the init: it starts no provider.
    assert commands(created) == ["plan", "init", "plan", "show", "apply"]
    assert created["outputs"] == {"user": "arn:aws:iam::123456789012:user/people/ada"}
    assert "testing-secret-key" not in str(created)

    same = stack.apply(overrides=overrides)
    assert same["changed"] is False
    assert commands(same) == ["plan"], "no show, no apply, and the outputs are in the state"
    assert same["outputs"] == created["outputs"]

    client("iam", endpoint).tag_user(UserName="ada", Tags=[{"Key": "by", "Value": "hand"}])
    client("ssm", endpoint).put_parameter(
        Name="/demo/secret", Value="changed-by-hand", Type="SecureString", Overwrite=True
    )
    drift = stack.run(DRIFT, diff=True, overrides=overrides)
    found = {item["address"]: item for item in drift["drift"]}
    assert drift["drifted"] is True
    assert found["aws_iam_user.ada"]["action"] == "update"
    assert found["aws_iam_user.ada"]["after"] == {"tags": {"by": "hand"}, "tags_all": {"by": "hand"}}
    assert found["aws_ssm_parameter.secret"]["after"]["value"] == "(sensitive, changed)"
    for secret in ("changed-by-hand", "correct-horse-battery"):
        assert secret not in str(drift)


def test_the_state_is_in_a_bucket_with_its_native_lock(
    stack: Stack, overrides: dict[str, Any], endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing-secret-key")
    s3 = client("s3", endpoint)
    s3.create_bucket(Bucket="states")
    config = {
        "bucket": "states",
        "key": "people.tfstate",
        "region": "us-east-1",
        "use_lockfile": True,
        "endpoints": {"s3": endpoint},
        "use_path_style": True,
        "skip_credentials_validation": True,
        "skip_requesting_account_id": True,
        "skip_metadata_api_check": True,
    }
    options: dict[str, Any] = {"overrides": overrides, "backend": {"type": "s3", "config": config}}
    stack.write(CONFIG.replace("ada", "grace").replace("/demo/secret", "/demo/other"))
    created = stack.apply(**options)
    assert created["summary"]["add"] == 2
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="states")["Contents"]] == ["people.tfstate"]
    lock = {
        "ID": "1234",
        "Operation": "OperationTypeApply",
        "Who": "ada@desk",
        "Path": "states/people.tfstate",
    }
    s3.put_object(Bucket="states", Key="people.tfstate.tflock", Body=json.dumps(lock).encode())
    assert "The state is locked by ada@desk" in stack.fail(**options)["msg"]
    s3.delete_object(Bucket="states", Key="people.tfstate.tflock")
    assert stack.apply(state="absent", **options)["summary"]["destroy"] == 2


HOSTS = ("red", "green", "blue")


def test_stacks_of_one_play_share_a_provider_cache_at_the_same_time(stack: Stack, tmp_path: Path) -> None:
    stack.write('terraform {\n  required_providers {\n    aws = { source = "hashicorp/aws" }\n  }\n}\n')
    playbook, inventory = tmp_path / "play.yml", tmp_path / "inventory"
    local = f"ansible_connection=local ansible_python_interpreter={PYTHON}"
    inventory.write_text("".join(f"{host} {local}\n" for host in HOSTS))
    options = {
        "source": str(stack.source),
        "work_dir": f"{tmp_path}/work/{{{{ inventory_hostname }}}}",
        "plugin_cache_dir": str(tmp_path / "cache"),
    }
    task = {"iac.ds_stack.terraform_stack": options}
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    play = subprocess.run(
        [PLAYBOOK, "-i", inventory, playbook],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert play.returncode == 0, play.stdout + play.stderr
    for host in HOSTS:
        assert f"[{host}] initializing" in play.stdout
        (installed,) = (tmp_path / "work" / host / ".terraform/providers").glob("*/*/*/*/*")
        assert installed.is_symlink()
        assert (tmp_path / "work" / host / ".terraform.lock.hcl").exists()


def test_one_init_at_a_time_writes_to_the_cache(
    stack: Stack, overrides: dict[str, Any], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    held = threading.Event()
    order: list[str] = []

    def init(name: str) -> None:
        with cache_lock(cache):
            order.append(f"{name} begins")
            held.set()
            threading.Event().wait(0.3)
            order.append(f"{name} ends")

    other = threading.Thread(target=init, args=["other"])
    other.start()
    held.wait()
    init("this")
    other.join()
    assert order == ["other begins", "other ends", "this begins", "this ends"]

    stack.write('terraform {\n  required_providers {\n    aws = { source = "hashicorp/aws" }\n  }\n}\n')
    assert stack.apply(plugin_cache_dir=str(cache))["changed"] is False
    (installed,) = (stack.work_dir / ".terraform/providers").glob("*/*/*/*/*")
    assert installed.resolve().is_relative_to(cache.resolve()) or installed.is_symlink()
