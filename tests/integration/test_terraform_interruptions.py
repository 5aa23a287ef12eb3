"""Every way to interrupt terraform_stack, held against the table in docs/terraform_stack.md."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._run.lock import read_holder

from tests.integration.interruptions import document, documented, observed
from tests.integration.terraform_plays import SLOW, Play, wait_for
from tests.which_ansible import PYTHON

AT_ONCE = 20
"""Seconds, on a machine that has other things to do."""

ASYNC = "      async: 600\n      poll: 1\n"


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    play = Play(tmp_path)
    yield play
    wait_for(play.is_quiet, "the end of all processes")


@pytest.fixture
def remote(play: Play) -> list[str]:
    """Arguments of a play on a host that is not local: any connection that is not "local" will do."""
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    inventory = play.folder / "inventory"
    inventory.write_text(
        "localhost ansible_connection=community.general.chroot ansible_host=/ "
        f"ansible_python_interpreter={PYTHON}\n"
    )
    return ["-i", str(inventory)]


def is_slow(play: Play) -> bool:
    """Whether the apply has come to the second resource."""
    with contextlib.suppress(ValueError):  # no log yet
        return "sleep 60" in play.log
    return False


def module_of(play: Play) -> int:
    """The process id of the module."""
    holder = read_holder(play.lock)
    assert holder is not None
    return holder.pid


@pytest.mark.fault(13)
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("SIGTERM to the play", signal.SIGTERM),
        ("The play is killed (SIGKILL)", signal.SIGKILL),
    ],
)
def test_a_signal_ends_the_play(play: Play, name: str, number: int) -> None:
    process = play.start(SLOW)
    wait_for(lambda: "sleep 60" in play.output, "the slow resource")
    os.kill(process.pid, number)
    process.wait(AT_ONCE)
    wait_for(play.is_quiet, "the end of terraform")
    document(name, *observed(play))


@pytest.mark.fault(13)
@pytest.mark.parametrize("name", ["Ctrl-C", "The terminal is lost"])
def test_at_a_terminal(play: Play, name: str) -> None:
    pid, terminal = play.start_in_terminal(SLOW)
    wait_for(lambda: is_slow(play), "the slow resource")
    if name == "Ctrl-C":
        os.write(terminal, b"\x03")
        with contextlib.suppress(OSError):  # the end of a terminal
            while os.read(terminal, 4096):
                pass
    os.close(terminal)
    wait_for(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, "the end of the play", AT_ONCE)
    wait_for(play.is_quiet, "the end of terraform")
    document(name, *observed(play))


@pytest.mark.fault(13)
def test_a_task_timeout_stops_terraform_before_the_task_fails(play: Play) -> None:
    play.finish(SLOW, keywords="      timeout: 20\n", code=2)
    assert play.when("terraform_data.slow: not created") < play.when("Timed out")
    wait_for(play.is_quiet, "the end of the module")
    document("Task keyword `timeout`", *observed(play))


@pytest.mark.fault(13)
def test_the_modules_own_timeout(play: Play) -> None:
    play.finish(SLOW, timeout=15, code=2)
    document("Option `timeout`", *observed(play))


def test_the_module_is_killed(play: Play) -> None:
    process = play.start(SLOW)
    wait_for(lambda: "sleep 60" in play.output, "the slow resource")
    os.kill(module_of(play), signal.SIGKILL)
    assert process.wait(AT_ONCE) == 2
    wait_for(lambda: "PLAY RECAP" in play.output, "the end of the output")
    wait_for(play.is_quiet, "the end of terraform")
    document("The module is killed (SIGKILL)", *observed(play))


def test_the_supervisor_is_killed_and_the_next_run_waits_for_terraform(play: Play) -> None:
    process = play.start(SLOW.replace("sleep 60", "sleep 20"))
    wait_for(lambda: "sleep 20" in play.output, "the slow resource")
    record = play.work_dir / ".terraform_stack/run.json"
    terraform = json.loads(record.read_text())["pid"]
    supervisor = int(Path(f"/proc/{terraform}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(supervisor, signal.SIGKILL)
    assert process.wait(AT_ONCE) == 2
    wait_for(lambda: "PLAY RECAP" in play.output, "the end of the output")
    lines = play.lines
    assert f"still runs as process {terraform}" in play.finish(SLOW.replace("sleep 60", "true"), code=2)
    wait_for(lambda: not Path(f"/proc/{terraform}").exists(), "the end of terraform")
    play.lines = lines
    cells = observed(play)
    cells[-1] = f"is refused while Terraform runs; then {cells[-1]}"
    document("The supervising process is killed (SIGKILL)", *cells)


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("An `async` job is killed (SIGKILL)", True),
        ("On a remote host: an `async` job is killed (SIGKILL)", False),
    ],
)
def test_an_async_job_is_killed(play: Play, remote: list[str], name: str, local: bool) -> None:
    process = play.start(SLOW, *([] if local else remote), keywords=ASYNC)
    wait_for(lambda: is_slow(play), "the slow resource")
    os.kill(module_of(play), signal.SIGKILL)
    assert process.wait(AT_ONCE) == 2
    wait_for(play.is_quiet, "the end of terraform")
    wait_for(lambda: "PLAY RECAP" in play.output, "the end of the output")
    document(name, *observed(play))


def test_an_async_job_takes_longer_than_it_may(play: Play) -> None:
    process = play.start(SLOW, keywords=ASYNC.replace("600", "15"))
    assert process.wait(60) == 2
    wait_for(play.is_quiet, "the end of terraform")
    wait_for(lambda: "PLAY RECAP" in play.output, "the end of the output")
    document("An `async` job takes longer than it may", *observed(play))


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("On a remote host: SIGTERM to the play", signal.SIGTERM),
        ("On a remote host: the play is killed (SIGKILL)", signal.SIGKILL),
    ],
)
def test_the_play_ends_while_terraform_runs_on_a_remote_host(
    play: Play, remote: list[str], name: str, number: int
) -> None:
    process = play.start(SLOW, *remote)
    wait_for(lambda: is_slow(play), "the slow resource")
    os.kill(process.pid, number)
    process.wait(AT_ONCE)
    wait_for(play.is_quiet, "the end of terraform")
    document(name, *observed(play))


@pytest.mark.fault(18)
def test_a_second_play_in_the_same_directory_is_refused(play: Play, tmp_path: Path) -> None:
    first = play.start(SLOW)
    wait_for(lambda: "sleep 60" in play.output, "the slow resource")
    before = (play.work_dir / "terraform.tfstate").read_bytes()
    second = Play.__new__(Play)
    second.__dict__ |= {**play.__dict__, "folder": tmp_path / "second", "lines": []}
    second.folder.mkdir()
    began = time.monotonic()
    said = second.finish(SLOW, code=2)
    assert time.monotonic() - began < AT_ONCE
    assert (
        f"{play.work_dir} is in use by terraform_stack, state present (process {module_of(play)} of" in said
    )
    assert (play.work_dir / "terraform.tfstate").read_bytes() == before
    assert first.poll() is None
    os.kill(first.pid, signal.SIGINT)
    first.wait(AT_ONCE)
    document(
        "A second run in the same `work_dir`",
        "the task fails at once and names process, user, host and age of the first run",
        "is not started",
        "untouched",
        "of the first",
        "of the first",
        "",
    )


def test_every_row_of_the_table_has_its_test() -> None:
    sources = "".join(path.read_text() for path in Path(__file__).parent.glob("test_terraform_*.py"))
    for name in documented():
        assert f'"{name}"' in sources
