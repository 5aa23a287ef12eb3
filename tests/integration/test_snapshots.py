"""Which snapshots of the homes the playbooks show; which of them and of the images they remove: on moto."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import AmiBackend

from tests.integration.moto_stacks import (
    data_tags,
    leave_volumes_without_a_snapshot,
    make_image,
    make_older,
    purpose,
    snapshot,
    snapshots,
)
from tests.integration.operators import REGION, ROOT, Operator

NAME = "kept"
DESCRIPTION = f"{NAME}: before the machine is replaced"


def moto_snapshots() -> dict[str, Any]:
    """Moto's own snapshots, to be given another age or state."""
    snapshots: dict[str, Any] = ec2_backends["123456789012"][REGION].snapshots
    return snapshots


@pytest.mark.parametrize("kept", [1, 0])
def test_only_our_own_snapshots_are_retired(tmp_path: Path, endpoint: str, kept: int) -> None:
    """By the playbooks' own task file: the last completed one stays, and everybody else's."""
    operator = Operator.with_account(tmp_path, endpoint, ds_stack_name=NAME, ds_stack_tags={})
    ec2 = operator.client("ec2")
    volume, another = (
        ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1)["VolumeId"] for _turn in range(2)
    )
    ours = (volume, DESCRIPTION, purpose("before-replacement"))
    older, newer = (snapshot(operator, *ours) for _turn in range(2))
    before = snapshots(operator)
    people = {
        snapshot(operator, volume, "by hand"),
        snapshot(operator, volume, DESCRIPTION),
        snapshot(operator, volume, "Created for policy: policy-1", {"Key": "dlm", "Value": "1"}),
        snapshot(operator, volume, "[Copied snap-1]", purpose("before-replacement")),
        snapshot(operator, volume, "kept", purpose("backup")),
        snapshot(operator, volume, DESCRIPTION, purpose("final")),
        snapshot(operator, another, DESCRIPTION, purpose("before-replacement")),
    }
    # Moto's have all the same second, and all are completed at once.
    account = moto_snapshots()
    account[older].start_time -= timedelta(days=2)
    account[newer].start_time -= timedelta(days=1)
    pending = snapshot(operator, *ours)
    account[pending].status = "pending"
    for failed in (snapshot(operator, *ours), snapshot(operator, volume, "by hand that failed")):
        account[failed].status = "error"
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "__stack_snapshots_of": [volume],
            "__stack_snapshots_kept": kept,
        },
        "vars_files": [str(ROOT / "playbooks/vars/stack.yml")],
        "module_defaults": {"group/amazon.aws.aws": {"region": REGION}},
        "tasks": [{"ansible.builtin.import_tasks": str(ROOT / "playbooks/tasks/remove_snapshots.yml")}],
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    operator.run(str(tmp_path / "play.yml"))
    assert snapshots(operator).keys() == before.keys() - {older, newer} | (
        {newer} if kept else set()
    ) | people | {pending, failed}


def test_all_snapshots_of_the_homes_are_shown_with_what_they_are_and_how_to_restore_them(
    tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those of a volume that is gone, and those without the stack's tags; not another stack's."""
    leave_volumes_without_a_snapshot(monkeypatch)
    name = "shown"
    operator = Operator.with_account(tmp_path, endpoint, ds_stack_name=name)
    ec2 = operator.client("ec2")
    assert f"There is no snapshot of the homes of {name} in {REGION}." in operator.run("snapshots")

    def volume(part: str) -> str:
        tags = [
            tag if tag["Key"] != "ds-stack:part" else {**tag, "Value": part} for tag in data_tags(operator)
        ]
        specification = [{"ResourceType": "volume", "Tags": tags}]
        made = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=3, TagSpecifications=specification)
        return str(made["VolumeId"])

    homes, gone, kept = volume("data"), volume("data"), volume("kept-at-restore")
    backup = snapshot(operator, homes, "Created for policy: policy-1", purpose("scheduled"))
    final = snapshot(operator, gone, "the homes as they were", purpose("final"))
    by_hand = ec2.create_snapshot(VolumeId=homes, Description="before I try something")["SnapshotId"]
    disk = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1)["VolumeId"]
    foreign = ec2.create_snapshot(VolumeId=disk)["SnapshotId"]
    broken = snapshot(operator, gone, "broken")
    ec2.delete_volume(VolumeId=gone)
    account = moto_snapshots()
    account[broken].start_time -= timedelta(days=30)
    account[broken].status = "error"
    account[backup].start_time -= timedelta(hours=30)
    account[final].start_time -= timedelta(days=20)
    account[by_hand].status = "pending"

    said = operator.run("snapshots")
    lines = [line for line in said.splitlines() if line.startswith("  snap-")]
    assert [line.split()[0] for line in lines] == [by_hand, backup, final, broken]
    for line, told in zip(
        lines,
        (
            f"0 h ago, of {homes}, 3 GiB, pending",
            f"30 h ago, of {homes}, 3 GiB, completed",
            "20 days ago, of",
            "error",
        ),
        strict=True,
    ):
        assert told in line
    for told in (
        "made by somebody else",
        "a backup of AWS's own schedule",
        "before the data volume was destroyed",
    ):
        assert f"\n    {told}" in said
    for one in (by_hand, backup, final):
        assert f"iac.ds_stack.restore -e ds_stack_name={name} -e ds_stack_region={REGION}" in said
        assert f"-e ds_stack_snapshot={one}\n" in said
    assert f"-e ds_stack_snapshot={broken}" not in said
    assert f"it holds nothing: aws ec2 delete-snapshot --region {REGION} --snapshot-id {broken}\n" in said
    assert f"aws ec2 delete-volume --region {REGION} --volume-id {kept}" in said
    assert foreign not in said


# Images


def of_the_stack(operator: Operator) -> set[str]:
    """The images that the stack has."""
    tagged = [{"Name": "tag:ds-stack:name", "Values": [operator.variables["ds_stack_name"]]}]
    found = operator.client("ec2").describe_images(Owners=["self"], Filters=tagged)["Images"]
    return {one["ImageId"] for one in found}


def test_after_a_bake_those_images_go_that_nobody_goes_back_to(
    tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the own task file of bake.yml. Whoever may not remove any bakes all the same."""
    operator = Operator.with_account(
        tmp_path, endpoint, ds_stack_name="images", ds_stack_keep_images=2, ds_stack_allow_unverified=False
    )
    made = {days: make_image(operator, f"{days}", f"{days} days") for days in (0, 10, 20, 30, 40, 50, 60)}
    for days, image in made.items():
        make_older(image, days)
    ec2 = operator.client("ec2")
    ec2.create_tags(Resources=[made[10], made[50]], Tags=[{"Key": "ds-stack:failed", "Value": "self-test"}])
    tags = {"ds-stack:name": "images", "ds-stack:part": "instance"}
    specification = [
        {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
    ]
    ec2.run_instances(ImageId=made[30], MinCount=1, MaxCount=1, TagSpecifications=specification)
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "vars_files": [str(ROOT / "playbooks/vars/stack.yml")],
        "module_defaults": {"group/amazon.aws.aws": {"region": REGION}},
        "tasks": [{"ansible.builtin.import_tasks": str(ROOT / "playbooks/tasks/retire_images.yml")}],
    }
    path = tmp_path / "play.yml"
    path.write_text(json.dumps([play]))

    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise EC2ClientError("UnauthorizedOperation", "You are not authorized.")

    with monkeypatch.context() as patched:
        patched.setattr(AmiBackend, "deregister_image", refuse)
        said = " ".join(operator.run(str(path)).split())
    assert "Old images of images could not be removed" in said
    assert " changed=1 " in operator.run(str(path), "--check")
    assert of_the_stack(operator) == set(made.values())
    operator.run(str(path))
    # The newest two; the last two that may be used; the machine's; the one that rollback.yml would choose.
    assert of_the_stack(operator) == {made[days] for days in (0, 10, 20, 30, 40)}
    assert " changed=0 " in operator.run(str(path))
