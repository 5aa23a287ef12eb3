"""The server's own part of an answer: control addresses, faults, refusals. moto is not asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from localcloud.account_files import Operator
from localcloud.base_layer import BaseLayer
from localcloud.cloud import Cloud
from localcloud.paths import RunDir
from localcloud.server import App

SIGNED = "AWS4-HMAC-SHA256 Credential={key}/20261123/us-east-1/{service}/aws4_request, Signature=b"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    cloud = Cloud(RunDir(tmp_path), BaseLayer("sha256:0", 0, tmp_path))
    app = App(cloud, Operator("AKIAOPERATOR", "secret"))

    def never(*_: Any) -> list[bytes]:
        raise AssertionError("moto was asked")

    monkeypatch.setattr(app, "_moto", never)
    yield Client(app)
    cloud.jobs.shutdown()


def call(
    client: Client, action: str, key: str = "AKIAOPERATOR", service: str = "ec2", **given: str
) -> TestResponse:
    return client.post(
        "/",
        data={"Action": action, **given},
        headers={"Authorization": SIGNED.format(key=key, service=service)},
    )


def test_an_ordered_fault_comes_in_ec2s_protocol(client: Client) -> None:
    fault = {
        "action": "RunInstances",
        "code": "InsufficientInstanceCapacity",
        "status": 400,
        "message": "a < b",
    }
    assert client.post("/_localcloud/fault", json=fault).status_code == 204
    with pytest.raises(AssertionError, match="moto was asked"):
        call(client, "RunInstances", DryRun="true")  # does not meet it, nor use it up
    answer = call(client, "RunInstances")
    assert answer.status_code == 400
    assert "<Code>InsufficientInstanceCapacity</Code><Message>a &lt; b</Message>" in answer.text


def test_an_ordered_fault_comes_in_the_json_protocol(client: Client) -> None:
    client.post("/_localcloud/fault", json={"action": "GetParameter", "code": "ThrottlingException"})
    headers = {
        "Authorization": SIGNED.format(key="AKIAOPERATOR", service="ssm"),
        "X-Amz-Target": "AmazonSSM.GetParameter",
    }
    answer = client.post("/", data=json.dumps({"Name": "/x"}), headers=headers)
    assert answer.status_code == 503
    assert json.loads(answer.text) == {"__type": "ThrottlingException", "message": "injected by a test"}


def test_faults_can_be_forgotten(client: Client) -> None:
    client.post("/_localcloud/fault", json={"action": "RunInstances", "code": "X"})
    assert client.delete("/_localcloud/fault").status_code == 204
    with pytest.raises(AssertionError, match="moto was asked"):
        call(client, "RunInstances")


def test_a_bad_order_is_answered_with_what_is_wrong(client: Client) -> None:
    answer = client.post("/_localcloud/fault", json={"boot": "sideways"})
    assert (answer.status_code, answer.text) == (400, "boot is one of no-sshd, fail\n")


def test_an_unknown_key_is_refused(client: Client) -> None:
    answer = call(client, "DescribeVpcs", key="AKIASTRANGER")
    assert answer.status_code == 401
    assert "<Code>AuthFailure</Code>" in answer.text


@pytest.mark.parametrize("path", ["/_localcloud/other", "/moto-api/reset", "/moto-api/"])
def test_motos_own_controls_are_not_there(client: Client, path: str) -> None:
    assert client.post(path).status_code == 404


def test_lifecycle_policies_can_be_told_to_fail_and_be_run(client: Client) -> None:
    fault = {"action": "CreateLifecyclePolicy", "code": "LimitExceededException", "status": 429}
    assert client.post("/_localcloud/fault", json=fault).status_code == 204
    headers = {"Authorization": SIGNED.format(key="AKIAOPERATOR", service="dlm")}
    answer = client.post("/policies", data="{}", headers=headers)
    assert (answer.status_code, json.loads(answer.text)["__type"]) == (429, "LimitExceededException")
    answer = client.post("/_localcloud/policies")
    assert (answer.status_code, json.loads(answer.text)) == (200, [])
