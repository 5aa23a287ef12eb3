"""Whether a user can work here: the program of the role smoke_test, once on each machine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from . import files
from .certificate import CERTIFICATE
from .settings import Settings
from .status import Check

NAME = "self-test"
#: On the machine's own disk: a machine of the same image, or one that takes over the data, tests itself.
MARK = Path("/var/lib/ds-stack/self-test")
#: The first reading of each block from a new volume is slow.
PATIENCE_SECONDS = 120
MOST_SECONDS = 900


def is_due(settings: Settings, instance_id: str) -> bool:
    """Whether this machine has still to pass."""
    return bool(settings.self_test) and files.read(MARK) != instance_id


def check(
    settings: Settings,
    instance_id: str,
    scheme: str,
    services: Sequence[Check],
    run: Callable[[Settings, str], str | None] | None = None,
) -> Check:
    """Test the machine, whose services are as given; one that passes does so once and for all."""
    down = [one for one in services if not one.ok]
    if down:
        return Check(NAME, False, f"not begun: {down[0].name}: {down[0].detail}")
    problem, told = judge((run or _run)(settings, scheme))
    if problem:
        return Check(NAME, False, problem)
    files.make_folder(MARK.parent, 0o755)
    files.write(MARK, instance_id, 0o644)
    return Check(NAME, True, told)


def judge(output: str | None) -> tuple[str, str]:
    """What is wrong by the program's output, and what to tell where nothing is."""
    try:
        result = json.loads(output or "")
        names = {one: [] for one in ("failed", "not shown", "passed")}  # type: dict[str, list[str]]
        for one in result["checks"]:
            names[one["outcome"]].append(f"{one['name']}: {one['detail']}")
        passed = result["passed"] is True
    except (ValueError, KeyError, TypeError):
        return "it has not come to its end", ""
    if not passed:
        return "; ".join(names["failed"]) or "it does not say what failed", ""
    but = ", ".join(one.partition(":")[0] for one in names["not shown"])
    return "", f"all passed, not shown: {but}" if but else "all passed"


def _run(settings: Settings, scheme: str) -> str | None:
    """The program's output; its exit code is in there."""
    command = [settings.self_test, f"--scheme={scheme}", f"--homes={settings.home}"]
    command += [f"--ca-file={settings.tls_folder / CERTIFICATE}"] if scheme == "https" else []
    command += [f"--patience={PATIENCE_SECONDS}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=MOST_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout
