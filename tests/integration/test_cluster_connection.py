"""The module cluster_connection against a simulated Parameter Store."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import cluster_connection as connection
from ansible_collections.iac.ds_stack.plugins.modules import cluster_connection
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from cryptography import x509
from moto import mock_aws

CONNECT = "/ds-stack/demo/cluster/connect"
MACHINE = "/ds-stack/demo/machine/cluster"
WHERE: dict[str, Any] = {"host": "10.77.240.10", "spark": "4.0.2"}


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Simulate an account."""
    for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "y"), ("REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with mock_aws():
        yield


def play(
    capsys: pytest.CaptureFixture[str], check: bool = False, **options: Any
) -> tuple[dict[str, Any], str]:
    """Run the module; its result, and all that it has said."""
    arguments = {"stack": "demo", **options, "_ansible_check_mode": check, "_ansible_diff": True}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        cluster_connection.main()
    said = capsys.readouterr()
    return dict(json.loads(said.out)), said.out + said.err


def run(capsys: pytest.CaptureFixture[str], check: bool = False, **options: Any) -> dict[str, Any]:
    return play(capsys, check, **options)[0]


def client() -> Any:
    return boto3.client("ssm", region_name="us-east-1")


def stored(name: str) -> dict[str, Any]:
    """Return the document of a parameter, which is a SecureString."""
    found = client().get_parameter(Name=name, WithDecryption=True)["Parameter"]
    assert found["Type"] == "SecureString"
    return dict(json.loads(found["Value"]))


def put(name: str, document: Any, kind: str = "SecureString") -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    client().put_parameter(Name=name, Value=text, Type=kind, Overwrite=True)


def names() -> list[str]:
    found = client().get_parameters_by_path(Path="/ds-stack/demo", Recursive=True)["Parameters"]
    return sorted(one["Name"] for one in found)


def test_what_the_nodes_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, idle_minutes=30)
    assert (result["changed"], result["made"], result["written"]) == (True, True, [CONNECT])
    told = stored(CONNECT)
    assert told.keys() == {"schema", "token", "certificate", "private_key", "idle_minutes"}
    assert (told["schema"], told["idle_minutes"], len(told["token"])) == (1, 30, 43)
    certificate = x509.load_pem_x509_certificate(told["certificate"].encode())
    assert certificate.subject.rfc4514_string() == "CN=spark.ds-stack.internal"
    assert result["expires"] == certificate.not_valid_after_utc.strftime("%Y-%m-%d")
    assert names() == [CONNECT]


def test_what_the_machine_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, **WHERE)
    assert result["written"] == [CONNECT, MACHINE]
    nodes = stored(CONNECT)
    assert stored(MACHINE) == {
        "schema": 1,
        "host": "10.77.240.10",
        "port": 15443,
        "server_name": "spark.ds-stack.internal",
        "token": nodes["token"],
        "certificate": nodes["certificate"],
        "spark": "4.0.2",
    }


def test_they_are_made_once(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, **WHERE)
    before = stored(CONNECT)
    second = run(capsys, **WHERE)
    assert (second["changed"], second["made"], second["written"]) == (False, False, [])
    moved = run(capsys, **{**WHERE, "host": "10.77.240.11"})
    assert (moved["written"], moved["made"]) == ([MACHINE], False)
    patient = run(capsys, idle_minutes=90)
    assert (patient["written"], patient["made"]) == ([CONNECT], False)
    assert stored(CONNECT) == {**before, "idle_minutes": 90}
    assert stored(MACHINE)["host"] == "10.77.240.11"


def test_a_client_that_trusts_the_certificate_trusts_the_server(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(capsys)
    told = stored(CONNECT)
    (tmp_path / "key.pem").write_text(told["private_key"])
    (tmp_path / "certificate.pem").write_text(told["certificate"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    assert shake_hands(server, told["certificate"], "spark.ds-stack.internal") == ""
    assert "Hostname mismatch" in shake_hands(server, told["certificate"], "spark.example.org")
    run(capsys, regenerate=True)
    assert "self-signed certificate" in shake_hands(
        server, stored(CONNECT)["certificate"], "spark.ds-stack.internal"
    )


def shake_hands(server: ssl.SSLContext, trusted: str, name: str) -> str:
    """What keeps a client from trusting a server; empty for nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=trusted)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        context.wrap_bio(back, there, server_hostname=name),
        server.wrap_bio(there, back, server_side=True),
    ]
    for _turn in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return str(error)
    assert ends[0].version()
    return ""


def test_regenerate_makes_others(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, **WHERE)
    before = stored(CONNECT)
    assert run(capsys, regenerate=True, **WHERE)["made"]
    after = stored(CONNECT)
    assert all(after[name] != before[name] for name in ("token", "certificate", "private_key"))
    assert stored(MACHINE)["token"] == after["token"]


def aged(days: float) -> connection.Secrets:
    """Secrets that were made days ago."""
    return connection.make(datetime.now(timezone.utc) - timedelta(days=days))


@pytest.mark.parametrize(
    "found",
    [
        "{",
        "[]",
        {},
        {**aged(0).of_nodes(60), "schema": 2},
        {**aged(0).of_nodes(60), "token": ""},
        {**aged(0).of_nodes(60), "private_key": 5},
        {
            **aged(0).of_nodes(60),
            "certificate": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        },
        {**aged(0).of_nodes(60), "private_key": aged(0).private_key},  # of another certificate
        aged(3650 - 80).of_nodes(60),  # with 80 days left
        aged(4000).of_nodes(60),
        aged(-5).of_nodes(60),  # of a clock that was wrong
    ],
    ids=range(11),
)
def test_what_cannot_be_used_is_made_anew(capsys: pytest.CaptureFixture[str], found: Any) -> None:
    put(CONNECT, found)
    result = run(capsys)
    assert (result["made"], result["written"]) == (True, [CONNECT])
    assert not run(capsys)["changed"]


def test_what_is_old_and_good_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    put(CONNECT, aged(3650 - 100).of_nodes(60))
    result = run(capsys)
    assert (result["made"], result["written"]) == (False, [])


def test_check_mode_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, check=True, **WHERE)
    assert (result["changed"], result["written"], result["expires"]) == (True, [CONNECT, MACHINE], "")
    assert names() == []
    run(capsys, **WHERE)
    before = stored(CONNECT)
    assert run(capsys, check=True, regenerate=True, **WHERE)["written"] == [CONNECT, MACHINE]
    assert run(capsys, check=True, state="absent")["removed"] == [MACHINE, CONNECT]
    assert stored(CONNECT) == before


def test_nothing_secret_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither of what there was nor of what there is."""
    put(CONNECT, {**aged(4000).of_nodes(60), "token": "a-token-of-before"})
    old = stored(CONNECT)
    (_result, said), (again, twice) = play(capsys, **WHERE), play(capsys, regenerate=True, **WHERE)
    for document in (old, stored(CONNECT)):
        for text in (document["token"], document["private_key"], document["private_key"].splitlines()[1]):
            assert text not in said + twice
    before, after = again["diff"]["before"][MACHINE], again["diff"]["after"][MACHINE]
    assert before.keys() == after.keys() == {"schema", "host", "port", "server_name", "certificate", "spark"}
    assert before["certificate"] != after["certificate"]


def test_absent_removes_both_or_the_machines(capsys: pytest.CaptureFixture[str]) -> None:
    put("/ds-stack/demo/machine/config", "{}", "String")
    run(capsys, **WHERE)
    before = stored(CONNECT)
    assert run(capsys, state="absent", keep_secrets=True)["removed"] == [MACHINE]
    assert not run(capsys, state="absent", keep_secrets=True)["changed"]
    assert stored(CONNECT) == before
    assert run(capsys, state="absent")["removed"] == [CONNECT]
    assert not run(capsys, state="absent")["changed"]
    assert names() == ["/ds-stack/demo/machine/config"]


def test_tags(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, tags={"team": "research"}, **WHERE)
    for name in (CONNECT, MACHINE):
        tags = client().list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
        assert {one["Key"]: one["Value"] for one in tags} == {"ds-stack:name": "demo", "team": "research"}
    assert run(capsys, tags={"team": "biology"}, **WHERE)["tagged"] == [CONNECT, MACHINE]
    assert not run(capsys, tags={"team": "biology"}, **WHERE)["changed"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"stack": "../x"}, "stack: '../x' cannot name a stack."),
        ({"host": "spark.example.org", "spark": "4.0.2"}, "host: 'spark.example.org' is no IPv4 address"),
        ({"host": "10.0.0.1\nevil", "spark": "4.0.2"}, "is no IPv4 address"),
        ({"host": "10.0.0.256", "spark": "4.0.2"}, "host: '10.0.0.256' is no IPv4 address"),
        ({"host": "", "spark": "4.0.2"}, "host: '' is no IPv4 address"),  # of a cluster that has none
        (
            {"host": "10.0.0.1", "spark": "4.0.2", "port": 0},
            "port: 0 is not possible. Take a number from 1 to",
        ),
        ({"host": "10.0.0.1", "spark": "4.0.2", "port": True}, "port: True is not possible."),
        ({"host": "10.0.0.1", "spark": ""}, "spark: '' is no version"),
        ({"host": "10.0.0.1", "spark": "4.0"}, "spark: '4.0' is no version, such as 4.0.2."),
        ({"idle_minutes": 0}, "idle_minutes: 0 is not possible. Take a number from 1 to 10080."),
        ({"idle_minutes": 10081}, "idle_minutes: 10081 is not possible."),
        ({"idle_minutes": True}, "idle_minutes: True is not possible."),
        ({"host": "10.0.0.1"}, "missing parameter(s) required by 'host': spark"),
    ],
)
def test_what_is_refused(capsys: pytest.CaptureFixture[str], options: dict[str, Any], said: str) -> None:
    result = run(capsys, **options)
    assert result["failed"]
    assert said in result["msg"]
    assert names() == []


@pytest.mark.parametrize("name", [CONNECT, MACHINE])
def test_a_parameter_of_another_kind_is_not_touched(capsys: pytest.CaptureFixture[str], name: str) -> None:
    put(name, "mine", "String")
    result = run(capsys, **WHERE)
    assert result["msg"].startswith(f"The parameter {name} is a String, not a SecureString")
    assert names() == [name]


def test_what_fails_half_way_is_completed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = BaseClient._make_api_call

    def call(one: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if operation == "PutParameter" and parameters["Name"] == MACHINE:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)
        return asked(one, operation, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", call)
        result, said = play(capsys, **WHERE)
    assert result["failed"]
    assert result["done"] == [f"wrote {CONNECT}"]
    before = stored(CONNECT)
    assert before["token"] not in said
    assert run(capsys, **WHERE)["written"] == [MACHINE]
    assert stored(CONNECT) == before
