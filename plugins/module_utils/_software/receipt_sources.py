# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine has: dpkg and R are asked, conda's and Jupyter's files read. What is missing is left out."""

from __future__ import annotations

import glob
import json
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .conda import read_record
from .r import clean_environment, noted_file
from .receipt import (
    DPKG_FORMAT,
    R_PROGRAM,
    SCHEMA,
    Packages,
    ReceiptError,
    parse_apt,
    parse_conda,
    parse_dpkg,
    parse_kernel,
    parse_r,
    tools,
)


def read_machine(
    *, conda_prefixes: Sequence[str], rscripts: Sequence[str], kernel_folders: Sequence[str], os_release: str
) -> dict[str, Any]:
    """This machine's receipt, without what it cannot know. Paths may be patterns. Raises ReceiptError."""
    r_versions: dict[str, str] = {}
    libraries: dict[str, Packages] = {}
    for rscript in _found(rscripts):
        r_versions[str(rscript)], found = parse_r(_run([str(rscript), "-e", R_PROGRAM]))
        libraries |= found
    for library, packages in libraries.items():
        for name, known in packages.items():
            if sha256 := noted_file(Path(library), name):
                known["sha256"] = sha256
    system_packages = parse_dpkg(_run(["dpkg-query", "--show", f"--showformat={DPKG_FORMAT}"]))
    receipt = {
        "schema": SCHEMA,
        "system": _system(Path(os_release)),
        "os": system_packages,
        "files": _archive_files(system_packages),
        "conda": {str(path): packages for path in _found(conda_prefixes) if (packages := _environment(path))},
        "requests": {
            str(path): sorted(record.request.specs)
            for path in _found(conda_prefixes)
            if (record := read_record(path))
        },
        "r": libraries,
        "kernels": {
            path.parent.name: parse_kernel(_json(path), str(path.parent))
            for folder in _found(kernel_folders)
            for path in sorted(folder.glob("*/kernel.json"))
        },
    }
    return {**receipt, "tools": tools(receipt, r_versions)}


def _found(patterns: Iterable[str]) -> list[Path]:
    """What is there of these, each once: links lead to the same."""
    paths = (Path(name) for pattern in patterns for name in sorted(glob.glob(pattern)))  # noqa: PTH207
    return list({os.path.realpath(path): path for path in paths}.values())


def _system(os_release: Path) -> dict[str, str]:
    """Name and version of the operating system. Not the running kernel: it is a package like others."""
    try:
        lines = os_release.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ReceiptError(f"{os_release} cannot be read: {error.strerror}.") from error
    values = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    name = " ".join(shlex.split(values.get("PRETTY_NAME", "unknown")))
    return {"name": name, "architecture": platform.machine()}


def _archive_files(packages: Packages) -> dict[str, str]:
    """By apt's lists, as they are here. A machine without apt has none."""
    if shutil.which("apt-cache") is None:
        return {}
    versions = [f"{name}={known['version']}" for name, known in packages.items()]
    return parse_apt(_run(["apt-cache", "show", *versions]), packages)


def _environment(prefix: Path) -> Packages:
    return dict(parse_conda(_json(path)) for path in sorted(prefix.glob("conda-meta/*.json")))


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
        if isinstance(found, dict):
            return found
    except (OSError, ValueError) as error:
        raise ReceiptError(f"{path} cannot be read: {error}.") from error
    raise ReceiptError(f"{path} cannot be read: it holds no object.")


def _run(argv: list[str]) -> str:
    program = shutil.which(argv[0])
    if program is None:
        raise ReceiptError(f"There is no {argv[0]} on this machine, which lists what is installed.")
    done = subprocess.run(
        [program, *argv[1:]],
        env=clean_environment(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise ReceiptError(f"{argv[0]} failed with code {done.returncode}: {done.stderr.strip()[-1000:]}")
    return done.stdout
