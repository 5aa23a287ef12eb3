# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's end of live progress: lines that the action plugin shows while the module runs.

A module cannot print. The action plugin (plugin_utils/progress.py) makes a directory, gives its path to the
module in the environment and follows the file `lines` in it. It holds the file `lease` locked as long as it
waits for the result, so that the supervisor of the tool (`_process.run`) learns when nobody waits any more.
In the other direction, `lines` is locked as long as somebody may still write to it.

A question goes the same way: the module writes the file `question`, the plugin asks and writes `answer`.

On a remote host there is nothing to follow: there the lines are kept and returned with the result. Where
nobody listens (async, another user's directory) nothing is written and nothing fails.

Where the task has `no_log`, nothing that a tool said is told: no lines are said, and a module leaves it out
of its message and warnings, which Ansible shows in spite of `no_log`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
import time
from pathlib import Path
from typing import IO

from .process import Lease

VARIABLE = "IAC_DS_STACK_PROGRESS"
"""In the environment: the directory, or RETURN."""

RETURN = "return"
"""The lines are wanted with the result."""

NO_LOG = "IAC_DS_STACK_NO_LOG"
"""In the environment where the task has `no_log`; a module's own `no_log` may be true for other reasons."""

RESULT = "progress"
"""The name they have in it; the action plugin takes them out."""

LINES = "lines"
LEASE = "lease"
QUESTION = "question"
ANSWER = "answer"

INTERVAL = 0.2
"""Seconds between two looks at a file."""

_UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """The text without escape sequences and control characters (tabs and line ends stay)."""
    return _UNPRINTABLE.sub("", text)


class Progress:
    """Says lines to the person at the console.

    wanted: the directory, RETURN, or None where nobody listens. hidden: the task has `no_log`.
    """

    @classmethod
    def from_environment(cls) -> Progress:
        """What the action plugin of the module wants, once: it is not passed on to other programs."""
        return cls(os.environ.pop(VARIABLE, None), hidden=os.environ.pop(NO_LOG, None) is not None)

    def __init__(self, wanted: str | None, *, hidden: bool = False) -> None:
        self.hidden = hidden
        self._fd = -1
        self._directory: Path | None = None
        self._kept: IO[bytes] | None = None
        self.lease: Lease | None = None
        """For `_process.run`."""
        if wanted == RETURN:
            # A file, as most lines come from another process, the tool's supervisor.
            self._kept = tempfile.TemporaryFile()  # noqa: SIM115 (closed by its end)
            self._fd = self._kept.fileno()
        elif wanted is not None:
            with contextlib.suppress(OSError):
                self._fd = os.open(Path(wanted, LINES), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
                fcntl.flock(self._fd, fcntl.LOCK_SH)
                self._directory = Path(wanted)
            self.lease = Lease(Path(wanted, LEASE))

    def ask(self, question: str, deadline: float | None) -> str | None:
        """Put a question to the person at the console and wait for the answer.

        deadline: `time.monotonic()` value. Returns None when there is nobody to answer.
        """
        if self._directory is None or self.lease is None:
            return None
        new = self._directory / f".{QUESTION}"
        new.write_text(question, encoding="utf-8")
        new.rename(self._directory / QUESTION)
        while not self.lease.lost() and (deadline is None or time.monotonic() < deadline):
            try:
                return (self._directory / ANSWER).read_text(encoding="utf-8") or None
            except FileNotFoundError:
                time.sleep(INTERVAL)
        return None

    def result(self) -> dict[str, list[str]]:
        """What is to be added to the module's result."""
        if self._kept is None:
            return {}
        self._kept.seek(0)
        return {RESULT: self._kept.read().decode("utf-8", "replace").split("\n")[:-1]}

    def say(self, text: str) -> None:
        """Show a text of one or more lines; no secrets."""
        if self._fd >= 0 and not self.hidden:
            with contextlib.suppress(OSError):  # progress is a courtesy
                os.write(self._fd, (plain(text).rstrip("\n") + "\n").encode())

    def failure(self, message: str, log_path: str | None) -> str:
        """The message of a failure as it may be shown."""
        if not self.hidden:
            return message
        where = f"The log tells: {log_path}" if log_path else "Without `no_log` it would be shown."
        return f"It failed; why is not shown, as the task has `no_log`. {where}"
