# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is copied of a root module and of what it names outside of its folder; reads, writes nothing.

The copy keeps the folders' layout: where the root names `../modules/net`, the work_dir stands for the folder
that holds both, and the root lies in it under its own name, as after Terragrunt's `//`. So `..` means in the
copy what it means in the source, and nothing in it has to be rewritten.

Which folders are named is read from the text of the configuration, leniently: what a comment names comes,
too, and what is not found there Terraform does not find in the copy, and says so. All else it decides itself.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import TerraformError

PRIVATE = ".terraform_stack"
VARIABLES = "terraform_stack.auto.tfvars.json"
LOCK_FILE = ".terraform.lock.hcl"

OVERRIDES = "terraform_stack_override.tf.json"
BACKEND = "terraform_stack_override_backend_override.tf.json"
"""Terraform reads override files in the order of their names, and the last one wins."""

_CONFIG = (".tf", ".tf.json", ".tofu", ".tofu.json")

_SKIPPED = frozenset(
    {".terraform", ".git", ".svn", ".hg", "__pycache__", PRIVATE, LOCK_FILE, "terraform.tfstate.d"}
)
_NEVER = re.compile(r"\.tfstate(\.\d+)?(\.backup)?$|\.tfstate\.lock\.info$|\.tfplan$")

_MODULE = re.compile(r'\bsource"?\s*[=:]\s*"(?P<path>\.\.?/[^"$%\\]*)(?P<end>["$%])')
_FILE = re.compile(
    r'(?:\$\{\s*path\.(?P<base>module|root|cwd)\s*\}/+|\b\w*file\w*\(\s*\\?")'
    r'(?P<path>[^"$%\\\n]*)(?=(?P<end>["$%\\]))'
)

Identity = tuple[int, int]
"""What a folder is, however its path is spelled."""


def is_skipped(name: str) -> bool:
    """Not needed there, or Terraform's own: a state above all must never be copied over another."""
    return name in _SKIPPED or _NEVER.search(name) is not None


@dataclass(frozen=True)
class Tree:
    """What the work_dir shall hold.

    entries: path in the work_dir → file to copy, or the content itself (then it may hold what not
        everybody shall read, and gets mode 0600).
    root: path in the work_dir of the folder where Terraform runs. lock_file: the source's own.
    """

    entries: Mapping[str, Path | bytes] = field(default_factory=dict, repr=False)
    root: Path = Path()
    lock_file: Path | None = None

    def origin(self, file: str) -> str:
        """Where a file that Terraform names came from."""
        origin = self.entries.get(os.path.normpath(self.root / file))
        return str(origin) if isinstance(origin, Path) else file

    def with_backend(self, kind: str, config: Mapping[str, Any]) -> Tree:
        """The same with another backend in force."""
        return self.with_file(self.last_override(BACKEND), {"terraform": {"backend": {kind: config}}})

    def with_file(self, name: str, value: Any) -> Tree:
        """The same with a file of ours in the root."""
        entries = {**self.entries, os.path.normpath(self.root / name): as_json(value)}
        return Tree(entries, self.root, self.lock_file)

    def last_override(self, name: str) -> str:
        """A name that ends like the given one, which Terraform reads after all override files of others."""
        theirs = [Path(path) for path, content in self.entries.items() if isinstance(content, Path)]
        overrides = [path.name for path in theirs if path.parent == self.root and _overrides(path.name)]
        last = max(overrides, key=os.fsencode, default="")
        # What begins with another name comes after it.
        return name if os.fsencode(last) < os.fsencode(name) else f"{last}_{name}"


def as_json(value: Any) -> bytes:
    """As our files have it."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _overrides(name: str) -> bool:
    """Whether Terraform or OpenTofu takes a file for an override file."""
    stem = next((name.removesuffix(suffix) for suffix in _CONFIG if name.endswith(suffix)), "")
    return stem == "override" or stem.endswith("_override")


def read_tree(
    source: Path,
    work_dir: Path,
    variables: Mapping[str, Any],
    backend: Mapping[str, Any] | None,
    overrides: Mapping[str, Any],
) -> Tree:
    """Decide what the work_dir shall hold.

    source, work_dir: without links and `..` in them. backend: {"type", "config"} or None for what the source
    says. Raises TerraformError.
    """
    top, files = _gather(source, work_dir)
    entries = {str(place.relative_to(top)): path for place, path in files.items()}
    lock_file = source / LOCK_FILE
    tree = Tree(entries, source.relative_to(top), lock_file if lock_file.is_file() else None)
    if overrides:
        tree = tree.with_file(tree.last_override(OVERRIDES), overrides)
    tree = tree.with_file(VARIABLES, variables)
    return tree if backend is None else tree.with_backend(backend["type"], backend.get("config") or {})


@dataclass(frozen=True)
class _Named:
    """Something that a configuration names.

    place: where it has to be. path: where it is. whole: with all that is in it, else its files alone.
    """

    place: Path
    path: Path
    whole: bool = True

    def is_in(self, folder: Path) -> bool:
        """Whether it is here with a folder that is."""
        return self.place.is_relative_to(folder) and self.place.exists() and self.place.samefile(self.path)


def _gather(source: Path, work_dir: Path) -> tuple[Path, dict[Path, Path]]:
    """The folder for which the work_dir stands, and the files to copy: place below it → file."""
    wanted = [_Named(source, source)]
    folders: list[Path] = []  # that are here with all that is in them
    above: list[Path] = []
    files: dict[Path, Path] = {}
    while wanted:
        named = wanted.pop()
        if named.place in files or any(named.is_in(folder) for folder in folders):
            continue
        if named.path.is_dir():
            check_apart(named.path, work_dir)
            (folders if named.whole else above).append(named.place)
            found = {named.place / file.relative_to(named.path): file for file in _files(named, work_dir)}
        else:
            above.append(named.place.parent)
            found = {named.place: named.path}
        new = {place: file for place, file in found.items() if place not in files}
        files |= new
        for place, file in new.items():
            if place.name.endswith(_CONFIG):
                wanted += _names(place, file, source, work_dir)
    return Path(os.path.commonpath([*folders, *above])), files


def check_apart(folder: Path, work_dir: Path) -> None:
    """Raises TerraformError when a folder lies in the work_dir that is to hold its copy."""
    if folder.resolve().is_relative_to(work_dir):
        raise TerraformError(
            f"work_dir ({work_dir}) must not be or contain the source ({folder}): "
            "it holds a copy of the source, the source itself is never written to."
        )


def _names(place: Path, file: Path, source: Path, work_dir: Path) -> Iterator[_Named]:
    """What a configuration file names by a path, if it is there."""
    text = file.read_text(encoding="utf-8", errors="replace")
    for match in _MODULE.finditer(text):
        # Terraform itself joins the paths of modules, without a look at links.
        there = Path(os.path.normpath(place.parent / _path_in(match)))
        if there.is_dir():
            yield _Named(there, there)
    for match in _FILE.finditer(text):
        named = _path_in(match)
        if ".." not in named or named.startswith("/"):
            continue
        base, here = (place.parent, file.parent) if match["base"] == "module" else (source, source)
        there = Path(os.path.normpath(base / named))
        path = Path(os.path.realpath(here / named))
        if path.exists() and not is_skipped(path.name) and not path.is_relative_to(work_dir):
            yield _Named(there, path, whole=not source.is_relative_to(there))


def _path_in(match: re.Match[str]) -> str:
    """The path that is named; of one that goes on with an expression the folder before that."""
    return match["path"].rpartition("/")[0] if match["end"] in "$%" else match["path"]


def _files(named: _Named, work_dir: Path) -> Iterator[Path]:
    # A link to a folder above would bring all that is there.
    shut = {_identity(folder) for folder in (work_dir, *named.path.resolve().parents)}
    return _walk(named.path, frozenset(shut - {None}), deep=named.whole)


def _walk(folder: Path, shut: frozenset[Identity | None], *, deep: bool = True) -> Iterator[Path]:
    """All files below a folder that a copy needs. Links are followed, but for those to what is shut."""
    here = _identity(folder)
    if here in shut:
        return
    try:
        names = sorted(path.name for path in folder.iterdir())
    except PermissionError:
        return  # if it is needed, Terraform will say so
    for name in names:
        path = folder / name
        if path.is_file() and not is_skipped(name):  # no sockets, no links to nowhere
            yield path
        # One with our folder in it is the work_dir of another stack.
        elif deep and path.is_dir() and name not in _SKIPPED and not (path / PRIVATE).exists():
            yield from _walk(path, shut | {here})


def _identity(folder: Path) -> Identity | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
