"""Carrying out a plan for the users.

What goes wrong with one of them is that user's affair: it is noted, and the others are served.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from . import accounts, files, homes, processes, userdb
from .accounts import Plan, UserPlan
from .config import User
from .errors import InitError
from .process import run
from .registry import Registry
from .reporter import explain
from .settings import Settings

SHELL = "/bin/bash"
NO_SHELL = "/usr/sbin/nologin"
# Days since 1970; any in the past.
LONG_AGO = "1"


class Problems(dict[str, str]):
    """User → what is wrong, in words for the operator."""

    @contextlib.contextmanager
    def of(self, user: str) -> Iterator[None]:
        """Note an error about this user instead of raising it."""
        try:
            yield
        except Exception as error:
            self.setdefault(user, explain(error))


def apply(plan: Plan, settings: Settings, log: Callable[[str], None]) -> Problems:
    """Make the accounts as planned, the removed ones first. Return what could not be done."""
    problems = close(plan.close, settings, log)
    for name, problem in plan.problems.items():
        problems.setdefault(name, problem)
    fresh = []
    for one in plan.users:
        with problems.of(one.user.name):
            _account(one, settings, log)
            if one.password:
                run("chpasswd", "--encrypted", stdin=f"{one.user.name}:{one.password}\n")
                fresh.append(one.user.name)
    if fresh:
        log(f"set the passwords of {', '.join(fresh)}")
    _keys([one.user for one in plan.users], settings.keys_folder, problems, log)
    for one in plan.users:
        if one.user.name not in problems:
            with problems.of(one.user.name):
                homes.provide(one.user.name, one.uid, settings, log)
    return problems


def close(names: Collection[str], settings: Settings, log: Callable[[str], None]) -> Problems:
    """Let removed users in no longer, and end what they are running. The homes stay as they are."""
    problems = Problems()
    for name in names:
        with problems.of(name):
            _close(name, settings.users_group, log)
    return problems


def leftovers(known: Registry) -> dict[str, list[int]]:
    """Return removed user → the processes that run as that user, however they came to be."""
    names = {one.uid: name for name, one in accounts.closed(known, userdb.read_accounts()).items()}
    return {names[uid]: found for uid, found in processes.running(names).items()}


def end_leftovers(known: Registry, log: Callable[[str], None]) -> None:
    """End what runs as a removed user. Raises InitError when something cannot be ended."""
    problems = Problems()
    for name, found in leftovers(known).items():
        log(f"ending {len(found)} processes of {name}, who was removed")
    # Whether any was seen or not: a process that forks and ends at once is hardly ever there to be seen.
    for name, record in accounts.closed(known, userdb.read_accounts()).items():
        with problems.of(name):
            processes.end(record.uid)
    if problems:
        raise InitError(" ".join(problems.values()))


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


def _close(name: str, group: str, log: Callable[[str], None]) -> None:
    log(f"closing the account of {name}")
    # By the group the services know who may use them; it may have been left before.
    run("gpasswd", "--delete", name, group, ok=range(256))
    # Before what runs is ended, so that nothing new can begin.
    run("usermod", "--lock", "--shell", NO_SHELL, "--expiredate", LONG_AGO, name)
    run("loginctl", "disable-linger", name, ok=range(256))
    run("loginctl", "terminate-user", name, ok=range(256))
    processes.end(int(run("id", "--user", name)))


def _keys(users: Collection[User], folder: Path, problems: Problems, log: Callable[[str], None]) -> None:
    """Write the configured SSH keys, to a folder of root's: in a home, the user could point us elsewhere."""
    files.make_folder(folder, 0o755)
    wanted = {user.name: "".join(f"{key}\n" for key in user.ssh_keys) for user in users if user.ssh_keys}
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()
            log(f"removed {path}")
    for name, text in wanted.items():
        with problems.of(name):
            if files.write(folder / name, text, 0o644):
                log(f"wrote the SSH keys of {name}")
