# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the account for a Spark cluster: rules over the facts of preflight.py. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .preflight import (
    CLUSTER,
    VCPU_QUOTAS,
    Account,
    Cluster,
    Image,
    Wanted,
    quota_increase,
    vcpu_quota,
)

NODE_ROOT_SIZE = 15
"""GiB of the root disk of an image for EMR, at the least:
https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-custom-ami.html"""

VARIABLE = "ds_stack_cluster"


def cluster_problems(wanted: Wanted, account: Account) -> list[str]:
    """What is wrong with the account for the cluster; nothing where none is about to be made."""
    cluster = wanted.cluster
    if CLUSTER not in wanted.stages or cluster is None:
        return []
    return [problem for rule in _RULES for problem in rule(cluster, wanted.region, account)]


def cluster_warnings(wanted: Wanted, account: Account) -> Iterator[str]:
    """What does no harm, and costs."""
    here = account.cluster_subnets[0] if account.cluster_subnets else None
    if CLUSTER in wanted.stages and here and account.volume_zone and here.zone != account.volume_zone:
        yield (
            f"{VARIABLE}.subnet_id: {here.subnet_id} is in {here.zone}, and the machine in "
            f"{account.volume_zone}. AWS takes money for what goes from one zone to the other."
        )


def _subnet(cluster: Cluster, region: str, account: Account) -> Iterator[str]:
    if account.cluster_subnets is None:
        return
    variable, subnet_id = f"{VARIABLE}.subnet_id", cluster.subnet_id
    if not account.cluster_subnets:
        yield f"{variable}: there is no subnet {subnet_id} in {region}."
        return
    here = account.cluster_subnets[0]
    if account.vpc_id and here.vpc_id != account.vpc_id:
        yield (
            f"{variable}: {subnet_id} is in the VPC {here.vpc_id}, and the machine in {account.vpc_id}, from "
            "which nothing leads there. Take a subnet of that VPC, or leave it out and one is made."
        )
    if here.public:
        yield (
            f"{variable}: {subnet_id} gives what is started in it a public address, which no node is to "
            "have. Take another, or leave it out and one is made."
        )


def _type_in_zone(cluster: Cluster, _region: str, account: Account) -> Iterator[str]:
    name = cluster.instance_type
    offered = (account.types or {}).get(name)
    zone = account.cluster_subnets[0].zone if account.cluster_subnets else account.volume_zone
    if not offered or not zone or zone in offered.zones:
        return
    what = "the cluster's subnet" if account.cluster_subnets else "the machine"
    yield (
        f"{VARIABLE}.instance_type: {name} is not offered in {zone}, where {what} is (but in "
        f"{', '.join(sorted(offered.zones))}). Take another type."
    )


def _image(cluster: Cluster, region: str, account: Account) -> Iterator[str]:
    variable, image = f"{VARIABLE}.image_id", account.node_image
    if image is None:
        return
    if not isinstance(image, Image):
        yield (
            f"{variable}: there is no image {cluster.image_id} in {region} that can be used. Take another, "
            "or leave it out and one is baked."
        )
        return
    if account.account_id and image.owner != account.account_id:
        yield (
            f"{variable}: {image.image_id} belongs to the account {image.owner}, which can take it away. "
            "Copy it into this one (aws ec2 copy-image), or leave it out and one is baked."
        )
    if image.disks != 1 or image.root_size < NODE_ROOT_SIZE:
        volumes = "1 volume" if image.disks == 1 else f"{image.disks} volumes"
        yield (
            f"{variable}: {image.image_id} has {volumes} and a root disk of {image.root_size} GiB, and EMR "
            f"takes one volume, of {NODE_ROOT_SIZE} GiB or more. Leave it out and one is baked."
        )


def _vcpus(cluster: Cluster, region: str, account: Account) -> Iterator[str]:
    """Of those nodes that are not spot. What the stack's last cluster still has is free by then."""
    name = cluster.instance_type
    offered, kind = (account.types or {}).get(name), vcpu_quota(name)
    if offered is None or kind is None or kind not in account.vcpu_limits or account.running is None:
        return
    limit, needed = account.vcpu_limits[kind], cluster.nodes * offered.vcpus
    used = sum(one.vcpus for one in account.running if not one.node and vcpu_quota(one.instance_type) == kind)
    if used + needed > limit:
        more = quota_increase("ec2", VCPU_QUOTAS[kind][1], used + needed, region)
        yield (
            f"{VARIABLE}: {cluster.nodes} nodes of {name} take {needed} vCPUs, and of the account's quota "
            f"for running on-demand {kind} instances, {limit} in {region}, {used} are used. Take a smaller "
            f"type or fewer of workers.core, stop something, or ask for more: {more}"
        )


_RULES: tuple[Callable[[Cluster, str, Account], Iterator[str]], ...] = (
    _subnet,
    _type_in_zone,
    _image,
    _vcpus,
)
