"""The program that runs all tests: what it counts, and what it does about a part that hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import run as tests_run
from tests.run import Part

#: No other process is called that.
SLEEP = f"sleep {900000 + os.getpid()}"


@pytest.fixture(autouse=True)
def _reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tests_run, "REPORTS", tmp_path)
    monkeypatch.setattr(tests_run, "TO_STOP", 2.0)


def is_left() -> bool:
    return subprocess.run(["pgrep", "-f", SLEEP], capture_output=True, check=False).returncode == 0


def test_a_part_that_hangs_is_stopped_with_all_that_it_started(capsys: pytest.CaptureFixture[str]) -> None:
    sleepy = ("sh", "-c", f"{SLEEP} & echo begun; wait")
    outcome = tests_run.run(Part("unit", "sleepy", sleepy, minutes=1 / 60))
    assert (outcome.passed, outcome.failed, outcome.unfinished) == (0, 1, "hung, was stopped")
    assert not is_left()
    shown = capsys.readouterr().out
    assert "unit: sleepy: 0 passed, 1 failed" in shown
    assert "hung, was stopped" in shown
    assert "begun" in shown, "the end of its output"
    assert tests_run.table([outcome]).endswith("hung, was stopped")


def test_a_part_that_does_not_listen_is_killed() -> None:
    deaf = (
        sys.executable,
        "-c",
        "import signal, time\nfor n in (2, 15): signal.signal(n, 1)\ntime.sleep(99)",
    )
    began = time.monotonic()
    outcome = tests_run.run(Part("unit", "deaf", deaf, minutes=2 / 60))
    assert outcome.unfinished
    assert time.monotonic() - began < 60


def test_no_part_begins_after_the_end_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tests_run, "ALL_END", time.monotonic() - 1)
    outcome = tests_run.run(Part("unit", "late", ("true",)))
    assert (outcome.passed, outcome.failed, outcome.unfinished) == (0, 1, "no time was left for it")


@pytest.mark.parametrize(("command", "counts"), [("true", (1, 0)), ("false", (0, 1))])
def test_a_command_counts_as_one(command: str, counts: tuple[int, int]) -> None:
    outcome = tests_run.run(Part("lint", command, (command,)))
    assert (outcome.passed, outcome.failed) == counts
    assert not outcome.unfinished


@pytest.mark.parametrize(
    ("suite", "code", "counts"),
    [
        ('tests="9" failures="2" errors="1" skipped="1"', 1, (5, 4)),
        ('tests="3" failures="0" errors="0" skipped="1"', 0, (2, 1)),
        ('tests="3" failures="0" errors="0" skipped="0"', 0, (3, 0)),
        # Pytest itself failed, after its tests.
        ('tests="3" failures="0" errors="0" skipped="0"', 3, (3, 1)),
    ],
)
def test_what_was_skipped_has_failed(tmp_path: Path, suite: str, code: int, counts: tuple[int, int]) -> None:
    report = tmp_path / "report.xml"
    text = f"<testsuites><testsuite {suite}/></testsuites>"
    command = (sys.executable, "-c", f"open({str(report)!r}, 'w').write({text!r}); raise SystemExit({code})")
    outcome = tests_run.run(Part("unit", "pytest", command, report))
    assert (outcome.passed, outcome.failed) == counts


def test_an_unknown_tier(capsys: pytest.CaptureFixture[str]) -> None:
    assert tests_run.main(["e3e"]) == 2
    assert "e3e is no tier: there are lint, unit," in capsys.readouterr().err


def test_the_last_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [
        Part("lint", "good", ("true",)),
        Part("lint", "bad", ("false",)),
        Part("unit", "not", ("false",)),
    ]
    monkeypatch.setattr(tests_run, "parts", lambda: iter(chosen))
    assert tests_run.main(["lint"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 1 failed"
