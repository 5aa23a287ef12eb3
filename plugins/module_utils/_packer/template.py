# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a template is, and which variables it declares."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator

from .._run.hcl import attributes, top_level_blocks
from .fingerprint import Entry


def is_read_by_packer(entry: Entry) -> bool:
    """Whether a file is part of the template itself. Packer reads no folders in folders."""
    return "/" not in entry.name and entry.name.endswith((".pkr.hcl", ".pkr.json"))


def legacy_template(files: Iterable[Entry]) -> str | None:
    """The name of a file that is a template in the JSON of before Packer 1.5, if there is one."""
    for entry in files:
        if "/" not in entry.name and entry.name.endswith(".json") and not is_read_by_packer(entry):
            with contextlib.suppress(OSError, ValueError):
                content = json.loads(entry.path.read_bytes())
                if isinstance(content, dict) and "builders" in content:
                    return entry.name
    return None


def declared_variables(files: Iterable[Entry]) -> set[str]:
    """Names of the input variables that a template declares, in HCL or JSON."""
    names: set[str] = set()
    for entry in filter(is_read_by_packer, files):
        if entry.name.endswith(".pkr.hcl"):
            names.update(_declared_in_hcl(entry.path.read_text(encoding="utf-8", errors="replace")))
        else:
            names.update(_declared_in_json(entry.path.read_bytes()))
    return names


def _declared_in_hcl(text: str) -> Iterator[str]:
    """Names in C(variable "x" {}), C(variable x {}) and the older C(variables { x = ... })."""
    for block in top_level_blocks(text):
        if block.type == "variable" and block.labels:
            yield block.labels[0]
        elif block.type == "variables" and not block.labels:
            yield from attributes(block.body)


def _declared_in_json(text: bytes) -> Iterator[str]:
    try:
        template = json.loads(text)
    except ValueError:
        return  # a broken file is Packer's to explain
    for kind in ("variable", "variables"):
        blocks = template.get(kind, []) if isinstance(template, dict) else []
        for group in blocks if isinstance(blocks, list) else [blocks]:
            yield from group if isinstance(group, dict) else ()
