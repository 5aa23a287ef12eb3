"""Starts sessions of R as units of their own, for users who ask by a socket: run by root.

RStudio Server opens no session of PAM, and has rsession in its own unit. Here each one is in its user's
slice, with the user's limits, and has by PAM what a session of SSH has, the user's own /tmp among it.
"""

from __future__ import annotations

import collections
import contextlib
import grp
import json
import os
import pwd
import secrets
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .request import MOST_BYTES, load

FOLDER = Path("/run/ds-stack-r")
"""Requests on their way, root's alone: a unit's properties can be read by everybody."""
PAM_SERVICE = "ds-stack-r"
FIRST_UID = 1000
"""Below are the system's own accounts."""
MOST_EACH = 4
"""Requests of one user at a time. The next ones are closed, so that no user keeps others from theirs."""
REQUEST_SECONDS, START_SECONDS = 5, 40
MOST_SHOWN = 300
SYSTEMD = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")


class RefusedError(Exception):
    """No session. The message is for the journal and for who has asked."""


@dataclass(frozen=True)
class Peer:
    """The process that asks, as the kernel tells it."""

    pid: int
    uid: int

    @classmethod
    def of(cls, connection: socket.socket) -> Peer:
        """Return who is at the other end."""
        found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, _gid = struct.unpack("3i", found)
        return cls(pid, uid)


def is_person(account: pwd.struct_passwd, groups: str) -> bool:
    """Return whether this is one of the machine's users, not the system. Raises RefusedError for others.

    groups: of the users, separated by commas.
    """
    theirs = {grp.getgrnam(group.strip()).gr_gid for group in groups.split(",")}
    if theirs & set(os.getgrouplist(account.pw_name, account.pw_gid)):
        return True
    if account.pw_uid < FIRST_UID:
        return False
    raise RefusedError(f"{account.pw_name} is not among those who may use RStudio")


def into_slice(peer: Peer) -> list[str]:
    """Return the command that has the asking process, which stays, among the user's own."""
    unit, properties = f"rstudio-{peer.uid}-{peer.pid}.scope", "ssa(sv)a(sa(sv))"
    about = ["PIDs", "au", "1", str(peer.pid), "Slice", "s", f"user-{peer.uid}.slice"]
    return ["busctl", "call", *SYSTEMD, "StartTransientUnit", properties, unit, "fail", "2", *about, "0"]


def session(unit: str, account: pwd.struct_passwd, request: Path, begin: str) -> list[str]:
    """Return the command that starts a session, and ends when that has begun."""
    properties = {
        "PAMName": PAM_SERVICE,
        "StandardInput": f"file:{request}",
        "SyslogIdentifier": "rsession",
        # As in RStudio's own unit: what a user has left running goes on, what takes too much ends alone.
        "ExitType": "cgroup",
        "OOMPolicy": "continue",
    }
    return [
        "systemd-run", "--quiet", "--collect", "--service-type=notify", f"--unit={unit}",
        f"--description=R session of {account.pw_name}",
        f"--uid={account.pw_name}", f"--slice=user-{account.pw_uid}.slice",
        # So that it ends before the homes are unmounted.
        f"--working-directory={account.pw_dir}",
        *(f"--property={name}={value}" for name, value in properties.items()), begin,
    ]  # fmt: skip


def run(command: Sequence[str]) -> str:
    """Return what a program of systemd's says. Raises RefusedError."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split()) or "it did not start, for which the journal has the reason"
        raise RefusedError(f"{command[0]}: {said}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RefusedError(str(error)) from error
    return done.stdout


def start(peer: Peer, account: pwd.struct_passwd, request: bytes, begin: str) -> int:
    """Start a session and return its process, 0 for one that has ended. Raises RefusedError, OSError."""
    # The one who asked may have ended, and its number be another's.
    if Path(f"/proc/{peer.pid}").stat().st_uid != peer.uid:
        raise RefusedError("the process that asks is another user's")
    unit = f"rstudio-{peer.uid}-{peer.pid}.service"
    path = FOLDER / secrets.token_hex(16)
    path.touch(0o600)
    try:
        path.write_bytes(request)
        run(into_slice(peer))
        run(session(unit, account, path, begin))
        return int(run(["systemctl", "show", "--property=MainPID", "--value", unit]))
    finally:
        path.unlink()


def answer(connection: socket.socket, peer: Peer, groups: str, begin: str) -> dict[str, object]:
    """Return the answer to one request. Raises RefusedError, OSError, ValueError, TypeError, KeyError."""
    # Before anything is decided: who asks has it told to the end, or would not read the answer.
    with connection.makefile("rb") as asked:
        request = asked.readline(MOST_BYTES)
    account = pwd.getpwuid(peer.uid)
    if not is_person(account, groups):
        return {"as_it_is": True}
    load(request)
    return {"pid": start(peer, account, request, begin)}


class Helper:
    """Answers who asks, each in a thread, and of each user a few at a time."""

    def __init__(self, groups: str, begin: str) -> None:
        """Serve members of ``groups``, whose sessions are what the program ``begin`` becomes."""
        self._groups, self._begin = groups, begin
        self._asking: collections.Counter[int] = collections.Counter()
        self._lock = threading.Lock()

    def serve(self, listening: socket.socket) -> None:
        """Serve for ever."""
        while True:
            connection, _address = listening.accept()
            peer = Peer.of(connection)
            with self._lock:
                taken = self._asking[peer.uid] < MOST_EACH
                self._asking[peer.uid] += taken
            if taken:
                threading.Thread(target=self._serve, args=(connection, peer), daemon=True).start()
            else:
                connection.close()

    def _serve(self, connection: socket.socket, peer: Peer) -> None:
        try:
            with connection:
                connection.settimeout(REQUEST_SECONDS)
                try:
                    said = answer(connection, peer, self._groups, self._begin)
                except (RefusedError, OSError, ValueError, TypeError, KeyError) as error:
                    # A line, whatever has been asked for.
                    reason = " ".join(str(error).split())[:MOST_SHOWN].encode(errors="replace").decode()
                    print(f"No session for uid {peer.uid}: {reason}", file=sys.stderr, flush=True)
                    said = {"error": reason}
                with contextlib.suppress(OSError):  # it may have gone
                    connection.sendall(json.dumps(said).encode() + b"\n")
        finally:
            with self._lock:
                self._asking[peer.uid] -= 1


def main() -> int:
    """Serve on the socket that systemd gives; for groups, whose sessions are what a program becomes."""
    for left in FOLDER.iterdir():
        left.unlink()
    groups, begin = sys.argv[1:]
    Helper(groups, begin).serve(socket.socket(fileno=3))
    return os.EX_OK
