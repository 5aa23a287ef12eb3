# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one type of error that a run ends with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from .._run.lock import DirectoryLocked
from .events import Diagnostic


class TerraformError(Exception):
    """Anything that went wrong with a stack.

    message: cause, place and next step. diagnostics: Terraform's own. changed: whether something had
    been changed before. begun: whether a change had been begun, however it went. interrupted: see
    `process.Finished`. killed: by nobody of us, half way.
    """

    def __init__(
        self,
        message: str,
        diagnostics: Sequence[Diagnostic] = (),
        *,
        changed: bool = False,
        begun: bool = False,
        interrupted: str | None = None,
        killed: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.diagnostics = list(diagnostics)
        self.changed = changed
        self.begun = begun
        self.interrupted = interrupted
        self.killed = killed


class InitNeeded(TerraformError):
    """Terraform asks for an init."""


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Tell also what the operating system refuses, and that another run is there, as a TerraformError."""
    try:
        yield
    except DirectoryLocked as error:
        raise TerraformError(str(error)) from error
    except OSError as error:
        raise TerraformError(f"{error.filename or 'The file system'}: {error.strerror or error}") from error
