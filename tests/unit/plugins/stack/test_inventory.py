"""What an account has of a stack against what Terraform's states have, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import inventory as kinds
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.audit import audit
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.inventory import (
    Inventory,
    State,
    StateError,
    Thing,
    backups_to_import,
    unknown_problem,
    volume_problem,
    volume_to_import,
)

VOLUME = "module.data_volume.aws_ebs_volume.this"
VPC = "module.network[0].aws_vpc.this"


def volume(name: str) -> Thing:
    return Thing(kinds.VOLUME, name, "data", "50 GiB in us-east-1a", size=50, zone="us-east-1a")


def network(name: str) -> Thing:
    return Thing(kinds.VPC, name, "network", "10.77.0.0/16")


def machine(name: str, status: str = "running") -> Thing:
    return Thing(kinds.MACHINE, name, "instance", f"{status} (t3.large)", status=status)


def state(part: str, **things: str) -> State:
    known = {name.replace("_", "-"): address for name, address in things.items()}
    return State(part, f"s3://states/demo/{part}.tfstate", "l", 1, {}, known, exists=True)


def stack(*things: Thing, states: tuple[State, ...] = ()) -> Inventory:
    return Inventory("demo", "us-east-1", things, states)


DOCUMENT = {
    "version": 4,
    "serial": 7,
    "lineage": "l-1",
    "outputs": {
        "volume_id": {"value": "vol-1", "type": "string"},
        "token": {"value": "secret", "type": "string", "sensitive": True},
    },
    "resources": [
        {"mode": "data", "type": "aws_region", "name": "here", "instances": [{"attributes": {"id": "us"}}]},
        {
            "module": "module.data_volume",
            "mode": "managed",
            "type": "aws_ebs_volume",
            "name": "this",
            "instances": [{"attributes": {"id": "vol-1"}}],
        },
        {
            "mode": "managed",
            "type": "aws_subnet",
            "name": "public",
            "instances": [
                {"index_key": "us-east-1a", "attributes": {"id": "subnet-a"}},
                {"index_key": 1, "attributes": {"id": "subnet-b"}},
            ],
        },
        {"mode": "managed", "type": "terraform_data", "name": "x", "instances": [{"attributes": {}}]},
    ],
}


def test_a_state_is_read_without_what_is_secret_in_it() -> None:
    found = State.parse("data", "here", DOCUMENT)
    assert (found.exists, found.serial, found.lineage) == (True, 7, "l-1")
    assert found.outputs == {"volume_id": "vol-1"}
    assert found.things == {
        "vol-1": VOLUME,
        "subnet-a": 'aws_subnet.public["us-east-1a"]',
        "subnet-b": "aws_subnet.public[1]",
        "terraform_data.x": "terraform_data.x",
    }
    assert found.of_kind(kinds.VOLUME) == ["vol-1"]
    assert "secret" not in repr(found)


@pytest.mark.parametrize("document", [b"not JSON", [], {"version": 5}, {"encrypted_data": "x"}, "text"])
def test_a_state_that_cannot_be_read_is_told(document: Any) -> None:
    with pytest.raises(StateError, match=r"s3://b/k is not of a format .* Nothing was changed.*--prefix k\)"):
        State.parse("data", "s3://b/k", document)
    with pytest.raises(StateError, match=r"the one before as /x/terraform\.tfstate\.backup\.$"):
        State.parse("data", "/x/terraform.tfstate", document)


def test_none_is_an_empty_state() -> None:
    assert State.parse("data", "here", None) == State("data", "here")


@pytest.mark.parametrize(
    ("there", "in_state", "imported", "problem"),
    [
        ([], {}, None, None),
        (["vol-1"], {}, "vol-1", None),
        (["vol-1"], {"vol_1": VOLUME}, None, None),
        (
            ["vol-1", "vol-2"],
            {},
            None,
            "has more than one data volume in us-east-1: vol-1, vol-2. Look which",
        ),
        (
            ["vol-1", "vol-2"],
            {"vol_1": VOLUME},
            None,
            "vol-1, vol-2. Terraform's state has vol-1. Look which",
        ),
        (
            ["vol-2"],
            {"vol_1": VOLUME},
            None,
            "has the data volume vol-1, which us-east-1 does not have; the data volume there with the tags "
            "of demo is vol-2. If the homes are on that one, let the state forget the other (terraform state "
            f"rm {VOLUME}",
        ),
        (
            [],
            {"vol_1": VOLUME},
            None,
            "has the data volume vol-1, and us-east-1 has none with the tags of demo. If it is there, it has "
            "lost its tags",
        ),
    ],
)
def test_the_data_volume(
    there: list[str], in_state: dict[str, str], imported: str | None, problem: str | None
) -> None:
    found = stack(*map(volume, there), states=(state("data", **in_state),))
    assert volume_to_import(found) == imported
    said = volume_problem(found)
    assert (problem in said) if problem and said else said is problem


def test_a_disk_of_a_machine_is_no_data_volume() -> None:
    root = replace(volume("vol-9"), kind=kinds.DISK, part="instance")
    assert volume_to_import(stack(root)) is None
    assert stack(root).unknown() == []


@pytest.mark.parametrize(
    ("part", "things", "known", "named"),
    [
        ("network", [network("vpc-1")], {}, "network vpc-1"),
        ("network", [network("vpc-1")], {"vpc_1": VPC}, None),
        ("network", [network("vpc-1"), network("vpc-2")], {"vpc_1": VPC}, "network vpc-2"),
        ("network", [machine("i-1")], {}, None),
        ("instance", [machine("i-1")], {}, "machine i-1"),
        ("instance", [machine("i-1", "shutting-down")], {}, None),
        ("instance", [replace(machine("i-1"), part="bake")], {}, None),
        (
            "instance",
            [Thing(kinds.ROLE, "ds-stack-demo-us-east-1", "instance")],
            {},
            "role ds-stack-demo-us-east-1",
        ),
        ("instance", [Thing(kinds.ADDRESS, "eipalloc-1", "instance")], {}, "address eipalloc-1"),
    ],
)
def test_what_a_lost_state_had_is_not_made_again(
    part: str, things: list[Thing], known: dict[str, str], named: str | None
) -> None:
    said = unknown_problem(stack(*things, states=(state(part, **known),)), part)
    if named is None:
        assert said is None
    else:
        assert said
        assert f"(s3://states/demo/{part}.tfstate) does not have: {named}. They would be made" in said


def test_what_makes_the_backups_is_taken_over_as_the_volume_is() -> None:
    assert backups_to_import(stack(POLICY, ROLE)) == {"role": "role-b", "policy_id": "policy-1"}
    known = state("data", policy_1=DLM)
    assert backups_to_import(stack(POLICY, ROLE, states=(known,))) == {"role": "role-b"}
    machines = replace(ROLE, id="role-m", part="instance")
    assert backups_to_import(stack(POLICY, machines, states=(known,))) == {}
    # Which of two is the right one, nobody can tell.
    assert backups_to_import(stack(POLICY, replace(POLICY, id="policy-2"))) == {}


def test_elsewhere_is_what_only_a_state_has() -> None:
    found = stack(
        volume("vol-1"),
        states=(
            state("network", vpc_1=VPC, subnet_1="module.network[0].aws_subnet.public"),
            state("data", vol_1=VOLUME),
            state("instance", i_1="module.compute.aws_instance.machine[0]"),
        ),
    )
    assert found.elsewhere() == ["vpc-1", "i-1"]  # of subnets nobody asks


FINAL = Thing(kinds.SNAPSHOT, "snap-f", "data", "of vol-1, 2026-11-27", purpose="final")
BEFORE = replace(FINAL, id="snap-b", purpose="before-replacement")
BACKUP = replace(FINAL, id="snap-s", purpose="scheduled", size=50)
THEIRS = replace(FINAL, id="snap-t", purpose="")
POLICY = Thing(kinds.BACKUPS, "policy-1", "data", "enabled")
ROLE = Thing(kinds.ROLE, "role-b", "data")
DLM = "module.backups[0].aws_dlm_lifecycle_policy.backups"
SPARK = Thing(kinds.EMR, "j-1", "cluster", "emr-spark-8.0.0, WAITING", status="WAITING")
NODE = Thing(kinds.NODE, "i-node", "cluster", "running (m7i.xlarge)", status="running")
IMAGE = Thing(kinds.IMAGE, "ami-1", "image", "demo-1 with snap-i")
PASSWORD = Thing(kinds.PARAMETER, "/ds-stack/demo/operator/passwords/ada")
STATUS = Thing(kinds.PARAMETER, "/ds-stack/demo/machine/status")
RECORD = Thing(kinds.PARAMETER, "/ds-stack/demo/operator/stack")


@pytest.mark.parametrize(
    ("thing", "others", "known", "said"),
    [
        (
            machine("i-1"),
            [],
            {"i_1": "aws_instance.x"},
            ("running (t3.large)", "destroy.yml removes it", False),
        ),
        (
            machine("i-1"),
            [],
            {},
            (
                "running (t3.large), in no state of Terraform's",
                "aws ec2 terminate-instances --region us-east-1 --instance-ids i-1",
                True,
            ),
        ),
        (machine("i-1", "shutting-down"), [], {}, ("shutting down", "nothing", False)),
        (volume("vol-1"), [], {"vol_1": VOLUME}, ("the homes, 50 GiB", "ds_stack_destroy_data=true", False)),
        (volume("vol-1"), [], {}, ("in no state of Terraform's", "site.yml takes it over", True)),
        (volume("vol-1"), [volume("vol-2")], {}, ("and not the only one", "take its tag", True)),
        (
            network("vpc-1"),
            [],
            {},
            ("in no state of Terraform's", "aws ec2 delete-vpc --region us-east-1", True),
        ),
        (
            replace(volume("vol-9"), kind=kinds.DISK, status="available"),
            [],
            {},
            ("of a machine that is gone", "aws ec2 delete-volume --region us-east-1 --volume-id vol-9", True),
        ),
        (IMAGE, [], {}, ("site.yml uses it again", "ds_stack_destroy_images=true", False)),
        (replace(THEIRS, part="image"), [], {}, ("of an image that is gone", "delete-snapshot", True)),
        (FINAL, [], {}, ("as they were when they were destroyed", "--snapshot-id snap-f", False)),
        (BEFORE, [volume("vol-1")], {}, ("before a machine was replaced", "with the data volume", False)),
        (BACKUP, [POLICY], {}, ("as much as 50 GiB of snapshots", "by itself after its days", False)),
        (
            BACKUP,
            [],
            {},
            ("a backup, of vol-1", "nothing retires it any more: aws ec2", True),
        ),
        (POLICY, [], {"policy_1": DLM}, ("has the homes backed up", "ds_stack_destroy_data=true", False)),
        (POLICY, [volume("vol-1")], {}, ("in no state of Terraform's", "site.yml takes it over", True)),
        (POLICY, [], {}, ("of which there are none", "aws dlm delete-lifecycle-policy --region", True)),
        (ROLE, [], {"role_b": "aws_iam_role.x"}, ("has the homes backed up", "keep_days: 0", False)),
        (ROLE, [], {}, ("of which there are none", "aws iam delete-role --role-name role-b", True)),
        (
            replace(ROLE, id="role-m", part="instance"),
            [volume("vol-1")],
            {},
            ("in no state of Terraform's", "aws iam delete-role --role-name role-m", True),
        ),
        (
            replace(volume("vol-8"), kind=kinds.DISK, part=kinds.KEPT, status="available"),
            [volume("vol-1")],
            {"vol_1": VOLUME},
            ("the homes as they were before a restore", "aws ec2 delete-volume", True),
        ),
        (
            replace(volume("vol-8"), kind=kinds.DISK, part=kinds.RESTORING, status="available"),
            [volume("vol-1")],
            {"vol_1": VOLUME},
            ("has not come to its end", "restore.yml", True),
        ),
        (BEFORE, [], {}, ("before-replacement", "when nobody needs it: aws ec2 delete-snapshot", False)),
        (THEIRS, [], {}, ("made by somebody else", "when nobody needs it: aws ec2 delete-snapshot", False)),
        (Thing(kinds.KEY_PAIR, "key-1"), [], {}, ("of a bake that was killed", "--key-pair-id key-1", True)),
        (
            PASSWORD,
            [volume("vol-1")],
            {},
            ("as long as there are homes", "ds_stack_destroy_data=true", False),
        ),
        (PASSWORD, [], {}, ("nothing that needs it", "aws ssm delete-parameter", True)),
        (STATUS, [machine("i-1")], {}, ("the machine's", "destroy.yml removes it", False)),
        (
            STATUS,
            [volume("vol-1")],
            {},
            ("nothing that needs it", "destroy.yml removes it, or: aws ssm", True),
        ),
        (RECORD, [IMAGE], {}, ("what this account knows of the stack", "ds_stack_destroy_data=true", False)),
        (
            SPARK,
            [],
            {"j_1": "module.cluster.aws_emr_cluster.this"},
            ("WAITING", "destroy.yml removes it", False),
        ),
        (
            SPARK,
            [],
            {},
            ("in no state of Terraform's", "aws emr terminate-clusters --region us-east-1", True),
        ),
        (replace(SPARK, status=kinds.LEAVING), [], {}, ("shutting down", "nothing", False)),
        (NODE, [], {}, ("of a cluster that is gone", "terminate-instances --region us-east-1", True)),
        (Thing(kinds.BUCKET, "b-1", "cluster"), [], {}, ("in no state", "aws s3 rb --force s3://b-1", True)),
        (Thing(kinds.ENDPOINT, "vpce-1", "cluster"), [], {}, ("in no state", "delete-vpc-endpoints", True)),
        (replace(ROLE, part="cluster"), [volume("vol-1")], {}, ("in no state", "aws iam delete-role", True)),
        (
            replace(IMAGE, part=kinds.NODE_IMAGE),
            [],
            {},
            ("cluster.yml uses it again", "destroy_images", False),
        ),
        (
            replace(THEIRS, part=kinds.NODE_IMAGE),
            [],
            {},
            ("of an image that is gone", "delete-snapshot", True),
        ),
        (
            Thing(kinds.STATE, "s3://b/demo/data.tfstate", detail="a state"),
            [],
            {},
            ("a state", "destroy.yml", False),
        ),
    ],
)
def test_each_thing_is_explained(
    thing: Thing, others: list[Thing], known: dict[str, str], said: tuple[str, str, bool]
) -> None:
    found = audit(stack(thing, *others, states=(state("data", **known),)))
    (one,) = [finding for finding in found if finding.id == thing.id]
    why, what, orphan = said
    assert why in one.why
    assert what in one.what
    assert one.orphan is orphan


def test_what_goes_with_something_else_is_not_listed() -> None:
    root = replace(volume("vol-9"), kind=kinds.DISK, status="in-use")
    of_image = replace(THEIRS, id="snap-i", part="image")
    assert [finding.id for finding in audit(stack(of_image, root, IMAGE))] == ["ami-1"]
    assert [finding.id for finding in audit(stack(NODE, SPARK))] == [SPARK.id]


def test_a_cluster_that_no_state_has_is_not_made_again() -> None:
    """One that ends by itself is no obstacle, and neither are nodes."""
    problem = unknown_problem(stack(SPARK, NODE), kinds.CLUSTER)
    assert problem
    assert "Spark cluster j-1" in problem
    assert "i-node" not in problem
    assert unknown_problem(stack(replace(SPARK, status=kinds.LEAVING), NODE), kinds.CLUSTER) is None
    known = state("cluster", j_1="module.cluster.aws_emr_cluster.this")
    assert unknown_problem(stack(SPARK, states=(known,)), kinds.CLUSTER) is None
    assert stack(states=(known,)).elsewhere() == []


def test_things_are_in_the_order_in_which_they_go() -> None:
    things = (PASSWORD, IMAGE, network("vpc-1"), volume("vol-1"), machine("i-1"), SPARK)
    assert [finding.id for finding in audit(stack(*things))] == [
        "j-1",
        "i-1",
        "vol-1",
        "vpc-1",
        "ami-1",
        PASSWORD.id,
    ]
