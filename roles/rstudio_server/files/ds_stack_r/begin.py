"""What the unit of a session starts, as the user, with the request on its standard input."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import sys

from .request import SESSION, load


def main() -> int:
    """Become rsession, with what it was asked for with."""
    request = load(sys.stdin.buffer.read())
    for name, (soft, hard) in request.limits.items():
        with contextlib.suppress(ValueError, OSError):  # nobody raises what is lower here
            resource.setrlimit(getattr(resource, name), (soft, hard))
    with contextlib.suppress(OSError):
        os.chdir(request.folder)
    os.umask(request.umask)
    # What is executed next does not know systemd. Before that, all that could be refused has been granted.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.execve(SESSION, [SESSION, *request.arguments], request.environment)  # noqa: S606
