"""What RStudio Server starts in the place of rsession, as the user: asks for it and stays while it runs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys

from .request import SESSION, SOCKET, Request

PATIENCE_SECONDS = 60
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def ask(request: Request, path: str = SOCKET) -> dict[str, object]:
    """Return what the helper says. Raises OSError, ValueError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(path)
        connection.sendall(request.dump())
        with connection.makefile("rb") as answer:
            return dict(json.loads(answer.readline() or b"{}"))


def stay(pid: int) -> None:
    """Wait for a process's end, and give it the signals that come."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return

    def forward(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, number)

    for number in FORWARDED:
        signal.signal(number, forward)
    end = select.poll()
    end.register(process, select.POLLIN)
    end.poll()


def main() -> int:
    """Run as rsession would, with its arguments; never without what keeps a user from the others."""
    arguments = sys.argv[1:]
    try:
        answer = ask(Request.own(arguments))
    except (OSError, ValueError) as error:
        answer = {"error": f"The helper at {SOCKET} does not answer ({error}): see ds-stack-r.service."}
    if answer.get("as_it_is"):  # RStudio tries its own installation by a session of its own account
        os.execv(SESSION, [SESSION, *arguments])  # noqa: S606
    pid = answer.get("pid")
    if not isinstance(pid, int):
        reason = answer.get("error", "The helper refused: too many requests at once.")
        print(f"No session of R for uid {os.getuid()}: {reason}", file=sys.stderr)
        return 1
    if pid:  # it may have ended
        stay(pid)
    return 0
