"""The machine's status, by which the playbook knows how far it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .identity import Identity

SCHEMA = 1
STARTING, WAITING, READY, FAILED, STOPPED = "starting", "waiting", "ready", "failed", "stopped"
# A parameter holds so many bytes, and JSON takes up to two for each of these characters.
MOST_BYTES = 4096
MESSAGE_CHARACTERS, NAME_CHARACTERS, DETAIL_CHARACTERS, MOST_CHECKS = 600, 40, 90, 8
# A restore takes the room of two checks.
RESTORE_CHARACTERS, CHECKS_BESIDE_RESTORE = 160, 6


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: whether it works, and how it shows."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Progress:
    """How far the restore of a user's home is: "copying", "placing", "done" or "failed"."""

    volume_id: str
    user: str
    folder: str
    state: str
    message: str = ""


@dataclass(frozen=True)
class Person:
    """Somebody at work. doing: a few words on what, such as "kernel ir, SSH"."""

    name: str
    doing: str


def document(
    identity: Identity,
    state: str,
    message: str,
    *,
    config_version: int | None,
    boot_id: str,
    now: datetime,
    checks: Sequence[Check] = (),
    at_work: Sequence[Person] | None = (),
    restore: Progress | None = None,
) -> str:
    """Return the status as JSON, short enough for a parameter. at_work: None where that is not known."""
    # What fails comes first, in case there is no room for all.
    most = CHECKS_BESIDE_RESTORE if restore else MOST_CHECKS
    shown = sorted(checks, key=lambda check: check.ok)[:most]
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "state": state,
        "instance_id": identity.instance_id,
        "image_id": identity.image_id,
        "boot_id": boot_id,
        "config_version": config_version,
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "message": _plain(message, MESSAGE_CHARACTERS),
        "checks": [
            {
                "name": _plain(one.name, NAME_CHARACTERS),
                "ok": one.ok,
                "detail": _plain(one.detail, DETAIL_CHARACTERS),
            }
            for one in shown
        ],
        # Nothing else tells that this image knows how to.
        "restore": {
            "volume_id": restore.volume_id,
            "user": restore.user,
            "state": restore.state,
            "message": _plain(restore.message, RESTORE_CHARACTERS),
        }
        if restore
        else None,
    }
    if at_work is None:
        return json.dumps(found)
    people = [
        {"name": _plain(one.name, NAME_CHARACTERS), "doing": _plain(one.doing, DETAIL_CHARACTERS)}
        for one in at_work
    ]
    # As many by name as there is room for, and how many more there are.
    for many in range(len(people), -1, -1):
        text = json.dumps({**found, "at_work": people[:many], "also_at_work": len(people) - many})
        if len(text) <= MOST_BYTES:
            break
    return text


def _plain(text: str, most: int) -> str:
    """Return a text in one line of printable ASCII, cut to so many characters."""
    line = " ".join(text.split()).encode("ascii", "replace").decode()
    return "".join(one if one.isprintable() else "?" for one in line)[:most]


def verdict(checks: Sequence[Check]) -> tuple[str, str]:
    """Return the state and the message that follow from the checks."""
    bad = [check for check in checks if not check.ok]
    if bad:
        return FAILED, "; ".join(f"{check.name}: {check.detail}" for check in bad)
    return READY, "All checks passed."
