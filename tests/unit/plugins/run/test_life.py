"""Whether a process has ended, from the name that somebody wrote down."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._run import life
from ansible_collections.iac.ds_stack.plugins.module_utils._run.life import has_ended, name_process, number_of


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until its standard input is closed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as one:
        yield one


def test_one_that_lives_has_not_ended(process: subprocess.Popen[bytes]) -> None:
    name = name_process(process.pid)
    assert number_of(name) == str(process.pid)
    assert not has_ended(name)
    assert not has_ended(name_process(os.getpid()))


def test_one_that_was_killed_has_ended_also_before_its_parent_knows(process: subprocess.Popen[bytes]) -> None:
    name = name_process(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie from now on
    assert has_ended(name)
    process.wait()
    assert has_ended(name)
    assert name_process(process.pid) == ""


def test_a_later_one_with_the_number_is_another() -> None:
    place, number, birth = name_process(os.getpid()).rsplit("/", 2)
    assert has_ended(f"{place}/{number}/{int(birth) - 1}")


@pytest.mark.parametrize("elsewhere", ["BOOT", "NUMBERS"])
def test_of_another_machine_or_container_nobody_can_tell(
    elsewhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = name_process(os.getpid()).rpartition("/")[0] + "/1"
    assert has_ended(name)
    other = tmp_path / "other"
    if elsewhere == "BOOT":
        other.write_text("0c7a54f8-0000-4000-8000-000000000000\n")
    else:
        other.symlink_to("pid:[4026539999]")
    monkeypatch.setattr(life, elsewhere, other)
    assert not has_ended(name)


@pytest.mark.parametrize("name", ["", "x", "/", "//", "a/b/c/d", "/1/2", "../../1/2", "1/2/3/4/5/6"])
def test_what_is_no_name_has_not_ended(name: str) -> None:
    assert not has_ended(name)


def test_where_the_system_does_not_tell_there_is_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "BOOT", tmp_path / "none")
    assert name_process(os.getpid()) == ""
    assert number_of("") == ""
