# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Terraform's `-json` output: one event a line, or what should be. Pure.

The stream is read leniently: unknown events and fields are ignored, text that is no JSON is kept as text,
and an event is found even behind text on the same line (providers write to the same stream).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

_DECODER = json.JSONDecoder()

Event = dict[str, Any]


def parse_line(line: str) -> Iterator[Event | str]:
    """The events of a line, and the pieces of text that are none."""
    position = 0
    while (start := line.find('{"', position)) >= 0:
        try:
            event, end = _DECODER.raw_decode(line, start)
        except (ValueError, RecursionError):
            # Not here; a whole event may still follow a truncated one.
            following = line.find('{"@', start + 2)
            if following < 0:
                break
            yield line[position:following]
            position = following
            continue
        if start > position and line[position:start].strip():
            yield line[position:start]
        yield event
        position = end
    if line[position:].strip():
        yield line[position:]


def parse(output: bytes) -> Iterator[Event | str]:
    """All events and texts of a stream."""
    # Only a line feed ends an event: its texts may hold all else that Python takes for the end of a line.
    for line in output.decode("utf-8", "replace").split("\n"):
        yield from parse_line(line)


def _object(event: Event, key: str) -> dict[str, Any]:
    value = event.get(key)
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Diagnostic:
    """An error or a warning of Terraform.

    severity: "error" or "warning". file: as Terraform names it, relative to its directory.
    code: the line of source that it points to.
    """

    severity: str
    summary: str
    detail: str = ""
    address: str | None = None
    file: str | None = None
    line: int | None = None
    code: str | None = None

    @property
    def place(self) -> str:
        """Where: "terraform_data.a, main.tf:12"; empty when Terraform does not say."""
        position = f"{self.file}:{self.line}" if self.line else self.file
        return ", ".join(part for part in (self.address, position) if part)

    def text(self) -> str:
        """The whole of it, for people."""
        where = f" ({self.place})" if self.place else ""
        code = f"\n    {self.code.strip()}" if self.code and self.code.strip() else ""
        detail = f"\n{self.detail.strip()}" if self.detail.strip() else ""
        return f"{self.summary}{where}{code}{detail}"


def diagnostic_of(event: Event) -> Diagnostic | None:
    """The diagnostic that an event carries."""
    if event.get("type") != "diagnostic":
        return None
    found = _object(event, "diagnostic")
    begin = _object(_object(found, "range"), "start")
    line = begin.get("line")
    return Diagnostic(
        severity=str(found.get("severity") or event.get("@level") or "error"),
        summary=str(found.get("summary") or event.get("@message") or "unknown"),
        detail=str(found.get("detail") or ""),
        address=found.get("address") if isinstance(found.get("address"), str) else None,
        file=_object(found, "range").get("filename"),
        line=line if isinstance(line, int) else None,
        code=_object(found, "snippet").get("code"),
    )


def dumped_state(item: Event | str) -> dict[str, Any] | None:
    """The state in an event that carries one: Terraform's last resort when it can save it nowhere."""
    state = item.get("state") if isinstance(item, dict) and item.get("type") == "log" else None
    return state if isinstance(state, dict) and "lineage" in state else None


@dataclass(frozen=True)
class Digest:
    """What a finished stream said.

    diagnostics: without repetitions, in order. text: what was no JSON.
    drift: one {"address", "action"} for each object that was changed outside of Terraform.
    outputs: of an apply: name → {"sensitive", "value" (absent if sensitive), ...}; None if it gave none.
    applied: addresses with something done to them. begun: those, and the ones whose operation failed.
    """

    diagnostics: list[Diagnostic]
    text: str
    drift: list[dict[str, str]]
    outputs: dict[str, dict[str, Any]] | None
    applied: list[str]
    begun: list[str]

    @property
    def errors(self) -> list[Diagnostic]:
        """The diagnostics that are errors."""
        return [item for item in self.diagnostics if item.severity == "error"]


def digest(items: Iterable[Event | str]) -> Digest:
    """Reduce a stream to what the module needs of it."""
    diagnostics: dict[Diagnostic, None] = {}
    text = []
    drift = []
    outputs = None
    applied = []
    begun = []
    for item in items:
        if isinstance(item, str):
            text.append(item)
            continue
        kind = item.get("type")
        if diagnostic := diagnostic_of(item):
            diagnostics[diagnostic] = None
        elif kind == "resource_drift":
            change = _object(item, "change")
            drift.append({"address": _address(change), "action": str(change.get("action"))})
        elif kind == "outputs":
            outputs = {k: value for k, value in _object(item, "outputs").items() if isinstance(value, dict)}
        elif kind == "action_complete":
            applied.append(str(_object(_object(item, "hook"), "action").get("addr", "?")))
        elif kind == "apply_complete" and _object(item, "hook").get("action") != "read":
            applied.append(_address(_object(item, "hook")))
        elif kind == "apply_start" and _object(item, "hook").get("action") != "read":
            begun.append(_address(_object(item, "hook")))
    return Digest(list(diagnostics), "\n".join(text), drift, outputs, applied, begun)


def _address(holder: dict[str, Any]) -> str:
    return str(_object(holder, "resource").get("addr", "?"))


def log_text(item: Event | str) -> str:
    """An event as a person reads it in the log, with all that a diagnostic says."""
    if isinstance(item, str):
        return item
    time = str(item.get("@timestamp", ""))[11:19]
    if diagnostic := diagnostic_of(item):
        return f"{time} {diagnostic.severity.capitalize()}: {diagnostic.text()}"
    return f"{time} {item.get('@message', '')}".rstrip()


_DOING = {"create": "creating", "update": "updating", "delete": "destroying", "read": "reading"}
_DONE = {"create": "created", "update": "updated", "delete": "destroyed", "read": "read"}
_FAILED = {"create": "not created", "update": "not updated", "delete": "not destroyed", "read": "not read"}


class Narrator:
    """Turns the events of an apply (or of a plan that reads) into lines for the console.

    total: how many resource operations are to come; 0 when unknown.
    """

    def __init__(self, total: int = 0) -> None:
        self._total = total
        self._done = 0

    def line(self, item: Event | str) -> str | None:
        """The line for an event, or None for one that nobody waits for."""
        if isinstance(item, str):
            return None
        kind = str(item.get("type"))
        hook = _object(item, "hook")
        return (
            _line_of_action(kind, hook) if kind.startswith("action_") else self._line_of_resource(kind, hook)
        )

    def _line_of_resource(self, kind: str, hook: Event) -> str | None:
        address = _address(hook)
        if kind == "provision_progress":
            return f"{address} ({hook.get('provisioner')}): {hook.get('output')}"
        action = str(hook.get("action"))
        if kind == "apply_progress":
            return f"{address}: {_DOING.get(action, action)} … {_seconds(hook)}"
        if kind == "apply_errored":
            return f"{address}: {_FAILED.get(action, action + ' failed')} after {_seconds(hook)}"
        if kind == "apply_complete" and action != "read":
            self._done += 1
            counter = f" ({self._done}/{max(self._total, self._done)})" if self._total else ""
            return f"{address}: {_DONE.get(action, action)} after {_seconds(hook)}{counter}"
        return None


def _line_of_action(kind: str, hook: Event) -> str | None:
    """Of an `action` block, which Terraform 1.14 and later runs."""
    address = str(_object(hook, "action").get("addr", "?"))
    if kind == "action_progress":
        said = str(hook.get("message", "")).strip()
        return f"{address}: {said}" if said else None
    done = {"action_start": "running", "action_complete": "run", "action_errored": "failed"}.get(kind)
    return f"{address}: {done}" if done else None


def _seconds(hook: dict[str, Any]) -> str:
    seconds = hook.get("elapsed_seconds")
    seconds = round(seconds) if isinstance(seconds, int | float) else 0
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"
