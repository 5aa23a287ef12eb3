"""Carrying out a plan for the users."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from . import files
from .accounts import Plan, UserPlan
from .config import User
from .process import run
from .settings import Settings

SKELETON = Path("/etc/skel")
SHELL = "/bin/bash"
NO_SHELL = "/usr/sbin/nologin"
# Days since 1970; any in the past.
LONG_AGO = "1"


def apply(plan: Plan, settings: Settings, log: Callable[[str], None]) -> None:
    """Make the accounts as planned. Raises InitError."""
    for one in plan.users:
        _account(one, settings, log)
    _set_passwords(plan, log)
    for one in plan.users:
        _home(one, settings.home, log)
    for name in plan.close:
        _close(name, settings.users_group, log)
    _keys([one.user for one in plan.users], settings.keys_folder, log)


def _account(one: UserPlan, settings: Settings, log: Callable[[str], None]) -> None:
    name, uid = one.user.name, str(one.uid)
    if one.create:
        log(f"making the account of {name} with uid {uid}")
        # The group first and apart, so that an interrupted run can go on where it ended.
        run("groupadd", "--force", "--gid", uid, name)
        run(
            "useradd", "--uid", uid, "--gid", uid, "--no-create-home",
            "--home-dir", str(settings.home / name), "--shell", SHELL, name,
        )  # fmt: skip
    if one.reopen:
        log(f"opening the account of {name} again")
        run("usermod", "--expiredate", "", "--shell", SHELL, name)
    if one.join:
        run("usermod", "--append", "--groups", settings.users_group, name)


def _set_passwords(plan: Plan, log: Callable[[str], None]) -> None:
    fresh = {one.user.name: one.password for one in plan.users if one.password}
    if fresh:
        run("chpasswd", "--encrypted", stdin="".join(f"{name}:{value}\n" for name, value in fresh.items()))
        log(f"set the passwords of {', '.join(fresh)}")


def _home(one: UserPlan, homes: Path, log: Callable[[str], None]) -> None:
    """Make a home that is not there; one that is there is the user's own affair."""
    home = homes / one.user.name
    if home.exists():
        return
    unfinished = homes / f".{one.user.name}.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(SKELETON, unfinished, symlinks=True)
    for folder, folders, names in os.walk(unfinished):
        for path in [folder, *(str(Path(folder, name)) for name in [*folders, *names])]:
            os.chown(path, one.uid, one.uid, follow_symlinks=False)
    unfinished.chmod(0o700)
    unfinished.rename(home)
    log(f"made the home of {one.user.name}")


def _close(name: str, group: str, log: Callable[[str], None]) -> None:
    """Let a removed user in no longer, and end what they are running. The home stays as it is."""
    log(f"closing the account of {name}")
    # By the group the services know who may use them; it may have been left before.
    run("gpasswd", "--delete", name, group, ok=range(256))
    run("usermod", "--lock", "--shell", NO_SHELL, name)
    run("loginctl", "terminate-user", name, ok=range(256))
    _end_processes(int(run("id", "--user", name)))
    # Last what shows that the account is closed, so that an interrupted run begins again.
    run("usermod", "--expiredate", LONG_AGO, name)


def _end_processes(uid: int, seconds: float = 5.0) -> None:
    """Kill until there is nothing left; a process may start others while it is looked for."""
    end = time.monotonic() + seconds
    while (running := processes_of(uid, Path("/proc"))) and time.monotonic() < end:
        for process in running:
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(process, signal.SIGKILL)
        time.sleep(0.1)


def processes_of(uid: int, proc: Path) -> list[int]:
    """Return the processes that run as this uid, as the kernel has it in the folder ``proc``."""
    found = []
    for path in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            text = (path / "status").read_text(encoding="utf-8", errors="replace")
            status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
            if str(uid) in status["Uid"].split() and not status["State"].startswith("Z"):
                found.append(int(path.name))
    return found


def _keys(users: list[User], folder: Path, log: Callable[[str], None]) -> None:
    """Write the configured SSH keys, to a folder of root's: in a home, the user could point us elsewhere."""
    files.make_folder(folder, 0o755)
    wanted = {user.name: "".join(f"{key}\n" for key in user.ssh_keys) for user in users if user.ssh_keys}
    for name, text in wanted.items():
        if files.write(folder / name, text, 0o644):
            log(f"wrote the SSH keys of {name}")
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()
            log(f"removed {path}")
