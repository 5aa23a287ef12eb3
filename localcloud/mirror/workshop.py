"""What a part of the mirror gets to build with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Finished:
    """A finished part: its files, laid out as in the mirror, and its entries of the manifest."""

    tree: Path
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class Workshop:
    """The folders and helpers of one build of one part."""

    tree: Path  #: the part's files go here, with their paths in the mirror
    scratch: Path  #: empty folder, removed after the build
    downloads: Path  #: kept between builds and shared by the parts: verify what you find in it
    needed: Mapping[str, Finished]  #: the finished parts that this one needs, by name
    log: Callable[[str], None]  #: one line of progress
