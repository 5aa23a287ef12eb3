# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin's end of live progress, see module_utils/_run/progress.py."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible.errors import AnsiblePromptInterrupt, AnsiblePromptNoninteractive
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.iac.ds_stack.plugins.module_utils._run.progress import (
    ANSWER,
    INTERVAL,
    LEASE,
    LINES,
    NO_LOG,
    QUESTION,
    RESULT,
    RETURN,
    VARIABLE,
)

PATIENCE = 60.0
"""Seconds that a task which timed out waits for its tool to stop."""


class Follower:
    """Shows the lines that a module says, as they come, and answers its question; a context manager.

    directory: see module_utils/_run/progress.py. ask: returns the answer, empty when there is nobody to ask.
    orphaned: called once when the process that started this one, which is the play, has died.
    """

    def __init__(
        self,
        directory: Path,
        show: Callable[[list[str]], None],
        ask: Callable[[str], str],
        orphaned: Callable[[], None],
    ) -> None:
        self._directory = directory
        self._show = show
        self._ask = ask
        self._orphaned = orphaned
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Follower:
        with signals_for_this_thread():
            self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join(INTERVAL * 10)  # it may be stuck in a question that nobody answers any more

    def _follow(self) -> None:
        rest = ""
        parent: int | None = os.getppid()
        asked = False
        with (self._directory / LINES).open(encoding="utf-8", errors="replace", newline="\n") as file:
            stopping = False
            while not stopping:
                stopping = self._stop.wait(INTERVAL)  # once more after the end: the last lines
                # Looked for before the lines are read: what was said before the question is shown before it.
                question = not asked and (self._directory / QUESTION).exists()
                *lines, rest = (rest + file.read()).split("\n")
                if lines:
                    self._show(lines)
                if question:
                    asked = True
                    self._answer()
                if parent not in (None, os.getppid()):
                    parent = None
                    self._orphaned()

    def _answer(self) -> None:
        answer = self._ask((self._directory / QUESTION).read_text(encoding="utf-8"))
        new = self._directory / f".{ANSWER}"
        new.write_text(answer, encoding="utf-8")
        new.rename(self._directory / ANSWER)


@contextlib.contextmanager
def signals_for_this_thread() -> Iterator[None]:
    """Let threads that are started meanwhile get no signal.

    Python answers signals in its main thread alone, and that waits for the module. One that went to another
    thread, such as Ctrl-C or the alarm of a task timeout, would be answered only when the module has ended.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ask_at_console(question: str) -> str:
    """Ask the person at the terminal; empty when there is none."""
    try:
        return Display().prompt_until(question).decode("utf-8", "replace").strip() or "no"
    except AnsiblePromptInterrupt:
        return "no"
    except AnsiblePromptNoninteractive:
        return ""


@contextlib.contextmanager
def ended_with_the_play() -> Iterator[None]:
    """End this process, and so its connection, when the play that started it has died."""
    play = os.getppid()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(INTERVAL * 5):
            if os.getppid() != play:
                os.kill(os.getpid(), signal.SIGTERM)  # as the play does when it can
                return

    thread = threading.Thread(target=watch, daemon=True)
    with signals_for_this_thread():
        thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class ProgressAction(ActionBase):
    """Runs the module of its own name; shows what it says while it runs, on a remote host afterwards.

    On a task `timeout`, and when the play is killed, it lets go of the lease, so that the tool is asked to
    stop. On a timeout it waits a while for its end before it passes the timeout on.
    """

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Called by Ansible."""
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        with self._environment(**({NO_LOG: "1"} if self._task.no_log else {})):
            if self._task.async_val and not self._connection.has_native_async:
                # Nobody waits: neither lines nor a lease.
                result: dict[str, Any] = self._execute_module(task_vars=task_vars, wrap_async=True)
                return result
            if self._connection.transport == "local":
                return self._run_and_show(task_vars)
            return self._show_afterwards(task_vars)

    @contextlib.contextmanager
    def _environment(self, **variables: str) -> Iterator[None]:
        """Add to the environment that the task gives its module."""
        self._task.environment.append(variables)
        try:
            yield
        finally:
            del self._task.environment[-1]

    def _show_afterwards(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        with self._environment(**{VARIABLE: RETURN}), ended_with_the_play():
            result: dict[str, Any] = self._execute_module(task_vars=task_vars)
        if lines := result.pop(RESULT, []):
            _shower(task_vars)(lines)
        return result

    def _run_and_show(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        directory = Path(tempfile.mkdtemp(prefix="progress-", dir=C.DEFAULT_LOCAL_TMP))
        lines = directory / LINES
        lines.touch(mode=0o600)
        try:
            with (
                (directory / LEASE).open("w") as lease,
                self._environment(**{VARIABLE: str(directory)}),
            ):
                fcntl.flock(lease, fcntl.LOCK_EX)
                let_go = functools.partial(fcntl.flock, lease, fcntl.LOCK_UN)
                with Follower(directory, _shower(task_vars), ask_at_console, let_go):
                    try:
                        result: dict[str, Any] = self._execute_module(task_vars=task_vars)
                        return result
                    except BaseException:  # a task timeout is no Exception
                        let_go()
                        wait_for_writers(lines)
                        raise
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def _shower(task_vars: dict[str, Any]) -> Callable[[list[str]], None]:
    """What shows lines, all at once as each call goes to another process; it names the host of several."""
    several = len(task_vars.get("ansible_play_hosts", [])) > 1
    prefix = f"[{task_vars.get('inventory_hostname')}] " if several else "  "
    return lambda lines: Display().display("\n".join(prefix + line for line in lines))


def wait_for_writers(path: Path) -> None:
    """Wait until nobody holds a shared lock on the file any more, but not for ever."""
    end = time.monotonic() + PATIENCE
    with path.open() as file:
        while time.monotonic() < end:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(INTERVAL)
            else:
                return
