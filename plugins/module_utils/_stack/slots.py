# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two slots of a stack's machines: which applies lead from what there is to what is wanted. Pure.

While a machine is replaced there are two, each in a slot of its own; one of them is active. Whatever a killed
run has left, the same decision goes on from there: there is nothing to remember but what the account says.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SLOTS = FIRST, SECOND = ("a", "b")


@dataclass(frozen=True)
class Definition:
    """What Terraform makes a machine of."""

    image_id: str
    instance_type: str


@dataclass(frozen=True)
class Machine:
    """A machine that is there.

    Attributes:
        slot: empty for that of a stack which was made before there were slots.
        active: None likewise.
        has_volume: that the data volume is attached to it.
        failed: that no machine is made of its image any more, since one did not become ready.
    """

    id: str
    definition: Definition
    slot: str = ""
    active: bool | None = None
    has_volume: bool = False
    failed: bool = False


class Kind(str, enum.Enum):
    """What an apply does."""

    KEEP = "keep"
    """The machine stays, or is the first one; what can be changed about it is changed in its place."""
    DROP = "drop"
    """A second machine goes that an interrupted run has left; neither is of the image that is wanted now."""
    ADD = "add"
    """A second machine, which waits for the volume."""
    MOVE = "move"
    """Volume and address go to the other one, which becomes the active one."""
    REMOVE = "remove"
    """The one that is not active goes."""
    BACK = "back"
    """Volume and address return to the old one, and the new one goes."""
    IN_PLACE = "in_place"
    """The old machine goes, then the new one is made: there is never a second one, nor a way back."""


@dataclass(frozen=True)
class Apply:
    """An apply: the machines there are after it, by slot, and which of them is active."""

    kind: Kind
    machines: Mapping[str, Definition]
    active: str


@dataclass(frozen=True)
class Plan:
    """How there comes to be one machine.

    Attributes:
        applies: in their order, each kind once at most.
        machine: id of the one that is there in the end, if it is there already.
        old: id of the other one, if there is one.
        ends: id of the active machine, if it does not stay so: what people run on it ends.
        back: what leads back to the old one, if there is one.
    """

    applies: Sequence[Apply]
    machine: str = ""
    old: str = ""
    ends: str = ""
    back: Apply | None = None


def occupied(machines: Sequence[Machine]) -> dict[str, Machine]:
    """Return slot → machine. Raises ValueError for two in one slot, and for more than there are slots."""
    found: dict[str, Machine] = {}
    for machine in machines:
        slot = machine.slot or FIRST
        if slot not in SLOTS or slot in found:
            ids = ", ".join(one.id for one in machines)
            raise ValueError(f"The machines {ids} are not one in each slot ({FIRST} and {SECOND}).")
        found[slot] = machine
    return found


def active_slot(found: Mapping[str, Machine]) -> str:
    """Return the slot of the active machine: by the volume, which is on one alone, then by the tag."""
    with_volume = [slot for slot, machine in found.items() if machine.has_volume]
    tagged = [slot for slot, machine in found.items() if machine.active]
    for slots in (with_volume, tagged):
        if len(slots) == 1:
            return slots[0]
    return min(found)


def other(slot: str) -> str:
    """Return the other slot."""
    return SECOND if slot == FIRST else FIRST


def plan(machines: Sequence[Machine], wanted: Definition, *, in_place: bool = False) -> Plan:
    """Return how there comes to be one machine, of the wanted image.

    A machine that stays in its slot may be given another type in its place.

    in_place: make no second one.

    Raises ValueError.
    """
    found = occupied(machines)
    applies = _applies(found, wanted, in_place)
    last = applies[-1].active
    old = found.get(other(last))
    before = found[active_slot(found)].id if found else ""
    stays = last in found and found[last].definition.image_id == wanted.image_id
    machine = found[last].id if stays else ""
    return Plan(
        applies,
        machine,
        old.id if old else "",
        ends=before if before != machine else "",
        back=Apply(Kind.BACK, {other(last): old.definition}, other(last)) if old else None,
    )


def _applies(found: Mapping[str, Machine], wanted: Definition, in_place: bool) -> list[Apply]:
    if not found:
        return [Apply(Kind.KEEP, {FIRST: wanted}, FIRST)]
    active = active_slot(found)
    spare = other(active)
    now = {slot: machine.definition for slot, machine in found.items()}
    if found[active].definition.image_id == wanted.image_id:
        if spare not in found:
            return [Apply(Kind.KEEP, {active: wanted}, active)]
        # It may have been interrupted at any time, so that the active one has to show first that it is ready.
        both = {active: wanted, spare: now[spare]}
        return [Apply(Kind.MOVE, both, active), Apply(Kind.REMOVE, {active: wanted}, active)]
    if in_place:
        return [Apply(Kind.IN_PLACE, {active: wanted}, active)]
    drop = []
    if spare in found and now[spare].image_id != wanted.image_id:
        if found[active].failed and not found[spare].failed:
            active, spare = spare, active  # it was on its way back
        drop.append(Apply(Kind.DROP, {active: now[active]}, active))
    both = {active: now[active], spare: wanted}
    return [
        *drop,
        Apply(Kind.ADD, both, active),
        Apply(Kind.MOVE, both, spare),
        Apply(Kind.REMOVE, {spare: wanted}, spare),
    ]
