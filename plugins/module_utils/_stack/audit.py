# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of a stack, why, and what to do about it: rules over an inventory. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from .inventory import (
    ADDRESS,
    BACKUPS,
    BUCKET,
    DATA,
    DISK,
    EMR,
    ENDPOINT,
    GROUP,
    IMAGE,
    KEPT,
    KEY_PAIR,
    LEAVING,
    MACHINE,
    NODE,
    NODE_IMAGE,
    PARAMETER,
    PROFILE,
    RESTORING,
    ROLE,
    SNAPSHOT,
    STATE,
    VOLUME,
    VPC,
    Inventory,
    Thing,
)

DESTROY = "destroy.yml removes it"
WITH_DATA = "destroy.yml -e ds_stack_destroy_data=true removes it"


@dataclass(frozen=True)
class Finding:
    """One thing that is there.

    why: it is. what: to do to have it no longer. orphan: nothing of ours looks after it by itself.
    """

    kind: str
    id: str
    why: str
    what: str
    orphan: bool = False


def audit(inventory: Inventory) -> list[Finding]:
    """Tell of everything that the account has of a stack, in the order in which it is to be removed."""
    return [
        finding
        for kind, rule in _RULES.items()
        for thing in inventory.of_kind(kind)
        for finding in rule(inventory, thing)
    ]


def _made_by_terraform(command: str) -> Callable[[Inventory, Thing], Iterator[Finding]]:
    def rule(inventory: Inventory, thing: Thing) -> Iterator[Finding]:
        if thing.status == LEAVING:
            yield Finding(thing.kind, thing.id, "it is shutting down", "nothing: it is gone in some minutes")
        elif thing.id in inventory.known:
            yield Finding(thing.kind, thing.id, thing.detail or "in use", DESTROY)
        else:
            by_hand = command.format(id=thing.id, region=inventory.region)
            why = f"{thing.detail + ', ' if thing.detail else ''}in no state of Terraform's"
            yield Finding(thing.kind, thing.id, why, f"when nobody needs it: {by_hand}", orphan=True)

    return rule


_machine_role = _made_by_terraform("aws iam delete-role --role-name {id}")


def _volume(inventory: Inventory, thing: Thing) -> Iterator[Finding]:
    if thing.id in inventory.known:
        yield Finding(thing.kind, thing.id, f"the homes, {thing.detail}", WITH_DATA)
    elif len(inventory.of_kind(VOLUME)) == 1:
        yield Finding(
            thing.kind,
            thing.id,
            f"the homes, {thing.detail}, in no state of Terraform's",
            "site.yml takes it over",
            orphan=True,
        )
    else:
        yield Finding(
            thing.kind,
            thing.id,
            f"{thing.detail}, in no state of Terraform's, and not the only one",
            "look what is on it; then take its tag ds-stack:name, or: aws ec2 delete-volume "
            f"--region {inventory.region} --volume-id {thing.id}",
            orphan=True,
        )


def _backups(inventory: Inventory, thing: Thing) -> Iterator[Finding]:
    """The role and the policy live as long as the homes, not as the machine."""
    command = (
        f"aws iam delete-role --role-name {thing.id} (after its policy: aws iam delete-role-policy)"
        if thing.kind == ROLE
        else f"aws dlm delete-lifecycle-policy --region {inventory.region} --policy-id {thing.id}"
    )
    why = "it has the homes backed up"
    if thing.id in inventory.known:
        yield Finding(thing.kind, thing.id, why, f"{WITH_DATA}; so does ds_stack_backups: {{keep_days: 0}}")
    elif inventory.of_kind(VOLUME):
        yield Finding(
            thing.kind, thing.id, f"{why}, in no state of Terraform's", "site.yml takes it over", orphan=True
        )
    else:
        yield Finding(
            thing.kind, thing.id, f"{why}, of which there are none", f"by hand: {command}", orphan=True
        )


def _role(inventory: Inventory, thing: Thing) -> Iterator[Finding]:
    yield from (_backups if thing.part == DATA else _machine_role)(inventory, thing)


def _disk(inventory: Inventory, thing: Thing) -> Iterator[Finding]:
    by_hand = f"aws ec2 delete-volume --region {inventory.region} --volume-id {thing.id}"
    if thing.part == KEPT:
        why = f"the homes as they were before a restore, {thing.detail}"
        yield Finding(thing.kind, thing.id, why, f"when nobody needs it: {by_hand}", orphan=True)
    elif thing.part == RESTORING:
        why = f"of a restore that has not come to its end, {thing.detail}"
        yield Finding(thing.kind, thing.id, why, f"run restore.yml again, or: {by_hand}", orphan=True)
    elif thing.status != "in-use":  # else it goes with its machine
        why = f"of a machine that is gone, {thing.detail}"
        yield Finding(thing.kind, thing.id, why, f"when nobody needs it: {by_hand}", orphan=True)


def _node(inventory: Inventory, thing: Thing) -> Iterator[Finding]:
    """One goes with its cluster."""
    if not inventory.of_kind(EMR):
        by_hand = f"aws ec2 terminate-instances --region {inventory.region} --instance-ids {thing.id}"
        yield Finding(
            thing.kind, thing.id, f"of a cluster that is gone, {thing.detail}", by_hand, orphan=True
        )


def _image(_inventory: Inventory, thing: Thing) -> Iterator[Finding]:
    playbook = "cluster.yml" if thing.part == NODE_IMAGE else "site.yml"
    yield Finding(
        thing.kind,
        thing.id,
        f"{thing.detail}: {playbook} uses it again",
        "destroy.yml -e ds_stack_destroy_images=true removes it with its snapshot",
    )


def _snapshot(inventory: Inventory, thing: Thing) -> Iterator[Finding]:
    by_hand = f"aws ec2 delete-snapshot --region {inventory.region} --snapshot-id {thing.id}"
    if thing.part in ("image", NODE_IMAGE):
        if not any(thing.id in image.detail for image in inventory.of_kind(IMAGE)):
            yield Finding(thing.kind, thing.id, "of an image that is gone", by_hand, orphan=True)
    elif thing.purpose == "final":
        yield Finding(
            thing.kind, thing.id, f"the homes as they were when they were destroyed, {thing.detail}", by_hand
        )
    elif thing.purpose == "scheduled":
        goes = bool(inventory.of_kind(BACKUPS))
        yield Finding(
            thing.kind,
            thing.id,
            f"a backup, {thing.detail}, which costs as much as {thing.size} GiB of snapshots at the most",
            "it goes by itself after its days" if goes else f"nothing retires it any more: {by_hand}",
            orphan=not goes,
        )
    elif thing.purpose == "before-replacement" and inventory.of_kind(VOLUME):
        yield Finding(
            thing.kind,
            thing.id,
            f"the homes before a machine was replaced, {thing.detail}",
            "it goes when the next one is completed, or with the data volume",
        )
    else:
        purpose = thing.purpose or "made by somebody else"
        yield Finding(thing.kind, thing.id, f"{purpose}, {thing.detail}", f"when nobody needs it: {by_hand}")


def _key_pair(inventory: Inventory, thing: Thing) -> Iterator[Finding]:
    yield Finding(
        thing.kind,
        thing.id,
        "of a bake that was killed, or still runs",
        f"when no bake runs: aws ec2 delete-key-pair --region {inventory.region} --key-pair-id {thing.id}",
        orphan=True,
    )


def _parameter(inventory: Inventory, thing: Thing) -> Iterator[Finding]:
    of_users = "/machine/users/" in thing.id or "/operator/passwords/" in thing.id
    if of_users and inventory.of_kind(VOLUME):
        yield Finding(thing.kind, thing.id, "a user's, as long as there are homes", WITH_DATA)
    elif inventory.machines:
        yield Finding(thing.kind, thing.id, "the machine's, or this stack's own", DESTROY)
    elif (
        "/operator/" in thing.id and not of_users and (inventory.of_kind(VOLUME) or inventory.of_kind(IMAGE))
    ):
        yield Finding(thing.kind, thing.id, "what this account knows of the stack", WITH_DATA)
    else:
        by_hand = f"aws ssm delete-parameter --region {inventory.region} --name {thing.id}"
        yield Finding(
            thing.kind, thing.id, "there is nothing that needs it", f"{DESTROY}, or: {by_hand}", orphan=True
        )


def _state(_inventory: Inventory, thing: Thing) -> Iterator[Finding]:
    yield Finding(thing.kind, thing.id, thing.detail, WITH_DATA)


_RULES: Mapping[str, Callable[[Inventory, Thing], Iterator[Finding]]] = {
    EMR: _made_by_terraform("aws emr terminate-clusters --region {region} --cluster-ids {id}"),
    NODE: _node,
    MACHINE: _made_by_terraform("aws ec2 terminate-instances --region {region} --instance-ids {id}"),
    ADDRESS: _made_by_terraform("aws ec2 release-address --region {region} --allocation-id {id}"),
    PROFILE: _made_by_terraform("aws iam delete-instance-profile --instance-profile-name {id}"),
    ROLE: _role,
    VOLUME: _volume,
    DISK: _disk,
    ENDPOINT: _made_by_terraform("aws ec2 delete-vpc-endpoints --region {region} --vpc-endpoint-ids {id}"),
    GROUP: _made_by_terraform("aws ec2 delete-security-group --region {region} --group-id {id}"),
    VPC: _made_by_terraform("aws ec2 delete-vpc --region {region} --vpc-id {id} (with all that is in it)"),
    BUCKET: _made_by_terraform("aws s3 rb --force s3://{id}"),
    BACKUPS: _backups,
    IMAGE: _image,
    SNAPSHOT: _snapshot,
    KEY_PAIR: _key_pair,
    PARAMETER: _parameter,
    STATE: _state,
}
