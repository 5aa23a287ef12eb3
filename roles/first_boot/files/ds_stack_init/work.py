"""Which processes work, and which only wait: for whoever stops what is idle, and whoever asks who is at work.

The role jupyterhub gives it to the users' servers too: nothing of this program's is imported here.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

KEEP = ".local/state/ds-stack/keep-until"
"""In a home: the time, in seconds since 1970, until which nothing is idle. ds-keep writes it."""
WAITING = frozenset({"bash", "dash", "fish", "ksh", "sh", "zsh", "tmux: client", "tmux: server", "screen"})
"""In the foreground of a terminal these wait for somebody to type."""
LEAST_SHARE = 0.01
"""The share of a processor above which a process does something, rather than to look around now and then."""
LEAST = 0.5
"""Seconds of processor time that a process may take to start, and be none that does something."""
SHORTEST_LOOK = 30.0
"""Seconds over which that share is measured."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """A line of /proc.

    Attributes:
        began: seconds after boot.
        used: seconds of processor time.
        foreground: of a terminal, as the job that somebody started there.
    """

    pid: int
    uid: int
    name: str
    began: float
    used: float
    foreground: bool


def parse(text: str, uid: int) -> Process:
    """Return what /proc/PID/stat says of a process. Raises ValueError and IndexError for anything else."""
    begin, end = text.index("("), text.rindex(")")
    fields = text[end + 2 :].split()
    group, session, terminal, in_front = (int(one) for one in fields[2:6])
    return Process(
        pid=int(text[:begin]),
        uid=uid,
        name=text[begin + 1 : end],
        began=int(fields[19]) / TICKS,
        used=(int(fields[11]) + int(fields[12])) / TICKS,
        foreground=terminal != 0 and group == in_front and group != session,
    )


def processes(
    of: Callable[[int], bool], among: Callable[[str], bool], proc: Path = Path("/proc")
) -> Iterator[Process]:
    """Yield the processes of some uids, in some control groups, which are told as in /proc/PID/cgroup."""
    for folder in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it has just ended
            uid = folder.stat().st_uid
            if of(uid) and among((folder / "cgroup").read_text()):
                yield parse((folder / "stat").read_text(encoding="utf-8", errors="replace"), uid)


class Look:
    """Looks at processes again and again, and sees which of them work."""

    def __init__(
        self, before: Mapping[tuple[int, float], tuple[float, float]] = MappingProxyType({})
    ) -> None:
        """Begin, or go on with what an earlier one had ``seen``."""
        self.seen = dict(before)

    def working(self, found: Collection[Process], now: float) -> list[Process]:
        """Return those that work.

        Args:
            found: the processes, without the server itself and its kernels.
            now: seconds after boot.
        """
        at_work, seen = [], {}
        for one in found:
            key = (one.pid, one.began)
            since, used = self.seen.get(key, (one.began, 0.0))
            computes = one.used - used > LEAST + LEAST_SHARE * (now - since)
            if computes or (one.foreground and one.name not in WAITING):
                at_work.append(one)
            seen[key] = (now, one.used) if now - since >= SHORTEST_LOOK else (since, used)
        self.seen = seen
        return at_work


def kept(home: Path, now: float) -> bool:
    """Return whether the user asked that nothing be taken for idle now."""
    try:
        return float(read_theirs(home / KEEP)[0]) > now
    except (OSError, ValueError):
        return False


def read_theirs(path: Path, most: int = 4096) -> tuple[str, os.stat_result]:
    """Return the text of a user's own file, so many bytes at most, and what the kernel says of it.

    Raises OSError, also for a pipe or a link: root reads it, and is neither to wait nor to be led elsewhere.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(f"{path} is no file")
        return os.read(descriptor, most).decode(errors="replace"), found
    finally:
        os.close(descriptor)
