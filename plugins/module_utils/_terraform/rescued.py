# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a state where it is kept that an apply could not save there, as when its credentials expired."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Callable
from pathlib import Path

from .errors import TerraformError
from .hints import lock_info, locked_since


def push_rescued(run: Callable[[list[str]], object], path: Path) -> None:
    """Push such a state. Whoever could not save it could not give the state's lock back either.

    run: runs a command of Terraform's. Raises TerraformError, of a lock that may be another run's.
    """
    push = ["state", "push", "-no-color", str(path)]
    try:
        run(push)
    except TerraformError as error:
        lock = own_lock(error.message, _machine_user(), path.stat().st_mtime)
        if lock is None:
            raise
        run(["force-unlock", "-force", lock])
        run(push)


def own_lock(said: str, who: str, when: float) -> str | None:
    """The id of the lock that an error names, if it is of the run by whom a state was kept here.

    That run had the lock when it kept it; another one's would be younger, by the clock of the same machine.

    who: as Terraform notes it, user@machine. when: the state was kept, in seconds of the epoch.
    """
    info = lock_info(said)
    since = locked_since(info)
    return info.get("ID") if info.get("Who") == who and since is not None and since < when else None


def _machine_user() -> str:
    try:
        return f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"
    except KeyError:  # a user of no name, as in containers
        return ""
