# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine has of the programs and Python packages that a stack needs."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._packer.fingerprint import Entry, entries, layered_entries
from .._run.hcl import top_level_blocks
from .._terraform.resolve import clean_environment
from .._terraform.workdir import has_providers, last_variables, root_of
from .preflight import Program

_VERSION = re.compile(r"^(?:Packer|Terraform|OpenTofu) v(\d\S*)", re.MULTILINE)

#: Seconds; a program of the same name may wait for input for ever.
_PATIENCE = 30


def missing_libraries(names: Iterable[str]) -> list[str]:
    """The Python packages among these that cannot be imported."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def packer(template: Path, overlay: Path | None) -> Program:
    """Packer, and the versions that the template with its overlay takes. Raises FingerprintError."""
    files = layered_entries([template, *([overlay] if overlay else [])])
    constraint = _constraint((file for file in files if file.name.endswith(".pkr.hcl")), "packer")
    return _program("Packer", ["packer"], constraint)


def terraform(root: Path) -> Program:
    """Terraform or OpenTofu, and the versions that the root module takes. Raises FingerprintError."""
    files = (file for file in entries(root) if file.name.endswith(".tf"))
    return _program("Terraform or OpenTofu", ["terraform", "tofu"], _constraint(files, "terraform"))


def session_manager_plugin() -> Program:
    """What Packer needs for a bake that has no address. Of any version: it says it in no form of Packer's."""
    name = "session-manager-plugin"
    return Program(name, shutil.which(name), "any", "")


def fetch_providers(
    root: Path, work_dir: Path, overrides: Mapping[str, Any], providers: Mapping[str, Any]
) -> None:
    """Have Terraform fetch the providers for a root module to where it will run; once, it keeps them there.

    A stack that was applied has them. Where it is to have others, it is seen only that these can be had: the
    variables that are there are needed to destroy what was made.

    Raises TerraformError. Not from a thread: it forks.
    """
    applied = bool(last_variables(work_dir))
    if applied and (not providers or has_providers(root_of(work_dir), providers)):
        return
    # Seldom needed, and a third of what the module imports of its own.
    from .._terraform import line  # noqa: PLC0415

    if applied:
        line.look_for_providers(root, overrides, providers)
    else:
        line.fetch_providers(root, work_dir, overrides, providers)


def _constraint(files: Iterable[Entry], kind: str) -> str:
    """What a configuration says of the versions of its own program."""
    found = [
        block.literal("required_version")
        for file in files
        if "/" not in file.name
        for block in top_level_blocks(file.path.read_text(encoding="utf-8", errors="replace"))
        if block.type == kind
    ]
    return ", ".join(constraint for constraint in found if constraint)


def _program(name: str, candidates: Sequence[str], constraint: str) -> Program:
    for candidate in candidates:
        if path := shutil.which(candidate):
            return Program(name, path, _version(path), constraint)
    return Program(name, None, None, constraint)


def _version(path: str) -> str | None:
    environment, _warnings = clean_environment(os.environ)
    try:
        said = subprocess.run(
            [path, "version"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(said.stdout)
    return match[1] if match else None
