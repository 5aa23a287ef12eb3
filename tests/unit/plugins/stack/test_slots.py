"""Which applies replace a machine, from wherever the last run has stopped."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.slots import (
    Apply,
    Definition,
    Kind,
    Machine,
    plan,
)

OLD, NEW, OTHER = (
    Definition("ami-old", "t3.large"),
    Definition("ami-new", "t3.large"),
    Definition("ami-x", "t3.large"),
)


def machine(slot: str, definition: Definition, *, active: bool | None, volume: bool) -> Machine:
    return Machine(f"i-{slot}", definition, slot, active, volume)


BEFORE_SLOTS = Machine("i-1", OLD, has_volume=True)
A = machine("a", OLD, active=True, volume=True)
B = machine("b", OLD, active=True, volume=True)
ADDED = machine("b", NEW, active=False, volume=False)
MOVED = machine("b", NEW, active=True, volume=True)
LEFT = machine("a", OLD, active=False, volume=False)
THREE = [("add", "ab", "a"), ("move", "ab", "b"), ("remove", "b", "b")]
BACK = [("add", "ab", "b"), ("move", "ab", "a"), ("remove", "a", "a")]
GO_ON = THREE[1:]


@pytest.mark.parametrize(
    ("machines", "expected"),
    [
        pytest.param([], [("keep", "a", "a")], id="the first one"),
        pytest.param([BEFORE_SLOTS], THREE, id="of a stack before there were slots"),
        pytest.param([A], THREE, id="another image"),
        pytest.param([B], BACK, id="and back to a"),
        pytest.param([A, ADDED], THREE, id="killed after add"),
        pytest.param(
            [machine("a", OLD, active=True, volume=False), ADDED], THREE, id="killed in move, volume on none"
        ),
        pytest.param(
            [machine("a", OLD, active=True, volume=False), machine("b", NEW, active=False, volume=True)],
            GO_ON,
            id="killed in move, volume over",
        ),
        pytest.param(
            [machine("a", OLD, active=False, volume=False), machine("b", NEW, active=True, volume=False)],
            GO_ON,
            id="killed in move, the tags over",
        ),
        pytest.param(
            [machine("a", OLD, active=False, volume=False), machine("b", NEW, active=True, volume=True)],
            GO_ON,
            id="killed after move",
        ),
        pytest.param([machine("b", NEW, active=True, volume=True)], [("keep", "b", "b")], id="done"),
        pytest.param(
            [A, machine("b", OTHER, active=False, volume=False)],
            [("drop", "a", "a"), *THREE],
            id="another image than the interrupted run's",
        ),
        pytest.param(
            [LEFT, replace(MOVED, definition=OTHER, failed=True)],
            [("drop", "a", "a"), *THREE],
            id="killed on the way back, then another image",
        ),
        pytest.param(
            [replace(LEFT, failed=True), replace(MOVED, definition=OTHER, failed=True)],
            [("drop", "b", "b"), *BACK],
            id="neither is known to work",
        ),
        pytest.param(
            [replace(LEFT, definition=NEW), replace(MOVED, definition=OTHER, failed=True)],
            BACK,
            id="killed on the way back, then the old image",
        ),
    ],
)
def test_from_what_there_is_to_what_is_wanted(
    machines: list[Machine], expected: list[tuple[str, str, str]]
) -> None:
    found = plan(machines, NEW).applies
    assert [(one.kind.value, "".join(sorted(one.machines)), one.active) for one in found] == expected
    assert found[-1].machines == {found[-1].active: NEW}


def test_the_old_one_is_left_as_it_is() -> None:
    wanted = Definition("ami-new", "m7i.large")
    add, move, _ = plan([A], wanted).applies
    assert add.machines == move.machines == {"a": OLD, "b": wanted}


@pytest.mark.parametrize(
    ("machines", "new", "old", "ends"),
    [
        pytest.param([], "", "", "", id="the first one"),
        pytest.param([A], "", "i-a", "i-a", id="another image"),
        pytest.param([A, ADDED], "i-b", "i-a", "i-a", id="added"),
        pytest.param([LEFT, MOVED], "i-b", "i-a", "", id="moved"),
        pytest.param([MOVED], "i-b", "", "", id="done"),
    ],
)
def test_which_machine_is_which(machines: list[Machine], new: str, old: str, ends: str) -> None:
    found = plan(machines, NEW)
    assert (found.machine, found.old, found.ends) == (new, old, ends)
    back = Apply(Kind.BACK, {"a": OLD}, "a") if old else None
    assert found.back == back


@pytest.mark.parametrize(
    ("machines", "kinds", "new", "ends"),
    [
        pytest.param([], ["keep"], "", "", id="the first one"),
        pytest.param([replace(A, definition=NEW)], ["keep"], "i-a", "", id="nothing to replace"),
        pytest.param([A], ["in_place"], "", "i-a", id="another image"),
        pytest.param([A, ADDED], ["in_place"], "", "i-a", id="a second one is there"),
        pytest.param([LEFT, MOVED], ["move", "remove"], "i-b", "", id="and has the homes"),
    ],
)
def test_without_a_second_one(machines: list[Machine], kinds: list[str], new: str, ends: str) -> None:
    found = plan(machines, NEW, in_place=True)
    assert [one.kind.value for one in found.applies] == kinds
    assert found.applies[-1].machines == {found.applies[-1].active: NEW}
    assert (found.machine, found.ends) == (new, ends)


def test_another_type_alone_is_given_in_place() -> None:
    wanted = Definition("ami-old", "m7i.large")
    (keep,) = plan([A], wanted).applies
    assert (keep.kind, keep.machines) == (Kind.KEEP, {"a": wanted})


def done(step: Apply) -> list[Machine]:
    """What there is after an apply."""
    return [
        Machine(f"i-{slot}", one, slot, slot == step.active, slot == step.active)
        for slot, one in step.machines.items()
    ]


@pytest.mark.parametrize("many", range(4))
def test_the_same_decision_goes_on_wherever_it_was_interrupted(many: int) -> None:
    """After so many applies the rest is what was left of them, begun with the last one again."""
    every = plan([A], NEW).applies
    there = done(every[many - 1]) if many else [A]
    rest = plan(there, NEW).applies
    assert rest == every[max(many - 1, 0) :] or (many == 3 and [one.kind for one in rest] == [Kind.KEEP])


@pytest.mark.parametrize("flags", list(itertools.product([True, False], repeat=4)))
def test_there_is_always_one_active_machine_in_the_end(flags: tuple[bool, ...]) -> None:
    first, second, volume_first, volume_second = flags
    there = [
        machine("a", OLD, active=first, volume=volume_first),
        machine("b", NEW, active=second, volume=volume_second and not volume_first),
    ]
    last = plan(there, NEW).applies[-1]
    assert last.machines == {last.active: NEW}


@pytest.mark.parametrize(
    "machines", [[A, A], [A, BEFORE_SLOTS], [machine("c", OLD, active=True, volume=True)]]
)
def test_more_machines_than_slots_stop_it(machines: list[Machine]) -> None:
    with pytest.raises(ValueError, match="are not one in each slot"):
        plan(machines, NEW)
