# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The full text of what a tool said in a run, for people, without secrets."""

from __future__ import annotations

import os
import time
from pathlib import Path

from .files import open_private
from .progress import plain
from .secrets import Scrubber

LOGS_KEPT = 10
"""In each work_dir."""


class Log:
    """A file to which lines are appended.

    path: None where nothing may be written (check mode).
    timed: put the time (UTC) before each line, where the tool does not.
    """

    def __init__(self, path: Path | None, scrubber: Scrubber, *, timed: bool = False) -> None:
        self.path = path
        self._scrubber = scrubber
        self._timed = timed
        self._fd = -1 if path is None else open_private(path, os.O_WRONLY | os.O_APPEND)

    def close(self) -> None:
        """Nothing more is to come; a supervisor that still runs has a descriptor of its own."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def clean(self, text: str) -> str:
        """The text without secrets and escape sequences, as it may be shown."""
        return self._scrubber.text(plain(text))

    def write(self, text: str) -> None:
        """Append lines."""
        if self._fd < 0:
            return
        lines = self.clean(text)
        if self._timed:
            now = time.strftime("%H:%M:%S", time.gmtime())
            lines = "\n".join(f"{now} {line}" for line in lines.strip("\n").split("\n"))
        os.write(self._fd, f"{lines}\n".encode())


def new_log_path(directory: Path, name: str | None = None) -> Path:
    """A name for this run's log, and room for it: but for the newest ones, older logs are removed.

    name: of the run, when it has one; else it is named after the time.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    logs = sorted(directory.glob("*.log"), key=lambda path: (path.stat().st_mtime, path.name))
    for old in logs[: -(LOGS_KEPT - 1)]:
        old.unlink(missing_ok=True)
    now = time.time()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
    name = name or f"{stamp}.{int(now * 1000) % 1000:03}Z-{os.getpid()}"
    return directory / f"{name.replace('/', '_')}.log"
