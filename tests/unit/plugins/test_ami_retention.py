"""ami_retention against moto's EC2."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.iac.ds_stack.plugins.modules import ami_retention
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.ec2.models import ec2_backends

REGION = "eu-central-1"


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",  # thousands, which cost seconds
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield boto3.client("ec2", region_name=REGION)


@pytest.fixture
def instance(ec2: Any) -> str:
    """The instance that the images are made of."""
    made = ec2.run_instances(ImageId="ami-of-the-vendor", MinCount=1, MaxCount=1)["Instances"][0]
    return str(made["InstanceId"])


@pytest.fixture
def images(ec2: Any, instance: str) -> list[str]:
    """Four images of the stack demo, the newest first, each with a snapshot."""
    return [bake(ec2, instance, day) for day in (4, 3, 2, 1)]


def bake(ec2: Any, instance: str, day: int, stack: str = "demo", part: str = "image") -> str:
    """Make an image of a day of this month."""
    image_id = str(ec2.create_image(InstanceId=instance, Name=f"{stack}-{day}")["ImageId"])
    tags = [{"Key": "ds-stack:name", "Value": stack}, {"Key": "ds-stack:part", "Value": part}]
    ec2.create_tags(Resources=[image_id], Tags=tags)
    (backend,) = (account[REGION] for account in ec2_backends.values())
    backend.amis[image_id].creation_date = datetime(2026, 11, day, 12, tzinfo=timezone.utc)
    return image_id


def run(capsys: pytest.CaptureFixture[str], *, check: bool = False, **arguments: Any) -> dict[str, Any]:
    arguments = {"stack": "demo", **arguments, "_ansible_check_mode": check, "_ansible_diff": True}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        ami_retention.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def present(ec2: Any) -> set[str]:
    return {image["ImageId"] for image in ec2.describe_images(Owners=["self"])["Images"]}


def snapshots(ec2: Any, image_ids: list[str]) -> set[str]:
    found = ec2.describe_images(ImageIds=image_ids)["Images"]
    return {disk["Ebs"]["SnapshotId"] for image in found for disk in image["BlockDeviceMappings"]}


def ids(described: list[dict[str, Any]]) -> list[str]:
    return [one["image_id"] for one in described]


def test_old_images_go_with_their_snapshots(
    ec2: Any, images: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    kept, doomed = snapshots(ec2, images[:3]), snapshots(ec2, images[3:])
    result = run(capsys)
    assert result["changed"]
    assert ids(result["removed"]) == images[3:]
    assert ids(result["kept"]) == images[:3]
    assert set(result["removed"][0]["snapshot_ids"]) == doomed
    assert result["diff"] == {"before": {"images": images}, "after": {"images": images[:3]}}
    assert present(ec2) == set(images[:3])
    left = {one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert kept <= left
    assert not doomed & left

    assert not run(capsys)["changed"]


def test_check_mode_removes_nothing(ec2: Any, images: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, check=True, keep=1)
    assert result["changed"]
    assert ids(result["removed"]) == images[1:]
    assert present(ec2) == set(images)


def test_images_in_use_stay(ec2: Any, images: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    stopped, terminated = (
        ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        for image in images[2:]
    )
    ec2.stop_instances(InstanceIds=[stopped])
    ec2.terminate_instances(InstanceIds=[terminated])
    template = ec2.create_launch_template(
        LaunchTemplateName="of-others", LaunchTemplateData={"ImageId": images[1]}
    )["LaunchTemplate"]["LaunchTemplateId"]
    # Its older version still names the image.
    ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData={"ImageId": images[0]})

    result = run(capsys, keep=1)
    assert {one["image_id"]: one["reason"] for one in result["kept"]} == {
        images[0]: f"launch template {template} names it in version 2",
        images[1]: f"launch template {template} names it in version 1",
        images[2]: f"instance {stopped} was started from it",
    }
    assert present(ec2) == set(images[:3])


def test_protected_and_young_images_stay(
    ec2: Any, images: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not run(capsys, keep=1, min_age=36500)["changed"]
    result = run(capsys, keep=1, protect=[images[3], "ami-of-nobody"])
    assert ids(result["kept"]) == [images[0], images[3]]


def test_images_of_others_are_left_alone(
    ec2: Any, instance: str, images: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    others = [bake(ec2, instance, 1, stack="other"), bake(ec2, instance, 1, part="something")]
    run(capsys, keep=1)
    assert present(ec2) == {images[0], *others}


@pytest.mark.parametrize("wrong", [{"keep": 0}, {"min_age": -1}])
def test_senseless_numbers_are_refused(
    ec2: Any, images: list[str], wrong: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(capsys, **wrong)
    assert result["failed"]
    assert result["msg"] == "keep is at least 1, min_age at least 0."
    assert present(ec2) == set(images)


def test_a_snapshot_that_stays_is_named(
    ec2: Any, images: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (snapshot,) = snapshots(ec2, images[3:])

    def refuse(*_: Any) -> None:
        raise ami_retention.AnsibleAWSError(
            message="Failed to delete snapshot",
            exception=ClientError(
                {"Error": {"Code": "InvalidSnapshot.InUse", "Message": "in use"}}, "Delete"
            ),
        )

    monkeypatch.setattr(ami_retention, "delete_snapshot", refuse)
    result = run(capsys)
    assert result["failed"]
    assert snapshot in result["msg"]
    assert "Delete them by hand" in result["msg"]
    assert "in use" in result["msg"]
