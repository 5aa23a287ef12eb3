# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must not be seen: masks by Terraform's own marks, and by value where there are no marks. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

SENSITIVE = "(sensitive)"
SENSITIVE_CHANGED = "(sensitive, changed)"
UNKNOWN = "(known after apply)"

SHORTEST_SECRET = 6
"""Characters. Shorter values ("1", "dev", "admin") are not replaced wherever they occur: that would mask
half of every text. They are still masked where Terraform marks them."""

_CREDENTIAL = re.compile(r"password|secret|token|private_key|client_key|credentials", re.IGNORECASE)


def mask(value: Any, marks: Any, text: str = SENSITIVE) -> Any:
    """The value with everything marked replaced, at every depth.

    marks: `before_sensitive` or `after_sensitive` of the plan: true, or the value's own structure with
        true at the sensitive places.
    """
    if marks is True:
        return None if value is None else text
    if isinstance(marks, dict) and isinstance(value, dict):
        return {key: mask(item, marks.get(key), text) for key, item in value.items()}
    if isinstance(marks, list) and isinstance(value, list):
        padded = [*marks, *[None] * (len(value) - len(marks))]
        return [mask(item, mark, text) for item, mark in zip(value, padded, strict=False)]
    return value


def is_marked(marks: Any) -> bool:
    """Whether anything is marked, at any depth."""
    if isinstance(marks, dict):
        return any(is_marked(mark) for mark in marks.values())
    if isinstance(marks, list):
        return any(is_marked(mark) for mark in marks)
    return marks is True


def marked_values(value: Any, marks: Any) -> Iterator[Any]:
    """Everything that `mask` would replace."""
    if marks is True:
        yield value
    elif isinstance(marks, dict) and isinstance(value, dict):
        for key, item in value.items():
            yield from marked_values(item, marks.get(key))
    elif isinstance(marks, list) and isinstance(value, list):
        for item, mark in zip(value, marks, strict=False):
            yield from marked_values(item, mark)


def secrets_in(values: Iterable[Any]) -> set[str]:
    """The strings to look for: all leaves that are long enough, and the long lines of multi-line ones."""
    found: set[str] = set()
    for leaf in (leaf for value in values for leaf in _leaves(value)):
        found.update(part for part in (leaf, *leaf.splitlines()) if len(part.strip()) >= SHORTEST_SECRET)
    return found


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


class Scrubber:
    """Replaces known secrets wherever they occur in text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: list[str] = []
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Replace these from now on, too."""
        # The longest first: one may hold another.
        self._secrets = sorted({*self._secrets, *secrets}, key=len, reverse=True)

    @property
    def secrets(self) -> list[str]:
        """All that are replaced."""
        return list(self._secrets)

    def text(self, text: str) -> str:
        """The text without the secrets."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, SENSITIVE)
        return text


def credentials_in(value: Any) -> Iterator[Any]:
    """What lies under keys that are called like credentials: for options that may hold some."""
    if isinstance(value, dict):
        for key, item in value.items():
            if _CREDENTIAL.search(str(key)):
                yield item
            else:
                yield from credentials_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from credentials_in(item)
