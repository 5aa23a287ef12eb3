"""What the control machine wants of this one: the documents in SSM Parameter Store."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from .errors import InitError

# With the first, the SSH keys are in the configuration; with the second, in a parameter of each user's own.
SCHEMAS = (1, 2)
TLS = ("none", "self_signed")
LOGIN_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
VOLUME_ID = re.compile(r"vol-[0-9a-f]{8,17}")
# Of a folder in a home, which is made anew.
FOLDER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
# crypt(5) hashes; the colon and the line end would leave their field in /etc/shadow.
HASH = re.compile(r"\$(6|y)\$[A-Za-z0-9./$=,]{20,400}")


@dataclass(frozen=True)
class User:
    """Somebody who may sign in."""

    name: str
    ssh_keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class HomeRestore:
    """A user's home that is wanted as a volume has it, in this folder of the living one."""

    volume_id: str
    user: str
    folder: str


@dataclass(frozen=True)
class Config:
    """The configuration of the machine.

    Attributes:
        version: the parameter's version number in SSM.
        tls: ``none`` or ``self_signed``.
        data_volume_id: for example ``vol-0123456789abcdef0``.
        restore_home: None when no home is wanted back.
    """

    version: int
    tls: str
    data_volume_id: str
    users: tuple[User, ...]
    restore_home: HomeRestore | None = None


@dataclass(frozen=True)
class Credential:
    """A password as the control machine issued it; only the hash ever gets here."""

    hash: str = field(repr=False)
    rotation: int


def parse_config(text: str, version: int) -> Config:
    """Return the configuration in a JSON text. Raises InitError that names the wrong place."""
    try:
        found: dict[str, Any] = json.loads(text)
        users = tuple(User(one["name"], tuple(one.get("ssh_keys") or ())) for one in found["users"])
        back = found.get("restore_home")
        restore = (
            HomeRestore(str(back["volume_id"]), str(back["user"]), str(back["folder"])) if back else None
        )
        config = Config(version, found["tls"], found["data_volume_id"], users, restore)
        schema = found["schema"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InitError(f"The configuration in SSM cannot be read: {error!r}. Run site.yml again.") from error
    _check(schema in SCHEMAS, f"schema {schema!r} is newer than this image: bake again")
    _check(config.tls in TLS, f"tls is {config.tls!r} and must be one of {', '.join(TLS)}")
    _check(bool(VOLUME_ID.fullmatch(str(config.data_volume_id))), "data_volume_id is no volume id")
    for user in users:
        _check(bool(LOGIN_NAME.fullmatch(str(user.name))), f"{user.name!r} is no login name")
        for key in user.ssh_keys:
            _check("\n" not in key and "\0" not in key, f"an SSH key of {user.name} has more than one line")
    if restore:
        right = (VOLUME_ID, restore.volume_id), (LOGIN_NAME, restore.user), (FOLDER, restore.folder)
        _check(
            all(one.fullmatch(text) for one, text in right), "restore_home says no volume, user and folder"
        )
        _check(restore.volume_id != config.data_volume_id, "restore_home is the data volume itself")
    names = [user.name for user in users]
    _check(len(names) == len(set(names)), "a user is there twice")
    return config


def _check(right: bool, problem: str) -> None:
    if not right:
        raise InitError(f"The configuration in SSM is wrong: {problem}.")


def parse_ssh_keys(text: str) -> tuple[str, ...]:
    """Return the SSH keys in a user's parameter, one in each line."""
    return tuple(line.strip() for line in text.split("\n") if line.strip())


def parse_credential(user: str, text: str) -> Credential:
    """Return a user's password hash. Raises InitError, which never holds any of the text."""
    try:
        found = json.loads(text)
        credential = Credential(str(found["hash"]), int(found["rotation"]))
    except (ValueError, KeyError, TypeError):
        credential = None
    if credential is None or not HASH.fullmatch(credential.hash):
        raise InitError(f"The password hash of {user} in SSM cannot be read. Rotate it.")
    return credential
