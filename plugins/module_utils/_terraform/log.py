# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The full text of a run."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ansible_collections.iac.ds_stack.plugins.module_utils._run.progress import plain
from ansible_collections.iac.ds_stack.plugins.module_utils._run.secrets import Scrubber

LOGS_KEPT = 10


class Log:
    """The full text of all that Terraform said in a run, secrets replaced.

    path: None where nothing may be written (check mode).
    """

    def __init__(self, path: Path | None, scrubber: Scrubber) -> None:
        self.path = path
        self._scrubber = scrubber
        self._fd = -1
        if path is not None:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Nothing more is to come."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def write(self, text: str) -> None:
        """Append lines."""
        if self._fd >= 0:
            os.write(self._fd, (self._scrubber.text(plain(text)) + "\n").encode())


def new_log_path(directory: Path) -> Path:
    """A name for this run's log; older logs than the last LOGS_KEPT - 1 are removed."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in sorted(directory.glob("*.log"))[: -(LOGS_KEPT - 1)]:
        old.unlink(missing_ok=True)
    now = time.time()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
    return directory / f"{stamp}.{int(now * 1000) % 1000:03}Z-{os.getpid()}.log"
