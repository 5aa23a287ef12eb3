"""What a machine's status means to somebody who waits."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Thread
from typing import Any, ClassVar
from unittest.mock import Mock

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import machine_status as logic
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.machine_status import (
    Presence,
    Seen,
    Verdict,
    Wanted,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.names import OptionError
from ansible_collections.iac.ds_stack.plugins.modules import machine_presence, machine_status

WANTED = Wanted("i-1", 3)


def seen(state: str, version: int = 1, **others: Any) -> Seen:
    document = {"state": state, "instance_id": "i-1", "config_version": 3, "message": "Because.", "time": "T"}
    return Seen({**document, **others}, version)


ADA, GRACE = {"name": "ada", "doing": "kernel ir, SSH"}, {"name": "grace", "doing": "R session"}


@pytest.mark.parametrize(
    ("found", "old", "who", "unknown"),
    [
        pytest.param(None, None, "", "", id="it has never reported"),
        pytest.param(seen("ready", instance_id="i-0", at_work=[ADA]), 5, "", "", id="another machine"),
        pytest.param(seen("ready", at_work=[]), 5, "", "", id="nobody"),
        pytest.param(seen("ready", at_work=[ADA]), 5, "ada (kernel ir, SSH)", "", id="one"),
        pytest.param(
            seen("failed", at_work=[ADA, GRACE]),
            5,
            "ada (kernel ir, SSH) and grace (R session)",
            "",
            id="two",
        ),
        pytest.param(
            seen("ready", at_work=[ADA, GRACE], also_at_work=3),
            5,
            "ada (kernel ir, SSH), grace (R session) and 3 more",
            "",
            id="more than there is room for",
        ),
        pytest.param(seen("ready", at_work=[], also_at_work=2), 5, "2 more", "", id="no room for any"),
        pytest.param(seen("stopped", at_work=[ADA]), 5000, "", "", id="it boots"),
        pytest.param(
            seen("ready", at_work=[ADA]), 7300, "", "It has reported nothing for 2 hours.", id="silent"
        ),
        pytest.param(seen("ready"), 5, "", "It does not tell: its image is", id="an older image"),
        pytest.param(seen("ready", at_work="ada"), 5, "", "It does not tell: its image is", id="nonsense"),
    ],
)
def test_who_is_at_work(found: Seen | None, old: float | None, who: str, unknown: str) -> None:
    presence = logic.presence("i-1", found, old)
    assert presence.who == who
    assert presence.unknown[: len(unknown)] == unknown
    assert bool(presence.unknown) is bool(unknown)


def test_it_waits_until_nobody_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says for whom, once, until that changes or for a while."""
    clock = iter(range(0, 100_000, 30))
    monkeypatch.setattr(machine_presence.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(machine_presence.time, "sleep", lambda _: None)
    looks = iter([*["ada (SSH)"] * 22, "grace (R session)", ""])
    progress = Mock(lease=None)
    found, waited = machine_presence.wait_until_idle(lambda: Presence(next(looks)), 28800, progress)
    assert (found, waited) == (Presence(), 24 * 30)
    said = [one.args[0].partition(";")[0] for one in progress.say.call_args_list]
    assert said == ["at work: ada (SSH)", "at work: ada (SSH)", "at work: grace (R session)"]


def test_it_waits_no_longer_than_it_should_nor_for_what_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = Mock()
    monkeypatch.setattr(machine_presence.time, "sleep", slept)
    here = Presence("ada (SSH)")
    assert machine_presence.wait_until_idle(lambda: here, 0, Mock(lease=None))[0] == here
    unknown = Presence(unknown="Silent.")
    assert machine_presence.wait_until_idle(lambda: unknown, 60, Mock(lease=None))[0] == unknown
    gone = Mock(lease=Mock(lost=lambda: True))  # nobody waits for the answer any more
    assert machine_presence.wait_until_idle(lambda: here, 60, gone)[0] == here
    slept.assert_not_called()


@pytest.mark.parametrize(
    ("first", "now", "waited", "verdict"),
    [
        pytest.param(None, None, 5, Verdict.WAIT, id="nothing yet"),
        pytest.param(None, seen("starting"), 5, Verdict.WAIT, id="starting"),
        pytest.param(None, seen("ready"), 5, Verdict.READY, id="ready"),
        pytest.param(seen("ready"), seen("ready"), 0, Verdict.READY, id="ready before we came"),
        pytest.param(None, seen("ready", config_version=4), 5, Verdict.READY, id="newer configuration"),
        pytest.param(None, seen("ready", config_version=2), 5, Verdict.WAIT, id="older configuration"),
        pytest.param(None, seen("ready", config_version=None), 5, Verdict.WAIT, id="no configuration"),
        pytest.param(None, seen("ready", instance_id="i-0"), 5, Verdict.WAIT, id="replaced machine"),
        pytest.param(None, seen("failed"), 5, Verdict.FAILED, id="failed"),
        pytest.param(None, seen("failed", instance_id="i-0"), 5, Verdict.WAIT, id="other machine failed"),
        pytest.param(None, seen("failed", config_version=2), 5, Verdict.WAIT, id="failed with older one"),
        pytest.param(None, seen("failed", config_version=None), 5, Verdict.FAILED, id="cannot read it"),
        pytest.param(seen("failed"), seen("failed"), 5, Verdict.WAIT, id="failed before we came"),
        pytest.param(seen("failed"), seen("failed", 2), 5, Verdict.FAILED, id="failed again"),
        pytest.param(seen("failed"), seen("failed"), 121, Verdict.FAILED, id="does not try again"),
        pytest.param(None, seen("stopped"), 5, Verdict.WAIT, id="stopped, and started again"),
        pytest.param(None, seen("waiting"), 5, Verdict.WAIT, id="it has no homes"),
    ],
)
def test_verdict(first: Seen | None, now: Seen | None, waited: float, verdict: Verdict) -> None:
    assert logic.judge(WANTED, first, now, waited) is verdict


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ("waiting", Verdict.READY),
        ("ready", Verdict.READY),
        ("starting", Verdict.WAIT),
        ("failed", Verdict.FAILED),
    ],
)
def test_one_that_is_to_stand_by(state: str, verdict: Verdict) -> None:
    assert logic.judge(Wanted("i-1", 0, standing_by=True), None, seen(state), 5) is verdict


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "3",
        "[]",
        "null",
        '{"other": 1}',
        '{"state": null}',
        '{"state": ["ready"]}',
        '{"state": "ready", "config_version": "3"}',
        '{"state": "ready", "config_version": [3]}',
    ],
)
def test_what_is_no_status(text: str) -> None:
    assert logic.parse(text) is None


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (None, "It has not reported anything yet."),
        (seen("starting"), "Its last report: starting: Because. (T)"),
        (
            seen("ready", config_version=2),
            "Its last report is about version 2 of the configuration, not 3: ready: Because. (T)",
        ),
        (seen("ready", instance_id="i-0"), "Only another machine has reported, i-0: ready: Because. (T)"),
    ],
)
def test_description(last: Seen | None, told: str) -> None:
    assert logic.describe(WANTED, last) == told


NOW = datetime(2026, 11, 27, 12, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("time", "age"),
    [
        ("2026-11-27T11:59:48Z", 12),
        ("2026-11-26T12:00:00Z", 86400),
        ("2026-11-27T12:00:30Z", 0),  # its clock is ahead
        ("yesterday", None),
        (None, None),
        (7, None),
    ],
)
def test_age(time: object, age: float | None) -> None:
    assert logic.age({"time": time}, NOW) == age
    assert logic.age({}, NOW) is None


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (7.9, "8 seconds"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (7300, "2 hours"),
        (10 * 86400, "10 days"),
    ],
)
def test_duration(seconds: float, told: str) -> None:
    assert logic.duration(seconds) == told


@pytest.mark.parametrize(
    ("last", "age", "told"),
    [
        (seen("ready"), 59, ""),
        (seen("ready"), None, ""),
        (
            seen("ready"),
            301,
            "It has reported nothing for 5 minutes: what it said last need not be so any more.",
        ),
        (seen("failed", message="nginx: the unit is failed"), 20, "nginx: the unit is failed"),
        (seen("failed", message=None), 20, "It says that it has failed."),
        (
            seen("failed"),
            7200,
            "It has reported nothing for 2 hours: what it said last need not be so any more.",
        ),
        (seen("starting"), 1200, ""),
        (
            seen("starting"),
            3000,
            "It has reported nothing for 50 minutes: what it said last need not be so any more.",
        ),
        (seen("stopped"), 10, ""),
        (seen("failed", instance_id="i-0"), 9, ""),
        (None, None, ""),
    ],
)
def test_complaint(last: Seen | None, age: float | None, told: str) -> None:
    assert logic.complain("i-1", last, age) == told


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Let every pause take no time and the clock run at one second a look."""
    ticks = count()
    monkeypatch.setattr(machine_status.time, "sleep", lambda _: None)
    monkeypatch.setattr(machine_status.time, "monotonic", lambda: float(next(ticks)))
    return ticks


def wait_for(
    monkeypatch: pytest.MonkeyPatch, answers: list[Seen | None], timeout: float = 100
) -> Seen | None:
    looks = iter(answers)
    monkeypatch.setattr(logic, "look", lambda *_: next(looks))
    return machine_status.wait_until_ready(Mock(), "/status", WANTED, timeout, "Advice.")[0]


def test_waits_until_ready(monkeypatch: pytest.MonkeyPatch, clock: int) -> None:
    ready = seen("ready", 3)
    assert wait_for(monkeypatch, [None, seen("starting"), ready]) is ready


def test_failure_ends_the_wait(monkeypatch: pytest.MonkeyPatch, clock: int) -> None:
    with pytest.raises(
        machine_status.NotReadyError, match=r"i-1 says that it has failed\. Because\. Advice\."
    ):
        wait_for(monkeypatch, [seen("starting"), seen("failed", 2)])


def test_time_is_up(monkeypatch: pytest.MonkeyPatch, clock: int) -> None:
    told = r"not ready within 4 seconds\. Its last report: starting: Because\. \(T\) Advice\."
    with pytest.raises(machine_status.NotReadyError, match=told) as caught:
        wait_for(monkeypatch, [seen("starting")] * 9, timeout=4)
    assert caught.value.seen == seen("starting")


def test_advice_can_be_pasted() -> None:
    assert "aws ssm start-session --target i-1 --region eu-central-1" in logic.advice("i-1", "eu-central-1")


class Page(BaseHTTPRequestHandler):
    """Answers with the status in its path; the first time not at all where the path says so."""

    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(self.path)
        if self.path.startswith("/late") and self.seen.count(self.path) == 1:
            return
        self.send_response(int(self.path[-3:]))
        self.send_header("Location", "/404")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def test_what_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_status, "PAUSE_SECONDS", 0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        urls = [f"{base}/{path}" for path in ("200", "302", "late200", "500", "404")]
        assert machine_status.unanswered([*urls, "http://127.0.0.1:9"]) == [*urls[3:], "http://127.0.0.1:9"]
        server.shutdown()
    assert "/404" in Page.seen
    assert Page.seen.count("/302") == 1


def test_what_answers_without_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as an SSH server on the port."""
    monkeypatch.setattr(machine_status, "PAUSE_SECONDS", 0)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            for _look in range(machine_status.LOOKS):
                connection, _address = server.accept()
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-other\r\n")
                connection.close()

        Thread(target=speak, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        assert machine_status.unanswered([url]) == [url]


OPTIONS: dict[str, Any] = {
    "stack": "demo",
    "instance_id": "i-0123456789abcdef0",
    "config_version": 0,
    "timeout": 0,
    "urls": ["https://198.51.100.7:8000", "http://[2001:db8::1]/hub", "http://localhost"],
}


def test_options_that_can_be() -> None:
    machine_status.check(OPTIONS)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"stack": ""}, "stack: '' cannot name a stack."),
        ({"stack": "../demo"}, "stack: '../demo' cannot name a stack."),
        ({"instance_id": ""}, "instance_id: '' is no instance, such as i-"),
        ({"instance_id": "demo"}, "instance_id: 'demo' is no instance"),
        ({"timeout": -1}, "timeout: -1 is less than 0."),
        ({"config_version": -3}, "config_version: -3 is less than 0."),
        ({"urls": ["198.51.100.7:8000"]}, "urls: '198.51.100.7:8000' is no address, such as https://"),
        ({"urls": ["file:///etc/hosts"]}, "urls: 'file:///etc/hosts' is no address"),
        ({"urls": ["http://a:70000"]}, "urls: 'http://a:70000' is no address"),
        ({"urls": [""]}, "urls: '' is no address"),
    ],
)
def test_options_that_cannot_be(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError) as caught:
        machine_status.check({**OPTIONS, **wrong})
    assert str(caught.value).startswith(told)
