# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine's status means to somebody who waits for it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from .._run.files import parse_object
from .parameters import Parameter, ParameterStore, Paths

SILENT_SECONDS = 300.0
"""A machine reports every minute; what it said longer ago need not be so any more."""

STARTING_SECONDS = 2400.0
"""While it starts, a volume that is checked may take this long."""

RETRY_SECONDS = 120.0
"""A machine that has failed tries again every minute; what it said before we came may be out of date."""


class Verdict(enum.Enum):
    """Whether waiting is over."""

    WAIT = enum.auto()
    READY = enum.auto()
    FAILED = enum.auto()


@dataclass(frozen=True)
class Wanted:
    """Whose word is waited for.

    Attributes:
        instance_id: a machine that this one has replaced may still have the last word in the parameter.
        config_version: older configurations do not count.
        standing_by: it is enough that the machine waits for the data volume, which another one has.
    """

    instance_id: str
    config_version: int
    standing_by: bool = False


@dataclass(frozen=True)
class Seen:
    """The status parameter at one look.

    Attributes:
        document: its content.
        version: its version number, which grows with each report.
    """

    document: dict[str, Any]
    version: int


def parse(text: str) -> dict[str, Any] | None:
    """Return the status in a JSON text, or None when it is none."""
    found = parse_object(text)
    if found is None or not isinstance(found.get("state"), str):
        return None
    return found if isinstance(found.get("config_version"), (int, type(None))) else None


def look(found: Parameter | None) -> Seen | None:
    """Return the status in a parameter, or None when there is none that makes sense."""
    document = parse(found.value) if found else None
    return Seen(document, found.version) if found and document else None


def read(store: ParameterStore, stack: str, instance_id: str) -> Seen | None:
    """Return the status of a machine; that of another one may be found where it has not reported anything.

    Raises ParameterError.
    """
    paths = Paths(stack)
    return look(store.get(paths.status(instance_id)) or store.get(paths.old_status))


def age(document: Mapping[str, Any], now: datetime) -> float | None:
    """Return the seconds since a report, or None where it tells no time; a clock ahead counts as 0."""
    try:
        moment = datetime.strptime(document["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except (KeyError, TypeError, ValueError):
        return None
    return max(0.0, (now - moment).total_seconds())


def duration(seconds: float) -> str:
    """Return a duration in the largest unit of which there are two at least, as people say it."""
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {name}"
    return f"{seconds:.0f} seconds"


def silent(state: str, old: float | None) -> bool:
    """Return whether a running machine should have said something since its last report."""
    starts = state in ("starting", "waiting")
    return old is not None and old > (STARTING_SECONDS if starts else SILENT_SECONDS)


def complain(instance_id: str, seen: Seen | None, old: float | None) -> str:
    """Return what is wrong with a running machine, by its last report and its age; nothing if it is well."""
    if seen is None or seen.document.get("instance_id") != instance_id:
        return ""  # nothing is known yet
    state = seen.document["state"]
    if old is not None and silent(state, old):
        return f"It has reported nothing for {duration(old)}: what it said last need not be so any more."
    if state == "failed":
        return str(seen.document.get("message") or "It says that it has failed.")
    return ""


@dataclass(frozen=True)
class Presence:
    """Who is at work on a running machine, by its last report.

    Attributes:
        who: for people, such as "ada (kernel ir, SSH) and 2 more"; empty for nobody.
        unknown: why that is not known; else empty.
    """

    who: str = ""
    unknown: str = ""


def presence(instance_id: str, seen: Seen | None, old: float | None) -> Presence:
    """Return who is at work on a running machine, by its last report and its age.

    One that has reported nothing since it booted has let nobody in.
    """
    if seen is None or seen.document.get("instance_id") != instance_id or seen.document["state"] == "stopped":
        return Presence()
    if silent(seen.document["state"], old):
        return Presence(unknown=f"It has reported nothing for {duration(old or 0.0)}.")
    people = seen.document.get("at_work")
    if not isinstance(people, list):
        return Presence(unknown="It does not tell: its image is of an older release, or it cannot look.")
    more = seen.document.get("also_at_work") or 0
    named = [f"{one.get('name')} ({one.get('doing')})" for one in people if isinstance(one, dict)]
    return Presence(join([*named, *([f"{more} more"] if more else [])]))


def join(words: list[str]) -> str:
    """Return "a, b and c"."""
    return " and ".join([part for part in (", ".join(words[:-1]), words[-1]) if part]) if words else ""


def judge(wanted: Wanted, first: Seen | None, now: Seen | None, waited: float) -> Verdict:
    """Return whether waiting is over.

    Args:
        first: the status at the first look; a failure in it counts only when the machine has had time
            to try again.
        now: the status at the latest look.
        waited: seconds since the first look.
    """
    if now is None or now.document.get("instance_id") != wanted.instance_id:
        return Verdict.WAIT
    state, version = now.document["state"], now.document.get("config_version")
    if version is not None and version < wanted.config_version:
        return Verdict.WAIT
    if state == "ready" and version is not None:
        return Verdict.READY
    if state == "waiting" and wanted.standing_by:
        return Verdict.READY
    if state == "failed":  # without a version, it could not even read its configuration
        said_before = first is not None and first.version == now.version
        return Verdict.WAIT if said_before and waited < RETRY_SECONDS else Verdict.FAILED
    return Verdict.WAIT


def describe(wanted: Wanted, seen: Seen | None) -> str:
    """Return what the machine has said last, as a sentence."""
    if seen is None:
        return "It has not reported anything yet."
    found = seen.document
    said = f"{found['state']}: {found.get('message') or 'no message'} ({found.get('time')})"
    if found.get("instance_id") != wanted.instance_id:
        return f"Only another machine has reported, {found.get('instance_id')}: {said}"
    if found.get("config_version") != wanted.config_version:
        of = found.get("config_version")
        return (
            f"Its last report is about version {of} of the configuration, not {wanted.config_version}: {said}"
        )
    return f"Its last report: {said}"


def advice(instance_id: str, region: str | None) -> str:
    """Return how to read the machine's own log."""
    session = f"aws ssm start-session --target {instance_id}"
    if region:
        session += f" --region {region}"
    return f"To read its log: {session}, then: sudo journalctl -u 'ds-stack-*'"
