# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fingerprint of an image: one hash over everything that shapes it.

Two runs with the same content must come to the same hash wherever they run, so only what reaches the
image counts: of a file its relative name, whether it is executable, and its bytes. Owner, times and the
other mode bits follow the umask and the way the collection was installed.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from .places import Place, real

#: Part of every fingerprint. Raise it when the way of hashing changes: every image is then baked anew, once.
SCHEMA = 1

#: What interpreters, editors and file managers leave in a checkout, and a tarball does not carry.
IGNORED = (
    "__pycache__",
    "*.py[co]",
    "*.retry",
    "*~",
    "#*#",
    ".#*",
    ".*.sw?",
    ".DS_Store",
    ".git",
    ".idea",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".vscode",
)


class FingerprintError(Exception):
    """A path that should be hashed cannot be read; the text names it."""


@dataclass(frozen=True)
class Entry:
    """One file that counts: its name relative to the hashed folder, with ``/``, and where it lies."""

    name: str
    path: Path

    def digest(self) -> str:
        """SHA-256 over name, executable bit and bytes, in hexadecimal.

        Raises FingerprintError when the file cannot be read.
        """
        try:
            mode = self.path.stat().st_mode
            if not stat.S_ISREG(mode):  # to read a named pipe would take for ever
                raise FingerprintError(f"{printable(self.path)} is neither a file nor a folder: remove it")
            executable = bool(mode & stat.S_IXUSR)
            content = hashlib.sha256(self.path.read_bytes()).hexdigest()
        except OSError as error:
            raise FingerprintError(
                f"Cannot read {printable(self.path)} for the fingerprint: {error.strerror}"
            ) from error
        return value_digest([self.name, executable, content])


def printable(name: str | Path) -> str:
    """The name of a file in one line that can be told: a name is bytes, and need not be text."""
    text = str(name).encode("utf-8", "backslashreplace").decode()
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def value_digest(value: Any) -> str:
    """SHA-256 of a JSON value, in hexadecimal. The order of a dictionary's keys does not count."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def entries(path: Path, without: Collection[str] = (), *, apart_from: Place | None = None) -> list[Entry]:
    """The files below a folder that count, ordered by name; for a file, that file under its own name.

    without: names of files and folders directly in the folder that do not count.
    apart_from: a folder that is written to.

    A symbolic link counts as what it points to: an installed collection may hold a copy in its place.
    Raises FingerprintError when there is nothing at the path, when a folder links into itself, and when that
    other folder is a part of it or holds one.
    """
    if path.is_dir():
        found = _walk(path, "", (real(path),), without, apart_from)
        return sorted(found, key=lambda entry: entry.name)
    if path.is_file():
        return [Entry(path.name, path)]
    raise FingerprintError(f"Cannot take the fingerprint of {path}: there is no such file or folder")


def layered_entries(layers: Iterable[Path], *, apart_from: Place | None = None) -> list[Entry]:
    """The files of several folders laid over each other: of equal names the last folder's counts."""
    merged = {entry.name: entry for layer in layers for entry in entries(layer, apart_from=apart_from)}
    return [merged[name] for name in sorted(merged)]


def digests(found: Iterable[Entry]) -> dict[str, str]:
    """The digest of each file by its name. Raises FingerprintError when one cannot be read."""
    return {entry.name: entry.digest() for entry in found}


def fingerprint(parts: Mapping[str, str]) -> str:
    """The hash over all parts, each a digest under a name that is stable from run to run."""
    return value_digest({"schema": SCHEMA, "parts": dict(parts)})


def changed_parts(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Names of the parts that differ, are new or are gone, ordered: why a fingerprint is another one."""
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def _walk(
    folder: Path,
    prefix: str,
    parents: tuple[Path, ...],
    without: Collection[str] = (),
    apart_from: Place | None = None,
) -> Iterator[Entry]:
    for child in folder.iterdir():
        if child.name in without or any(fnmatch(child.name, pattern) for pattern in IGNORED):
            continue
        if apart_from is not None:
            _refuse_what_changes(child, apart_from)
        name = prefix + child.name
        if child.is_dir():
            target = real(child)
            if target in parents:
                raise FingerprintError(
                    f"Cannot take the fingerprint of {printable(child)}: it links to a folder that holds it"
                )
            yield from _walk(child, f"{name}/", (*parents, target), apart_from=apart_from)
        else:
            yield Entry(name, child)


def _refuse_what_changes(child: Path, place: Place) -> None:
    """Raises FingerprintError for a link by which every run would see what the last one wrote."""
    if place.lies_in(child) or (child.is_symlink() and place.holds(child)):
        raise FingerprintError(
            f"{printable(child)} leads to the folder {place.path}, which is written to: no fingerprint would "
            "ever be the same. Name another folder as work_dir, or remove the link."
        )
