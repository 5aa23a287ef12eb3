"""The module machine_config against a simulated Parameter Store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.iac.ds_stack.plugins.modules import machine_config
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

    arguments = {"stack": "demo", **options, "_ansible_check_mode": check}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        machine_config.main()
    return dict(json.loads(capsys.readouterr().out))


def stored() -> dict[str, Any]:
    """Return the parameter."""
    client = boto3.client("ssm", region_name="us-east-1")
    return dict(client.get_parameter(Name="/ds-stack/demo/machine/config")["Parameter"])


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
