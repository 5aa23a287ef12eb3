# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine's configuration as parameters: one document, and each user's SSH keys. Nothing here calls AWS.

One parameter holds 4,096 bytes, which six users with RSA keys exceed. So the keys are taken out of the
document and lie in a parameter of each user's own. The document keeps their digest: with it a change of keys
is a new version of the document, which is what the machine says it has applied.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .names import OptionError
from .users import LIMIT, keys_of, user_problems

SCHEMA_WITH_KEYS_APART = 2
"""An image that looks for keys in the document alone refuses this schema; it would let nobody in by key."""

DIGEST = "ssh_keys_sha256"


@dataclass(frozen=True)
class Parts:
    """What is to be in Parameter Store.

    Attributes:
        document: the text of the configuration's parameter.
        keys: user → text of the parameter with the SSH keys; None where the configuration says nothing of
            users, and nobody's keys are to be touched.
    """

    document: str
    keys: Mapping[str, str] | None

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Parts:
        """Take a configuration apart. Raises OptionError that tells all that is wrong with it."""
        document = dict(config)
        keys: dict[str, str] | None = None
        if config.get("users") is not None:
            problems = list(user_problems(config["users"]))
            if problems:
                raise OptionError(f"config: {' '.join(problems)}")
            keys = {user["name"]: "\n".join(found) for user in config["users"] if (found := keys_of(user))}
            document["users"] = [_without_keys(user) for user in config["users"]]
        if keys:
            document["schema"] = SCHEMA_WITH_KEYS_APART
            document[DIGEST] = hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()
        text = json.dumps(document, sort_keys=True)
        if len(text) > LIMIT:
            raise OptionError(
                f"config: it takes {len(text)} bytes without the SSH keys, and the parameter holds {LIMIT}. "
                "Name fewer users."
            )
        return cls(text, keys)


def _without_keys(user: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in user.items() if name != "ssh_keys"}
