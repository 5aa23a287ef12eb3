# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Terraform's dependency lock file, as values and back. Pure.

What it says of a provider is a version and hashes of the packages of it; `h1:` ones are of the platforms it
was fetched on, `zh:` ones of all that its registry has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from .._run.hcl import top_level_blocks
from .errors import TerraformError

Providers = Mapping[str, Mapping[str, Any]]
"""Address, such as C(registry.terraform.io/hashicorp/aws), to C(version) and C(hashes)."""

_ADDRESS = re.compile(r"[\w.:-]+/[\w-]+/[\w-]+")
_VERSION = re.compile(r"[\w.+-]+")
_HASH = re.compile(r"[a-z0-9]+:[\w+/=]+")
_LISTED = re.compile(rf'^\s*"({_HASH.pattern})"', re.MULTILINE)


def read(text: str) -> dict[str, dict[str, Any]]:
    """What a lock file says."""
    return {
        block.labels[0]: {"version": block.literal("version"), "hashes": _LISTED.findall(block.body)}
        for block in top_level_blocks(text)
        if block.type == "provider" and block.labels
    }


def write(providers: Providers) -> bytes:
    """A lock file that says this, as Terraform itself writes it."""
    blocks = []
    for address, locked in sorted(providers.items()):
        hashes = "".join(f"    {json.dumps(one)},\n" for one in sorted(locked["hashes"]))
        listed = f"  hashes = [\n{hashes}  ]\n" if hashes else ""
        blocks.append(f'provider "{address}" {{\n  version = "{locked["version"]}"\n{listed}}}\n')
    return "\n".join(blocks).encode()


def check(providers: Providers) -> None:
    """Raises TerraformError for what cannot stand in a lock file."""
    for address, locked in providers.items():
        if not (
            _ADDRESS.fullmatch(address)
            and isinstance(locked, Mapping)
            and _VERSION.fullmatch(str(locked.get("version", "")))
            and isinstance(locked.get("hashes"), list)
            and all(_HASH.fullmatch(str(one)) for one in locked["hashes"])
        ):
            raise TerraformError(
                f"providers: {address} is not whole. It takes a version and hashes, as they were returned."
            )


def keeps_to(locked: Providers, providers: Providers) -> bool:
    """Whether a lock says the same of those providers that it has, or more: hashes of other platforms."""
    return all(
        locked[address]["version"] == one["version"] and set(one["hashes"]) <= set(locked[address]["hashes"])
        for address, one in providers.items()
        if address in locked
    )


def said(providers: Providers) -> str:
    """For the end of an error about a provider: what is locked, and what can be done."""
    held = ", ".join(f"{address} {one['version']}" for address, one in sorted(providers.items()))
    return f"\nIt is held to {held} by `providers`. To take what there is now, lock the tools anew."
