"""The index of a conda channel: ``repodata.json`` in each subdir."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from localcloud.mirror.conda_package import Package
from localcloud.mirror.target import SUBDIR


def repodata(subdir: str, packages: Iterable[Package]) -> dict[str, Any]:
    """The index of one subdir. Every package must lie in it."""
    return {
        "info": {"subdir": subdir},
        "packages": {},
        "packages.conda": {package.path.name: package.record for package in packages},
        "removed": [],
        "repodata_version": 1,
    }


def write(channel: Path, packages: Iterable[Package]) -> None:
    """Write the index of all packages into the channel, the same bytes in whatever order they come."""
    everything = list(packages)
    for subdir in (SUBDIR, "noarch"):
        index = repodata(subdir, (package for package in everything if package.record["subdir"] == subdir))
        folder = channel / subdir
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(index, indent=1, sort_keys=True) + "\n"
        (folder / "repodata.json").write_text(text, encoding="utf-8")
