# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account has of a stack, what Terraform's states have of it, and how the two differ. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NETWORK, DATA, INSTANCE, CLUSTER = PARTS = ("network", "data", "instance", "cluster")
"""The parts of a stack that Terraform makes, each with a state of its own."""

KEPT, RESTORING = "kept-at-restore", "being-restored"
"""Instead of `DATA`: the part of a volume whose place another has taken, and of one that is to take it."""

NODE_IMAGE = "node-image"
"""The part of an image, and of its snapshot, that the cluster's nodes are made of."""

EMR = "Spark cluster"
NODE = "cluster node"
"""EMR's doing, and in no state of Terraform's."""
MACHINE = "machine"
VOLUME = "data volume"
DISK = "disk"
"""A volume that is not the homes: of a machine, or of a bake."""
ADDRESS = "address"
ENDPOINT = "endpoint"
VPC = "network"
GROUP = "security group"
ROLE = "role"
PROFILE = "instance profile"
BACKUPS = "backup policy"
BUCKET = "bucket"
IMAGE = "image"
SNAPSHOT = "snapshot"
KEY_PAIR = "key pair"
PARAMETER = "parameter"
STATE = "state"
KEY = "KMS key"
"""Of the passwords. It is no stack's own, and goes with none."""
LOST_KEY = "KMS key without an alias"
"""Made for the passwords by a run that was ended before the alias: nothing finds it."""

MADE_BY_TERRAFORM = (EMR, MACHINE, VOLUME, ADDRESS, ENDPOINT, VPC, GROUP, ROLE, PROFILE, BACKUPS, BUCKET)

LEAVING = "shutting-down"
"""The state of a machine, or of a cluster, that goes without anybody's doing."""

_VERSION = 4
"""Of the format, the same since Terraform 0.12: internal/states/statefile/version4.go in its source."""

_TYPES: Mapping[str, str] = {
    "aws_instance": MACHINE,
    "aws_ebs_volume": VOLUME,
    "aws_eip": ADDRESS,
    "aws_vpc": VPC,
    "aws_security_group": GROUP,
}
"""Terraform's types of what is looked for in one region of the account."""


class StateError(Exception):
    """A state cannot be read; the message says where it is and what to do."""


@dataclass(frozen=True)
class Thing:
    """Something in the account.

    part: of the stack, as its tag says. detail: a few words for people. status: of a machine or volume, as
    the API has it. purpose: of a snapshot. size: of a volume or snapshot, in GiB. zone: of a volume.
    """

    kind: str
    id: str
    part: str = ""
    detail: str = ""
    status: str = ""
    purpose: str = ""
    size: int = 0
    zone: str = ""
    image_id: str = ""
    instance_type: str = ""
    slot: str = ""
    active: bool | None = None
    attached_to: tuple[str, ...] = ()


def _before(where: str) -> str:
    """Where what a state was before is to be had."""
    if not where.startswith("s3://"):
        return f"Terraform keeps the one before as {where}.backup."
    bucket, _slash, key = where.removeprefix("s3://").partition("/")
    return (
        f"the bucket keeps its earlier versions (aws s3api list-object-versions --bucket {bucket} --prefix "
        f"{key}). Get the last good one (aws s3api get-object --version-id ...), and put it back (aws s3 cp)."
    )


@dataclass(frozen=True)
class State:
    """What one of Terraform's states has.

    where: for people. things: id → address. exists: that it is not one of nothing. here: it lies in a file.
    """

    part: str
    where: str
    lineage: str = ""
    serial: int = 0
    outputs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    things: Mapping[str, str] = field(default_factory=dict)
    exists: bool = False
    here: bool = False

    @classmethod
    def parse(cls, part: str, where: str, document: Any) -> State:
        """Read a state; None is one that does not exist. Sensitive outputs are left out.

        Raises StateError.
        """
        if document is None:
            return cls(part, where)
        if not isinstance(document, dict) or document.get("version") != _VERSION:
            raise StateError(
                f"Terraform's state {where} is not of a format that this collection can read: it is "
                "encrypted, damaged, or of another version of Terraform. Nothing was changed. If it is "
                f"damaged: {_before(where)}"
            )
        things = {}
        for resource in document.get("resources") or []:
            if resource.get("mode") != "managed":
                continue
            for instance in resource.get("instances") or []:
                key = instance.get("index_key")
                index = f'["{key}"]' if isinstance(key, str) else "" if key is None else f"[{key}]"
                module = f"{resource['module']}." if resource.get("module") else ""
                address = f"{module}{resource['type']}.{resource['name']}{index}"
                things[str((instance.get("attributes") or {}).get("id") or address)] = address
        outputs = {
            name: output.get("value")
            for name, output in (document.get("outputs") or {}).items()
            if not output.get("sensitive")
        }
        return cls(
            part,
            where,
            str(document.get("lineage", "")),
            int(document.get("serial", 0)),
            outputs,
            things,
            exists=True,
        )

    def of_kind(self, kind: str) -> list[str]:
        """The ids that the state has of a kind of thing."""
        types = {name for name, its_kind in _TYPES.items() if its_kind == kind}
        return [found for found, address in self.things.items() if _type_of(address) in types]


@dataclass(frozen=True)
class Inventory:
    """All that is known of a stack. not_asked: kinds that could not be asked for, and why."""

    stack: str
    region: str
    things: Sequence[Thing] = ()
    states: Sequence[State] = ()
    not_asked: Mapping[str, str] = field(default_factory=dict)

    def of_kind(self, kind: str) -> list[Thing]:
        """The things of a kind."""
        return [thing for thing in self.things if thing.kind == kind]

    @property
    def machines(self) -> list[Thing]:
        """The stack's own machines, not those of a bake."""
        return [thing for thing in self.of_kind(MACHINE) if thing.part == INSTANCE]

    def state(self, part: str) -> State:
        """A part's state; an empty one where none was asked for."""
        return next((state for state in self.states if state.part == part), State(part, ""))

    @property
    def known(self) -> set[str]:
        """The ids that are in one of the states."""
        return {found for state in self.states for found in state.things}

    def unknown(self, parts: Iterable[str] = PARTS) -> list[Thing]:
        """What Terraform has made, of some parts, and no state has."""
        wanted = set(parts)
        return [
            thing
            for thing in self.things
            if thing.kind in MADE_BY_TERRAFORM and thing.part in wanted and thing.id not in self.known
        ]

    def elsewhere(self) -> list[str]:
        """The ids that a state has of what is not in this region of the account, or without its tags."""
        there = {thing.id for thing in self.things}
        return [
            found
            for state in self.states
            for found, address in state.things.items()
            if _type_of(address) in _TYPES and found not in there
        ]


def _type_of(address: str) -> str:
    """ "aws_vpc" of "module.network[0].aws_vpc.this"."""
    match = re.search(r"(?:^|\.)([a-z0-9]+_\w+)\.\w+(?:\[[^]]*\])?$", address)
    return match[1] if match else ""


def listed(things: Iterable[Thing]) -> str:
    """ "data volume vol-1, network vpc-1"."""
    return ", ".join(f"{thing.kind} {thing.id}" for thing in things)


def volume_to_import(inventory: Inventory) -> str | None:
    """The data volume that the account has and no state: the homes of a stack whose state is lost."""
    there = inventory.of_kind(VOLUME)
    if len(there) == 1 and not inventory.state(DATA).of_kind(VOLUME):
        return there[0].id
    return None


def backups_to_import(inventory: Inventory) -> dict[str, str]:
    """What makes the backups and is in no state: its role and policy, as terraform/data takes them."""
    found = {
        option: [thing.id for thing in inventory.unknown([DATA]) if thing.kind == kind]
        for option, kind in (("role", ROLE), ("policy_id", BACKUPS))
    }
    return {option: ids[0] for option, ids in found.items() if len(ids) == 1}


def volume_problem(inventory: Inventory) -> str | None:
    """Why the machine cannot be given its data volume: which one that is, is not certain."""
    stack, region = inventory.stack, inventory.region
    there = [thing.id for thing in inventory.of_kind(VOLUME)]
    state = inventory.state(DATA)
    in_state = state.of_kind(VOLUME)
    if len(there) > 1:
        known = [found for found in there if found in in_state]
        which = f"Terraform's state has {known[0]}. " if known else ""
        return (
            f"{stack} has more than one data volume in {region}: {', '.join(there)}. {which}Look which one "
            "has the homes, and take the tag ds-stack:name from every other: aws ec2 delete-tags "
            f"--region {region} --resources ... --tags Key=ds-stack:name"
        )
    if not in_state or in_state == there:
        return None
    forget = f"terraform state rm {state.things[in_state[0]]}"
    if there:
        return (
            f"Terraform's state ({state.where}) has the data volume {in_state[0]}, which {region} does not "
            f"have; the data volume there with the tags of {stack} is {there[0]}. If the homes are on that "
            f"one, let the state forget the other ({forget}, in the work folder of data), and run this "
            "again: the one with the tags is taken over."
        )
    return (
        f"Terraform's state ({state.where}) has the data volume {in_state[0]}, and {region} has none with "
        f"the tags of {stack}. If it is there, it has lost its tags: give it back ds-stack:name={stack} and "
        "ds-stack:part=data. If it is gone, make one of a snapshot and give that these tags, or begin with "
        f"an empty one; in both cases let the state forget it first ({forget}, in the work folder of data)."
    )


def unknown_problem(inventory: Inventory, part: str) -> str | None:
    """Why a part cannot be made: the account has it already, and the state does not know it."""
    unknown = [thing for thing in inventory.unknown([part]) if thing.status != LEAVING]
    if not unknown:
        return None
    where = inventory.state(part).where
    return (
        f"{inventory.region} has parts of {inventory.stack} that Terraform's state ({where}) does not have: "
        f"{listed(unknown)}. They would be made a second time. If their state is elsewhere, name it "
        "(ds_stack_state, ds_stack_dir, ds_stack_region). If it is lost, remove them by hand, or import them "
        "(terraform import, in the work folder of that part); the data volume alone is taken over without "
        "that. audit.yml lists all that there is, and says how."
    )
