"""The rules about an account for a Spark cluster: what they say to which facts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.preflight import (
    Account,
    Cluster,
    Image,
    InstanceType,
    Running,
    Subnet,
    Wanted,
    account_problems,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.preflight_cluster import (
    cluster_problems,
    cluster_warnings,
)

X86 = frozenset({"x86_64"})
ZONES = frozenset({"eu-central-1a", "eu-central-1b"})
CLUSTER = Cluster("m7i.xlarge", 2)
WANTED = Wanted("demo", "eu-central-1", frozenset({"cluster"}), cluster=CLUSTER)
SUBNET = Subnet("subnet-1", "eu-central-1a", "vpc-1")
NODE = Image("ami-node", "demo-nodes-1", "x86_64", 30, owner="123456789012")
#: In which nothing is wrong.
ACCOUNT = Account(
    account_id="123456789012",
    types={"m7i.xlarge": InstanceType(4, X86, ZONES)},
    volume_zone="eu-central-1a",
    vpc_id="vpc-1",
    cluster_subnets=[SUBNET],
    node_image=NODE,
    running=[],
    vcpu_limits={"Standard": 8},
)


def test_nothing_is_wrong() -> None:
    assert cluster_problems(WANTED, ACCOUNT) == []
    assert account_problems(WANTED, ACCOUNT) == []
    assert list(cluster_warnings(WANTED, ACCOUNT)) == []


def test_nothing_is_said_about_what_is_not_known() -> None:
    assert cluster_problems(WANTED, Account()) == []
    assert list(cluster_warnings(WANTED, Account())) == []


def test_nothing_is_said_where_no_cluster_is_made() -> None:
    """Also of one that the configuration asks for."""
    bad = replace(ACCOUNT, cluster_subnets=[], node_image=False)
    assert cluster_problems(replace(WANTED, stages=frozenset({"bake", "instance"})), bad) == []
    assert cluster_problems(replace(WANTED, cluster=None), bad) == []


@pytest.mark.parametrize(
    ("wanted", "facts", "said"),
    [
        (
            {"subnet_id": "subnet-9"},
            {"cluster_subnets": []},
            "ds_stack_cluster.subnet_id: there is no subnet subnet-9 in eu-central-1.",
        ),
        (
            {"subnet_id": "subnet-1"},
            {"vpc_id": "vpc-2"},
            "ds_stack_cluster.subnet_id: subnet-1 is in the VPC vpc-1, and the machine in vpc-2, from which "
            "nothing leads there. Take a subnet of that VPC, or leave it out and one is made.",
        ),
        (
            {"subnet_id": "subnet-1"},
            {"cluster_subnets": [replace(SUBNET, public=True)]},
            "ds_stack_cluster.subnet_id: subnet-1 gives what is started in it a public address, which no "
            "node is to have. Take another, or leave it out and one is made.",
        ),
        (
            {"subnet_id": "subnet-1"},
            {"cluster_subnets": [replace(SUBNET, zone="eu-central-1c")], "volume_zone": "eu-central-1c"},
            "ds_stack_cluster.instance_type: m7i.xlarge is not offered in eu-central-1c, where the cluster's "
            "subnet is (but in eu-central-1a, eu-central-1b). Take another type.",
        ),
        (
            {},
            {"cluster_subnets": None, "volume_zone": "eu-central-1c"},
            "ds_stack_cluster.instance_type: m7i.xlarge is not offered in eu-central-1c, where the machine "
            "is (but in eu-central-1a, eu-central-1b). Take another type.",
        ),
        (
            {"image_id": "ami-gone"},
            {"node_image": False},
            "ds_stack_cluster.image_id: there is no image ami-gone in eu-central-1 that can be used. Take "
            "another, or leave it out and one is baked.",
        ),
        (
            {"image_id": "ami-node"},
            {"node_image": replace(NODE, owner="999999999999")},
            "ds_stack_cluster.image_id: ami-node belongs to the account 999999999999, which can take it "
            "away. Copy it into this one (aws ec2 copy-image), or leave it out and one is baked.",
        ),
        (
            {"image_id": "ami-node"},
            {"node_image": replace(NODE, root_size=8)},
            "ds_stack_cluster.image_id: ami-node has 1 volume and a root disk of 8 GiB, and EMR takes one "
            "volume, of 15 GiB or more. Leave it out and one is baked.",
        ),
        (
            {"image_id": "ami-node"},
            {"node_image": replace(NODE, disks=2)},
            "ds_stack_cluster.image_id: ami-node has 2 volumes and a root disk of 30 GiB, and EMR takes one "
            "volume, of 15 GiB or more. Leave it out and one is baked.",
        ),
        (
            {"nodes": 3},
            {},
            "ds_stack_cluster: 3 nodes of m7i.xlarge take 12 vCPUs, and of the account's quota for running "
            "on-demand Standard instances, 8 in eu-central-1, 0 are used. Take a smaller type or fewer of "
            "workers.core, stop something, or ask for more: aws service-quotas "
            "request-service-quota-increase --service-code ec2 --quota-code L-1216C47A --desired-value 12 "
            "--region eu-central-1",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    wanted: dict[str, Any], facts: dict[str, Any], said: str
) -> None:
    told = cluster_problems(replace(WANTED, cluster=replace(CLUSTER, **wanted)), replace(ACCOUNT, **facts))
    assert told == [said]


def test_the_machine_counts_against_the_quota_and_the_last_clusters_nodes_do_not() -> None:
    machine, node = Running("t3.large", 2, own=True), Running("m7i.xlarge", 4, own=False, node=True)
    full = replace(ACCOUNT, running=[machine, node, node], vcpu_limits={"Standard": 10})
    assert cluster_problems(WANTED, full) == []
    (said,) = cluster_problems(WANTED, replace(full, vcpu_limits={"Standard": 9}))
    assert "9 in eu-central-1, 2 are used." in said


def test_another_zone_than_the_machines_costs() -> None:
    (said,) = cluster_warnings(WANTED, replace(ACCOUNT, volume_zone="eu-central-1b"))
    assert said == (
        "ds_stack_cluster.subnet_id: subnet-1 is in eu-central-1a, and the machine in eu-central-1b. AWS "
        "takes money for what goes from one zone to the other."
    )


def test_a_type_that_the_region_does_not_offer() -> None:
    assert account_problems(WANTED, replace(ACCOUNT, types={})) == [
        "ds_stack_cluster.instance_type: m7i.xlarge is not offered in eu-central-1. Take one of: aws ec2 "
        "describe-instance-type-offerings --region eu-central-1"
    ]
