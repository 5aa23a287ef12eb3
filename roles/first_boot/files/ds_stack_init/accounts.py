"""Which accounts there must be, and what has to be done about them. Pure: nothing is done here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from .config import Credential, User
from .errors import InitError
from .registry import Record, Registry, digest

# Users' uids are below. This one is that of the self-test's user (role smoke_test); beyond are systemd's own,
# such as those of units with DynamicUser.
END_UID = 59999


@dataclass(frozen=True)
class Account:
    """An account on this image.

    Attributes:
        password: second field of /etc/shadow.
        expired: whether an expiry date is set.
        home: the home folder, wherever that may be.
    """

    uid: int
    shell: str = "/bin/bash"
    password: str = field(default="!", repr=False)
    expired: bool = False
    home: str = ""

    @property
    def own_password(self) -> str | None:
        """The hash, if it is one that a user can sign in with."""
        return self.password if self.password.startswith("$") else None


@dataclass(frozen=True)
class Machine:
    """The accounts and groups of this image, and what lies on the data volume.

    Attributes:
        accounts: by name, the image's own among them.
        groups: name → gid.
        members: of the users' group.
        home_owners: name of a folder in /data/home → uid of its owner.
    """

    accounts: Mapping[str, Account]
    groups: Mapping[str, int] = field(default_factory=dict)
    members: Collection[str] = ()
    home_owners: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class UserPlan:
    """What to do for one user.

    Attributes:
        create: make the account and its group.
        reopen: undo what was done when the user was removed.
        join: put it into the users' group.
        password: hash to set.
    """

    user: User
    uid: int
    create: bool = False
    reopen: bool = False
    join: bool = False
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Plan:
    """What to do for all users.

    Attributes:
        close: accounts of users who were removed.
        registry: what to remember from now on.
        without_password: users whom SSM and the registry know no password for.
        problems: user for whom nothing can be done → why.
    """

    users: tuple[UserPlan, ...]
    close: tuple[str, ...]
    registry: Registry
    without_password: tuple[str, ...]
    problems: Mapping[str, str] = field(default_factory=dict)


def plan(
    users: Collection[User],
    credentials: Mapping[str, Credential],
    registry: Registry,
    machine: Machine,
    first_uid: int,
) -> Plan:
    """Compare what is wanted with what is there.

    A name that belongs to the image itself, or a home to somebody else, is a problem of that user's alone.
    """
    records = dict(registry)
    plans = []
    problems = {}
    for user in users:
        account = machine.accounts.get(user.name)
        try:
            uid = _uid(user.name, records, machine, first_uid)
            _refuse_conflicts(user.name, uid, account, machine)
        except InitError as error:
            problems[user.name] = str(error)
            continue
        record = records.get(user.name) or Record(uid)
        record, password = _password(record, credentials.get(user.name), account)
        records[user.name] = record
        plans.append(
            UserPlan(
                user,
                uid,
                create=account is None,
                reopen=account is not None and account.expired,
                join=account is None or user.name not in machine.members,
                password=password,
            )
        )
    wanted = {user.name for user in users}
    for name in set(records) - wanted:
        records[name] = _remember(records[name], machine.accounts.get(name))
    return Plan(
        users=tuple(plans),
        close=to_close(wanted, records, machine.accounts),
        registry=records,
        without_password=tuple(one.user.name for one in plans if not records[one.user.name].password),
        problems=problems,
    )


def to_close(wanted: Collection[str], registry: Registry, accounts: Mapping[str, Account]) -> tuple[str, ...]:
    """Return the removed users whose accounts are still open."""
    return tuple(
        name
        for name, record in sorted(registry.items())
        if name not in wanted
        and name in accounts
        and accounts[name].uid == record.uid
        and not accounts[name].expired
    )


def closed(registry: Registry, accounts: Mapping[str, Account]) -> Registry:
    """Return the users as whom nothing may run: removed ones, with an account on this image or without."""
    used = {account.uid for account in accounts.values() if not account.expired}
    return {name: record for name, record in registry.items() if record.uid not in used}


def recover(
    accounts: Mapping[str, Account], credentials: Mapping[str, Credential], homes: Path, first_uid: int
) -> dict[str, Record]:
    """Return a registry of the accounts that this program has made, for one that cannot be read.

    Their homes tell. A password that works stays: it counts as the one that was issued last.
    """
    return {
        name: Record(
            account.uid,
            issued=digest(credentials[name].hash) if name in credentials and account.own_password else None,
            password=account.own_password,
        )
        for name, account in accounts.items()
        if account.uid >= first_uid and account.home == str(homes / name)
    }


def remember(registry: Registry, accounts: Mapping[str, Account]) -> dict[str, Record]:
    """Return the registry with the passwords as they are in /etc/shadow now."""
    return {name: _remember(record, accounts.get(name)) for name, record in registry.items()}


def _remember(record: Record, account: Account | None) -> Record:
    if account and account.uid == record.uid and account.own_password:
        return replace(record, password=account.own_password)
    return record


def _password(
    record: Record, credential: Credential | None, account: Account | None
) -> tuple[Record, str | None]:
    """Return what to remember of a user, and the hash to set if there is one."""
    if credential and digest(credential.hash) != record.issued:
        issued = digest(credential.hash)
        record = replace(record, issued=issued, rotation=credential.rotation, password=credential.hash)
        return record, credential.hash
    record = _remember(record, account)
    on_image = account.own_password if account else None
    return record, record.password if record.password != on_image else None


def _uid(name: str, records: Registry, machine: Machine, first_uid: int) -> int:
    """Return the uid that a user has, or a free one that nobody has ever had."""
    if name in records:
        return records[name].uid
    taken = {account.uid for account in machine.accounts.values()}
    taken |= set(machine.groups.values()) | {record.uid for record in records.values()}
    owner = machine.home_owners.get(name)
    if owner is not None and owner >= first_uid and owner not in taken:
        return owner
    taken |= set(machine.home_owners.values())
    free = next((uid for uid in range(first_uid, END_UID) if uid not in taken), None)
    if free is None:
        raise InitError(f"No uid from {first_uid} to {END_UID - 1} is left for '{name}'.")
    return free


def _refuse_conflicts(name: str, uid: int, account: Account | None, machine: Machine) -> None:
    if account and account.uid != uid:
        raise InitError(f"The image itself has an account '{name}': give that user another name.")
    if machine.groups.get(name, uid) != uid:
        raise InitError(f"The image itself has a group '{name}': give that user another name.")
    groups = {other for other, gid in machine.groups.items() if gid == uid and other != name}
    if groups:
        raise InitError(f"The gid {uid} of '{name}' belongs to the image's group '{min(groups)}'.")
    others = {other for other, one in machine.accounts.items() if one.uid == uid and other != name}
    if others:
        raise InitError(f"The uid {uid} of '{name}' belongs to the image's account '{min(others)}'.")
    owner = machine.home_owners.get(name, uid)
    if owner != uid:
        raise InitError(
            f"The home of '{name}' belongs to uid {owner}, and the user has uid {uid}. If it is theirs, run: "
            f"chown -R {uid}:{uid} on that folder."
        )
