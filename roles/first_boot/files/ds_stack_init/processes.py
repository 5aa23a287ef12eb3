"""Ending all that runs as one uid, for certain."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from .errors import InitError

PROC = Path("/proc")
PATIENCE_SECONDS = 10.0
PAUSE_SECONDS = 0.1


def running(uids: Collection[int], proc: Path = PROC) -> Mapping[int, list[int]]:
    """Return uid → its processes, for those of these uids that have any; the dead ones do not count.

    One that forks and ends at once may not be seen.
    """
    found: dict[int, list[int]] = {}
    for path in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            text = (path / "status").read_text(encoding="utf-8", errors="replace")
            status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
            if status["State"][0] not in "ZX":
                for uid in {int(one) for one in status["Uid"].split()} & set(uids):
                    found.setdefault(uid, []).append(int(path.name))
    return found


def end(uid: int, seconds: float = PATIENCE_SECONDS) -> None:
    """Kill until nothing is left. Raises InitError when something cannot be killed.

    One signal by the uid itself to all that it may signal: nothing can fork in between, as it can while
    processes are looked for and killed one by one.
    """
    last = time.monotonic() + seconds
    while True:
        _kill_all(uid)
        left = running([uid]).get(uid, [])
        if not left:
            return
        if time.monotonic() >= last:
            shown = ", ".join(str(one) for one in sorted(left)[:5])
            raise InitError(f"{len(left)} processes of uid {uid} cannot be ended ({shown}): reboot.")
        time.sleep(PAUSE_SECONDS)


def _kill_all(uid: int) -> None:
    if uid <= 0:
        raise InitError(f"The processes of uid {uid} are the system's own.")
    child = os.fork()
    if child == 0:
        # Nothing but system calls until it ends. Having been set by root, all three uids are this one's.
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            os.kill(-1, signal.SIGKILL)
        except OSError:
            pass  # there is nothing to kill
        finally:
            os._exit(0)
    os.waitpid(child, 0)
