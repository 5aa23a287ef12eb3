# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock that keeps two runs out of one directory.

The supervisor of a tool inherits it, so it is free only when the tool has ended, and the kernel frees it
whatever happens.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from .files import open_private
from .outcome import ProcessError, format_seconds


class DirectoryLocked(ProcessError):
    """Another run works in the directory."""


@dataclass(frozen=True)
class Holder:
    """Who holds a DirectoryLock. since: seconds of the epoch."""

    pid: int
    host: str
    user: str
    purpose: str
    since: float

    def describe(self, now: float) -> str:
        """For messages: who, where, since when."""
        return (
            f"{self.purpose} (process {self.pid} of user {self.user} on {self.host}, "
            f"for {format_seconds(now - self.since)})"
        )


class DirectoryLock:
    """An exclusive lock of a directory, for one run of a tool with all its calls; a context manager.

    path: the lock file; its directory must exist. It stays: removing it would let two runs in.
    purpose: who asks, for the message that others get, e.g. "terraform_stack, state present".
    directory: what it locks, for that message; the lock file's own directory by default.

    Entering it raises DirectoryLocked, at once, with the holder and the lock's age in the message.
    """

    def __init__(self, path: Path, purpose: str, directory: Path | None = None) -> None:
        self._path = path
        self._purpose = purpose
        self._directory = directory or path.parent
        self._fd = -1

    def __enter__(self) -> DirectoryLock:
        fd = open_private(self._path, os.O_RDWR)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = read_holder(self._path)
            os.close(fd)
            raise DirectoryLocked(
                f"{self._directory} is in use by "
                f"{holder.describe(time.time()) if holder else 'another run'}. Wait for its end."
            ) from None
        holder = Holder(os.getpid(), socket.gethostname(), _user(), self._purpose, time.time())
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps(asdict(holder)).encode(), 0)
        self._fd = fd
        return self

    def __exit__(self, *_exc: object) -> None:
        os.ftruncate(self._fd, 0)
        os.close(self._fd)  # a supervisor that still runs has inherited it: the lock stays until its end


def read_holder(path: Path) -> Holder | None:
    """Who wrote himself into the lock file, or None when nobody has."""
    try:
        return Holder(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
