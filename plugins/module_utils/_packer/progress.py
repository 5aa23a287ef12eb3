# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a bake is shown: Packer's steps, and of Ansible's tasks those that fail or take long, and some that
change something."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .._run.outcome import format_seconds
from .output import Event

LONG = 3.0
"""Seconds after which a task is shown although nobody knows yet whether it does something."""

PAUSE = 5.0
"""Seconds without a line before a quick task that has changed something: a bake has a hundred of them."""

SILENCE = 30.0
"""Seconds after which it is said what is still going on."""

_COLLECTION = re.compile(r"^\w+\.\w+\.(?=[\w./-]+ : )")


@dataclass
class _Current:
    """What a build is doing, since when, and whether it was shown."""

    text: str
    since: float
    shown: bool


@dataclass
class ProgressLines:
    """Turns events into the lines that are shown, with the time since the start."""

    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _builds: dict[str, _Current] = field(default_factory=dict)
    _lines: int = 0
    _began: float = field(init=False)
    _spoke: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self._spoke = self.clock()

    def show(self, event: Event) -> None:
        """Take one event."""
        now = self.clock()
        if event.kind == "step":
            self._builds[event.build] = _Current(event.text, now, shown=True)
            self._say(now, event.build, event.text)
        elif event.kind == "task":
            self._builds[event.build] = _Current("  " + _COLLECTION.sub("", event.text), now, shown=False)
        elif event.text in ("failed", "fatal") or (event.text == "changed" and self._is_silent(now)):
            self._show_current(now, event.build)

    def tick(self) -> None:
        """Show what takes long. To be called often."""
        now = self.clock()
        for build, current in self._builds.items():
            if now - current.since >= LONG:
                self._show_current(now, build)
            if now - self._spoke >= SILENCE:
                text = current.text.rstrip(".")
                self._say(now, build, f"{text} ... {format_seconds(now - current.since)} so far")

    def _is_silent(self, now: float) -> bool:
        return self._lines == 0 or now - self._spoke >= PAUSE

    def _show_current(self, now: float, build: str) -> None:
        current = self._builds.get(build)
        if current is not None and not current.shown:
            current.shown = True
            self._say(now, build, current.text)

    def _say(self, now: float, build: str, text: str) -> None:
        """Show a line; with the build's name only where there is more than one."""
        self._spoke = now
        self._lines += 1
        seconds = int(now - self._began)
        name = f"{build}: " if len(self._builds) > 1 else ""
        self.say(f"{seconds // 60:3}:{seconds % 60:02}  {name}{text}")
