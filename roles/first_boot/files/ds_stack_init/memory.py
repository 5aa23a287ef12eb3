"""What was done since the machine booted: /run/ds-stack/applied.json. It lets a refresh end early."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from . import files
from .status import READY

FOLDER = Path("/run/ds-stack")
NAME = "applied.json"
# Whatever has drifted is put right again after this many seconds.
FULL_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Applied:
    """The last run.

    Attributes:
        config_version: of the configuration that was applied.
        credentials: name below the users' parameters → its version that was applied.
        names: under which the machine can be reached, which are those of its certificate.
        state: that was reported, or None when that did not succeed.
        at: time in seconds since 1970.
        problems: user for whom something could not be done → why.
        message: that was logged with the state.
        opened: when the metadata service was found open to users.
        unfilled: why the file system does not fill a volume that has grown.
    """

    config_version: int
    tls: str
    credentials: Mapping[str, int] = field(default_factory=dict)
    names: Sequence[str] = ()
    state: str | None = None
    at: float = 0.0
    problems: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    opened: str | None = None
    unfilled: str | None = None

    def covers(
        self, config_version: int, credentials: Mapping[str, int], names: Sequence[str], now: float
    ) -> bool:
        """Return whether there is nothing to do."""
        return (
            self.state == READY
            and self.config_version == config_version
            and dict(self.credentials) == dict(credentials)
            and list(self.names) == list(names)
            and 0 <= now - self.at < FULL_SECONDS
        )


def load() -> Applied | None:
    """Return what was noted, or None when nothing was, or nothing that makes sense."""
    text = files.read(FOLDER / NAME)
    try:
        return Applied(**json.loads(text)) if text else None
    except (ValueError, TypeError):
        return None


def save(applied: Applied) -> None:
    """Note what was done."""
    files.make_folder(FOLDER, 0o755)
    files.write(FOLDER / NAME, json.dumps(asdict(applied)), 0o600)


def note(**changes: Any) -> None:
    """Note something more, if anything was done since the boot."""
    applied = load()
    if applied:
        save(replace(applied, **changes))


def forget_state() -> None:
    """Note that what was reported last is no longer so: the next refresh does everything again."""
    note(state=None)
