# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the top-level blocks of a text in HCL, without a parser. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*|//[^\n]*|/\*.*?\*/)
      | <<-?(?P<heredoc>[A-Za-z_][\w-]*)[ \t]*\r?\n
      | (?P<quote>")
      | (?P<open>\{)
      | (?P<close>\})""",
    re.VERBOSE | re.DOTALL,
)
_IN_STRING = re.compile(
    r"""\\. | \$\$\{ | %%\{ | (?P<template>[$%]\{) | (?P<end>")""", re.VERBOSE | re.DOTALL
)
_LABEL = r"""[ \t]*"[^"\n]*"|[ \t]+[A-Za-z_][\w-]*"""
_HEADER = re.compile(rf"""(?P<type>[A-Za-z_][\w-]*)(?P<labels>(?:{_LABEL})*)[ \t]*$""")
_ATTRIBUTE = re.compile(r"^[ \t]*([A-Za-z_][\w-]*)[ \t]*=(?!=)", re.MULTILINE)
_LITERAL = r"""^[ \t]*{name}[ \t]*=[ \t]*"((?:[^"\\$%]|\\.)*)"[ \t]*$"""


@dataclass(frozen=True)
class Block:
    """A top-level block: `type "label" ... { body }`. Comments are blanked out of the body."""

    type: str
    labels: tuple[str, ...]
    body: str

    def literal(self, name: str) -> str | None:
        """The value of an attribute that is a plain string, such as a module's source."""
        match = re.search(_LITERAL.format(name=re.escape(name)), self.body, re.MULTILINE)
        return match.group(1) if match else None


def top_level_blocks(text: str) -> Iterator[Block]:
    """The blocks of a file in HCL's native syntax, in their order."""
    depth = 0
    header: re.Match[str] | None = None
    start = position = 0
    kept: list[str] = []  # the body without comments
    while match := _TOKEN.search(text, position):
        position = match.end()
        if match.lastgroup == "comment":
            kept.append(text[start : match.start()])
            start = position
        elif match.lastgroup == "heredoc":
            position = _end_of_heredoc(text, match)
        elif match.lastgroup == "quote":
            position = _end_of_string(text, position)
        elif match.lastgroup == "open":
            if depth == 0:
                line = text.rfind("\n", 0, match.start()) + 1
                header = _HEADER.search(text[line : match.start()])
                start, kept = position, []
            depth += 1
        elif match.lastgroup == "close" and depth:
            depth -= 1
            if depth == 0 and header:
                kept.append(text[start : match.start()])
                labels = tuple(label.strip().strip('"') for label in re.findall(_LABEL, header["labels"]))
                yield Block(header["type"], labels, "".join(kept))


def attributes(body: str) -> list[str]:
    """The names of the attributes that stand in a block itself, not in a value or a block in it."""
    depth = position = 0
    own: list[str] = []
    while match := _TOKEN.search(body, position):
        if depth == 0:
            own.append(body[position : match.start()])
        position = match.end()
        if match.lastgroup == "heredoc":
            position = _end_of_heredoc(body, match)
        elif match.lastgroup == "quote":
            position = _end_of_string(body, position)
        elif match.lastgroup in ("open", "close"):
            depth += 1 if match.lastgroup == "open" else -1
    return _ATTRIBUTE.findall("".join([*own, body[position:]]))


def _end_of_heredoc(text: str, begin: re.Match[str]) -> int:
    last = re.compile(rf"^[ \t]*{re.escape(begin['heredoc'])}[ \t]*$", re.MULTILINE)
    end = last.search(text, begin.end())
    return end.end() if end else len(text)


def _end_of_string(text: str, position: int) -> int:
    """Position after the closing quote; templates in it may hold strings of their own."""
    while match := _IN_STRING.search(text, position):
        position = match.end()
        if match["end"]:
            return position
        if match["template"]:
            position = _end_of_template(text, position)
    return len(text)


def _end_of_template(text: str, position: int) -> int:
    depth = 1
    while match := re.compile(r'[{}"]').search(text, position):
        position = match.end()
        if match.group() == '"':
            position = _end_of_string(text, position)
        else:
            depth += 1 if match.group() == "{" else -1
            if depth == 0:
                return position
    return len(text)
