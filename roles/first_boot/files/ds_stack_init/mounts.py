"""What is mounted where, read from the kernel's own table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

TABLE = Path("/proc/self/mountinfo")
# The second is what kernels from 6.15 on say after an error, and not to statvfs.
READ_ONLY = frozenset({"ro", "emergency_ro"})


@dataclass(frozen=True)
class Mount:
    """One line of the table.

    Attributes:
        device: major and minor number of the file system, as ``259:1``.
        root: the folder of that file system that is mounted; not ``/`` for a bind mount.
        source: the device as it was named when it was mounted.
        read_only: whether nothing can be written there.
    """

    device: str
    root: str
    source: str = ""
    read_only: bool = False


def parse(table: str) -> dict[str, Mount]:
    """Return mount point → what is mounted there; where several are, the one on top."""
    found = {}
    for line in table.splitlines():
        fields = line.split(" ")
        # Optional fields end with a hyphen; kind, source and the file system's own options come after it.
        source, own = fields[fields.index("-", 6) + 2 :]
        read_only = not READ_ONLY.isdisjoint([*fields[5].split(","), *own.split(",")])
        found[_unescape(fields[4])] = Mount(fields[2], _unescape(fields[3]), _unescape(source), read_only)
    return found


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)


def current() -> dict[str, Mount]:
    """Return what is mounted now."""
    return parse(TABLE.read_text(encoding="utf-8"))
