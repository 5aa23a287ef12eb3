"""The module machine_config against a simulated Parameter Store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.iac.ds_stack.plugins.modules import machine_config
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Simulate an account."""
    for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "y"), ("REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with mock_aws():
        yield


def run(capsys: pytest.CaptureFixture[str], check: bool = False, **options: Any) -> dict[str, Any]:
    """Run the module and return its result."""

    arguments = {"stack": "demo", **options, "_ansible_check_mode": check, "_ansible_diff": True}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        machine_config.main()
    return dict(json.loads(capsys.readouterr().out))


CONFIG = "/ds-stack/demo/machine/config"
RSA = [f"ssh-rsa {'A' * 716} user-{number}@laptop" for number in range(6)]


def client() -> Any:
    return boto3.client("ssm", region_name="us-east-1")


def keys_of(user: str) -> str:
    return f"/ds-stack/demo/machine/users/{user}/ssh_keys"


def stored(name: str = CONFIG) -> dict[str, Any]:
    """Return the parameter."""
    return dict(client().get_parameter(Name=name)["Parameter"])


def names() -> list[str]:
    pages = client().get_paginator("get_parameters_by_path").paginate(Path="/", Recursive=True)
    return sorted(one["Name"] for page in pages for one in page["Parameters"])


def tags_of(name: str) -> dict[str, str]:
    found = client().list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
    return {one["Key"]: one["Value"] for one in found}


def person(name: str, *keys: str) -> dict[str, Any]:
    return {"name": name, "ssh_keys": list(keys)}


def test_it_is_written_once(capsys: pytest.CaptureFixture[str]) -> None:
    first = run(capsys, config={"tls": "none", "users": []}, tags={"team": "research"})
    second = run(capsys, config={"users": [], "tls": "none"})
    assert (first["changed"], first["version"]) == (True, 1)
    assert (second["changed"], second["version"]) == (False, 1)
    assert stored()["Value"] == '{"tls": "none", "users": []}'
    client = boto3.client("ssm", region_name="us-east-1")
    tags = client.list_tags_for_resource(
        ResourceType="Parameter", ResourceId="/ds-stack/demo/machine/config"
    )["TagList"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"ds-stack:name": "demo", "team": "research"}


def test_a_change_is_a_new_version(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, config={"tls": "none"})
    result = run(capsys, config={"tls": "self_signed"})
    assert (result["changed"], result["version"]) == (True, 2)
    assert result["diff"] == {"before": {"tls": "none"}, "after": {"tls": "self_signed"}}


def test_check_mode_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, config={"tls": "none"})
    result = run(capsys, check=True, config={"tls": "self_signed"})
    assert (result["changed"], result["version"]) == (True, 2)
    assert stored()["Value"] == '{"tls": "none"}'


def test_six_users_with_rsa_keys(capsys: pytest.CaptureFixture[str]) -> None:
    users = [person(f"user{number}", key) for number, key in enumerate(RSA)]
    config = {"schema": 1, "tls": "none", "users": [*users, {"name": "without"}]}
    first = run(capsys, config=config)
    assert first["changed"]
    assert first["written"] == [*(keys_of(f"user{number}") for number in range(6)), CONFIG]
    assert [stored(keys_of(f"user{number}"))["Value"] for number in range(6)] == RSA
    document = json.loads(stored()["Value"])
    assert document["schema"] == 2
    assert document["tls"] == "none"
    assert document["users"] == [*({"name": f"user{number}"} for number in range(6)), {"name": "without"}]
    assert all(len(stored(name)["Value"]) <= 4096 for name in names())
    assert not run(capsys, config=config)["changed"]


def test_changed_keys_are_a_new_version_of_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, config={"users": [person("ada", RSA[0])]})
    result = run(capsys, config={"users": [person("ada", RSA[0], RSA[1])]})
    assert (result["written"], result["version"]) == ([keys_of("ada"), CONFIG], 2)
    assert stored(keys_of("ada"))["Value"] == f"{RSA[0]}\n{RSA[1]}"
    assert result["diff"]["before"][keys_of("ada")] == RSA[:1]
    assert result["diff"]["after"][keys_of("ada")] == RSA[:2]


def test_keys_of_users_who_have_none_any_more_go(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, config={"schema": 1, "users": [person("ada", "ssh-rsa A"), person("eve", "ssh-rsa E")]})
    client().put_parameter(Name="/ds-stack/demo/machine/users/eve", Value="hash", Type="SecureString")
    config = {"schema": 1, "users": [{"name": "ada", "ssh_keys": []}]}
    seen = run(capsys, check=True, config=config)
    assert seen["removed"] == [keys_of("ada"), keys_of("eve")]
    assert keys_of("ada") in names()
    assert run(capsys, config=config)["removed"] == seen["removed"]
    assert names() == [CONFIG, "/ds-stack/demo/machine/users/eve"]
    # Who has no keys is told to a machine of any image.
    assert json.loads(stored()["Value"]) == {"schema": 1, "users": [{"name": "ada"}]}


@pytest.mark.parametrize("config", [{"tls": "none"}, {"tls": "none", "users": None}])
def test_a_configuration_without_users_touches_no_keys(
    capsys: pytest.CaptureFixture[str], config: dict[str, Any]
) -> None:
    run(capsys, config={"users": [person("ada", "ssh-rsa A")]})
    result = run(capsys, config=config)
    assert (result["written"], result["removed"]) == ([CONFIG], [])
    assert stored(keys_of("ada"))["Value"] == "ssh-rsa A"


def test_a_stack_of_the_old_shape_gets_the_new_one(capsys: pytest.CaptureFixture[str]) -> None:
    config = {"schema": 1, "users": [person("ada", RSA[0])]}
    client().put_parameter(Name=CONFIG, Value=json.dumps(config), Type="String")
    result = run(capsys, config=config)
    assert (result["written"], result["version"]) == ([keys_of("ada"), CONFIG], 2)
    assert result["diff"]["before"] == config
    assert "ssh-rsa" not in stored()["Value"]


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("String", "not JSON", "holds no configuration (no object in JSON)"),
        ("String", "[1, 2]", "holds no configuration (no object in JSON)"),
        ("String", "null", "holds no configuration (no object in JSON)"),
        ("String", " ", "holds no configuration (no object in JSON)"),
        ("SecureString", "{}", "is a SecureString, not a String"),
        ("StringList", "a,b", "is a StringList, not a String"),
    ],
)
def test_a_parameter_of_somebody_else(
    capsys: pytest.CaptureFixture[str], kind: str, value: str, told: str
) -> None:
    client().put_parameter(Name=CONFIG, Value=value, Type=kind)
    result = run(capsys, config={"users": [person("ada", "ssh-rsa A")]})
    assert result["failed"]
    assert result["msg"].startswith(f"The parameter {CONFIG} {told}")
    assert f"aws ssm delete-parameter --name {CONFIG}" in result["msg"]
    assert "exception" not in result or "Traceback" not in str(result["exception"])
    assert names() == [CONFIG]
    assert stored()["Version"] == 1


def test_keys_of_somebody_else(capsys: pytest.CaptureFixture[str]) -> None:
    client().put_parameter(Name=keys_of("ada"), Value="x", Type="SecureString")
    result = run(capsys, config={"users": [person("ada", "ssh-rsa A")]})
    assert result["msg"].startswith(f"The parameter {keys_of('ada')} is a SecureString")
    assert names() == [keys_of("ada")]


def test_a_document_with_keys_missing_is_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    client().put_parameter(Name=CONFIG, Value='{"users": [{}]}', Type="String")
    result = run(capsys, config={"tls": "none"})
    assert result["diff"] == {"before": {"users": [{}]}, "after": {"tls": "none"}}


def test_what_no_parameter_can_hold(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, config={"users": [person("ada", *RSA), person("../eve")]})
    assert result["failed"]
    assert result["msg"].startswith(
        "config: The SSH keys of 'ada' take 4433 bytes, and a parameter holds 4096."
    )
    assert "'../eve' cannot be a login name." in result["msg"]
    assert names() == []


def test_exactly_what_a_parameter_holds(capsys: pytest.CaptureFixture[str]) -> None:
    key = "ssh-rsa " + "A" * 4088
    run(capsys, config={"users": [person("ada", key)]})
    assert stored(keys_of("ada"))["Value"] == key


def test_names_that_would_reach_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    for stack in ("", "..", "a/b", "*"):
        result = run(capsys, stack=stack, config={"tls": "none"})
        assert result["msg"].startswith(f"stack: '{stack}' cannot name a stack.")
    assert names() == []


def test_null_is_no_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, config=None)
    assert "'config' is of type NoneType" in result["msg"]
    assert names() == []


def test_tags(capsys: pytest.CaptureFixture[str]) -> None:
    config = {"users": [person("ada", "ssh-rsa A")]}
    run(capsys, config=config, tags={"n": 1, "on": True, "half": 1.5, "theirs": None})
    client().add_tags_to_resource(
        ResourceType="Parameter", ResourceId=CONFIG, Tags=[{"Key": "theirs", "Value": "kept"}]
    )
    mine = {"ds-stack:name": "demo", "n": "1", "on": "true", "half": "1.5"}
    assert tags_of(keys_of("ada")) == mine
    for tags in (None, {}, {"n": 1}, {"n": "1", "on": True, "half": 1.5, "theirs": None}):
        assert not run(capsys, config=config, tags=tags)["changed"]
    assert not run(capsys, config=config, tags=None, purge_tags=True)["changed"]
    assert tags_of(CONFIG) == {**mine, "theirs": "kept"}
    result = run(capsys, config=config, tags={"n": 2})
    assert result["tagged"] == [keys_of("ada"), CONFIG]
    assert run(capsys, check=True, config=config, tags={"n": 2}, purge_tags=True)["changed"]
    assert tags_of(CONFIG) == {**mine, "n": "2", "theirs": "kept"}
    assert run(capsys, config=config, tags={"n": 2}, purge_tags=True)["changed"]
    assert tags_of(CONFIG) == tags_of(keys_of("ada")) == {"ds-stack:name": "demo", "n": "2"}


def test_tags_that_are_no_texts(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, config={"tls": "none"}, tags={"n": [1]})
    assert result["msg"] == "tags: the value of 'n' is no text. Write it in quotes."
    assert names() == []


def test_a_failure_in_the_middle_is_told_and_mended(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"users": [person("ada", "ssh-rsa A"), person("eve", "ssh-rsa E")]}
    real = BaseClient._make_api_call

    def call(made_by: Any, operation: str, arguments: dict[str, Any]) -> Any:
        if operation == "PutParameter" and arguments["Name"] == keys_of("eve"):
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)
        return real(made_by, operation, arguments)

    with monkeypatch.context() as patched:
        patched.setattr(BaseClient, "_make_api_call", call)
        result = run(capsys, config=config)
    assert result["failed"]
    assert result["changed"]
    assert result["done"] == [f"wrote {keys_of('ada')}"]
    assert f"Failed to write a parameter ({keys_of('eve')})" in result["msg"]
    assert f"wrote {keys_of('ada')}; run it again" in result["msg"]
    assert run(capsys, config=config)["written"] == [keys_of("eve"), CONFIG]
