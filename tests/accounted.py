"""Run a command so that the processor time of all it starts is counted: accounted.py PRIORITY COMMAND...

A process's time counts for the one that waits for it. Daemons have left those that started them, and a
container's processes are a daemon's; here they are taken in, so that whoever waits for this process
(os.wait4) is told the time of them all. What still runs when the command has ended is not waited for.

The priority is first, or after: a command with the latter gets what the others leave of the processors. For
that it is in a control group with a small weight, as far as it may make one: nice alone holds only within a
session where the kernel shares out among sessions, and Ansible's workers have each a session of their own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
NICE = 10
GROUP = "ds-stack-tests"
WEIGHTS = ((Path("/sys/fs/cgroup/cpu"), "cpu.shares", "256"), (Path("/sys/fs/cgroup"), "cpu.weight", "25"))
"""Where control groups are, in their first and second version, and a quarter of the usual weight."""
TO_END = 3.0
"""Seconds that daemons have to end after the command, which has told them to."""


def step_back() -> Path | None:
    """Let others have the processors first. Returns the control group that this is in now, if any."""
    os.nice(NICE)
    for root, weight, small in WEIGHTS:
        if not (root / "cgroup.procs").exists():
            continue
        group = root / GROUP
        for _ in range(3):  # another part may just remove it
            with contextlib.suppress(OSError):
                group.mkdir(exist_ok=True)
                (group / weight).write_text(small)
                (group / "cgroup.procs").write_text(str(os.getpid()))
                return group
    return None


def leave(group: Path) -> None:
    """Remove the control group, unless others are in it."""
    with contextlib.suppress(OSError):
        (group.parent / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()


def main(priority: str, command: list[str]) -> int:
    """Run the command and return its exit code."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    group = step_back() if priority == "after" else None
    # Sent to the whole group: the command ends by them, and this process after it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    child = subprocess.Popen(command)
    code = None
    while code is None:
        pid, status = os.wait()
        if pid == child.pid:
            code = child.returncode = os.waitstatus_to_exitcode(status)
    end = time.monotonic() + TO_END
    with contextlib.suppress(ChildProcessError):  # all have ended
        while time.monotonic() < end:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.05)
    if group:
        leave(group)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
