"""Which processes work, and which only wait."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ds_stack_init import work
from ds_stack_init.work import Look, Process


def stat(**given: Any) -> str:
    """Return a line of /proc/PID/stat: a job in front of a terminal, which has used a second."""
    job = {"name": "python", "group": 50, "session": 40, "terminal": 34816, "front": 50, "ticks": 100}
    one: dict[str, Any] = {**job, "began": 1000, **given}
    head = f"50 ({one['name']}) S 40 {one['group']} {one['session']} {one['terminal']} {one['front']}"
    return f"{head} 4194304 1 1 1 1 {one['ticks']} 0 0 0 20 0 1 0 {one['began']} 1 1"


@pytest.mark.parametrize("name", ["python", "a b", "x) R 1 (", ")", "tmux: server"])
def test_a_name_may_be_anything(name: str) -> None:
    found = work.parse(stat(name=name), 7)
    assert (found.pid, found.name, found.foreground) == (50, name, True)
    assert (found.began, found.used) == (1000 / work.TICKS, 100 / work.TICKS)


@pytest.mark.parametrize(
    ("given", "in_front"),
    [
        ({}, True),
        ({"terminal": 0}, False),
        ({"front": 60}, False),
        ({"group": 40, "front": 40}, False),  # the shell itself
    ],
)
def test_a_job_in_front_of_a_terminal(given: dict[str, Any], in_front: bool) -> None:
    assert work.parse(stat(**given), 7).foreground is in_front


@pytest.mark.parametrize("text", ["", "50", "50 (python) S", "50 python S 1 2 3"])
def test_what_is_no_process_is_refused(text: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        work.parse(text, 7)


def process(used: float, **given: Any) -> Process:
    return Process(
        **{"pid": 7, "uid": 2000, "name": "job", "began": 100.0, "used": used, "foreground": False, **given}
    )


def names(found: list[Process]) -> list[str]:
    return [one.name for one in found]


def test_what_waits_for_somebody_to_type_is_idle() -> None:
    look = Look()
    assert names(look.working([process(0.0, foreground=True)], 200)) == ["job"]
    for name in work.WAITING:
        assert names(look.working([process(0.0, foreground=True, name=name)], 200)) == []


def test_a_detached_job_works_while_it_computes() -> None:
    look = Look()
    assert names(look.working([process(90.0)], 200)) == ["job"]
    assert names(look.working([process(90.0)], 231)) == []
    assert names(look.working([process(95.0)], 262)) == ["job"]


def test_what_only_looks_around_now_and_then_is_idle() -> None:
    look = Look()
    assert names(look.working([process(0.4)], 101)) == []  # it has started
    for minute in range(1, 10):
        assert names(look.working([process(0.4 + 0.2 * minute)], 101 + 60 * minute)) == []


def test_looking_often_does_not_hide_a_job() -> None:
    """What it uses between two looks a second apart is little, and adds up."""
    look = Look()
    names(look.working([process(0.0)], 100))
    seen = [names(look.working([process(0.1 * second)], 100 + second)) for second in range(1, 29)]
    assert seen[-1] == ["job"]


def test_another_process_of_the_same_number_is_another() -> None:
    look = Look()
    names(look.working([process(900.0)], 1000))
    assert names(look.working([process(2.0, began=999.0)], 1001)) == ["job"]


@pytest.mark.parametrize(
    ("text", "now", "kept"), [("200", 100, True), ("200", 300, False), ("", 0, False), ("soon", 0, False)]
)
def test_kept_until(tmp_path: Path, text: str, now: float, kept: bool) -> None:
    assert not work.kept(tmp_path, now)
    (tmp_path / work.KEEP).parent.mkdir(parents=True)
    (tmp_path / work.KEEP).write_text(text)
    assert work.kept(tmp_path, now) is kept


def test_only_those_that_are_asked_for(tmp_path: Path) -> None:
    for pid, group in (("7", "/own"), ("8", "/another")):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cgroup").write_text(group)
        (tmp_path / pid / "stat").write_text(stat().replace("50 (", f"{pid} (", 1))
    (tmp_path / "9").mkdir()  # it has just ended
    uid = os.getuid()

    def found() -> list[int]:
        return [
            one.pid for one in work.processes(lambda one: one == uid, lambda one: one == "/own", tmp_path)
        ]

    assert found() == [7]
    os.chown(tmp_path / "7", uid + 1, -1)
    assert found() == []
