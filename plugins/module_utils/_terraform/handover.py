# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands a state that lies in a work_dir over to a backend, by `terraform state push`.

It was kept there on purpose, or the backend did not take it at the end of an apply.

Not by `init -migrate-state -force-copy`, which lets an older state take a newer one's place.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._run.lock import DirectoryLock
from .._run.outcome import ProcessError
from .backend import LOCK_SECONDS, StateFolder, Version, open_backend, read_state
from .errors import TerraformError
from .rescued import push_rescued
from .resolve import clean_environment
from .state import RESCUED
from .tool import find_tool
from .tree import PRIVATE
from .workdir import state_file

PUSH, REMOTE, NOTHING = "push", "remote", "nothing"


@dataclass(frozen=True)
class Handover:
    """What became of it, or would in check mode.

    action: PUSH, REMOTE (what the backend has counts) or NOTHING (there was no state). kept: where the file
    is now.
    """

    action: str
    kept: Path | None = None


def decide(local: Version | None, remote: Version | None) -> str:
    """PUSH, REMOTE or NOTHING. Raises TerraformError when it is not clear which state is the right one."""
    if local is None:
        return NOTHING
    if remote and local.lineage == remote.lineage and local.serial != remote.serial:
        return PUSH if local.serial > remote.serial else REMOTE
    if not local.resources:
        return REMOTE
    if remote is None:
        return PUSH
    # Pushed to where there was none, a state gets another lineage: this one may have been pushed before.
    if local.resources == remote.resources:
        return REMOTE
    if local.lineage == remote.lineage:
        raise TerraformError("They have the same number, and not the same content.")
    raise TerraformError("They are of two different origins.")


def hand_over(
    work_dir: Path, backend: Mapping[str, Any], binary: str | None, environ: Mapping[str, str], *, check: bool
) -> Handover:
    """Hand the state in a work_dir over; the file stays beside its place. Raises TerraformError."""
    path = state_file(work_dir)
    if not path.exists():
        return Handover(NOTHING)
    try:
        if check:
            return Handover(_compared(path, backend, binary, environ, push=False))
        private = work_dir / PRIVATE
        private.mkdir(mode=0o700, exist_ok=True)
        purpose = "terraform_state_move"
        with DirectoryLock(private / "lock", purpose, work_dir):
            action = _compared(path, backend, binary, environ, push=True)
            return Handover(action, _set_aside(path))
    except ProcessError as error:
        raise TerraformError(str(error)) from error
    except OSError as error:
        raise TerraformError(f"{error.filename or path}: {error.strerror or error}") from error


def _compared(
    path: Path, backend: Mapping[str, Any], binary: str | None, environ: Mapping[str, str], *, push: bool
) -> str:
    """Decide and, where it is wanted, push."""
    local = read_state(path)
    environment, _warnings = clean_environment(environ)
    tool = find_tool(binary, environment)
    tool.check()
    with open_backend(tool, backend, environment) as there:
        remote = there.version()
        try:
            action = decide(local, remote)
        except TerraformError as error:
            raise TerraformError(
                f"There are two states, and nothing was changed. {error.message} In {path}: {local}. In the "
                f"backend {_place(backend)}: {remote}. Look which of them has what is there (terraform "
                f"show), and move the file away if it is the other one; or, if it is the file, remove the "
                "other one from the backend."
            ) from None
        if push and action == PUSH:
            _push(there, path)
            if there.version() is None:
                raise TerraformError(
                    f"The state {path} was pushed to {_place(backend)} and is not there. It is where it was."
                )
    return action


def _set_aside(path: Path) -> Path:
    kept = path.with_name(f"{path.name}.moved-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    path.rename(kept)
    return kept


def _place(backend: Mapping[str, Any]) -> str:
    config = backend.get("config") or {}
    return f"s3://{config.get('bucket')}/{config.get('key')}" if backend["type"] == "s3" else backend["type"]


def _push(there: StateFolder, path: Path) -> None:
    """Put a state there."""
    if path.name == RESCUED:
        push_rescued(lambda arguments: there.run(*arguments), path.absolute())
    else:
        there.run("state", "push", "-no-color", f"-lock-timeout={LOCK_SECONDS}s", str(path.absolute()))
