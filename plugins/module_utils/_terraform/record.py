# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the last apply in a work_dir ended, until a run has reported it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from .._run.attempt import Attempt, AttemptFile
from .._run.outcome import Finished
from .._run.process import Callbacks
from .errors import TerraformError
from .hints import MAY_LACK, describe_death, describe_interruption


@dataclass(frozen=True, kw_only=True)
class Apply(Attempt):
    """operation: apply or destroy. began: seconds of the epoch."""

    operation: str
    began: float


class Record(AttemptFile[Apply]):
    """Of a work_dir: noted when an apply starts, and by its supervisor when it ends."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, Apply)

    def begin(self, operation: str, log: Path | None) -> Callbacks:
        """The callbacks that keep the record."""
        attempt = Apply(operation=operation, began=time.time(), log_path=str(log or ""))
        return self.callbacks(attempt, lambda finished, _dead: _how(finished))

    def unseen(self) -> str | None:
        """What to say about an outcome that nobody has seen yet.

        Raises TerraformError when that Terraform still runs, its supervisor having been killed.
        """
        last = self.read()
        if last is None:
            return None
        began = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(last.began))
        before = f"The last {last.operation} here, of {began},"
        log = f" Its log: {last.log_path}" if last.log_path else ""
        if last.still_runs():
            raise TerraformError(
                f"{before} still runs as process {last.pid}, though what supervised it was killed. "
                f"Wait for its end, or stop it cleanly: kill -INT {last.pid}{log}"
            )
        return f"{before} {last.outcome or f'was killed before its end: {MAY_LACK}'}{log}"


def _how(finished: Finished) -> str:
    if finished.interrupted:
        return describe_interruption(finished)
    if finished.returncode < 0:
        return describe_death(finished)
    return f"ended with exit code {finished.returncode} after the play was gone."
