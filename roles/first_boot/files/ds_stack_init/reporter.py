"""Telling the playbook how far the machine is."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from . import status
from .errors import InitError
from .identity import Identity
from .parameters import Parameters
from .status import Check, Person, Progress

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
LOG_COMMAND = "journalctl -u ds-stack-init -u ds-stack-ready -u ds-stack-init-refresh"


class Reporter:
    """Writes the status parameter. That it cannot be written is logged and is no reason to give up."""

    def __init__(
        self,
        identity: Identity,
        parameters: Parameters,
        look: Callable[[], Sequence[Person]],
        log: Callable[[str], None],
        restore: Callable[[], Progress | None] = lambda: None,
    ) -> None:
        """Report for this machine. ``look`` tells who is at work, ``restore`` how far one is of a home."""
        self._identity = identity
        self._parameters = parameters
        self._look = look
        self._log = log
        self._restore = restore
        self.config_version: int | None = None

    def report(self, state: str, message: str, checks: Sequence[Check] = (), *, quiet: bool = False) -> bool:
        """Write the status and return whether that succeeded. ``quiet``: it is as it was, and not logged."""
        if not quiet:
            self._log(f"{state}: {message}")
        document = status.document(
            self._identity,
            state,
            message,
            config_version=self.config_version,
            boot_id=BOOT_ID.read_text(encoding="ascii").strip(),
            now=datetime.now(timezone.utc),
            checks=checks,
            at_work=self._people(),
            restore=self._restore(),
        )
        try:
            self._parameters.put_status(self._identity.instance_id, document)
        except InitError as error:
            self._log(f"the status could not be written: {error}")
            return False
        return True

    def _people(self) -> Sequence[Person] | None:
        try:
            return self._look()
        except Exception as error:
            self._log(f"who is at work cannot be told: {explain(error)}")
            return None


def explain(error: BaseException) -> str:
    """Return what may be told about an error.

    An error of ours says what to do. Any other is a fault of this program, and its text might hold anything:
    only its kind and its place are told, and what the kernel calls it.
    """
    if isinstance(error, InitError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
    kernel = f" ({os.strerror(error.errno)})" if isinstance(error, OSError) and error.errno else ""
    return (
        f"ds-stack-init has a fault: {type(error).__name__} at {place}{kernel}. "
        f"On the machine, see: {LOG_COMMAND}"
    )
