# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Terraform's plan as JSON: what would change, with what must not be seen masked. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .._run.secrets import SENSITIVE
from .masks import SENSITIVE_CHANGED, UNKNOWN, is_marked, marked_values, mask

INVOKE = "invoke"
"""Of an `action` block, which Terraform 1.14 and later runs. Other plans count none."""

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


def is_real(change: Change) -> bool:
    """Whether anything differs but null and empty: providers turn one into the other."""
    return change.action != "update" or bool(_differing(change))


def describe(change: Change) -> dict[str, Any]:
    """What differs, before and after."""
    before, after = change.before or {}, change.after or {}
    names = _differing(change)
    return {
        "address": change.address,
        "action": change.action,
        "before": {name: before[name] for name in names if name in before},
        "after": {name: after[name] for name in names if name in after},
    }


def _differing(change: Change) -> list[str]:
    before, after = change.before or {}, change.after or {}
    differing = [name for name in {*before, *after} if before.get(name) != after.get(name)]
    empty: tuple[Any, ...] = (None, "", [], {})
    return sorted(name for name in differing if not (before.get(name) in empty and after.get(name) in empty))


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
