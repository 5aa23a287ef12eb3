"""What is remembered of the users on the data volume: /data/state/users.json.

It outlives the image, which is what lets a user keep the uid that owns their files, and the password that
they have chosen, on a machine that was baked anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import files
from .errors import InitError

SCHEMA = 1
NAME = "users.json"
DAMAGED = "users.json.damaged"


class DamagedError(InitError):
    """What is there is no registry."""


@dataclass(frozen=True)
class Record:
    """One user, there or removed. A removed user's uid is never given to another.

    Attributes:
        issued: digest of the hash from SSM that was set last; another one there means a new password.
        rotation: its number, for people who look.
        password: hash in /etc/shadow when it was last looked at; it changes when the user changes it.
    """

    uid: int
    issued: str | None = None
    rotation: int | None = None
    password: str | None = field(default=None, repr=False)


Registry = Mapping[str, Record]


def digest(password_hash: str) -> str:
    """Return what stands for a hash in `Record.issued`."""
    return hashlib.sha256(password_hash.encode()).hexdigest()


def parse(text: str | None) -> dict[str, Record]:
    """Return the registry in a JSON text; none is an empty one. Raises InitError."""
    if text is None:
        return {}
    try:
        found = json.loads(text)
        if found["schema"] != SCHEMA:
            raise InitError(f"{NAME} on the data volume was written by another release: bake with that one.")
        known = Record.__dataclass_fields__
        users = {
            name: Record(**{key: value for key, value in one.items() if key in known})
            for name, one in found["users"].items()
        }
        if not all(
            isinstance(one.uid, int)
            and not isinstance(one.uid, bool)
            and isinstance(one.password, (str, type(None)))
            for one in users.values()
        ):
            raise TypeError
        return users
    except (ValueError, KeyError, TypeError, AttributeError):
        # Not chained and not shown: the text holds password hashes.
        raise DamagedError(f"{NAME} on the data volume is damaged.") from None


def dump(registry: Registry) -> str:
    """Return the registry as JSON."""
    users = {name: asdict(record) for name, record in sorted(registry.items())}
    return json.dumps({"schema": SCHEMA, "users": users}, indent=1) + "\n"


def is_there(state: Path) -> bool:
    """Return whether the volume has a registry, whatever is in it."""
    return (state / NAME).exists()


def load(state: Path) -> dict[str, Record]:
    """Return the registry in the volume's state folder. Raises InitError, DamagedError among them."""
    try:
        text = files.read(state / NAME)
    except (OSError, UnicodeDecodeError):
        text = ""  # it is there, and no text
    return parse(text)


def set_aside(state: Path) -> None:
    """Keep what is there instead of a registry, for whoever wants to look at it."""
    found = state / NAME
    if found.is_file():
        shutil.copy2(found, state / DAMAGED)
    else:
        found.rename(state / DAMAGED)


def save(state: Path, registry: Registry) -> bool:
    """Write the registry, readable by root alone. Return whether it has changed. Raises InitError."""
    try:
        return files.write(state / NAME, dump(registry), 0o600, spare=True)
    except OSError as error:
        raise InitError(f"{NAME} on the data volume cannot be written: {error.strerror}.") from error
