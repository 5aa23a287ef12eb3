"""The stack's parameters as the machine sees them, with moto's SSM in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import NoCredentialsError
from ds_stack_init import steps
from ds_stack_init.parameters import Parameter, Parameters, Unavailable
from moto import mock_aws

ROOT = "/ds-stack/demo/machine"


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield boto3.client("ssm", region_name="eu-central-1")


def put(ssm: Any, name: str, value: str, kind: str = "String") -> None:
    ssm.put_parameter(Name=f"{ROOT}/{name}", Value=value, Type=kind, Overwrite=True)


def test_configuration_comes_with_its_version(ssm: Any) -> None:
    put(ssm, "config", "one")
    put(ssm, "config", "two")
    assert Parameters(lambda: ssm, "demo").config() == Parameter("two", 2)


def test_no_configuration_yet(ssm: Any) -> None:
    with pytest.raises(Unavailable, match=rf"get_parameter of {ROOT}/config: ParameterNotFound"):
        Parameters(lambda: ssm, "demo").config()


def test_credentials_of_more_users_than_a_page_holds(ssm: Any) -> None:
    names = [f"user{number:02}" for number in range(23)]
    for name in names:
        put(ssm, f"users/{name}", f"secret of {name}", "SecureString")
    put(ssm, "users/user00", "changed", "SecureString")
    parameters = Parameters(lambda: ssm, "demo")
    assert parameters.credential_versions() == {**dict.fromkeys(names, 1), "user00": 2}
    found = parameters.credentials()
    assert found["user00"].value == "changed"
    assert found["user22"].value == "secret of user22"


def test_ssh_keys_come_with_the_credentials(ssm: Any) -> None:
    put(ssm, "users/ada", "hash", "SecureString")
    for keys in ("old", "new"):
        put(ssm, "users/ada/ssh_keys", keys)
    put(ssm, "users/ada2/ssh_keys", "others")
    parameters = Parameters(lambda: ssm, "demo")
    assert parameters.credential_versions() == {"ada": 1, "ada/ssh_keys": 2, "ada2/ssh_keys": 1}
    assert {name: one.value for name, one in parameters.credentials().items()} == {
        "ada": "hash",
        "ada/ssh_keys": "new",
        "ada2/ssh_keys": "others",
    }


def test_credential_does_not_show(ssm: Any) -> None:
    put(ssm, "users/ada", "top-secret", "SecureString")
    assert "top-secret" not in repr(Parameters(lambda: ssm, "demo").credentials())


def test_status(ssm: Any) -> None:
    parameters = Parameters(lambda: ssm, "demo")
    for state in ("starting", "ready"):
        parameters.put_status("i-1", json.dumps({"state": state}))
    found = ssm.get_parameter(Name=f"{ROOT}/status/i-1")["Parameter"]
    assert (json.loads(found["Value"]), found["Version"]) == ({"state": "ready"}, 2)


def test_credentials_that_come_late(ssm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that was made without any would never find them."""
    put(ssm, "config", "here")
    without = boto3.client("ssm", region_name="eu-central-1")
    monkeypatch.setattr(without, "get_parameter", fail_with(NoCredentialsError()))
    clients = iter([without, ssm])
    parameters = Parameters(lambda: next(clients), "demo")
    with pytest.raises(Unavailable, match="cannot be reached for get_parameter"):
        parameters.config()
    assert parameters.config().value == "here"


def fail_with(error: Exception) -> Callable[..., None]:
    def fail(**_: Any) -> None:
        raise error

    return fail


def test_wait_until_there_is_a_configuration() -> None:
    answers: Iterator[Unavailable | Parameter] = iter(
        [Unavailable("not yet"), Unavailable("not yet"), Parameter("{}", 1)]
    )

    def read() -> Parameter:
        answer = next(answers)
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    assert steps.wait_for(read, seconds=60, pause=0) == Parameter("{}", 1)


def test_wait_in_vain() -> None:
    def read() -> Parameter:
        raise Unavailable("not yet")

    with pytest.raises(Unavailable, match="not yet"):
        steps.wait_for(read, seconds=0, pause=0)
