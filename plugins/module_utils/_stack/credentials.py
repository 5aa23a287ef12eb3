# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users' passwords: how they are made, and which ones a stack needs. Nothing here calls AWS.

Two parameters belong to a user. The operator's holds the password, and nothing on the machine may read it.
The machine's holds its hash, with the version number of the operator's parameter that it was made from. So
whether the two belong together shows without anybody reading a secret; when they do not, because a run was
interrupted or the operator has put in a password of their own, the hash is made anew from the password.
"""

from __future__ import annotations

import enum
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from .._run.files import parse_object

ALPHABET = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Letters and digits without those that look alike: l I O 0 1."""

LENGTH = 24
ROUNDS = 500_000
"""Of SHA-512-crypt: about half a second for each sign-in, and for each guess at a hash that got out."""


@dataclass(frozen=True)
class Published:
    """What the machine's parameter says of a user.

    Attributes:
        hash: in the form of crypt(5).
        rotation: how often the user has been given a password.
        operator_version: version of the operator's parameter with the password that it is the hash of.
    """

    hash: str = field(repr=False)
    rotation: int
    operator_version: int


class Action(enum.Enum):
    """What to do for a user."""

    KEEP = enum.auto()
    ISSUE = enum.auto()
    """Make a password, and its hash."""
    PUBLISH = enum.auto()
    """Make the hash of the password that is there."""
    MOVE = enum.auto()
    """Write the password again, and its version beside the hash that is there."""

    @property
    def hashes(self) -> bool:
        """Whether there is a hash to make."""
        return self in (Action.ISSUE, Action.PUBLISH)


@dataclass(frozen=True)
class Plan:
    """What to do for all users. The lists are sorted and have each user at most once.

    Attributes:
        created: users who had no password.
        rotated: users who get another one because that was asked for.
        republished: users whose password is kept and whose hash is made anew.
        moved: users whose password is kept and gets another key.
        removed: users whose parameters go.
    """

    actions: Mapping[str, Action]
    created: tuple[str, ...] = ()
    rotated: tuple[str, ...] = ()
    republished: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.created or self.rotated or self.republished or self.moved or self.removed)

    @property
    def makes_hashes(self) -> bool:
        """Whether any of it takes passlib."""
        return any(action.hashes for action in self.actions.values())


def generate_password() -> str:
    """Return a new password, of 139 bits."""
    return "".join(secrets.choice(ALPHABET) for _letter in range(LENGTH))


def require() -> None:
    """Raise ImportError where no password can be hashed."""
    import passlib.hash  # noqa: F401, PLC0415


def hash_password(password: str, rounds: int = ROUNDS) -> str:
    """Return the SHA-512-crypt hash of a password. Raises ValueError for one that has none (with a NUL)."""
    # Late, so that the module can say which package is missing.
    from passlib.hash import sha512_crypt  # noqa: PLC0415

    return str(sha512_crypt.using(rounds=rounds).hash(password))


def is_hash_of(published: Published | None, password: str) -> bool:
    """Whether the hash that is there is that of a password."""
    from passlib.hash import sha512_crypt  # noqa: PLC0415

    try:
        return published is not None and bool(sha512_crypt.verify(password, published.hash))
    except ValueError:  # no hash, or no password that has one
        return False


def parse_published(text: str) -> Published | None:
    """Return what a machine's parameter says, or None when that makes no sense."""
    try:
        found = parse_object(text) or {}
        return Published(str(found["hash"]), int(found["rotation"]), int(found["operator_version"]))
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def document(published: Published) -> str:
    """Return the text of a machine's parameter."""
    return json.dumps(
        {
            "hash": published.hash,
            "rotation": published.rotation,
            "operator_version": published.operator_version,
        }
    )


def next_rotation(published: Published | None) -> int:
    """Return the number of a user's next password."""
    return published.rotation + 1 if published else 1


def plan(
    users: Collection[str],
    rotate: Collection[str],
    purge: bool,
    operator: Mapping[str, int],
    machine: Mapping[str, Published | None],
    *,
    under_another_key: Collection[str] = (),
) -> Plan:
    """Compare the users that are wanted with the parameters that are there.

    Args:
        rotate: users among them who are to get another password.
        purge: remove the parameters of users who are not wanted.
        operator: user → version of the operator's parameter.
        machine: user → what the machine's parameter says, None when it cannot be read.
        under_another_key: users whose operator's parameter does not have the key that it should. Those who
            are not wanted and stay are moved too: their passwords count again when they come back.
    """
    actions = {}
    for user in sorted(set(users) if purge else {*users, *under_another_key}):
        published = machine.get(user)
        if user not in users:
            actions[user] = Action.MOVE
        elif user not in operator or user in rotate:
            actions[user] = Action.ISSUE
        elif published is None or published.operator_version != operator[user]:
            actions[user] = Action.PUBLISH
        elif user in under_another_key:
            actions[user] = Action.MOVE
        else:
            actions[user] = Action.KEEP

    def those(action: Action) -> list[str]:
        return [user for user, one in actions.items() if one is action]

    return Plan(
        actions=actions,
        created=tuple(user for user in those(Action.ISSUE) if user not in operator),
        rotated=tuple(user for user in those(Action.ISSUE) if user in operator),
        republished=tuple(those(Action.PUBLISH)),
        moved=tuple(
            user
            for user, action in actions.items()
            if user in under_another_key and action is not Action.ISSUE
        ),
        removed=tuple(sorted((set(operator) | set(machine)) - set(actions))) if purge else (),
    )
