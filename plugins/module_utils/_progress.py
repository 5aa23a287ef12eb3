# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's end of live progress: lines that the action plugin shows while the module runs.

A module cannot print. The action plugin (plugin_utils/progress.py) makes a directory, gives its path to the
module in the hidden option `_progress` and follows the file `lines` in it. It holds the file `lease` locked
as long as it waits for the result, so that the supervisor of the tool (`_process.run`) learns when nobody
waits any more. In the other direction, `lines` is locked as long as somebody may still write to it.

Where there is no such directory (async, a remote host, another user) nothing is written and nothing fails.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from pathlib import Path

from ansible_collections.iac.ds_stack.plugins.module_utils._process import Lease

OPTION = {"_progress": {"type": "path"}}
"""To be added to the module's argument spec."""

LINES = "lines"
LEASE = "lease"

_UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """The text without escape sequences and control characters (tabs and line ends stay)."""
    return _UNPRINTABLE.sub("", text)


class Progress:
    """Says lines to the person at the console.

    directory: value of the option `_progress`, or None.
    """

    def __init__(self, directory: str | None) -> None:
        self._fd = -1
        self.lease: Lease | None = None
        """For `_process.run`."""
        if directory is not None:
            with contextlib.suppress(OSError):
                self._fd = os.open(Path(directory, LINES), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
                fcntl.flock(self._fd, fcntl.LOCK_SH)
            self.lease = Lease(Path(directory, LEASE))

    def say(self, text: str) -> None:
        """Show a text of one or more lines; no secrets."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):  # progress is a courtesy
                os.write(self._fd, (plain(text).rstrip("\n") + "\n").encode())
