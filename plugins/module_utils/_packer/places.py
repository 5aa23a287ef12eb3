# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where folders lie, whatever they are called: by a link, with ``..``, by another mount."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

Identity = tuple[int, int]


def absolute(path: str | Path) -> Path:
    """The path as it is spelled, but the same from everywhere. A last ``..`` is worked out: it is no name."""
    spelled = Path(path).absolute()
    return real(spelled) if spelled.name == ".." else spelled


def real(path: Path) -> Path:
    """The path without links; unlike `Path.resolve` it also takes one that leads round in a circle."""
    return Path(os.path.realpath(path))


def _identity(path: Path) -> Identity | None:
    """What tells a file or folder from every other one; None of what is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _upwards(path: Path) -> Iterator[Path]:
    yield path
    yield from path.parents


class Place:
    """A folder by where it is, not by what it is called. It need not be there yet.

    path: as a person calls it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._own = _identity(path)
        self._with_parents = {_identity(one) for one in _upwards(real(path))} - {None}

    def lies_in(self, folder: Path) -> bool:
        """Whether it is the folder, or inside of it."""
        return _identity(folder) in self._with_parents

    def holds(self, path: Path) -> bool:
        """Whether a path is the folder or inside of it, the name itself or what it links to."""
        above = {_identity(one) for one in (*_upwards(real(path)), *_upwards(real(path.parent)))}
        return self._own is not None and self._own in above
