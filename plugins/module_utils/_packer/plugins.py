# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packer's plugins: which ones a bake uses, and a template that takes those that were locked.

Packer has no lock file. It takes the newest plugin on the machine that a template allows, so a template that
allows one version is what holds it; what that version's file is, is compared.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .cli import PackerError

Plugins = Mapping[str, Mapping[str, Any]]
"""Source, such as C(github.com/hashicorp/amazon), to C(version) and C(sha256), a digest for each platform."""

_REQUIRED = re.compile(r'^\S+ (?P<source>\S+) "[^"]*" (?P<paths>/.+)$', re.MULTILINE)
_FILE = re.compile(r"_v(?P<version>[^_]+)_x[\d.]+_(?P<platform>[a-z0-9]+_[a-z0-9]+)(\.exe)?$")
_BLOCK = re.compile(r"\{[^{}]*\}")
_SOURCE = re.compile(r'^\s*source\s*=\s*"(?P<source>[^"]+)"', re.MULTILINE)
_VERSION = re.compile(r'^(\s*version\s*=\s*)"[^"]*"', re.MULTILINE)


def in_use(said: str) -> dict[str, dict[str, Any]]:
    """The plugins that a build takes, by what `packer plugins required` says: of each the last file."""
    found = {}
    for line in _REQUIRED.finditer(said):
        path = Path(re.split(r" (?=/)", line["paths"])[-1])
        if name := _FILE.search(path.name):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[line["source"]] = {"version": name["version"], "sha256": {name["platform"]: digest}}
    return found


def held(text: str, plugins: Plugins) -> str:
    """A file of a template that takes of these plugins the locked versions alone."""

    def hold(block: re.Match[str]) -> str:
        source = _SOURCE.search(block[0])
        locked = plugins.get(source["source"]) if source else None
        return _VERSION.sub(rf'\g<1>"= {locked["version"]}"', block[0]) if locked else block[0]

    return _BLOCK.sub(hold, text)


def hold(files: Iterable[Path], plugins: Plugins) -> None:
    """Have the files of a template take the locked versions alone."""
    for path in files:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        if (changed := held(text, plugins)) != text:
            path.write_text(changed, encoding="utf-8", errors="surrogateescape")


def compare(found: Plugins, plugins: Plugins) -> None:
    """Raises PackerError when one is not what was locked."""
    for source, one in found.items():
        locked = plugins.get(source, one)
        if one["version"] != locked["version"]:
            raise PackerError(f"Packer would take the plugin {source} {one['version']}.")
        for platform, digest in one["sha256"].items():
            if digest != locked["sha256"].get(platform, digest):
                raise PackerError(
                    f"The plugin {source} {one['version']} has the SHA-256 {digest}, the lock says "
                    f"{locked['sha256'][platform]}."
                )


def merged(found: Plugins, plugins: Plugins) -> dict[str, dict[str, Any]]:
    """Those in use, with what was locked of them on other platforms."""
    return {
        source: {**one, "sha256": {**plugins.get(source, {}).get("sha256", {}), **one["sha256"]}}
        for source, one in found.items()
    }


def said(plugins: Plugins) -> str:
    """For the end of an error about a plugin: what is locked, and what can be done."""
    named = ", ".join(f"{source} {one['version']}" for source, one in sorted(plugins.items()))
    return f"\nIt is held to {named} by `plugins`. To take what there is now, lock the tools anew."


def is_whole(plugins: Plugins) -> bool:
    """Whether they could have been returned by a bake."""
    return all(
        isinstance(one, Mapping)
        and isinstance(one.get("version"), str)
        and re.fullmatch(r"[\w.+-]+", one["version"])
        and isinstance(one.get("sha256"), Mapping)
        for one in plugins.values()
    )
