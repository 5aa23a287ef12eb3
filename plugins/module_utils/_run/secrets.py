# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that are known by their values: wherever they occur in text they are replaced, however they are
written there. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from .progress import plain

SENSITIVE = "(sensitive)"

SHORTEST_SECRET = 6
"""Characters. Shorter values ("1", "dev", "admin") are not replaced wherever they occur: that would mask
half of every text. They are still masked where Terraform marks them."""

_CREDENTIAL = re.compile(r"password|secret|token|private_key|client_key|credentials", re.IGNORECASE)


def secrets_in(values: Iterable[Any]) -> set[str]:
    """The strings to look for: all leaves that are long enough, and the long lines of multi-line ones."""
    found: set[str] = set()
    for leaf in (leaf for value in values for leaf in leaves(value)):
        found.update(part for part in (leaf, *leaf.splitlines()) if len(part.strip()) >= SHORTEST_SECRET)
    return found


def _forms(secret: str) -> set[str]:
    """A secret as it is, in JSON, and in JSON in JSON, all of these also as `plain` text; as Python shows it;
    in URLs; and in base64."""
    once = _in_json(secret)
    forms = {secret, *once, *(form for inner in once for form in _in_json(inner)), repr(secret)[1:-1]}
    raw = secret.encode("utf-8", "surrogatepass")
    # Go leaves some characters as they are, by where in a URL they stand.
    forms |= {quote(raw, safe=safe) for safe in ("", "$&+=:@", "$&+,;=")} | {
        quote_plus(raw),
        *_in_base64(raw),
    }
    return forms | {text for form in forms if len((text := plain(form)).strip()) >= SHORTEST_SECRET}


def _in_json(text: str) -> set[str]:
    """As Python and as Go write it in JSON: Go's own encoder escapes what means something in HTML."""
    python = json.dumps(text, ensure_ascii=False)[1:-1]
    go = "".join(_GO_ESCAPES.get(char, char) for char in python)
    short = {"\\b": "\\u0008", "\\f": "\\u000c"}  # Go before 1.22
    old_go = re.sub(r"\\.", lambda match: short.get(match[0], match[0]), go)
    return {python, json.dumps(text)[1:-1], go, old_go}


def _in_base64(raw: bytes) -> Iterator[str]:
    """What stands in base64 for all that has this in it, as `user:secret` has; not the few characters at its
    ends that also depend on what is before and behind. What is too short says nothing."""
    for before in range(3):
        end = (before + len(raw)) // 3 * 3
        text = base64.b64encode(bytes(before) + raw)[4 if before else 0 : end // 3 * 4].decode()
        if len(text) >= SHORTEST_SECRET + 2:
            yield from {text, text.translate({43: "-", 47: "_"})}


_GO_ESCAPES = {char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def leaves(value: Any, *, keys: bool = False) -> Iterator[str]:
    """All texts and numbers in a value, as text; also the keys of dictionaries, if so."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from [str(key)] if keys else []
            yield from leaves(item, keys=keys)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from leaves(item, keys=keys)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


_OF_OTHERS = frozenset({"before", "after", "variables", "overrides"})
"""Names under which a result has what others have made, with keys that may be secret."""


class Scrubber:
    """Replaces known secrets wherever they occur in text, in all the ways in which they may be written."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self.forms: list[str] = []
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Replace these from now on, too."""
        new = set(secrets) - self._secrets
        self._secrets |= new
        forms = {form for secret in new for form in _forms(secret)}
        # All that are replaced, the longest first: one may hold another.
        self.forms = sorted({*self.forms, *forms}, key=len, reverse=True)

    @property
    def secrets(self) -> list[str]:
        """All that are replaced, the longest first, as they were given."""
        return sorted(self._secrets, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without the secrets."""
        for form in self.forms:
            if form in text:
                text = text.replace(form, SENSITIVE)
        return text

    def value(self, value: Any, *, keys: bool = False) -> Any:
        """A value without the secrets, at every depth.

        keys: also in the keys of dictionaries. Without, only in those of what is known not to be ours.
        """
        if isinstance(value, dict):
            return {
                self.text(key) if keys else key: self.value(item, keys=keys or key in _OF_OTHERS)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.value(item, keys=keys) for item in value]
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value if self.text(str(value)) == str(value) else SENSITIVE
        return value


def is_credential(name: str) -> bool:
    """Whether something is called like a credential."""
    return _CREDENTIAL.search(name) is not None


def credentials_in(value: Any) -> Iterator[Any]:
    """What lies under keys that are called like credentials: for options that may hold some."""
    if isinstance(value, dict):
        for key, item in value.items():
            if is_credential(str(key)):
                yield item
            else:
                yield from credentials_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from credentials_in(item)
