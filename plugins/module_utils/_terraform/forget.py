# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets a state forget what is kept without Terraform from then on, by `terraform state rm`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._run.lock import DirectoryLock
from .._run.outcome import ProcessError
from .backend import LOCK_SECONDS, StateFolder, open_backend, read_state
from .errors import TerraformError
from .resolve import clean_environment
from .state import DEFAULT_STATE
from .tool import find_tool
from .tree import PRIVATE
from .workdir import state_file


def forget(
    work_dir: Path,
    backend: Mapping[str, Any] | None,
    identifier: str,
    binary: str | None,
    environ: Mapping[str, str],
    *,
    check: bool,
) -> list[str]:
    """Return the addresses that were forgotten, or in check mode would be. Raises TerraformError.

    backend: None for a state that lies in the work_dir. identifier: of the resource, as its provider has it.
    """
    environment, _warnings = clean_environment(environ)
    tool = find_tool(binary, environment)
    tool.check()
    try:
        if backend is not None:
            with open_backend(tool, backend, environment) as there:
                return [] if there.version() is None else _forget(there, [], identifier, check)
        path = state_file(work_dir)
        if not path.exists() or read_state(path) is None:
            return []
        with DirectoryLock(work_dir / PRIVATE / "lock", "terraform_state_forget", work_dir):
            there = StateFolder(tool, path.parent, environment)
            return _forget(there, [f"-state={path.name}"], identifier, check)
    except ProcessError as error:
        raise TerraformError(str(error)) from error
    except OSError as error:
        raise TerraformError(f"{error.filename or DEFAULT_STATE}: {error.strerror or error}") from error


def _forget(there: StateFolder, state: list[str], identifier: str, check: bool) -> list[str]:
    addresses = there.run("state", "list", *state, f"-id={identifier}").split()
    if addresses and not check:
        there.run("state", "rm", *state, f"-lock-timeout={LOCK_SECONDS}s", *addresses)
    return addresses
