"""The program that runs all tests: what it counts, and what it does about a part that hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import accounted
from tests import run as tests_run
from tests.run import Outcome, Part, Queue

#: No other process is called that.
SLEEP = f"sleep {900000 + os.getpid()}"


@pytest.fixture(autouse=True)
def _reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tests_run, "REPORTS", tmp_path)
    monkeypatch.setattr(tests_run, "TIMES", tmp_path / "seconds.json")
    monkeypatch.setattr(tests_run, "TO_STOP", 2.0)


def is_left() -> bool:
    return subprocess.run(["pgrep", "-f", SLEEP], capture_output=True, check=False).returncode == 0


def test_a_part_that_hangs_is_stopped_with_all_that_it_started(capsys: pytest.CaptureFixture[str]) -> None:
    sleepy = ("sh", "-c", f"{SLEEP} & echo begun; wait")
    outcome = tests_run.run(Part("unit", "sleepy", sleepy, minutes=5 / 60))
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


def test_the_last_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [
        Part("lint", "good", ("true",)),
        Part("lint", "bad", ("false",)),
        Part("unit", "not", ("false",)),
    ]
    monkeypatch.setattr(tests_run, "parts", lambda: iter(chosen))
    # Not what the run of which this is a part keeps.
    monkeypatch.setattr(tests_run, "COMPILED", tmp_path / "compiled")
    for name in ("DS_STACK_TEST_COMPILED", "PYTHONPATH"):
        monkeypatch.setenv(name, "")
    assert tests_run.main(["lint"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 1 failed"


BUSY = """
import pathlib, time
while time.process_time() < 0.5: pass
pathlib.Path("{done}").touch()
"""


@pytest.mark.parametrize("leave", ["", "setsid -f "])
def test_the_processor_time_is_that_of_all_that_a_part_started(tmp_path: Path, leave: str) -> None:
    """Also of what has left the process that started it, as a container's processes do."""
    done = tmp_path / "done"
    script = f"{leave}{sys.executable} -c '{BUSY.format(done=done)}'; until [ -e {done} ]; do sleep 0.1; done"
    outcome = tests_run.run(Part("unit", "busy", ("sh", "-c", script)))
    assert outcome.passed == 1
    assert 0.5 <= outcome.processor < 2
    row = tests_run.table([outcome]).splitlines()[1].split()
    assert row[-2:] == [f"{outcome.seconds:.1f}", f"{outcome.processor:.1f}"]


@pytest.mark.parametrize(("cloud", "first", "nice"), [(True, False, 0), (False, True, 0), (False, False, 10)])
def test_what_others_wait_for_has_the_processors_first(cloud: bool, first: bool, nice: int) -> None:
    now = os.nice(0)
    tests_run.run(part := Part("e2e", "nice", ("nice",), cloud=cloud, first=first))
    assert int(part.log.read_text()) == min(now + nice, 19)


@pytest.mark.parametrize(("root", "weight", "small"), accounted.WEIGHTS)
def test_the_others_share_a_small_weight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path, weight: str, small: str
) -> None:
    (tmp_path / "cgroup.procs").touch()
    monkeypatch.setattr(accounted, "WEIGHTS", ((tmp_path / "none", "x", "1"), (tmp_path, weight, small)))
    monkeypatch.setattr(os, "nice", lambda _: 0)
    group = accounted.step_back()
    assert group == tmp_path / accounted.GROUP
    assert (group / weight).read_text() == small
    assert (group / "cgroup.procs").read_text() == str(os.getpid())
    accounted.leave(group)  # which others are still in
    assert (tmp_path / "cgroup.procs").read_text() == str(os.getpid())


def test_where_no_control_group_may_be_made_nice_has_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounted, "WEIGHTS", ((Path("/proc"), "cpu.weight", "25"),))
    monkeypatch.setattr(os, "nice", lambda _: 0)
    assert accounted.step_back() is None


@pytest.mark.parametrize(("code", "counts"), [(0, (1, 0)), (7, (0, 1))])
def test_the_exit_code_is_that_of_the_command(code: int, counts: tuple[int, int]) -> None:
    outcome = tests_run.run(Part("lint", "code", ("sh", "-c", f"exit {code}")))
    assert (outcome.passed, outcome.failed) == counts


def test_a_command_that_a_signal_ends_has_failed() -> None:
    outcome = tests_run.run(Part("lint", "signal", ("sh", "-c", "kill -SEGV $$")))
    assert (outcome.passed, outcome.failed) == (0, 1)


def test_the_longest_of_the_last_run_is_first_and_before_it_what_has_not_run() -> None:
    short, long, new = (Part("unit", name, ("true",)) for name in ("short", "long", "new"))
    assert tests_run.longest_first([short, long]) == [short, long], "as they stand"
    guessed = Part("molecule", "r", ("true",))
    assert tests_run.longest_first([short, guessed]) == [guessed, short]
    tests_run.remember([Outcome(short, 1, 0, 2.0, 0.0), Outcome(long, 1, 0, 9.0, 0.0)])
    assert tests_run.longest_first([short, new, long]) == [new, long, short]
    # What was stopped does not tell how long it takes.
    tests_run.remember([Outcome(short, 0, 1, 99.0, 0.0, "hung, was stopped")])
    assert tests_run.longest_first([short, long]) == [long, short]


def test_a_part_waits_for_the_tiers_that_it_needs() -> None:
    setup = Part("setup", "mirror", ("true",))
    cloud = Part("e2e", "pytest", ("true",), cloud=True, after=frozenset({"setup"}))
    local = Part("integration", "localcloud", ("true",), cloud=True)
    late = Part("molecule", "image", ("true",), after=frozenset({"setup"}))
    lint = Part("lint", "ruff", ("true",))
    queue = Queue([late, cloud, setup, lint, local])
    assert queue.take(cloud=False) == setup
    assert queue.take(cloud=False) == lint
    assert queue.take(cloud=True) == local
    queue.running.remove(setup)
    assert queue.take(cloud=True) == cloud
    assert queue.take(cloud=False) == late
    assert queue.take(cloud=False) is None
    # Where setup is not among the parts that were asked for, there is nothing to wait for.
    assert Queue([late]).take(cloud=False) == late


def test_a_scenario_waits_for_the_one_whose_layer_it_begins_with() -> None:
    scenarios = {part.name: part for part in tests_run.molecule_parts()}
    assert scenarios["r"].after == {"setup"}
    assert scenarios["rstudio_server"].after == {"setup", "molecule: r"}
    queue = Queue([scenarios["rstudio_server"], scenarios["r"]])
    assert queue.take(cloud=False) == scenarios["r"]
    queue.running.clear()
    assert queue.take(cloud=False) == scenarios["rstudio_server"]


def test_what_is_guessed_to_be_longest_is_a_part() -> None:
    assert set(tests_run.LONGEST) <= {part.key for part in tests_run.parts()}


def test_the_lines_of_the_unit_tests_and_of_some_integration_tests_are_counted() -> None:
    counted = {part.name for part in tests_run.parts() if "coverage" in part.command}
    assert counted == {"pytest"} | tests_run.COUNTED
