# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision of module_utils/_stack/slots.py for playbooks."""

from __future__ import annotations

DOCUMENTATION = r"""
name: slot_plan
short_description: Which applies make a stack's machine what it is to be
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - A machine is replaced by three applies of the Terraform root C(instance), with two machines in two slots
    meanwhile. This says which of them are left to do.
positional: _input
options:
  _input:
    description: The stack's machines, as M(iac.ds_stack.stack_inventory_info) returns them.
    type: list
    elements: dict
    required: true
  image_id:
    description: The image that the machine is to have.
    type: str
    required: true
  instance_type:
    description: The type that it is to have.
    type: str
    required: true
  failed:
    description: Images of which no machine is made any more, since one did not become ready.
    type: list
    elements: str
    default: []
  in_place:
    description: Whether to make no second machine. Then the old one goes before the new one is made.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Say which applies are left
  ansible.builtin.debug:
    msg: "{{ demo.machines | iac.ds_stack.slot_plan(image_id='ami-0123', instance_type='t3.large') }}"
"""

RETURN = r"""
_value:
  description: How there comes to be one machine, of the image.
  type: dict
  contains:
    applies:
      description:
        - The applies by their kind, in their order. V(keep) makes the first machine, or leaves the one there
          is in its place; V(drop) removes what an interrupted run has left; V(add), V(move) and V(remove)
          replace a machine, and V(in_place) does without a second one.
        - Of each its C(machines) by slot and the C(active) slot, which are variables of the root.
      type: dict
    machine:
      description: Id of the machine that is there in the end; empty where it is not there yet.
      type: str
    old:
      description: Id of the other machine; empty where there is none.
      type: str
    ends:
      description: Id of the machine on which ends what people run; empty where nothing does.
      type: str
    back:
      description: The variables of the apply that leads back to the old machine; empty where there is none.
      type: dict
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.slots import (
    Apply,
    Definition,
    Machine,
    plan,
)


def slot_plan(
    machines: Sequence[Mapping[str, Any]],
    image_id: str,
    instance_type: str,
    failed: Sequence[str] = (),
    in_place: bool = False,
) -> dict[str, Any]:
    """Return how there comes to be one machine."""
    there = [
        Machine(
            one["instance_id"],
            Definition(one["image_id"], one["instance_type"]),
            one["slot"],
            one["active"],
            one["has_volume"],
            one["image_id"] in failed,
        )
        for one in machines
    ]
    try:
        found = plan(there, Definition(image_id, instance_type), in_place=in_place)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error
    return {
        "applies": {one.kind.value: _variables(one) for one in found.applies},
        "machine": found.machine,
        "old": found.old,
        "ends": found.ends,
        "back": _variables(found.back) if found.back else {},
    }


def _variables(apply: Apply) -> dict[str, Any]:
    return {
        "machines": {slot: asdict(definition) for slot, definition in apply.machines.items()},
        "active": apply.active,
    }


class FilterModule:
    """Called by Ansible."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file."""
        return {"slot_plan": slot_plan}
