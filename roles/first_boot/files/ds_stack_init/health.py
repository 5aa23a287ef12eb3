"""Whether there is room to work in: full disks, no inodes, a file system that an error has made read-only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from . import mounts
from .settings import Settings
from .status import Check

MIB = 1024 * 1024
GIB = 1024 * MIB
# Of this many percent people are told, so that it does not come to that.
NEARLY_FULL = 80
# Less than this share, or than so much, is none.
SHARE = 0.01
LEAST_BYTES, LEAST_INODES = 256 * MIB, 10_000
DATA, SYSTEM = "data volume", "system disk"


@dataclass(frozen=True)
class Usage:
    """A file system, as its users see it: what is kept for root is not free."""

    size: int
    free: int
    inodes: int
    free_inodes: int

    @property
    def used(self) -> int:
        """How many percent are not free."""
        return 100 - 100 * self.free // max(self.size, 1)


def usage(path: Path) -> Usage:
    """Return how full the file system at a path is."""
    found = os.statvfs(path)
    kept = found.f_bfree - found.f_bavail
    return Usage(
        (found.f_blocks - kept) * found.f_frsize,
        found.f_bavail * found.f_frsize,
        found.f_files,
        found.f_favail,
    )


def judge(name: str, path: Path, found: Usage, *, read_only: bool = False) -> Check:
    """Return whether users can work there."""
    if read_only:
        return Check(name, False, f"{path} is read-only after an error on it: reboot, which mends it")
    if found.free < min(found.size * SHARE, LEAST_BYTES):
        return Check(name, False, f"{path} is full: {found.free // MIB} MiB are left for users")
    # Some file systems make inodes as they are needed, and tell 0.
    if found.inodes and found.free_inodes < min(found.inodes * SHARE, LEAST_INODES):
        return Check(name, False, f"{path} has no inodes: room for {found.free_inodes} more files is left")
    return Check(name, True, f"{path} is {found.used}% full")


def check(settings: Settings) -> list[Check]:
    """Look at the data volume and at the system's own disk."""
    table = mounts.current()
    checks = []
    for name, path in ((DATA, settings.data_mount), (SYSTEM, Path("/"))):
        mounted = table.get(str(path))
        if mounted is None:
            checks.append(Check(name, False, f"nothing is mounted at {path}"))
        else:
            checks.append(judge(name, path, usage(path), read_only=mounted.read_only))
    return checks
