"""A tool runs under its supervisor whatever happens to the module."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._run import process as _process

ENV = {"PATH": os.environ["PATH"]}

# Says what signals it gets; ends 0.1 s after the first.
STOPPABLE = """
import signal, sys, time
def stop(number, frame):
    print("got", number, flush=True); time.sleep(0.1); sys.exit(3)
signal.signal(signal.SIGINT, stop)
print("ready", flush=True)
time.sleep(60)
"""

STUBBORN = """
import signal, time
signal.signal(signal.SIGINT, lambda *_: print("no", flush=True))
print("ready", flush=True)
while True: time.sleep(1)
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-IS", "-c", code]


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_exit_code_and_both_streams(tmp_path: Path) -> None:
    finished = _process.run(
        python("import sys, os; print(os.getcwd()); print('e', file=sys.stderr); sys.exit(2)"),
        cwd=tmp_path,
        env=ENV,
    )
    assert finished.returncode == 2
    assert finished.stdout.decode().strip() == str(tmp_path)
    assert finished.stderr == b"e\n"
    assert finished.interrupted is None


def test_lines_reach_the_callback_while_the_tool_runs_also_the_last_unfinished_one(tmp_path: Path) -> None:
    seen = tmp_path / "seen"

    def note(line: bytes) -> None:
        with seen.open("a") as file:
            print(time.time(), line.decode(), file=file)

    code = "import time\nprint('one', flush=True); time.sleep(0.6); print('two', end='')"
    _process.run(python(code), cwd=tmp_path, env=ENV, callbacks=_process.Callbacks(stdout=note))
    (first, one), (second, two) = (line.split() for line in seen.read_text().splitlines())
    assert (one, two) == ("one", "two")
    assert float(second) - float(first) > 0.3


def test_a_failing_callback_does_not_end_the_supervision(tmp_path: Path) -> None:
    def fail(_line: bytes) -> None:
        raise OSError("disk full")

    finished = _process.run(
        python("print(1)"), cwd=tmp_path, env=ENV, callbacks=_process.Callbacks(stdout=fail)
    )
    assert (finished.returncode, finished.stdout) == (0, b"1\n")


def test_a_background_child_does_not_keep_us_waiting(tmp_path: Path) -> None:
    began = time.monotonic()
    finished = _process.run(["sh", "-c", "sleep 5 & echo done"], cwd=tmp_path, env=ENV)
    assert finished.stdout == b"done\n"
    assert time.monotonic() - began < 3


def test_a_plain_run(tmp_path: Path) -> None:
    finished = _process.run_plainly(["sh", "-c", "pwd; echo e >&2; exit 2"], cwd=tmp_path, env=ENV)
    assert (finished.returncode, finished.stdout, finished.stderr) == (2, f"{tmp_path}\n".encode(), b"e\n")
    with pytest.raises(_process.ProcessError, match="Cannot run no-such-tool: No such file"):
        _process.run_plainly(["no-such-tool"], cwd=tmp_path, env=ENV)


def test_missing_program(tmp_path: Path) -> None:
    with pytest.raises(_process.ProcessError, match="Cannot run no-such-tool: No such file"):
        _process.run(["no-such-tool"], cwd=tmp_path, env=ENV)


def test_timeout_sends_one_sigint_and_waits(tmp_path: Path) -> None:
    finished = _process.run(python(STOPPABLE), cwd=tmp_path, env=ENV, timeout=2)
    assert (finished.interrupted, finished.returncode, finished.killed) == ("timeout", 3, False)
    assert finished.stdout == b"ready\ngot 2\n"


def test_a_tool_that_does_not_stop_is_asked_again_then_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_process, "LAST_CHANCE", 0.3)
    finished = _process.run(python(STUBBORN), cwd=tmp_path, env=ENV, timeout=2, grace=0.3)
    assert (finished.interrupted, finished.returncode, finished.killed) == ("timeout", -signal.SIGKILL, True)
    assert finished.stdout == b"ready\nno\nno\n"


def _module(tmp_path: Path, lease: Path | None = None, output: tuple[int, int] | None = None) -> int:
    """A process that stands for the module: runs the stoppable tool, writes down what it learns.

    output: the pipe, both of its ends, to which its standard output goes.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        if output:
            os.close(output[0])
            os.dup2(output[1], 1)
            os.close(output[1])

        def note(line: bytes) -> None:
            with (tmp_path / "lines").open("ab") as file:
                file.write(line + b"\n")

        def ended(finished: _process.Finished, orphaned: bool) -> None:
            (tmp_path / "ended").write_text(json.dumps([finished.returncode, finished.interrupted, orphaned]))

        with _process.DirectoryLock(tmp_path / "lock", "test"):
            finished = _process.run(
                python(STOPPABLE),
                cwd=tmp_path,
                env=ENV,
                lease=_process.Lease(lease) if lease else None,
                callbacks=_process.Callbacks(stdout=note, ended=ended),
            )
        (tmp_path / "module").write_text(str(finished.interrupted))
    finally:
        os._exit(0)


def ready(tmp_path: Path) -> bool:
    return (tmp_path / "lines").exists() and "ready" in (tmp_path / "lines").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_module_stops_the_tool_and_the_module_learns_it(tmp_path: Path, number: int) -> None:
    pid = _module(tmp_path)
    wait_for(lambda: ready(tmp_path))
    os.kill(pid, number)
    os.waitpid(pid, 0)
    name = signal.Signals(number).name
    assert json.loads((tmp_path / "ended").read_text()) == [3, name, False]
    assert (tmp_path / "module").read_text() == name
    assert (tmp_path / "lines").read_text() == "ready\ngot 2\n"


def test_nobody_reads_the_modules_output_any_more(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    pid = _module(tmp_path, output=(reader, writer))
    os.close(writer)
    wait_for(lambda: ready(tmp_path))
    os.close(reader)
    os.waitpid(pid, 0)
    assert json.loads((tmp_path / "ended").read_text()) == [3, "SIGHUP", False]


def test_the_module_is_killed_the_tool_stops_and_the_lock_holds_until_then(tmp_path: Path) -> None:
    pid = _module(tmp_path)
    wait_for(lambda: ready(tmp_path))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with (
        pytest.raises(_process.DirectoryLocked, match=rf"in use by test \(process {pid} of user "),
        _process.DirectoryLock(tmp_path / "lock", "second"),
    ):
        pass
    wait_for((tmp_path / "ended").exists)
    wait_for(lambda: bool((tmp_path / "ended").read_text()))
    assert json.loads((tmp_path / "ended").read_text()) == [3, "the module was killed", True]
    wait_for(lambda: _free(tmp_path / "lock"))


def _free(lock: Path) -> bool:
    try:
        with _process.DirectoryLock(lock, "third"):
            return True
    except _process.DirectoryLocked:
        return False


def test_the_lease_is_lost(tmp_path: Path) -> None:
    lease = tmp_path / "lease"
    with lease.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        pid = _module(tmp_path, lease)
        wait_for(lambda: ready(tmp_path))
        # The forked module has inherited the lock, too: give it up for both.
        fcntl.flock(file, fcntl.LOCK_UN)
        os.waitpid(pid, 0)
    assert json.loads((tmp_path / "ended").read_text()) == [3, _process.LEASE_LOST, False]


@pytest.mark.parametrize("exists", [True, False])
def test_nothing_is_started_for_nobody(tmp_path: Path, exists: bool) -> None:
    if exists:
        (tmp_path / "lease").touch()
    lease = _process.Lease(tmp_path / "lease")
    with pytest.raises(_process.ProcessError, match="was not started: the play ended or the task timed out"):
        _process.run(["touch", "started"], cwd=tmp_path, env=ENV, lease=lease)
    assert not (tmp_path / "started").exists()


def test_a_signal_between_two_tools_cleans_up() -> None:
    with pytest.raises(SystemExit) as caught, _process.exit_on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.code == 128 + signal.SIGTERM


def test_the_lock_names_its_holder_and_is_free_afterwards(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with (
        _process.DirectoryLock(lock, "terraform_stack present"),
        pytest.raises(
            _process.DirectoryLocked,
            match=rf"terraform_stack present \(process {os.getpid()} of .*, for 0 s\)",
        ),
        _process.DirectoryLock(lock, "other"),
    ):
        pass
    assert _free(lock)
    assert lock.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-3, "0 s"), (59.4, "59 s"), (60, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert _process.format_seconds(seconds) == text


def test_what_the_callbacks_learn_is_told(tmp_path: Path) -> None:
    """They run in the supervisor and nowhere else; what they change in memory does not come here."""
    lines: list[str] = []
    pids = {os.getpid()}

    def stdout(line: bytes) -> None:
        lines.append(line.decode())
        pids.add(os.getpid())

    callbacks = _process.Callbacks(stdout=stdout, tell=lambda: {"lines": lines, "pids": sorted(pids)})
    finished = _process.run(python("print('a\\nb')"), cwd=tmp_path, env=ENV, callbacks=callbacks)
    assert finished.told["lines"] == ["a", "b"]
    assert len(set(finished.told["pids"]) - {os.getpid()}) == 1
    assert (lines, pids) == ([], {os.getpid()})


@pytest.mark.parametrize("told", ["no JSON", "an error"])
def test_what_cannot_be_told_is_nothing(tmp_path: Path, told: str) -> None:
    def tell() -> object:
        if told == "an error":
            raise RuntimeError("broken")
        return object()

    finished = _process.run(
        python("print('a')"), cwd=tmp_path, env=ENV, callbacks=_process.Callbacks(tell=tell)
    )
    assert (finished.returncode, finished.stdout, finished.told) == (0, b"a\n", None)
