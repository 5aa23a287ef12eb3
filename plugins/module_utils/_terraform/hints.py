# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to say to people of an end that Terraform does not explain, and what to do next. Pure."""

from __future__ import annotations

import calendar
import re
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from .._run.outcome import Finished, format_seconds
from .events import Diagnostic
from .state import RESCUED


def describe_interruption(finished: Finished, command: str = "apply") -> str:
    """ "was interrupted (timeout) after 5 s and stopped: what it had done until then is in its state."."""
    if command != "apply":
        end = "stopped: nothing was changed"
    elif finished.killed:
        end = "did not stop in time and was killed: its state may lack what it did last"
    else:
        end = "stopped: what it had done until then is in its state"
    after = format_seconds(finished.duration)
    return f"was interrupted ({finished.interrupted}) after {after} and {end}."


MAY_LACK = (
    "its state may lack what it did last, and may still be locked. Look whether the next plan makes "
    "something that exists already."
)


def describe_death(finished: Finished, command: str = "apply") -> str:
    """ "was killed (SIGKILL) after 5 s: its state may lack ...", of a process that we have not killed."""
    try:
        name = signal.Signals(-finished.returncode).name
    except ValueError:
        name = f"signal {-finished.returncode}"
    end = MAY_LACK if command == "apply" else "nothing was changed."
    return f"was killed ({name}) after {format_seconds(finished.duration)}: {end}"


def lock_info(text: str) -> dict[str, str]:
    """What Terraform tells of the lock that it met, also in a frame: ID, Operation, Who, Created."""
    # Of a backend of type http it tells what it wanted to lock with itself, and of the other one the id.
    if held := re.search(r"already locked:[\s│]*ID=(\S+)", text):
        return {"ID": held[1]}
    found = re.findall(r"^[\s│]*(ID|Operation|Who|Created):[ \t]*(\S.*?)\s*$", text, re.MULTILINE)
    return dict(found)


def locked_since(info: Mapping[str, str]) -> float | None:
    """Since when, in seconds of the epoch."""
    created = re.match(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d+)?", info.get("Created", ""))
    if created is None:
        return None
    return calendar.timegm(time.strptime(created[1], "%Y-%m-%d %H:%M:%S")) + float(created[2] or 0)


def lock_hint(diagnostic: Diagnostic, by_hand: str, now: float) -> str | None:
    """Who holds the state's lock, since when, and how to break it; None for other diagnostics.

    by_hand: how a person's command begins.
    """
    text = f"{diagnostic.summary}\n{diagnostic.detail}"
    if "state lock" not in text:
        return None
    info = lock_info(text)
    if "ID" not in info:
        return None
    since = locked_since(info)
    age = f", {format_seconds(now - since)} ago" if since is not None else ""
    return (
        f"The state is locked by {info.get('Who', 'somebody')} ({info.get('Operation', 'unknown operation')}"
        f"{age}). Wait for its end (lock_timeout). Only if that process is surely dead, free the lock: "
        f"{by_hand} force-unlock {info['ID']}"
    )


def backend_hint(diagnostic: Diagnostic, by_hand: str) -> str | None:
    """What to do when the state is to be kept elsewhere than before; None for other diagnostics."""
    if not re.search(r"state migration|-migrate-state", f"{diagnostic.summary}\n{diagnostic.detail}"):
        return None
    return (
        f"The backend is another one than before. To move the state there: {by_hand} init -migrate-state. "
        f"To leave it behind and use what is there: {by_hand} init -reconfigure"
    )


def rescue_hint(diagnostic: Diagnostic, directory: Path) -> str | None:
    """What to do when the backend did not take the state; None for other diagnostics."""
    if RESCUED not in diagnostic.detail:
        return None
    return (
        f"The state is kept in {directory / RESCUED}, and nothing is lost from sight. Mend the cause "
        "(credentials that have expired?), and run this task again: it saves that state before anything else."
    )


def panics_in(text: str) -> list[str]:
    """What a program of the tool's said when it broke: "terraform-provider-x: panic: ...", else only in the
    middle of its stack trace."""
    found: list[str] = []
    who = ""
    for line in text.split("\n"):
        if match := re.match(r"Stack trace from the (\S+) plugin:", line):
            who = f"{match[1]}: "
        elif re.match(r"panic: |fatal error: ", line):
            found.append(f"{who}{line.rstrip()}")
    return list(dict.fromkeys(found))
