"""Reading the account files of this machine."""

from __future__ import annotations

import grp
import pwd
from pathlib import Path

from .accounts import Account, Machine
from .settings import Settings

SHADOW = Path("/etc/shadow")


def parse_shadow(text: str) -> dict[str, tuple[str, bool]]:
    """Return name → (password field, whether an expiry date is set)."""
    found = {}
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) >= 8:
            found[fields[0]] = (fields[1], fields[7] != "")
    return found


def read_accounts() -> dict[str, Account]:
    """Return all accounts of this machine."""
    shadow = parse_shadow(SHADOW.read_text(encoding="utf-8"))
    found = {}
    for entry in pwd.getpwall():
        password, expired = shadow.get(entry.pw_name, ("!", False))
        found[entry.pw_name] = Account(entry.pw_uid, entry.pw_shell, password, expired, entry.pw_dir)
    return found


def read_machine(settings: Settings) -> Machine:
    """Return all that the plan for the users depends on."""
    groups = {entry.gr_name: entry for entry in grp.getgrall()}
    group = groups.get(settings.users_group)
    homes = [path for path in settings.home.iterdir() if not path.name.startswith(".")]
    return Machine(
        accounts=read_accounts(),
        groups={name: entry.gr_gid for name, entry in groups.items()},
        members=frozenset(group.gr_mem) if group else frozenset(),
        home_owners={path.name: path.lstat().st_uid for path in homes},
    )
