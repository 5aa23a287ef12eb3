# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a long tool (terraform, packer) so that nothing that happens to Ansible can break it.

A tool that is killed half way loses its state or leaves machines running, and Ansible kills without
asking: on Ctrl-C the play is over within a second, ``timeout:`` sends no signal at all, a lost terminal
takes the whole session along. Therefore `run` forks a small supervisor into a session of its own:

    module ── forks ──> supervisor (own session) ── starts ──> tool (own session again)

The tool writes to two files without a name (never to a pipe: a tool whose reader dies is killed by the
next write, and a background process that inherits a pipe would keep the reader waiting for ever). The
supervisor reads them as they grow and hands complete lines to the caller's callback. It asks the tool to
stop, by one SIGINT and a grace period, when

- it or the module gets SIGINT, SIGTERM or SIGHUP,
- nobody reads the module's output any more (the connection to this host, or the process that waits for an
  `async` task, is gone), which is as good as SIGHUP,
- the module dies (end of file on the pipe between them),
- the `Lease` is lost (the action plugin that waits for the module is gone),
- `timeout` is over.

Callbacks run *in the supervisor*, and nowhere else: they may write files, but what they change in memory is
lost, except for what the last of them tells.

Nothing is imported late: the module's code may be deleted from the disk while the supervisor still runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any, NoReturn

from .outcome import Finished, ProcessError, SupervisorKilled

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

STDOUT = 1

TICK = 0.1
"""Seconds between two looks at what the tool has written."""

LAST_CHANCE = 10.0
"""Seconds between the second SIGINT, when the grace period is over, and SIGKILL."""


@dataclass(frozen=True)
class Callbacks:
    """What the supervisor calls; see the module's docstring. An exception in one of them is dropped:
    a full disk must not end the supervision.

    started: once, with the tool's process id.
    stdout, stderr: each complete line without its end; a last line without an end is a line too.
    tick: every time the output has been looked at, also when there was none.
    ended: once, after the last line; the second argument says whether the module is dead, so that
        nobody else will remove temporary files or report.
    tell: at the very end; what it returns, a value that JSON has, is `Finished.told` in the module.
    """

    started: Callable[[int], None] | None = None
    stdout: Callable[[bytes], None] | None = None
    stderr: Callable[[bytes], None] | None = None
    tick: Callable[[], None] | None = None
    ended: Callable[[Finished, bool], None] | None = None
    tell: Callable[[], Any] | None = None


class Lease:
    """A file that somebody who waits for the tool keeps locked with flock; unlocked means that he is gone.

    path: the file; missing means gone, too. One that may not be opened is another user's and tells nothing.
    """

    def __init__(self, path: Path) -> None:
        self._fd = -1
        self._missing = False
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._missing = True
        except OSError:
            pass

    def lost(self) -> bool:
        """Whether nobody waits any more."""
        if self._fd < 0:
            return self._missing
        try:
            fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        return True


LEASE_LOST = "the play ended or the task timed out"


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    callbacks: Callbacks | None = None,
    timeout: float | None = None,
    grace: float = 300.0,
    lease: Lease | None = None,
) -> Finished:
    """Run a tool under a supervisor and wait for its end, whatever its exit code.

    argv: program and arguments; no secrets, they are public on the machine.
    cwd, env: its directory and its whole environment.
    timeout: seconds until it is asked to stop; None is never.
    grace: seconds it has after that.
    lease: held by somebody who waits for the result.

    Raises ProcessError when the program cannot be started, when there is nobody to start it for, and when
    the supervisor was killed.
    """
    if lease is not None and lease.lost():
        raise ProcessError(f"{argv[0]} was not started: {LEASE_LOST}.")
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        control_r, control_w = os.pipe()
        result_r, result_w = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(control_w)
            os.close(result_r)
            _supervise_and_exit(
                _Supervisor(
                    argv=argv,
                    cwd=cwd,
                    env=env,
                    callbacks=callbacks or Callbacks(),
                    timeout=timeout,
                    grace=grace,
                    lease=lease,
                    out=out,
                    err=err,
                    control=control_r,
                ),
                result_w,
            )
        os.close(control_r)
        os.close(result_w)
        try:
            with _forward_signals(control_w):
                answer = _wait_for_answer(result_r, control_w)
        finally:
            os.close(result_r)
            os.close(control_w)
            os.waitpid(pid, 0)
        result = _parse_answer(answer, argv[0])
        return Finished(**result, stdout=_contents(out), stderr=_contents(err))


def run_plainly(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Finished:
    """Run a tool that only reads, without a supervisor: it may be killed at any time.

    Raises ProcessError when the program cannot be started.
    """
    began = time.monotonic()
    try:
        done = subprocess.run(
            argv, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as error:
        raise ProcessError(f"Cannot run {argv[0]}: {error.strerror or error}.") from error
    return Finished(
        done.returncode, duration=time.monotonic() - began, stdout=done.stdout, stderr=done.stderr
    )


def _parse_answer(answer: bytes, program: str) -> dict[str, Any]:
    try:
        result: dict[str, Any] = json.loads(answer)
    except ValueError:
        raise SupervisorKilled(
            f"The process that supervises {program} was killed. {program} may still be running: "
            "wait for its end before the next run."
        ) from None
    if "error" in result:
        raise ProcessError(f"Cannot run {program}: {result['error']}.")
    return result


def _wait_for_answer(result: int, control: int) -> bytes:
    """Read what the supervisor says at its end; tell it when nobody reads our own output any more."""
    poll = select.poll()
    poll.register(result, select.POLLIN)
    poll.register(STDOUT, 0)  # for errors, which are always told
    chunks: list[bytes] = []
    while True:
        for fd, event in poll.poll():
            if fd == STDOUT:
                poll.unregister(STDOUT)
                if event & (select.POLLERR | select.POLLHUP):
                    _tell(control, signal.SIGHUP)
            elif chunk := os.read(result, 65536):
                chunks.append(chunk)
            else:
                return b"".join(chunks)


def _tell(control: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.write(control, bytes([number]))


def _contents(spool: IO[bytes]) -> bytes:
    return os.pread(spool.fileno(), os.fstat(spool.fileno()).st_size, 0)


@contextlib.contextmanager
def exit_on_signals() -> Iterator[None]:
    """Let a signal that comes while no tool runs end the module as an exception does: with its clean-up."""

    def leave(signum: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + signum)

    before = {number: signal.signal(number, leave) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _forward_signals(control: int) -> Iterator[None]:
    """Pass signals on to the supervisor instead of dying: the tool shall stop first."""

    def forward(signum: int, _frame: FrameType | None) -> None:
        _tell(control, signum)

    before = {number: signal.signal(number, forward) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Lines:
    """Reads a growing file and hands its complete lines to a callback."""

    def __init__(self, spool: IO[bytes], callback: Callable[[bytes], None] | None) -> None:
        self._fd = spool.fileno()
        self._callback = callback
        self._offset = 0
        self._rest = b""

    def read(self) -> None:
        if self._callback is None:
            return
        # pread leaves the file's offset alone: the tool writes at it.
        while chunk := os.pread(self._fd, 1 << 20, self._offset):
            self._offset += len(chunk)
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                _quietly(self._callback, line)

    def finish(self) -> None:
        self.read()
        if self._rest and self._callback is not None:
            _quietly(self._callback, self._rest)
            self._rest = b""


def _quietly(function: Callable[..., None] | None, *args: object) -> None:
    if function is not None:
        with contextlib.suppress(Exception):
            function(*args)


def _supervise_and_exit(supervisor: _Supervisor, result_w: int) -> NoReturn:
    """The life of the forked process; it must never return into the module's code."""
    try:
        answer = supervisor.run()
        with contextlib.suppress(OSError):  # the module is dead
            os.write(result_w, json.dumps(answer).encode())
    finally:
        os._exit(0)


@dataclass
class _Supervisor:
    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    callbacks: Callbacks
    timeout: float | None
    grace: float
    lease: Lease | None
    out: IO[bytes]
    err: IO[bytes]
    control: int
    module_dead: bool = False
    interrupted: str | None = None
    signalled: list[int] = field(default_factory=list)

    def run(self) -> dict[str, Any]:
        wake = self._detach()
        began = time.monotonic()
        try:
            tool = subprocess.Popen(
                self.argv,
                cwd=self.cwd,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=self.out,
                stderr=self.err,
                start_new_session=True,
            )
        except OSError as error:
            return {"error": error.strerror or str(error)}
        _quietly(self.callbacks.started, tool.pid)
        killed = self._watch(tool, wake, began)
        finished = Finished(tool.returncode, self.interrupted, killed, time.monotonic() - began)
        self._look_at_module()
        _quietly(self.callbacks.ended, finished, self.module_dead)
        return {
            "returncode": finished.returncode,
            "interrupted": finished.interrupted,
            "killed": killed,
            "duration": finished.duration,
            "told": self._told(),
        }

    def _told(self) -> Any:
        with contextlib.suppress(Exception):
            told = self.callbacks.tell() if self.callbacks.tell else None
            json.dumps(told)
            return told
        return None

    def _detach(self) -> int:
        """Leave the module's session and its streams; return the fd that becomes readable on a signal."""
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        os.close(null)
        wake_r, wake_w = os.pipe()
        os.set_blocking(wake_r, False)
        os.set_blocking(wake_w, False)
        signal.set_wakeup_fd(wake_w)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in STOP_SIGNALS:
            signal.signal(number, lambda signum, _frame: self.signalled.append(signum))
        return wake_r

    def _watch(self, tool: subprocess.Popen[bytes], wake: int, began: float) -> bool:
        """Wait for the tool's end; return whether it had to be killed."""
        lines = [_Lines(self.out, self.callbacks.stdout), _Lines(self.err, self.callbacks.stderr)]
        deadline = began + self.timeout if self.timeout is not None else None
        # What happens next when the tool, once asked to stop, does not.
        escalation: list[tuple[float, int]] = []
        killed = False
        while tool.poll() is None:
            watched = [wake] if self.module_dead else [wake, self.control]
            with contextlib.suppress(InterruptedError):
                ready = select.select(watched, [], [], TICK)[0]
                if wake in ready:
                    os.read(wake, 4096)
            for stream in lines:
                stream.read()
            _quietly(self.callbacks.tick)
            now = time.monotonic()
            if self.interrupted is None:
                self.interrupted = self._reason_to_stop(deadline, now)
                if self.interrupted is not None:
                    _send(tool, signal.SIGINT)
                    escalation = [
                        (now + self.grace, signal.SIGINT),
                        (now + self.grace + LAST_CHANCE, signal.SIGKILL),
                    ]
            elif escalation and now >= escalation[0][0]:
                number = escalation.pop(0)[1]
                killed = killed or number == signal.SIGKILL
                _send(tool, number)
        for stream in lines:
            stream.finish()
        return killed

    def _reason_to_stop(self, deadline: float | None, now: float) -> str | None:
        self._look_at_module()
        if self.signalled:
            return signal.Signals(self.signalled[0]).name
        if self.module_dead:
            return "the module was killed"
        if self.lease is not None and self.lease.lost():
            return LEASE_LOST
        if deadline is not None and now >= deadline:
            return "timeout"
        return None

    def _look_at_module(self) -> None:
        """Read the signals that the module passes on; the end of the pipe is the module's end."""
        while not self.module_dead and select.select([self.control], [], [], 0)[0]:
            numbers = os.read(self.control, 64)
            self.signalled.extend(numbers)
            self.module_dead = not numbers


def _send(tool: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if number == signal.SIGKILL:
            os.killpg(tool.pid, number)  # with all it has started
        else:
            tool.send_signal(number)
