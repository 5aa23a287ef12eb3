"""user_credentials and machine_status against moto's SSM."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import credentials
from ansible_collections.iac.ds_stack.plugins.modules import machine_status, user_credentials
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws
from passlib.hash import sha512_crypt

ROOT = "/ds-stack/demo"


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash quickly: how slow the hash is, is tested apart."""
    made = credentials.hash_password
    monkeypatch.setattr(credentials, "hash_password", lambda password: made(password, rounds=1000))


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield boto3.client("ssm", region_name="eu-central-1")


class Runner:
    """Runs a module in this process and keeps all that it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.printed = ""

    def __call__(self, module: Any, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
        arguments = {
            "stack": "demo",
            **arguments,
            "_ansible_check_mode": check,
            "_ansible_diff": True,
        }
        with patch_module_args(arguments), pytest.raises(SystemExit):
            module.main()
        captured = self._capsys.readouterr()
        self.printed += captured.out + captured.err
        result: dict[str, Any] = json.loads(captured.out)
        return result


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], ssm: Any) -> Runner:
    return Runner(capsys)


def password(ssm: Any, user: str) -> str:
    name = f"{ROOT}/operator/passwords/{user}"
    return str(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])


def on_machine(ssm: Any, user: str) -> dict[str, Any]:
    name = f"{ROOT}/machine/users/{user}"
    found: dict[str, Any] = json.loads(
        ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    )
    return found


def names(ssm: Any, path: str = ROOT) -> list[str]:
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True)
    return sorted(one["Name"] for page in pages for one in page["Parameters"])


def test_new_users(run: Runner, ssm: Any) -> None:
    result = run(user_credentials, users=["grace", "ada"], tags={"team": "research"})
    assert result["changed"]
    assert result["created"] == ["ada", "grace"]
    assert result["parameters"]["ada"] == f"{ROOT}/operator/passwords/ada"
    assert on_machine(ssm, "ada")["rotation"] == 1
    assert sha512_crypt.verify(password(ssm, "ada"), on_machine(ssm, "ada")["hash"])
    assert password(ssm, "ada") != password(ssm, "grace")
    for name in names(ssm):
        assert ssm.get_parameter(Name=name)["Parameter"]["Type"] == "SecureString"
        tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
        assert {one["Key"]: one["Value"] for one in tags} == {"ds-stack:name": "demo", "team": "research"}


def test_second_run_changes_nothing(run: Runner, ssm: Any) -> None:
    run(user_credentials, users=["ada"])
    before = password(ssm, "ada"), on_machine(ssm, "ada")
    result = run(user_credentials, users=["ada"])
    assert not result["changed"]
    assert result["diff"]["before"] == result["diff"]["after"]
    assert (password(ssm, "ada"), on_machine(ssm, "ada")) == before


def test_rotation_is_for_those_named(run: Runner, ssm: Any) -> None:
    run(user_credentials, users=["ada", "grace"])
    ada, grace = password(ssm, "ada"), password(ssm, "grace")
    result = run(user_credentials, users=["ada", "grace"], rotate=["ada"])
    assert result["rotated"] == ["ada"]
    assert password(ssm, "ada") != ada
    assert password(ssm, "grace") == grace
    assert on_machine(ssm, "ada")["rotation"] == 2
    assert sha512_crypt.verify(password(ssm, "ada"), on_machine(ssm, "ada")["hash"])
    assert result["diff"]["before"]["rotations"] == {"ada": 1, "grace": 1}
    assert result["diff"]["after"]["rotations"] == {"ada": 2, "grace": 1}


def test_password_that_the_operator_chose(run: Runner, ssm: Any) -> None:
    run(user_credentials, users=["ada"])
    ssm.put_parameter(
        Name=f"{ROOT}/operator/passwords/ada", Value="a pass phrase", Type="SecureString", Overwrite=True
    )
    result = run(user_credentials, users=["ada"])
    assert result["republished"] == ["ada"]
    assert password(ssm, "ada") == "a pass phrase"
    assert sha512_crypt.verify("a pass phrase", on_machine(ssm, "ada")["hash"])
    assert on_machine(ssm, "ada")["rotation"] == 2
    assert not run(user_credentials, users=["ada"])["changed"]


def keys_of(ssm: Any, folder: str = "operator/passwords") -> dict[str, str]:
    filters = [{"Key": "Path", "Option": "OneLevel", "Values": [f"{ROOT}/{folder}"]}]
    found = ssm.describe_parameters(ParameterFilters=filters)["Parameters"]
    return {one["Name"].rpartition("/")[2]: one["KeyId"] for one in found}


@pytest.fixture
def key(ssm: Any) -> str:
    """The ARN of a key with the alias alias/mine."""
    kms = boto3.client("kms", region_name="eu-central-1")
    arn = str(kms.create_key()["KeyMetadata"]["Arn"])
    kms.create_alias(AliasName="alias/mine", TargetKeyId=arn)
    return arn


def test_the_key_is_for_the_operator_alone(run: Runner, ssm: Any, key: str) -> None:
    result = run(user_credentials, users=["ada"], kms_key_id="alias/mine")
    assert (result["created"], result["moved"]) == (["ada"], [])
    assert keys_of(ssm) == {"ada": "alias/mine"}
    assert keys_of(ssm, "machine/users") == {"ada": "alias/aws/ssm"}
    for name in ("alias/mine", key):  # the same by another name
        assert not run(user_credentials, users=["ada"], kms_key_id=name)["changed"]
    assert not run(user_credentials, users=["ada"])["changed"]


def test_passwords_are_moved_to_another_key(run: Runner, ssm: Any, key: str) -> None:
    run(user_credentials, users=["ada", "grace", "gone"])
    before = {user: (password(ssm, user), on_machine(ssm, user)) for user in ("ada", "grace", "gone")}
    arguments: dict[str, Any] = {"users": ["ada", "grace"], "purge": False, "kms_key_id": key}
    assert run(user_credentials, check=True, **arguments)["moved"] == ["ada", "gone", "grace"]
    assert set(keys_of(ssm).values()) == {"alias/aws/ssm"}
    # Interrupted between the two parameters of a user.
    name = f"{ROOT}/operator/passwords/ada"
    ssm.put_parameter(Name=name, Value=before["ada"][0], Type="SecureString", KeyId=key, Overwrite=True)
    result = run(user_credentials, **arguments)
    assert (result["changed"], result["moved"]) == (True, ["gone", "grace"])
    assert set(result["parameters"]) == {"ada", "grace"}
    assert set(keys_of(ssm).values()) == {key}
    for user, (secret, published) in before.items():
        assert password(ssm, user) == secret
        # The same rotation: on the machine nothing is set, and who has changed theirs keeps it.
        assert on_machine(ssm, user) == {**published, "operator_version": 2}
    assert not run(user_credentials, **arguments)["changed"]
    back = run(user_credentials, **{**arguments, "kms_key_id": "alias/aws/ssm"})
    assert back["moved"] == ["ada", "gone", "grace"]


def test_of_whom_the_machine_knows_nothing_the_password_is_moved(run: Runner, ssm: Any, key: str) -> None:
    run(user_credentials, users=["ada", "gone"])
    ssm.delete_parameter(Name=f"{ROOT}/machine/users/gone")
    result = run(user_credentials, users=["ada"], purge=False, kms_key_id=key)
    assert result["moved"] == ["ada", "gone"]
    assert set(keys_of(ssm).values()) == {key}
    assert "gone" not in keys_of(ssm, "machine/users")


def test_a_password_of_the_operators_own_is_moved_too(run: Runner, ssm: Any, key: str) -> None:
    run(user_credentials, users=["ada"], kms_key_id=key)
    name = f"{ROOT}/operator/passwords/ada"
    ssm.put_parameter(
        Name=name, Value="a pass phrase", Type="SecureString", KeyId="alias/aws/ssm", Overwrite=True
    )
    result = run(user_credentials, users=["ada"], kms_key_id=key)
    assert (result["republished"], result["moved"]) == (["ada"], ["ada"])
    assert (password(ssm, "ada"), keys_of(ssm)) == ("a pass phrase", {"ada": key})
    assert on_machine(ssm, "ada")["rotation"] == 2


def test_interrupted_run_is_completed(run: Runner, ssm: Any) -> None:
    run(user_credentials, users=["ada"])
    ssm.delete_parameter(Name=f"{ROOT}/machine/users/ada")
    kept = password(ssm, "ada")
    assert run(user_credentials, users=["ada"])["republished"] == ["ada"]
    assert password(ssm, "ada") == kept
    assert sha512_crypt.verify(kept, on_machine(ssm, "ada")["hash"])


def test_purge(run: Runner, ssm: Any) -> None:
    run(user_credentials, users=["ada", "grace"])
    assert not run(user_credentials, users=["ada"], purge=False)["changed"]
    result = run(user_credentials, users=["ada"])
    assert result["removed"] == ["grace"]
    assert names(ssm) == [f"{ROOT}/machine/users/ada", f"{ROOT}/operator/passwords/ada"]


def test_more_users_than_a_page_holds(run: Runner, ssm: Any) -> None:
    users = [f"user{number:02}" for number in range(23)]
    assert run(user_credentials, users=users)["created"] == users
    assert not run(user_credentials, users=users)["changed"]
    assert len(run(user_credentials, users=[])["removed_parameters"]) == 46
    assert names(ssm) == []


def test_tags_are_added_and_others_stay(run: Runner, ssm: Any) -> None:
    run(user_credentials, users=["ada"])
    name = f"{ROOT}/machine/users/ada"
    ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=name, Tags=[{"Key": "mine", "Value": "1"}])
    result = run(user_credentials, users=["ada"], tags={"team": "research"})
    assert result["tagged"] == [f"{ROOT}/operator/passwords/ada", name]
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
    assert {one["Key"] for one in tags} == {"ds-stack:name", "team", "mine"}
    assert not run(user_credentials, users=["ada"], tags={"team": "research"})["changed"]


def test_absent_leaves_nothing_of_this_stack(run: Runner, ssm: Any) -> None:
    run(user_credentials, users=["ada"])
    run(user_credentials, stack="demo2", users=["ada"])
    for name in ("config", "status"):
        ssm.put_parameter(Name=f"{ROOT}/machine/{name}", Value="{}", Type="String")
    before = names(ssm)
    assert run(user_credentials, state="absent", check=True)["removed_parameters"] == before
    assert names(ssm) == before
    assert run(user_credentials, state="absent")["changed"]
    assert names(ssm) == []
    assert len(names(ssm, "/ds-stack/demo2")) == 2
    assert not run(user_credentials, state="absent")["changed"]


def test_absent_keeps_the_users_of_homes_that_stay(run: Runner, ssm: Any) -> None:
    """A machine that finds them again finds no newer password than it has set."""
    run(user_credentials, users=["ada", "grace"])
    of_users = names(ssm)
    before = password(ssm, "ada"), on_machine(ssm, "ada")
    keys = f"{ROOT}/machine/users/ada/ssh_keys"
    others = [f"{ROOT}/machine/config", f"{ROOT}/machine/status", f"{ROOT}/machine/users-of-old"]
    for name in (keys, *others):
        ssm.put_parameter(Name=name, Value="{}", Type="String")
    everything = names(ssm)
    planned = run(user_credentials, state="absent", keep_users=True, check=True)
    assert (planned["removed_parameters"], names(ssm)) == (others, everything)
    assert run(user_credentials, state="absent", keep_users=True)["removed_parameters"] == others
    assert names(ssm) == sorted([*of_users, keys])
    assert not run(user_credentials, state="absent", keep_users=True)["changed"]
    assert not run(user_credentials, users=["ada", "grace"])["changed"]
    assert (password(ssm, "ada"), on_machine(ssm, "ada")) == before


def test_check_mode_writes_nothing(run: Runner, ssm: Any) -> None:
    result = run(user_credentials, users=["ada"], check=True)
    assert result["created"] == ["ada"]
    assert names(ssm) == []
    run(user_credentials, users=["ada"])
    before = password(ssm, "ada"), on_machine(ssm, "ada")
    assert run(user_credentials, users=["grace"], check=True)["removed"] == ["ada"]
    assert run(user_credentials, users=["ada"], rotate=["ada"], check=True)["rotated"] == ["ada"]
    assert (password(ssm, "ada"), on_machine(ssm, "ada")) == before


def test_nothing_secret_is_printed(run: Runner, ssm: Any) -> None:
    secrets = []
    for rotate in ([], ["ada"], []):
        run(user_credentials, users=["ada"], rotate=rotate)
        secrets += [password(ssm, "ada"), on_machine(ssm, "ada")["hash"]]
    assert "ada" in run.printed
    assert not [secret for secret in secrets if secret in run.printed]


def test_failed_write_tells_no_secret(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when AWS repeats the value in its error."""
    given = []
    real = BaseClient._make_api_call

    def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
        if operation != "PutParameter":
            return real(client, operation, arguments)
        given.append(arguments["Value"])
        error = {"Code": "ValidationException", "Message": f"{arguments['Value']} is no good"}
        raise ClientError({"Error": error}, operation)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    result = run(user_credentials, users=["ada"])
    assert result["failed"]
    assert "Failed to write a parameter" in result["msg"]
    assert "is no good" in result["msg"]
    assert given
    assert given[0] not in run.printed


def test_rotate_of_a_stranger(run: Runner) -> None:
    result = run(user_credentials, users=["ada"], rotate=["eve"])
    assert result["failed"]
    assert "eve" in result["msg"]


@pytest.mark.parametrize("users", [None, ...])
def test_without_users_nobody_is_touched(run: Runner, ssm: Any, users: Any) -> None:
    run(user_credentials, users=["ada", "grace"])
    before = names(ssm)
    result = run(user_credentials, purge=True, **({} if users is ... else {"users": users}))
    assert (result["changed"], result["removed"]) == (False, [])
    assert names(ssm) == before
    assert run(user_credentials, users=[])["removed"] == ["ada", "grace"]


@pytest.mark.parametrize("state", ["present", "absent"])
def test_stack_that_would_reach_elsewhere(run: Runner, ssm: Any, state: str) -> None:
    run(user_credentials, users=["ada"])
    before = names(ssm, "/")
    for stack in ("", "..", "a/b", "demo/operator"):
        result = run(user_credentials, stack=stack, users=["grace"], state=state)
        assert result["msg"].startswith(f"stack: '{stack}' cannot name a stack.")
    assert names(ssm, "/") == before


def test_user_who_would_reach_elsewhere(run: Runner, ssm: Any) -> None:
    for user in ("team/ada", "", "..", "-rf", "a" * 33):
        result = run(user_credentials, users=["grace", user])
        assert result["msg"].startswith(f"users: '{user}' cannot be a login name.")
    assert names(ssm, "/") == []


def test_ssh_keys_are_not_its_own(run: Runner, ssm: Any) -> None:
    for user in ("ada", "eve"):
        name = f"{ROOT}/machine/users/{user}/ssh_keys"
        ssm.put_parameter(Name=name, Value="ssh-rsa A", Type="String")
    run(user_credentials, users=["ada"])
    result = run(user_credentials, users=["ada"])
    assert (result["changed"], result["removed"]) == (False, [])
    assert f"{ROOT}/machine/users/eve/ssh_keys" in names(ssm)
    assert len(run(user_credentials, state="absent")["removed_parameters"]) == 4


def test_all_wrong_users_are_told(run: Runner) -> None:
    result = run(user_credentials, users=["Ada", "-rf", "eve"])
    assert "'-rf' cannot" in result["msg"]
    assert "'Ada' cannot" in result["msg"]


def test_tags_that_are_no_texts(run: Runner, ssm: Any) -> None:
    tags = {"n": 1, "on": True, "half": 1.5, "theirs": None}
    run(user_credentials, users=["ada"], tags=tags)
    for name in names(ssm):
        found = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
        texts = {one["Key"]: one["Value"] for one in found}
        assert texts == {"ds-stack:name": "demo", "n": "1", "on": "true", "half": "1.5"}
    assert not run(user_credentials, users=["ada"], tags=tags)["changed"]
    assert run(user_credentials, users=["ada"], tags={"n": 2})["tagged"] == names(ssm)[::-1]


def test_purge_tags(run: Runner, ssm: Any) -> None:
    run(user_credentials, users=["ada"], tags={"team": "research", "n": 1})
    assert not run(user_credentials, users=["ada"], purge_tags=True)["changed"]
    result = run(user_credentials, users=["ada"], tags={"n": 1}, purge_tags=True)
    assert result["tagged"] == names(ssm)[::-1]
    for name in names(ssm):
        found = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
        assert {one["Key"] for one in found} == {"ds-stack:name", "n"}
    assert not run(user_credentials, users=["ada"], tags={"n": 1}, purge_tags=True)["changed"]


@pytest.mark.parametrize("check", [False, True])
def test_without_passlib_nothing_is_written(
    run: Runner, ssm: Any, monkeypatch: pytest.MonkeyPatch, check: bool
) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "passlib", None)
        patched.setitem(sys.modules, "passlib.hash", None)
        result = run(user_credentials, users=["ada", "grace"], check=check)
        assert result["failed"]
        assert "passlib" in result["msg"]
        assert names(ssm) == []
        assert not run(user_credentials, users=[])["changed"]  # takes none


def test_failed_hash_writes_nothing(run: Runner, ssm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even what comes before the user whose password has none."""
    run(user_credentials, users=["grace"])
    real = credentials.hash_password

    def hash_password(password: str) -> str:
        if password == "no\0good":
            raise ValueError(password)
        return real(password)

    monkeypatch.setattr(credentials, "hash_password", hash_password)
    ssm.put_parameter(
        Name=f"{ROOT}/operator/passwords/grace", Value="no\0good", Type="SecureString", Overwrite=True
    )
    result = run(user_credentials, users=["ada", "grace"])
    assert result["failed"]
    assert f"{ROOT}/operator/passwords/grace" in result["msg"]
    assert "rotate grace" in result["msg"]
    assert "no\0good" not in run.printed
    assert "ada" not in " ".join(names(ssm))
    assert run(user_credentials, users=["ada", "grace"], rotate=["grace"])["rotated"] == ["grace"]


@pytest.mark.parametrize("refused", ["operator/passwords/grace", "machine/users/ada", "machine/users/grace"])
def test_failure_in_the_middle_is_told_and_mended(
    run: Runner, ssm: Any, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    real = BaseClient._make_api_call

    def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
        if operation == "PutParameter" and arguments["Name"] == f"{ROOT}/{refused}":
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)
        return real(client, operation, arguments)

    with monkeypatch.context() as patched:
        patched.setattr(BaseClient, "_make_api_call", call)
        result = run(user_credentials, users=["ada", "grace"])
    assert result["failed"]
    assert result["changed"]
    assert result["done"] == [f"wrote {name}" for name in sorted(names(ssm), key=result["msg"].find)]
    assert f"Failed to write a parameter ({ROOT}/{refused})" in result["msg"]
    kept = {user: password(ssm, user) for user in ("ada", "grace") if f"passwords/{user}" in str(names(ssm))}
    assert "ada" in kept
    assert run(user_credentials, users=["ada", "grace"])["changed"]
    for user in ("ada", "grace"):
        assert password(ssm, user) == kept.get(user, password(ssm, user))
        assert sha512_crypt.verify(password(ssm, user), on_machine(ssm, user)["hash"])
    assert not run(user_credentials, users=["ada", "grace"])["changed"]


def status(ssm: Any, state: str, **others: Any) -> None:
    document = {"schema": 1, "state": state, "instance_id": "i-1", "config_version": 3, "message": "Said so."}
    ssm.put_parameter(
        Name=f"{ROOT}/machine/status", Value=json.dumps({**document, **others}), Type="String", Overwrite=True
    )


def test_status_without_waiting(run: Runner, ssm: Any) -> None:
    assert run(machine_status, instance_id="i-1")["status"] == {}
    status(ssm, "ready")
    result = run(machine_status, instance_id="i-1", config_version=3)
    assert result["ready"]
    assert not result["changed"]
    assert result["status"]["message"] == "Said so."
    assert not run(machine_status, instance_id="i-1", config_version=4)["ready"]
    assert not run(machine_status, instance_id="i-2")["ready"]


def test_status_is_ready(run: Runner, ssm: Any) -> None:
    status(ssm, "ready")
    assert run(machine_status, instance_id="i-1", config_version=3, wait=True)["ready"]


def test_status_in_vain(run: Runner, ssm: Any) -> None:
    status(ssm, "starting")
    result = run(machine_status, instance_id="i-1", wait=True, timeout=0)
    assert result["failed"]
    assert "i-1 was not ready within 0 seconds" in result["msg"]
    assert "starting: Said so." in result["msg"]
    assert "start-session --target i-1 --region eu-central-1" in result["msg"]
    assert result["status"]["state"] == "starting"
