# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a tool ended that ran under `process.run`, and what keeps it from running."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class ProcessError(Exception):
    """A tool could not be run; the message says which, why, and what to do."""


class SupervisorKilled(ProcessError):
    """The tool may still run, with nobody to stop it."""


@dataclass(frozen=True)
class Finished:
    """How a tool ended.

    returncode: its exit code; negative is the signal that killed it, as in `subprocess`.
    interrupted: why it was asked to stop ("timeout", "SIGTERM", "the module was killed", ...), else None.
    killed: it did not stop within the grace period and was killed.
    duration: seconds.
    stdout, stderr: all it wrote. Empty in callbacks, which have seen the lines.
    told: what the callbacks learnt, see `process.Callbacks`.
    """

    returncode: int
    interrupted: str | None = None
    killed: bool = False
    duration: float = 0.0
    stdout: bytes = field(default=b"", repr=False)
    stderr: bytes = field(default=b"", repr=False)
    told: Any = None


def birth_of(pid: int) -> str | None:
    """What tells a process from a later one with the same number; None where there is none.

    One that has ended, and whose parent has not asked yet how, is none.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        state, *others = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state in "ZX" else others[18]
    return None


def format_seconds(seconds: float) -> str:
    """A duration as people write it: "8 s", "3 min 20 s", "2 h 5 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
