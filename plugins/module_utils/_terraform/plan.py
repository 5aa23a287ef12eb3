# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Terraform's plan as JSON: what would change, whether that is allowed, how to show it. Pure."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.iac.ds_stack.plugins.module_utils._run.secrets import SENSITIVE
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.masks import (
    SENSITIVE_CHANGED,
    UNKNOWN,
    is_marked,
    marked_values,
    mask,
)

INVOKE = "invoke"
"""Of an `action` block, which Terraform 1.14 and later runs. Other plans count none."""

COUNTED = ("add", "change", "replace", "destroy", "import", "move", "forget")

_ACTIONS = {
    ("create",): "create",
    ("update",): "update",
    ("delete",): "delete",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("forget",): "forget",
    ("create", "forget"): "create",  # replaced, and the old object is left alone
    ("forget", "create"): "create",
    ("read",): "read",
    ("no-op",): "no-op",
}
_COUNT_OF = {
    "create": "add",
    "update": "change",
    "replace": "replace",
    "delete": "destroy",
    "forget": "forget",
    INVOKE: "invoke",
}


@dataclass(frozen=True)
class Change:
    """What would happen to one resource.

    action: create, update, replace, delete, forget, import, move, read or invoke.
    actions: Terraform's own list, whose order tells delete-before-create from create-before-delete.
    reason: Terraform's own word for why, e.g. "replace_because_cannot_update".
    """

    address: str
    action: str
    actions: list[str]
    reason: str | None = None
    previous_address: str | None = None
    imported_id: str | None = None
    deposed: bool = False
    before: Any = field(default=None, repr=False)
    after: Any = field(default=None, repr=False)

    @property
    def destroys(self) -> bool:
        """Whether an existing object is destroyed."""
        return "delete" in self.actions

    def to_dict(self) -> dict[str, Any]:
        """For the module's result; without what does not apply."""
        result: dict[str, Any] = {"address": self.address, "action": self.action, "actions": self.actions}
        for name in ("reason", "previous_address", "imported_id"):
            if getattr(self, name) is not None:
                result[name] = getattr(self, name)
        if self.destroys and isinstance(self.before, dict) and isinstance(self.before.get("id"), str):
            result["id"] = self.before["id"]
        if self.deposed:
            result["deposed"] = True
        return result


@dataclass(frozen=True)
class Plan:
    """A plan, already masked.

    changes: only what is changed. output_changes: likewise, with before and after masked.
    outputs: the values as they will be, masked; without what is not known yet, as Terraform gives them.
    outputs_unknown: names of those that are not, or not wholly, known. sensitive_outputs: names.
    secrets: the values that were masked, so that they can be kept out of other texts.
    applyable: None when this version does not say.
    """

    changes: list[Change]
    output_changes: list[Change]
    outputs: dict[str, Any]
    outputs_unknown: list[str]
    sensitive_outputs: list[str]
    secrets: list[Any] = field(repr=False)
    applyable: bool | None

    @property
    def operations(self) -> int:
        """How many apply_complete events an apply will give: a replacement gives two."""
        return sum(len(set(change.actions) & {"create", "update", "delete"}) for change in self.changes)


NOTHING = Plan([], [], {}, [], [], [], None)
"""No change and no output."""


def parse_plan(document: dict[str, Any], reveal: Iterable[str] = ()) -> Plan:
    """Read the result of `terraform show -json PLAN`.

    reveal: names of sensitive outputs that the caller wants to see.
    """
    secrets: list[Any] = []
    changes = [_resource_change(item, secrets) for item in document.get("resource_changes") or []]
    revealed = set(reveal)
    output_changes = []
    outputs = {}
    unknown = []
    sensitive = []
    for name, change in sorted((document.get("output_changes") or {}).items()):
        if name not in revealed:
            secrets.extend(_secrets_of(change))
        actions = list(change.get("actions") or [])
        marks = change.get("after_sensitive")
        if is_marked(marks):
            sensitive.append(name)
        if _is_unknown(change.get("after_unknown")):
            unknown.append(name)
        # One that is null is in no state, so that no later run knows it.
        if change.get("after") is not None and change.get("after_unknown") is not True:
            outputs[name] = mask(change.get("after"), None if name in revealed else marks)
        if actions != ["no-op"]:
            before, after = _shown(change)
            action = _ACTIONS.get(tuple(actions), "update")
            output_changes.append(Change(f"output.{name}", action, actions, before=before, after=after))
    return Plan(
        changes=[
            *(change for change in changes if change.action not in ("no-op", "read")),
            *(_invocation(item, secrets) for item in document.get("action_invocations") or []),
        ],
        output_changes=output_changes,
        outputs=outputs,
        outputs_unknown=unknown,
        sensitive_outputs=sensitive,
        secrets=secrets,
        applyable=document.get("applyable"),
    )


def addresses_in(document: dict[str, Any]) -> set[str]:
    """All resources in a plan and in the state it was made from."""
    changes = document.get("resource_changes") or []
    found = {item.get(name) for item in changes for name in ("address", "previous_address")}
    return {address for address in found if address} | set(_resources(document.get("prior_state") or {}))


def has_changed(document: dict[str, Any], plan: Plan, state: dict[str, Any]) -> bool:
    """Whether a state is another one than before an apply that failed.

    document: the plan that was applied, with the state from which it was made, in which objects are already
        moved and imported. state: the result of `terraform show -json`.
    """
    after = _resources(state)
    new = {change.address for change in plan.changes if change.previous_address or change.action == "import"}
    return bool(new & after.keys()) or after != _resources(document.get("prior_state") or {})


def _resources(state: dict[str, Any]) -> dict[str, Any]:
    """The resources of a state in Terraform's JSON for other programs: address → all that it says of it."""
    found: dict[str, Any] = {}
    modules = [(state.get("values") or {}).get("root_module") or {}]
    while modules:
        module = modules.pop()
        modules += module.get("child_modules") or []
        for item in module.get("resources") or []:
            if item.get("mode") != "data":
                found[f"{item.get('address')} {item.get('deposed_key', '')}".rstrip()] = item
    return found


def parse_drift(document: dict[str, Any]) -> tuple[list[Change], list[Any]]:
    """What a plan says of changes made outside of Terraform, and the values that were masked in it."""
    secrets: list[Any] = []
    changes = [_resource_change(item, secrets) for item in document.get("resource_drift") or []]
    return [change for change in changes if change.action != "no-op"], secrets


def _resource_change(item: dict[str, Any], secrets: list[Any]) -> Change:
    change = item.get("change") or {}
    actions = list(change.get("actions") or ["no-op"])
    action = _ACTIONS.get(tuple(actions), "+".join(actions))
    imported = (change.get("importing") or {}).get("id")
    previous = item.get("previous_address")
    if action == "no-op" and change.get("importing") is not None:
        action = "import"
    elif action == "no-op" and previous:
        action = "move"
    secrets.extend(_secrets_of(change))
    before, after = _shown(change)
    return Change(
        address=str(item.get("address", "?")),
        action=action,
        actions=actions,
        reason=item.get("action_reason"),
        previous_address=previous,
        imported_id=imported,
        deposed=bool(item.get("deposed")),
        before=before,
        after=after,
    )


def _invocation(item: dict[str, Any], secrets: list[Any]) -> Change:
    """An action that the apply runs, a command for instance."""
    values, marks = item.get("config_values"), item.get("config_sensitive")
    secrets.extend(marked_values(values, marks))
    trigger = item.get("lifecycle_action_trigger") or {}
    reason = " of ".join(
        str(trigger[name])
        for name in ("action_trigger_event", "triggering_resource_address")
        if trigger.get(name)
    )
    return Change(
        address=str(item.get("address", "?")),
        action=INVOKE,
        actions=[INVOKE],
        reason=reason or None,
        after=_name_unknown(mask(values, marks), item.get("config_unknown"), marks),
    )


def _secrets_of(change: dict[str, Any]) -> list[Any]:
    return [
        *marked_values(change.get("before"), change.get("before_sensitive")),
        *marked_values(change.get("after"), change.get("after_sensitive")),
    ]


def _shown(change: dict[str, Any]) -> tuple[Any, Any]:
    """Before and after, masked and with what is unknown named."""
    before, after = change.get("before"), change.get("after")
    marks_before, marks_after = change.get("before_sensitive"), change.get("after_sensitive")
    shown_before = mask(before, marks_before)
    shown_after = mask(after, marks_after)
    shown_after = _name_unknown(shown_after, change.get("after_unknown"), marks_after)
    return shown_before, _tell_changed(shown_before, shown_after, before, after)


def _tell_changed(shown_before: Any, shown_after: Any, before: Any, after: Any) -> Any:
    """Say of a masked value that it changes, without saying how."""
    if shown_before == SENSITIVE and shown_after == SENSITIVE:
        return SENSITIVE if before == after else SENSITIVE_CHANGED
    if isinstance(shown_before, dict) and isinstance(shown_after, dict):
        return {
            key: _tell_changed(shown_before.get(key), item, _at(before, key), _at(after, key))
            for key, item in shown_after.items()
        }
    if isinstance(shown_before, list) and isinstance(shown_after, list):
        return [
            _tell_changed(_at(shown_before, index), item, _at(before, index), _at(after, index))
            for index, item in enumerate(shown_after)
        ]
    return shown_after


def _at(value: Any, key: Any) -> Any:
    if isinstance(value, dict):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return value[key]
    return None


def _is_unknown(unknown: Any) -> bool:
    if isinstance(unknown, dict):
        return any(_is_unknown(item) for item in unknown.values())
    if isinstance(unknown, list):
        return any(_is_unknown(item) for item in unknown)
    return unknown is True


def _name_unknown(value: Any, unknown: Any, marks: Any) -> Any:
    if unknown is True:
        return SENSITIVE if marks is True else UNKNOWN
    if isinstance(unknown, dict) and isinstance(value, dict):
        named = dict(value)
        for key, item in unknown.items():
            if _is_unknown(item):
                named[key] = _name_unknown(value.get(key), item, _at(marks, key))
        return named
    if isinstance(unknown, list) and isinstance(value, list):
        return [
            _name_unknown(item, unknown[index] if index < len(unknown) else None, _at(marks, index))
            for index, item in enumerate(value)
        ]
    return value


def summarize(changes: Iterable[Change]) -> dict[str, int]:
    """Count the changes; a replacement is a replacement, neither an addition nor a destruction."""
    counts = dict.fromkeys(COUNTED, 0)
    for change in changes:
        counted = _COUNT_OF.get(change.action)
        if counted:
            counts[counted] = counts.get(counted, 0) + 1
        if change.action != "forget" and "forget" in change.actions:
            counts["forget"] += 1
        if change.action == "import" or change.imported_id is not None:
            counts["import"] += 1
        if change.previous_address:
            counts["move"] += 1
    return counts


def say_summary(summary: dict[str, int]) -> str:
    """ "1 to add, 2 to destroy"; "no resource changes" when all are zero."""
    parts = [f"{count} to {what}" for what, count in summary.items() if count]
    return ", ".join(parts) or "no resource changes"


def _pattern(glob: str) -> re.Pattern[str]:
    """`*` and `?` as in file names; brackets stand for themselves, being part of addresses."""
    escaped = "".join(char if char in "*?" else f"[{char}]" if char in "[]" else char for char in glob)
    return re.compile(fnmatch.translate(escaped))


def is_protected(address: str, protect: Sequence[str]) -> bool:
    """Whether a glob covers an address: the address itself, or the resource or module it belongs to."""
    patterns = [_pattern(glob) for glob in protect]
    ends = [match.start() for match in re.finditer(r"\[|\.", address)]
    candidates = [address, *(address[:end] for end in ends)]
    return any(pattern.match(candidate) for pattern in patterns for candidate in candidates)


def refuse(changes: Sequence[Change], protect: Sequence[str], max_destroys: int | None) -> str | None:
    """Why these changes may not be applied, or None."""
    destroyed = [change for change in changes if change.destroys]
    guarded = [
        change
        for change in destroyed
        if is_protected(change.address, protect)
        or (change.previous_address is not None and is_protected(change.previous_address, protect))
    ]
    if guarded:
        return (
            f"The plan would destroy what `protect` guards: {_list_changes(guarded)}. Nothing was changed. "
            "If this is meant, take the pattern out of `protect`."
        )
    if max_destroys is not None and len(destroyed) > max_destroys:
        return (
            f"The plan would destroy {len(destroyed)} resources, more than `max_destroys` ({max_destroys}) "
            f"allows: {_list_changes(destroyed)}. Nothing was changed."
        )
    return None


def _list_changes(changes: Sequence[Change], at_most: int = 20) -> str:
    listed = [f"{change.address} ({change.action})" for change in changes[:at_most]]
    more = len(changes) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more > 0 else "")


def diff_of(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """The changes in the form that Ansible shows in diff mode."""
    return [
        {
            "before_header": change.previous_address or change.address,
            "after_header": f"{change.address} ({change.action})",
            "before": _showable(change.before),
            "after": _showable(change.after),
        }
        for change in changes
    ]


def _showable(value: Any) -> Any:
    """Ansible shows objects as JSON itself and takes everything else for text."""
    if value is None or isinstance(value, dict):
        return value or ""
    return json.dumps(value, indent=4, ensure_ascii=False) + "\n"
