"""ds-stack-spark-connect: what it reads, what it lays out, and when nobody is there any more."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
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


NONE, ONE, OVER = idle.Jobs(), idle.Jobs(running=1, begun=1), idle.Jobs(running=0, begun=1)


@pytest.mark.parametrize(
    ("looks", "ends"),
    [
        ([(False, NONE)] * 3, 3),
        ([(True, NONE), *[(False, NONE)] * 3], 4),
        ([*[(False, NONE)] * 2, (True, NONE), *[(False, NONE)] * 3], 6),
        ([(True, NONE)] * 9, None),
        # A client that has gone: its connection is closed, and what was its job goes on to its end.
        ([(True, ONE), *[(False, ONE)] * 9], None),
        ([(True, ONE), (False, ONE), *[(False, OVER)] * 3], 5),
        # A stream without a client works for a moment, between two looks.
        ([(False, idle.Jobs(begun=number // 2)) for number in range(9)], None),
        ([(False, idle.Jobs(begun=9)), (False, NONE), *[(False, NONE)] * 3], 5),  # Spark has begun anew
        # No answer: what was known last holds.
        ([(False, ONE), *[(False, None)] * 8], None),
        ([(False, OVER), *[(False, None)] * 3], 4),
        ([(False, None)] * 3, 3),
    ],
)
def test_clock(looks: list[tuple[bool, idle.Jobs | None]], ends: int | None) -> None:
    clock = idle.Clock(seconds=30, since=0)
    over = [clock.look(*one, 10.0 * number) for number, one in enumerate(looks, 1)]
    assert over == [number == ends for number in range(1, len(looks) + 1)]


def test_spark_that_hangs_is_not_believed_for_ever() -> None:
    clock = idle.Clock(seconds=30, since=0)
    assert not clock.look(False, ONE, 10)
    over = [clock.look(False, None, 10 + now) for now in (3599, 3600, 3629, 3630)]
    assert over == [False, False, True, True]


def test_another_time_begins_when_it_is_told() -> None:
    clock = idle.Clock(seconds=3600, since=0)
    assert [clock.set(3600, 900), clock.set(60, 1000), clock.set(60, 1030)] == [False, True, False]
    assert [clock.look(False, NONE, now) for now in (1059, 1060)] == [False, True]


class Pages(BaseHTTPRequestHandler):
    """Spark's own pages with an application, as /api/v1 tells of it."""

    answers: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        """Answer."""
        self.wfile.write(self.answers[self.path])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def pages() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def said(document: Any) -> bytes:
    """What a server says."""
    return b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(document).encode()


def job(number: int, status: str) -> dict[str, Any]:
    return {"jobId": number, "status": status, "name": "collect"}


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (said([job(7, "RUNNING"), job(6, "SUCCEEDED"), job(5, "RUNNING")]), idle.Jobs(2, 8)),
        (said([job(0, "FAILED")]), idle.Jobs(0, 1)),
        (said([]), NONE),
        (said({"error": "no"}), None),
        (said([{}]), None),
        (b"HTTP/1.0 503 Busy\r\n\r\n", None),
        (b"HTTP/1.0 200 OK\r\n\r\n<html>", None),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\n[", None),
        (b"no web server\r\n", None),
        (b"", None),
    ],
)
def test_jobs(pages: str, answer: bytes, found: idle.Jobs | None, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "/api/v1/applications"
    monkeypatch.setattr(Pages, "answers", {url: said([{"id": "app-1"}]), f"{url}/app-1/jobs": answer})
    assert idle.jobs(pages) == found


def test_no_pages() -> None:
    assert idle.jobs("http://127.0.0.1:9") is None
    assert idle.jobs(idle.pages(TCP, 15004)) == NONE


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
    names = {"environment", "certificate.pem", "key.pem", "idle_minutes", "where"}

    def write(one: document.Document) -> set[str]:
        return runtime.write(one, "demo", "eu-central-1", folder)

    assert [write(found), write(found)] == [names, set()]
    assert write(document.parse(json.dumps({**GOOD, "idle_minutes": 0.5, "token": TOKEN * 2}))) == {
        "environment"
    }
    assert write(found) == {"environment"}
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == dict.fromkeys(
        names, "0o600"
    )
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    assert (folder / "environment").read_text() == f"SPARK_CONNECT_AUTHENTICATE_TOKEN={TOKEN}\n"
    assert (runtime.idle_seconds(folder), runtime.where(folder)) == (30, ("demo", "eu-central-1"))
    runtime.remove(folder)
    runtime.remove(folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("changed", "verb", "idle_verb"),
    [
        ({"environment"}, "restart", "restart"),
        ({"key.pem", "idle_minutes"}, "restart", "restart"),
        ({"idle_minutes"}, "start", "restart"),
        ({"idle_minutes", "where"}, "start", "restart"),
        (set(), "start", "start"),
    ],
)
def test_start(changed: set[str], verb: str, idle_verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(settings, "load", lambda: HERE)
    monkeypatch.setattr(document, "read", lambda *_: document.parse(json.dumps(GOOD)))
    monkeypatch.setattr(runtime, "write", lambda *_: changed)
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


@pytest.mark.parametrize(
    ("told", "ends"),
    [
        ([60], 3600),
        ([60, 1], 180),  # the second reading is after two minutes, and its minute begins then
        ([60, 1, 60], 3780),
        ([60, ConnectError("SSM cannot be reached."), 1], 240),
        ([60, *[ConnectError("SSM cannot be reached.")] * 99], 3600),
    ],
)
def test_watch(told: list[Any], ends: float, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Nobody comes. What SSM says, each minute: ``told``, and then the same."""
    now, readings, asked = 0.0, list(told), []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        assert now <= ends

    def read(*where: Any, attempts: int) -> document.Document:
        asked.append((*where, attempts))
        minutes = readings.pop(0) if len(readings) > 1 else readings[0]
        if isinstance(minutes, ConnectError):
            raise minutes
        return document.parse(json.dumps({**GOOD, "idle_minutes": minutes}))

    stopped: list[float] = []
    monkeypatch.setattr(settings, "load", lambda: HERE)
    monkeypatch.setattr(runtime, "where", lambda: ("demo", "eu-central-1"))
    monkeypatch.setattr(runtime, "idle_seconds", lambda: 3600.0)
    monkeypatch.setattr(document, "read", read)
    monkeypatch.setattr(program, "TABLES", ())
    monkeypatch.setattr(program, "time", SimpleNamespace(monotonic=lambda: now, sleep=sleep))
    monkeypatch.setattr(program, "stop", lambda: stopped.append(now))
    monkeypatch.setattr(units, "is_active", lambda _: True)
    program.watch()
    assert stopped == [ends]
    assert set(asked) == {(HERE, "demo", "eu-central-1", 1)}
    said = capsys.readouterr().out
    assert ("It stays 60 minutes" in said) == any(isinstance(one, ConnectError) for one in told)
    assert TOKEN not in said


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
