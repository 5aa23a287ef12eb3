"""ds-stack-spark-connect: what it reads, what it lays out, and when nobody is there any more."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import boto3
import pytest
from ds_stack_spark import __main__ as program
from ds_stack_spark import document, idle, runtime, settings, units
from ds_stack_spark.errors import ConnectError
from moto import mock_aws

TOKEN = "a-token_of-32-characters-and-more0"
GOOD: dict[str, Any] = {
    "schema": 1,
    "token": TOKEN,
    "certificate": "-----BEGIN CERTIFICATE-----\n",
    "private_key": "-----BEGIN PRIVATE KEY-----\n",
    "idle_minutes": 60,
}
HERE = settings.Settings(None, "http://127.0.0.1:9", 15443, 15002, 15004, 300, 30)
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:3C53 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 1701000A:3C53 1801000A:D431 01 00000000:00000000 00:00000000 00000000     0        0 2
   2: 1701000A:3C53 1801000A:D432 06 00000000:00000000 00:00000000 00000000     0        0 3
   3: 0100007F:3A9A 0100007F:3C53 01 00000000:00000000 00:00000000 00000000     0        0 4
"""


@pytest.mark.parametrize(("port", "number"), [(15443, 1), (15002, 1), (15004, 0)])
def test_connections(port: int, number: int) -> None:
    assert idle.connections(TCP, port) == number


def test_no_connections() -> None:
    assert idle.connections(TCP.splitlines()[0], 15443) == 0
    assert idle.connections("", 15443) == 0


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("00000000", "http://127.0.0.1:15004"),
        ("1701000A", "http://10.0.1.23:15004"),
        ("00000000000000000000000000000000", "http://127.0.0.1:15004"),
        ("0000000000000000FFFF00001701000A", "http://10.0.1.23:15004"),
    ],
)
def test_pages(address: str, url: str) -> None:
    assert idle.pages(f"{TCP}   4: {address}:3A9C 0:0000 0A 0 0 0 0 0 0 5\n", 15004) == url


@pytest.mark.parametrize(
    ("used", "ends"),
    [
        ([False, False, False], 3),
        ([True, False, False, False], 4),
        ([False, False, True, False, False, False], 6),
        ([True] * 9, None),
    ],
)
def test_clock(used: list[bool], ends: int | None) -> None:
    clock = idle.Clock(seconds=30, since=0)
    over = [clock.look(one, 10.0 * number) for number, one in enumerate(used, 1)]
    assert over == [number == ends for number in range(1, len(used) + 1)]


class Pages(BaseHTTPRequestHandler):
    """Spark's own pages with an application of two jobs, as /api/v1 tells of it."""

    answers: ClassVar = {
        "/api/v1/applications": [{"id": "app-1"}],
        "/api/v1/applications/app-1/jobs?status=running": [{"jobId": 1}, {"jobId": 2}],
    }

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.answers[self.path]).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def pages() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_running_jobs(pages: str) -> None:
    assert idle.running_jobs(pages) == 2


def test_no_pages() -> None:
    assert idle.running_jobs("http://127.0.0.1:9") == 0
    assert idle.running_jobs(idle.pages(TCP, 15004)) == 0


def test_parse() -> None:
    found = document.parse(json.dumps(GOOD))
    assert (found.token, found.idle_minutes) == (TOKEN, 60)
    assert TOKEN not in repr(found)
    assert "PRIVATE" not in repr(found)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"schema": 2}, "of another release"),
        ({"token": "short"}, "its token is none"),
        ({"token": TOKEN + "\nLD_PRELOAD=x"}, "its token is none"),
        ({"token": TOKEN + " x"}, "its token is none"),
        ({"certificate": "no"}, "not in PEM"),
        ({"private_key": "no"}, "not in PEM"),
        ({"idle_minutes": 0}, "not above 0"),
        ({"idle_minutes": float("nan")}, "not above 0"),
        ({"idle_minutes": float("inf")}, "not above 0"),
        ({"idle_minutes": "soon"}, "cannot be read"),
        ({"idle_minutes": None}, "cannot be read"),
    ],
)
def test_parse_refuses(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConnectError, match=problem) as refused:
        document.parse(json.dumps({**GOOD, **changes}))
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null"])
def test_no_document(text: str) -> None:
    with pytest.raises(ConnectError, match="cannot be read"):
        document.parse(text)


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "")  # so that what the program sets goes with the test
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield boto3.client("ssm", region_name="eu-central-1")


def test_read(ssm: Any) -> None:
    ssm.put_parameter(Name="/ds-stack/demo/cluster/connect", Value=json.dumps(GOOD), Type="SecureString")
    assert document.read(HERE, "demo", "eu-central-1").token == TOKEN


def test_nothing_to_read(ssm: Any) -> None:
    with pytest.raises(ConnectError, match="refuses /ds-stack/other/cluster/connect: ParameterNotFound"):
        document.read(HERE, "other", "eu-central-1")


def test_files_in_memory(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    found = document.parse(json.dumps({**GOOD, "idle_minutes": 0.5}))
    names = {"environment", "certificate.pem", "key.pem", "idle_minutes"}
    assert [runtime.write(found, folder), runtime.write(found, folder)] == [names, set()]
    assert runtime.write(
        document.parse(json.dumps({**GOOD, "idle_minutes": 0.5, "token": TOKEN * 2})), folder
    ) == {"environment"}
    assert runtime.write(found, folder) == {"environment"}
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == dict.fromkeys(
        names, "0o600"
    )
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    assert (folder / "environment").read_text() == f"SPARK_CONNECT_AUTHENTICATE_TOKEN={TOKEN}\n"
    assert runtime.idle_seconds(folder) == 30
    runtime.remove(folder)
    runtime.remove(folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("changed", "verb", "idle_verb"),
    [
        ({"environment"}, "restart", "restart"),
        ({"key.pem", "idle_minutes"}, "restart", "restart"),
        ({"idle_minutes"}, "start", "restart"),
        (set(), "start", "start"),
    ],
)
def test_start(changed: set[str], verb: str, idle_verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(settings, "load", lambda: HERE)
    monkeypatch.setattr(document, "read", lambda *_: document.parse(json.dumps(GOOD)))
    monkeypatch.setattr(runtime, "write", lambda _: changed)
    monkeypatch.setattr(units, "systemctl", lambda *words: asked.append(words))
    monkeypatch.setattr(units, "wait_for", lambda unit, port, _: asked.append((unit, port)))
    program.start("demo", "eu-central-1")
    assert asked == [
        (verb, units.CONNECT),
        (units.CONNECT, 15002),
        (verb, units.PROXY),
        (idle_verb, units.IDLE),
        (units.PROXY, 15443),
    ]


@pytest.mark.parametrize(("active", "problem"), [(False, "has ended"), (True, "does not listen on port 9")])
def test_what_never_listens(active: bool, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "is_active", lambda _: active)
    with pytest.raises(ConnectError, match=f"{units.CONNECT} {problem}"):
        units.wait_for(units.CONNECT, 9, 0.02, pause=0.01)


def test_settings_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    with pytest.raises(ConnectError, match="Bake the node image again"):
        settings.load(path)
    path.write_text('{"port": 1}')
    with pytest.raises(ConnectError, match="Bake the node image again"):
        settings.load(path)
