"""A user who is there for the test alone."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from .checks import WrongError
from .system import run

#: No user's name can be this one, and no user of a stack gets this uid (roles first_boot and preflight).
NAME = "ds-self-test"
UID = 59999
END_SECONDS = 10


@dataclass(frozen=True)
class User:
    """The user, with a password that nobody else knows."""

    name: str
    home: Path
    password: str = field(repr=False)


@contextmanager
def throw_away(group: str, homes: Path) -> Iterator[User]:
    """Make the user, in the group of those who may sign in, and remove every trace in the end.

    Raises WrongError.
    """
    user = User(NAME, homes / NAME, secrets.token_hex(16))
    remove(user.home)  # what a run that was killed has left
    try:
        run("groupadd", "--gid", str(UID), NAME)
        run(
            "useradd", "--uid", str(UID), "--gid", str(UID), "--groups", group, "--create-home",
            "--home-dir", str(user.home), "--shell", "/bin/bash", "--no-log-init", NAME,
        )  # fmt: skip
        user.home.chmod(0o700)
        run("chpasswd", stdin=f"{NAME}:{user.password}\n")
        yield user
    finally:
        remove(user.home)


def remove(home: Path) -> None:
    """Remove the user with all that runs and lies there. Raises WrongError when something stays."""
    # First, so that nobody is let in as this user any more.
    if _is_there():
        run("usermod", "--lock", "--expiredate", "1", NAME)
    end_processes()
    if _is_there():
        run("userdel", "--force", NAME)
    run("groupdel", NAME, ok=range(256))  # userdel has removed it where it was the user's own
    shutil.rmtree(home, ignore_errors=True)
    if home.exists() or _is_there():
        raise WrongError(f"{NAME} or {home} cannot be removed")


def _is_there() -> bool:
    with suppress(KeyError):
        return pwd.getpwnam(NAME).pw_uid == UID
    return False


def processes() -> dict[int, str]:
    """What runs as this user: process id → name."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            status = (folder / "status").read_text(encoding="utf-8", errors="replace")
            lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            if lines["Uid"].split()[0] == str(UID) and not lines["State"].startswith("Z"):
                found[int(folder.name)] = lines["Name"]
    return found


def end_processes() -> None:
    """End what runs as this user. Raises WrongError when something goes on."""
    end = time.monotonic() + END_SECONDS
    while left := processes():
        if time.monotonic() > end:
            raise WrongError(f"still runs as {NAME}: {', '.join(left.values())}")
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.1)
