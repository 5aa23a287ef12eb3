"""terraform_stack with its state in S3 (moto) and S3's native locking."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.iac.ds_stack.plugins.modules import terraform_state_forget, terraform_state_move

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


LOCK = "8f0b1c9e-2d5f-1111-2222-333344445555"


def lock_of(s3: Any, who: str, seconds: float) -> None:
    """Lock the state, as somebody did some seconds ago."""
    lock = {
        "ID": LOCK,
        "Operation": "OperationTypeApply",
        "Info": "",
        "Who": who,
        "Version": "1.11.4",
        "Created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds)),
        "Path": f"{BUCKET}/{KEY}",
    }
    s3.put_object(Bucket=BUCKET, Key=f"{KEY}.tflock", Body=json.dumps(lock).encode())


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
    lock_of(s3, "ada@desk", 240)
    message = stack.fail(backend=backend)["msg"]
    assert "The state is locked by ada@desk (OperationTypeApply, 4 min" in message
    assert f"{BY_HAND} force-unlock {LOCK}" in message
    assert stack.run(check=True, backend=backend)["changed"] is False, "check mode needs no lock"

    began = time.monotonic()
    stack.fail(backend=backend, lock_timeout=2)
    assert time.monotonic() - began > 2, "lock_timeout counts for the plan, too"


@pytest.mark.fault(22)
def test_a_state_that_could_not_be_saved_is_handed_over_with_its_own_lock(
    stack: Stack, backend: dict[str, Any], s3: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the playbooks do before they look at anything. The lock of whoever came later is left alone."""

    def hand_over() -> dict[str, Any]:
        options = {"work_dir": str(stack.work_dir), "backend": backend}
        with patch_module_args(options), pytest.raises(SystemExit):
            terraform_state_move.main()
        return dict(json.loads(capsys.readouterr().out))

    def state() -> dict[str, Any]:
        return dict(json.loads(s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()))

    stack.apply(backend=backend)
    kept, before = stack.work_dir / "errored.tfstate", state()
    # That of a destroy, which came to its end.
    kept.write_text(json.dumps({**before, "serial": before["serial"] + 1, "resources": []}))
    me = f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"
    for who, seconds in (("ada@desk", 240), (me, -60)):
        lock_of(s3, who, seconds)
        assert f"Who:       {who}\n" in hand_over()["msg"]
        assert (state(), kept.exists(), f"{KEY}.tflock" in keys(s3)) == (before, True, True)

    lock_of(s3, me, 240)
    done = hand_over()
    assert (done["changed"], done["action"]) == (True, "push")
    assert (state()["lineage"], state()["resources"], keys(s3)) == (before["lineage"], [], [KEY])
    assert [str(path) for path in stack.work_dir.glob("errored.tfstate*")] == [done["kept"]]

    # Of a first apply Terraform gives the state that it cannot save no lineage.
    s3.delete_object(Bucket=BUCKET, Key=KEY)
    kept.write_text(json.dumps({**before, "serial": 0, "lineage": ""}))
    assert hand_over()["action"] == "push"
    assert state()["lineage"]
    assert state()["resources"] == before["resources"]

    # Without the playbooks the next run does it.
    kept.write_text(json.dumps({**state(), "serial": state()["serial"] + 1}))
    lock_of(s3, "ada@desk", 240)
    assert f"force-unlock {LOCK}" in stack.fail(backend=backend)["msg"]
    lock_of(s3, me, 240)
    assert stack.apply(backend=backend)["changed"] is False
    assert (kept.exists(), keys(s3)) == (False, [KEY])


@pytest.mark.parametrize("here", [False, True], ids=["in the bucket", "in the folder"])
def test_a_state_forgets_what_is_kept_without_terraform(
    stack: Stack, backend: dict[str, Any], s3: Any, capsys: pytest.CaptureFixture[str], here: bool
) -> None:
    """By its id, and once; in check mode not at all. What Terraform then plans is another one."""

    def forget(name: str, check: bool = False) -> dict[str, Any]:
        options = {"work_dir": str(stack.work_dir), "id": name, **({} if here else {"backend": backend})}
        with patch_module_args({**options, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            terraform_state_forget.main()
        return dict(json.loads(capsys.readouterr().out))

    where: dict[str, Any] = {} if here else {"backend": backend}
    assert forget("nothing")["changed"] is False, "there is no state yet"
    stack.apply(**where)
    text = (
        (stack.work_dir / "terraform.tfstate").read_text()
        if here
        else s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()
    )
    one = json.loads(text)["resources"][0]
    name, address = one["instances"][0]["attributes"]["id"], f"{one['type']}.{one['name']}"
    assert forget("another")["addresses"] == []
    assert forget(name, check=True)["addresses"] == [address]
    assert stack.run(check=True, **where)["changed"] is False
    assert forget(name)["addresses"] == [address]
    assert (forget(name)["changed"], forget(name)["addresses"]) == (False, [])
    assert stack.run(check=True, **where)["summary"]["add"] == 1
    assert keys(s3) == ([] if here else [KEY])


def test_an_interrupted_apply_saves_the_state_and_frees_the_lock(
    stack: Stack, backend: dict[str, Any], s3: Any
) -> None:
    stack.write(SLOW)
    stack.fail(backend=backend, timeout=8)
    assert keys(s3) == [KEY]
    state = json.loads(s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read())
    assert sorted(item["name"] for item in state["resources"]) == ["quick", "slow"]


@pytest.mark.fault(4)
def test_after_a_kill_the_command_that_is_told_frees_the_lock(
    stack: Stack, backend: dict[str, Any], s3: Any
) -> None:
    """Terraform itself was killed: nobody can tell its lock from that of a run that goes on elsewhere."""
    stack.write(SLOW.replace("sleep 30", "kill -9 $PPID"))
    message = stack.fail(backend=backend)["msg"]
    assert "was killed (SIGKILL)" in message
    assert keys(s3) == [f"{KEY}.tflock"]
    stack.write(SLOW.replace("sleep 30", "true"))
    locked = stack.fail(backend=backend)
    assert "may still be locked" in str(locked["warnings"])
    (command,) = re.findall(r"free the lock: (.+)$", locked["msg"], re.MULTILINE)
    subprocess.run(command, shell=True, check=True, capture_output=True, input=b"yes\n")  # noqa: S602
    assert keys(s3) == []
    assert set(actions(stack.apply(backend=backend)).values()) == {"create"}


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
