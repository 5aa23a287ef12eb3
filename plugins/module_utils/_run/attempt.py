# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of a tool that was begun, remembered in a file until somebody has reported how it ended.

Whoever interrupts a run from outside does not see its result: the next run tells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from .files import read_json, write_private_json
from .outcome import Finished, birth_of
from .process import Callbacks


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What is remembered of every tool.

    log_path: its log.
    pid, birth: of the process in which it runs, see `birth_of`.
    outcome: how it ended, in words; None as long as it runs, or when nobody watched it any more.
    succeeded: whether it ended well.
    """

    log_path: str
    pid: int = 0
    birth: str | None = None
    outcome: str | None = None
    succeeded: bool = False

    def still_runs(self) -> bool:
        """Whether the tool runs although nobody watches it."""
        return self.outcome is None and self.birth is not None and birth_of(self.pid) == self.birth


Kind = TypeVar("Kind", bound=Attempt)


class AttemptFile(Generic[Kind]):
    """The file with the attempt that nobody has reported yet.

    kind: what is remembered of this tool.
    """

    def __init__(self, path: Path, kind: type[Kind]) -> None:
        self.path = path
        self._kind = kind

    def read(self) -> Kind | None:
        """The attempt whose end nobody has reported, if there is one."""
        return fields_of(self._kind, self.path)

    def note(self, attempt: Kind) -> None:
        """Remember an attempt until it is reported."""
        write_private_json(self.path, asdict(attempt))

    def reported(self) -> None:
        """Its end has been reported."""
        self.path.unlink(missing_ok=True)

    def callbacks(self, attempt: Kind, unreported: Callable[[Finished, bool], str | None]) -> Callbacks:
        """What the supervisor does to keep the file; it outlives this process if it has to.

        unreported: called at the end with what `Callbacks.ended` gets; how it ended, for the next run to
            tell, or None when this one will.
        """

        def started(pid: int) -> None:
            self.note(replace(attempt, pid=pid, birth=birth_of(pid)))

        def ended(finished: Finished, module_is_dead: bool) -> None:
            if outcome := unreported(finished, module_is_dead):
                self.note(replace(attempt, outcome=outcome, succeeded=not finished.returncode))

        return Callbacks(started=started, ended=ended)


Fields = TypeVar("Fields")


def fields_of(kind: type[Fields], path: Path) -> Fields | None:
    """What was noted in a file with the fields of a dataclass."""
    try:
        return kind(**read_json(path))
    except TypeError:
        return None  # there is none, of another version, or broken
