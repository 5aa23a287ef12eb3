"""Run a command so that the processor time of all it starts is counted: accounted.py PRIORITY COMMAND...

A process's time counts for the one that waits for it. Daemons have left those that started them, and a
container's processes are a daemon's; here they are taken in, so that whoever waits for this process
(os.wait4) is told the time of them all. What still runs when the command has ended is not waited for.

The priority is first, or after: a command with the latter gets the processors when nobody first wants them.
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
TO_END = 3.0
"""Seconds that daemons have to end after the command, which has told them to."""


def step_back() -> None:
    """Let others have the processors first, also where the kernel shares them out among sessions."""
    os.nice(NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(NICE))


def main(priority: str, command: list[str]) -> int:
    """Run the command and return its exit code."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if priority == "after":
        step_back()
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
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
