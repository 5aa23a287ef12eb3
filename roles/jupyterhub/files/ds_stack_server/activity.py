"""Whether a user's server is at work, for whoever stops idle ones.

Jupyter's own answer is when a kernel last said something. Here a kernel that computes counts too, and so do
what runs in the foreground of a terminal, a detached process that uses the processor, and `ds-keep`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jupyter_server._tz import utcnow
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

KEEP = ".local/state/ds-stack/keep-until"
"""In a home: the time, in seconds since 1970, until which nothing is idle. ds-keep writes it."""
WAITING = frozenset({"bash", "dash", "fish", "ksh", "sh", "zsh", "tmux: client", "tmux: server", "screen"})
"""In the foreground of a terminal these wait for somebody to type."""
LEAST_SHARE = 0.01
"""The share of a processor above which a process does something, rather than to look around now and then."""
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
    name: str
    began: float
    used: float
    foreground: bool


def parse(text: str) -> Process:
    """Return what /proc/PID/stat says. Raises ValueError and IndexError for anything else."""
    begin, end = text.index("("), text.rindex(")")
    fields = text[end + 2 :].split()
    group, session, terminal, in_front = (int(one) for one in fields[2:6])
    return Process(
        pid=int(text[:begin]),
        name=text[begin + 1 : end],
        began=int(fields[19]) / TICKS,
        used=(int(fields[11]) + int(fields[12])) / TICKS,
        foreground=terminal != 0 and group == in_front and group != session,
    )


def processes(proc: Path = Path("/proc")) -> Iterator[Process]:
    """Yield the processes of this server: the user's own, in its control group."""
    own = (proc / "self/cgroup").read_text()
    for folder in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it has just ended
            if folder.stat().st_uid == os.getuid() and (folder / "cgroup").read_text() == own:
                yield parse((folder / "stat").read_text(encoding="utf-8", errors="replace"))


class Look:
    """Looks at processes again and again, and sees which of them work."""

    def __init__(self) -> None:
        self._before: dict[tuple[int, float], tuple[float, float]] = {}

    def working(self, found: Collection[Process], now: float) -> list[str]:
        """Return the names of those that work.

        Args:
            found: the processes, without the server itself and its kernels.
            now: seconds after boot.
        """
        at_work, seen = [], {}
        for one in found:
            key = (one.pid, one.began)
            since, used = self._before.get(key, (one.began, 0.0))
            computes = one.used - used > LEAST_SHARE * max(now - since, 1.0)
            if computes or (one.foreground and one.name not in WAITING):
                at_work.append(one.name)
            seen[key] = (now, one.used) if now - since >= SHORTEST_LOOK else (since, used)
        self._before = seen
        return at_work


def kept(home: Path, now: float) -> bool:
    """Return whether the user asked that nothing be taken for idle now."""
    try:
        return float((home / KEEP).read_text(encoding="utf-8")) > now
    except (OSError, ValueError):
        return False


class Activity(AsyncMappingKernelManager):
    """The server's own kernel manager, whose last activity is now while anything of the user's is at work."""

    _last_message: datetime = utcnow()
    _look = Look()

    @property
    def last_kernel_activity(self) -> datetime:
        """When something last happened, in UTC."""
        return utcnow() if self._busy() else self._last_message

    @last_kernel_activity.setter
    def last_kernel_activity(self, moment: datetime) -> None:
        self._last_message = moment

    def _busy(self) -> bool:
        kernels = [self.get_kernel(one) for one in self.list_kernel_ids()]
        if any(getattr(kernel, "execution_state", "") == "busy" for kernel in kernels):
            return True
        if kept(Path.home(), time.time()):
            return True
        own = {os.getpid(), *(getattr(kernel.provisioner, "pid", 0) for kernel in kernels)}
        found = [one for one in processes() if one.pid not in own]
        return bool(self._look.working(found, time.clock_gettime(time.CLOCK_BOOTTIME)))
