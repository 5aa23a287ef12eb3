# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the last apply in a work_dir ended, until a run has reported it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.iac.ds_stack.plugins.module_utils._run import process
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.errors import TerraformError
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.hints import (
    MAY_LACK,
    describe_death,
    describe_interruption,
)


@dataclass
class Record:
    """A file that says how the last apply in a work_dir ended, until a run has reported it.

    Written when an apply starts and by its supervisor when it ends.
    """

    path: Path

    def begin(self, operation: str, log: Path | None) -> process.Callbacks:
        """The callbacks that keep the record."""
        facts: dict[str, Any] = {
            "operation": operation,
            "began": time.time(),
            "log": str(log) if log else None,
        }

        def started(pid: int) -> None:
            facts.update(pid=pid, born=process.birth_of(pid))
            self._write(facts)

        def ended(finished: process.Finished, _orphaned: bool) -> None:
            facts.update(
                ended=time.time(),
                interrupted=finished.interrupted,
                returncode=finished.returncode,
                description=(
                    describe_interruption(finished)
                    if finished.interrupted
                    else describe_death(finished)
                    if finished.returncode < 0
                    else None
                ),
            )
            self._write(facts)

        return process.Callbacks(started=started, ended=ended)

    def _write(self, facts: dict[str, Any]) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(facts))
        new.replace(self.path)

    def clear(self) -> None:
        """The outcome has been reported."""
        self.path.unlink(missing_ok=True)

    def report(self) -> str | None:
        """What to say about an outcome that nobody has seen yet.

        Raises TerraformError when that Terraform still runs, its supervisor having been killed.
        """
        try:
            facts = json.loads(self.path.read_bytes())
            began = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(facts["began"]))
            before = f"The last {facts['operation']} here, of {began},"
            log = f" Its log: {facts['log']}" if facts.get("log") else ""
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if "ended" in facts:
            how = (
                facts.get("description")
                or f"ended with exit code {facts.get('returncode')} after the play was gone."
            )
            return f"{before} {how}{log}"
        pid = facts.get("pid", -1)
        if facts.get("born") is not None and process.birth_of(pid) == facts["born"]:
            raise TerraformError(
                f"{before} still runs as process {pid}, though what supervised it was killed. "
                f"Wait for its end, or stop it cleanly: kill -INT {pid}{log}"
            )
        return f"{before} was killed before its end: {MAY_LACK}{log}"
