"""The system's own programs: accounts, units."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .checks import WrongError

SECONDS = 60
LAST_LINES = 12


def run(*command: str, stdin: str | None = None, ok: Sequence[int] = (0,)) -> str:
    """What a program printed. Raises WrongError when it fails."""
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
    )
    if done.returncode not in ok:
        raise WrongError(f"'{' '.join(command)}' failed: {done.stderr.strip()[-300:]}")
    return done.stdout


def show(unit: str, *properties: str) -> dict[str, str]:
    """Properties of a unit, as systemd prints them."""
    text = run("systemctl", "show", unit, f"--property={','.join(properties)}")
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def last_words(units: Sequence[str]) -> list[str]:
    """The end of what each unit has logged until now."""
    asked = ("journalctl", "--output=cat", "--no-pager", f"--lines={LAST_LINES}")
    return [line for unit in units for line in run(*asked, f"--unit={unit}").splitlines()]


@contextmanager
def started(units: Sequence[str]) -> Iterator[None]:
    """Have units run for a while, those that do not.

    Without what they wait for on a machine of a stack: a machine that is baked is none, and has no volume.
    """
    stopped = [unit for unit in units if show(unit, "ActiveState")["ActiveState"] != "active"]
    try:
        for unit in stopped:
            # One that does not start is found by what does not answer.
            run("systemctl", "start", "--job-mode=ignore-dependencies", unit, ok=range(256))
        yield
    finally:
        for unit in reversed(stopped):
            run("systemctl", "stop", unit, ok=range(256))
            run("systemctl", "reset-failed", unit, ok=range(256))


def ended(unit: str) -> str:
    """How a unit is that does not run as it should; empty while it does.

    One that systemd starts again and again runs for a moment each time.
    """
    now = show(unit, "ActiveState", "SubState", "NRestarts", "Result")
    if now["ActiveState"] in ("active", "activating") and now.get("NRestarts") == "0":
        return ""
    return f"{unit} is {now['ActiveState']} ({now['Result']}, started again {now['NRestarts']} times)"
