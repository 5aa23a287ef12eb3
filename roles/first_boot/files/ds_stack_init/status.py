"""The machine's status, by which the playbook knows how far it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from .identity import Identity

SCHEMA = 1
STARTING, READY, FAILED, STOPPED = "starting", "ready", "failed", "stopped"
# A parameter holds 4096 bytes, and JSON takes up to two for each of these characters.
MESSAGE_CHARACTERS, NAME_CHARACTERS, DETAIL_CHARACTERS, MOST_CHECKS = 600, 40, 90, 8


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: whether it works, and how it shows."""

    name: str
    ok: bool
    detail: str


def document(
    identity: Identity,
    state: str,
    message: str,
    *,
    config_version: int | None,
    boot_id: str,
    now: datetime,
    checks: Sequence[Check] = (),
) -> str:
    """Return the status as JSON, short enough for a parameter."""
    # What fails comes first, in case there is no room for all.
    shown = sorted(checks, key=lambda check: check.ok)[:MOST_CHECKS]
    return json.dumps(
        {
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
        }
    )


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
