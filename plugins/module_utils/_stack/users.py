# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The users of a stack, as its configuration names them, and what a parameter of SSM can hold of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .names import login_problem

LIMIT = 4096
"""Bytes that a parameter of the standard tier holds. Others cost money, and can never be made small again."""

ROOM_FOR_USERS = LIMIT - 512
"""In the machine's configuration; the rest is for what else it says."""


def keys_of(user: Mapping[str, Any]) -> list[str]:
    """Return a user's SSH keys."""
    return [str(key).strip() for key in user.get("ssh_keys") or []]


def user_problems(users: Any) -> Iterator[str]:
    """Return a sentence for each thing that keeps these users out of Parameter Store."""
    if not isinstance(users, list) or not all(isinstance(user, Mapping) for user in users):
        yield "users is no list of users, each with a name."
        return
    names = [str(user.get("name", "")) for user in users]
    for name, user in zip(names, users, strict=True):
        problem = login_problem(name)
        yield from [problem] if problem else key_problems(name, user.get("ssh_keys"))
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"'{name}' is there twice. Remove one."
    size = len(json.dumps([{"name": name} for name in names]))
    if size > ROOM_FOR_USERS:
        yield f"{len(names)} users are more than one machine can be told of. Name fewer."


def key_problems(name: str, keys: Any) -> Iterator[str]:
    """Return a sentence for each thing that is wrong with a user's SSH keys."""
    if keys is None:
        return
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        yield f"The SSH keys of '{name}' are no list of texts."
        return
    if any(len(key.strip().splitlines()) != 1 or "\0" in key for key in keys):
        yield f"An SSH key of '{name}' is empty or has several lines. A public key is one line."
    size = len("\n".join(keys).encode())
    if size > LIMIT:
        yield (
            f"The SSH keys of '{name}' take {size} bytes, and a parameter holds {LIMIT}. "
            "Name fewer, or shorter ones: an ed25519 key takes about 100."
        )
