"""terraform_stack with its state in S3 (moto) and S3's native locking."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.integration.terraform_stacks import SLOW, Stack, actions, isolated_stack
from tests.terraform_binary import BY_HAND

BUCKET = "states"
KEY = "demo/machine.tfstate"


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    return isolated_stack(tmp_path, monkeypatch)


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing-secret")
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    yield client
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=item["Key"])
    client.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def backend(endpoint: str, s3: Any) -> dict[str, Any]:
    return {
        "type": "s3",
        "config": {
            "bucket": BUCKET,
            "key": KEY,
            "region": "us-east-1",
            "use_lockfile": True,
            "endpoints": {"s3": endpoint},
            "use_path_style": True,
            "skip_credentials_validation": True,
            "skip_requesting_account_id": True,
            "skip_metadata_api_check": True,
        },
    }


def keys(s3: Any) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


@pytest.mark.fault(6)
def test_the_state_is_in_the_bucket_and_found_again_from_anywhere(
    stack: Stack, backend: dict[str, Any], s3: Any
) -> None:
    assert stack.run(check=True, backend=backend)["summary"]["add"] == 2
    assert keys(s3) == [], "check mode neither locks nor writes"
    assert stack.apply(backend=backend)["changed"] is True
    assert keys(s3) == [KEY]
    assert not (stack.work_dir / "terraform.tfstate").exists()
    assert stack.run(check=True, backend=backend)["changed"] is False

    shutil.rmtree(stack.work_dir)  # another machine
    assert stack.run(check=True, backend=backend)["changed"] is False
    assert not stack.work_dir.exists()
    destroyed = stack.apply(state="absent", backend=backend)
    assert destroyed["summary"]["destroy"] == 2, "absent looks into the bucket, not only at the disk"


def test_workspaces_in_the_bucket(stack: Stack, backend: dict[str, Any], s3: Any) -> None:
    assert stack.run(check=True, backend=backend, workspace="blue")["summary"]["add"] == 2
    assert keys(s3) == []
    stack.apply(backend=backend, workspace="blue")
    assert keys(s3) == [f"env:/blue/{KEY}"]
    assert stack.run(check=True, backend=backend, workspace="blue")["changed"] is False
    assert stack.run(check=True, backend=backend, workspace="red")["summary"]["add"] == 2


@pytest.mark.fault(4)
@pytest.mark.fault(14)
def test_a_lock_left_behind_is_explained(stack: Stack, backend: dict[str, Any], s3: Any) -> None:
    stack.apply(backend=backend)
    lock = {
        "ID": "8f0b1c9e-2d5f-1111-2222-333344445555",
        "Operation": "OperationTypeApply",
        "Info": "",
        "Who": "ada@desk",
        "Version": "1.11.4",
        "Created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 240)),
        "Path": f"{BUCKET}/{KEY}",
    }
    s3.put_object(Bucket=BUCKET, Key=f"{KEY}.tflock", Body=json.dumps(lock).encode())
    message = stack.fail(backend=backend)["msg"]
    assert "The state is locked by ada@desk (OperationTypeApply, 4 min" in message
    assert f"{BY_HAND} force-unlock {lock['ID']}" in message
    assert stack.run(check=True, backend=backend)["changed"] is False, "check mode needs no lock"

    began = time.monotonic()
    stack.fail(backend=backend, lock_timeout=2)
    assert time.monotonic() - began > 2, "lock_timeout counts for the plan, too"


def test_an_interrupted_apply_saves_the_state_and_frees_the_lock(
    stack: Stack, backend: dict[str, Any], s3: Any
) -> None:
    stack.write(SLOW)
    stack.fail(backend=backend, timeout=8)
    assert keys(s3) == [KEY]
    state = json.loads(s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read())
    assert sorted(item["name"] for item in state["resources"]) == ["quick", "slow"]


def test_the_backend_of_the_configuration_is_used(stack: Stack, backend: dict[str, Any], s3: Any) -> None:
    config = json.dumps({"terraform": {"backend": {"s3": backend["config"]}}})
    stack.write(config, "backend.tf.json")
    stack.apply()
    assert keys(s3) == [KEY]
    shutil.rmtree(stack.work_dir)
    assert actions(stack.apply(state="absent")) == {
        "terraform_data.disk": "delete",
        "terraform_data.machine": "delete",
    }


def test_a_changed_backend_asks_what_to_do_with_the_state(
    stack: Stack, backend: dict[str, Any], s3: Any
) -> None:
    stack.apply()
    message = stack.fail(backend=backend)["msg"]
    command = f"cd {stack.work_dir} && {BY_HAND} init -migrate-state"
    assert command in message
    assert keys(s3) == []
    subprocess.run(f"{command} -force-copy -input=false", shell=True, check=True, capture_output=True)  # noqa: S602
    assert stack.apply(backend=backend)["changed"] is False, "a person has moved the state by hand"
