"""Who signed in or was refused, from where and when: kept on the data volume, which outlives the machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

from . import files
from .process import run_for_code
from .settings import Settings

NAME, BEFORE = "sign-ins.log", "sign-ins.log.1"
"""In the state folder: what came last, and what came before that."""
CURSOR = Path("/var/lib/ds-stack/sign-ins.cursor")
"""Up to where the journal was read; on the machine's own disk, as the journal is."""
MOST_BYTES = 16 * 1024 * 1024
AUTH, AUTHPRIV = "SYSLOG_FACILITY=4", "SYSLOG_FACILITY=10"
# What the journal itself knows of who has said something. Users can say there whatever they like.
SOURCES = (
    ("_UID=0", AUTH, AUTHPRIV),
    ("_SYSTEMD_UNIT=jupyterhub.service",),
    ("_SYSTEMD_UNIT=nginx.service", AUTHPRIV),
)
LINE = re.compile(r"\d{4}-\S+ \S+ (?P<program>[^\[:]+)(?:\[\d+\])?: (?P<said>.*)")
JOBS = frozenset({"CRON", "atd", "(systemd)", "systemd"})
"""They open sessions for whom nobody has signed in."""
HUB = re.compile(r"\[\w [^\]]*\] sign-in (accepted|refused): ")


def tells(line: str) -> bool:
    """Return whether a line of the journal is about signing in."""
    found = LINE.fullmatch(line)
    if not found or found["program"] in JOBS:
        return False
    return found["program"] != "jupyterhub" or bool(HUB.match(found["said"]))


def keep(settings: Settings) -> None:
    """Add what has been said since the last time. Raises InitError and OSError."""
    cursor = (files.read(CURSOR) or "").strip()
    code, said = _journal(cursor)
    if code:  # it has no such place, or there is none written down that makes sense
        _code, said = _journal("")
    lines = said.splitlines()
    told = [line for line in lines if tells(line)]
    if told:
        _append(settings.state / NAME, "\n".join(told) + "\n")
    if lines and lines[-1].startswith("-- cursor: "):
        files.make_folder(CURSOR.parent, 0o755)
        files.write(CURSOR, lines[-1].removeprefix("-- cursor: ") + "\n", 0o600)


def _journal(cursor: str) -> tuple[int, str]:
    after = [f"--after-cursor={cursor}"] if cursor else []
    matches = [word for source in SOURCES for word in (*source, "+")][:-1]
    command = ["journalctl", "--quiet", "--no-pager", "--utc", "--output=short-iso", "--show-cursor"]
    return run_for_code(*command, *after, *matches, ok=(0, 1) if after else (0,))


def _append(path: Path, text: str) -> None:
    if path.exists() and path.stat().st_size > MOST_BYTES:
        path.replace(path.with_name(BEFORE))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
