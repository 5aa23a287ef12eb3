# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads just enough of a Terraform configuration, without Terraform: pure functions over text.

What is read: which modules it calls, whether it names a backend, and what `terraform init` depends on.
This is no HCL parser. It finds top-level blocks; where it errs, on something odd, an init too many or too
few is the worst that happens, and Terraform itself asks for one that is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CONFIG_SUFFIXES = (".tf", ".tf.json", ".tofu", ".tofu.json")

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


@dataclass(frozen=True)
class Backend:
    """Where the state is. config: only as far as it consists of plain strings."""

    type: str
    config: dict[str, str]


BUILT_IN = frozenset({"provider of terraform"})
"""What of `init_inputs` is part of Terraform itself: resources such as terraform_data."""


@dataclass(frozen=True)
class Facts:
    """What one configuration file says.

    module_sources: name of each module call → its source.
    backend: the backend block that it has ("cloud" counts as one), or None.
    init_inputs: strings which, when they change, make `terraform init` necessary.
    """

    module_sources: dict[str, str]
    backend: Backend | None
    init_inputs: frozenset[str]


def is_config(name: str) -> bool:
    """Whether Terraform or OpenTofu reads a file of this name as configuration."""
    return name.endswith(CONFIG_SUFFIXES)


def read_facts(name: str, text: str) -> Facts:
    """Read one configuration file; a broken one has no facts, Terraform will say what is wrong."""
    return _facts_of_json(text) if name.endswith(".json") else _facts_of_hcl(text)


def _facts_of_hcl(text: str) -> Facts:
    sources: dict[str, str] = {}
    backend = None
    inputs = set()
    for block in top_level_blocks(text):
        label = block.labels[0] if block.labels else ""
        if block.type == "module":
            source = block.literal("source") or ""
            sources[label] = source
            inputs.add(f"module {label} {source} {block.literal('version')}")
        elif block.type == "terraform":
            backend = backend or _backend_of_hcl(block.body)
            inputs.add(f"terraform {' '.join(block.body.split())}")
        elif block.type == "provider":
            inputs.add(f"provider {label} {block.literal('version')}")
        elif block.type in ("resource", "data", "ephemeral"):
            inputs.add(f"provider of {label.split('_', 1)[0]}")
    return Facts(sources, backend, frozenset(inputs))


def _backend_of_hcl(body: str) -> Backend | None:
    match = re.search(r'^[ \t]*(?:backend[ \t]+"([^"]+)"|(cloud))[ \t]*\{([^}]*)', body, re.MULTILINE)
    if not match:
        return None
    literals = re.findall(r'^[ \t]*(\w+)[ \t]*=[ \t]*"([^"\\$%]*)"[ \t]*$', match[3], re.MULTILINE)
    return Backend(match[1] or match[2], dict(literals))


def _backend_of_json(settings: dict[str, Any]) -> Backend | None:
    if "cloud" in settings:
        return Backend("cloud", {})
    for label, config in _members(settings, "backend"):
        return Backend(label, {key: value for key, value in config.items() if isinstance(value, str)})
    return None


def _facts_of_json(text: str) -> Facts:
    try:
        config = json.loads(text)
    except ValueError:
        return Facts({}, None, frozenset())
    sources: dict[str, str] = {}
    backend = None
    inputs = set()
    for label, module in _members(config, "module"):
        source = str(module.get("source", ""))
        sources[label] = source
        inputs.add(f"module {label} {source} {module.get('version')}")
    for settings in _dicts(config.get("terraform") if isinstance(config, dict) else None):
        backend = backend or _backend_of_json(settings)
        inputs.add(f"terraform {json.dumps(settings, sort_keys=True)}")
    for label, provider in _members(config, "provider"):
        inputs.add(f"provider {label} {provider.get('version')}")
    for kind in ("resource", "data", "ephemeral"):
        inputs.update(f"provider of {label.split('_', 1)[0]}" for label, _body in _members(config, kind))
    return Facts(sources, backend, frozenset(inputs))


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    """Terraform's JSON syntax lets a block be an object or a list of objects."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            yield item


def _members(config: Any, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for blocks in _dicts(config.get(kind) if isinstance(config, dict) else None):
        for label, value in blocks.items():
            for body in _dicts(value):
                yield label, body


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
