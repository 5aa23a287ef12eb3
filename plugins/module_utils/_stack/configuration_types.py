# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether variables have the types of their argument spec, told in sentences.

Ansible's own conversion is kinder than is good here: it takes 012 for the text "10", ``no`` for the text
"False" and "a,b" for a list. So a text has to be a text and a list a list. Only what a command line cannot
say otherwise is converted: ``-e name=3`` and ``-e name=yes`` come as texts.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from .names import shown

Option = Mapping[str, Any]

PREFIX = "ds_stack_"
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
LONGEST_NUMBER = 20
#: Those that the filter ``bool`` knows, in any case.
BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


class WrongTypeError(Exception):
    """A value cannot be what it is to be. The text is a sentence."""


@dataclass
class Checker:
    """Checks values, and collects what is wrong with them."""

    problems: list[str] = field(default_factory=list)

    def check(self, options: Mapping[str, Option], values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that have the type of their option, converted where need be."""
        found = {}
        for name in sorted(values.keys() & options.keys()):
            before = len(self.problems)
            value = self._value(name, "", options[name], values[name])
            if len(self.problems) == before:
                found[name] = value
        return found

    def _value(self, name: str, place: str, option: Option, value: Any) -> Any:
        """Return a converted value. ``place`` says which entry of a list it is."""
        kind = option.get("type", "str")
        converted: Any = None
        if value is None and kind in _TYPES:
            leave = "" if option.get("required") else ", or leave it out"
            self.problems.append(f"{name}{place} has no value. Give it one{leave}.")
        elif kind in _COLLECTIONS and not isinstance(value, _COLLECTIONS[kind]):
            self.problems.append(_other_collection(name, place, option, value))
        elif kind == "list":
            converted = self._entries(name, place, option, value)
        elif kind == "dict":
            converted = self._keys(name, place, option, value)
        else:
            try:
                converted = _SCALARS.get(kind, _anything)(f"{name}{place}", value)
            except WrongTypeError as error:
                self.problems.append(str(error))
        if "choices" in option:
            self._choices(name, place, option["choices"], converted)
        return converted

    def _entries(self, name: str, place: str, option: Option, values: Sequence[Any]) -> list[Any]:
        entry = {"type": option.get("elements", "raw"), "options": option.get("options")}
        before = len(self.problems)
        within = place.replace(" (", " of ") or ")"
        found = [
            self._value(name, f" (entry {number}{within}", entry, value)
            for number, value in enumerate(values, 1)
        ]
        if len(self.problems) == before:
            texts = [value for value in found if isinstance(value, str)]
            for text in sorted({text for text in texts if texts.count(text) > 1}):
                self.problems.append(f"{name}{place}: '{shown(text)}' is there twice. Remove one.")
        return found

    def _keys(self, name: str, place: str, option: Option, values: Mapping[Any, Any]) -> dict[str, Any]:
        wrong = [key for key in values if not isinstance(key, str)]
        for key in wrong:
            self.problems.append(
                f"{name}{place}: the key {_literal(key)} {_is(key)} and has to be a text. Put it in quotes."
            )
        options: Mapping[str, Option] | None = option.get("options")
        if wrong or options is None:
            return dict(values)
        others = [key for key in values if key not in options]
        for key in others:
            self.problems.append(f"{name}.{shown(key)}{place} is not known.{nearest(key, options)}")
        meant = {closest(key, options) for key in others}
        for key, suboption in options.items():
            if suboption.get("required") and key not in values and key not in meant:
                self.problems.append(f"{name}.{key}{place} is missing. Every entry needs one.")
        return {
            key: self._value(f"{name}.{key}", place, options[key], value)
            for key, value in values.items()
            if key in options
        }

    def _choices(self, name: str, place: str, choices: Collection[Any], value: Any) -> None:
        for one in value if isinstance(value, list) else [value]:
            if one is not None and one not in choices:
                self.problems.append(
                    f"{name}{place}: '{shown(str(one))}' is not possible. Take "
                    f"{either([str(choice) for choice in choices])}."
                )


def unknown_names(names: Collection[str], known: Collection[str], where: str = "") -> Iterator[str]:
    """Tell names that nothing reads, with what was perhaps meant."""
    for name in sorted(names):
        if name not in known:
            yield f"{where}{shown(name)} is no variable of this collection.{nearest(name, known)}"


def closest(name: str, known: Collection[str]) -> str | None:
    """Return the known name that was perhaps meant."""
    short = {one.removeprefix(PREFIX): one for one in known}
    found = get_close_matches(name.removeprefix(PREFIX), short, n=1)
    return short[found[0]] if found else None


def nearest(name: str, known: Collection[str]) -> str:
    """Return a question about the known name that was perhaps meant, or tell them if they are few."""
    if found := closest(name, known):
        return f" Did you mean {found}?"
    return f" There are {', '.join(sorted(known))}." if len(known) < 10 else ""


def either(choices: Sequence[str]) -> str:
    """Return choices as a sentence names them."""
    return " or ".join(filter(None, [", ".join(choices[:-1]), choices[-1]]))


def _anything(_where: str, value: Any) -> Any:
    return value


def _text(where: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        words = "yes, on and true" if value else "no, off and false"
        raise WrongTypeError(
            f"{where}: {_literal(value)} is no text (YAML reads {words} so). Put it in quotes."
        )
    quotes = "" if isinstance(value, (Mapping, list, tuple)) else " Put it in quotes."
    raise WrongTypeError(f"{where}: {_literal(value)} {_is(value)} and has to be a text.{quotes}")


def _whole_number(where: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and len(value) < LONGEST_NUMBER and WHOLE_NUMBER.fullmatch(value):
        return int(value)
    raise WrongTypeError(f"{where}: {_literal(value)} is no whole number. Write it in digits alone.")


def _number(where: str, value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if isinstance(value, str) and len(value) < LONGEST_NUMBER and NUMBER.fullmatch(value):
        return float(value)
    raise WrongTypeError(f"{where}: {_literal(value)} is no number.")


def _truth(where: str, value: Any) -> bool:
    if isinstance(value, (bool, int)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.lower() in BOOLEANS:
        return BOOLEANS[value.lower()]
    raise WrongTypeError(f"{where}: {_literal(value)} is neither true nor false. Write one of them.")


_SCALARS: Mapping[str, Callable[[str, Any], Any]] = {
    "bool": _truth,
    "float": _number,
    "int": _whole_number,
    "path": _text,
    "str": _text,
}
_COLLECTIONS: Mapping[str, tuple[type, ...]] = {"dict": (Mapping,), "list": (list, tuple)}
_TYPES = _SCALARS.keys() | _COLLECTIONS.keys()


def _other_collection(name: str, place: str, option: Option, value: Any) -> str:
    """A text would be cut at its commas, or at its equals signs. None is shown: it may be a private key."""
    kind, example = option["type"], _example(option)
    if isinstance(value, str) and name.startswith(PREFIX) and not place and "." not in name:
        return (
            f"{name} is a {kind}. In a file, write {example}. On the command line, write "
            f"-e '{{\"{name}\": {example}}}'."
        )
    return f"{name}{place} {_is(value)} and has to be a {kind}. Write {example}."


def _example(option: Option) -> str:
    suboptions: Mapping[str, Option] = option.get("options") or {}
    needed = [f"{name}: ..." for name, suboption in suboptions.items() if suboption.get("required")]
    one = f"{{{', '.join(needed) or '...'}}}"
    if option["type"] == "dict":
        return one
    return f"[{one if needed else '...'}]"


def _literal(value: Any) -> str:
    """A value as one would write it in YAML; nothing of what a collection holds."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, str):
        return f"'{shown(value)}'"
    if isinstance(value, (Mapping, list, tuple)):
        return "{...}" if isinstance(value, Mapping) else "[...]"
    return shown(str(value))


def _is(value: Any) -> str:
    if value is None:
        return "is nothing"
    for kinds, what in (
        (bool, "is true or false"),
        ((int, float), "is a number"),
        (str, "is a text"),
        (bytes, "is binary"),
        ((datetime.date, datetime.time), "is a date"),
        (Mapping, "is a dict"),
        ((list, tuple), "is a list"),
    ):
        if isinstance(value, kinds):
            return what
    return f"is of type {type(value).__name__}"
