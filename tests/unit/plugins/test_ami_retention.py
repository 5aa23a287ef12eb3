"""ami_retention against moto's EC2."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import cache
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.iac.ds_stack.plugins.modules import ami_retention
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.ec2.models import ec2_backends

REGION = "eu-central-1"


@cache
def client() -> Any:
    """A client of all tests: making one takes longer than most of them."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("ec2", region_name=REGION, **keys)


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
        yield client()


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
    for days in (36_500, 10**12):
        assert not run(capsys, keep=1, min_age=days)["changed"]
    result = run(capsys, keep=1, protect=[images[3], "ami-of-nobody"])
    assert ids(result["kept"]) == [images[0], images[3]]
    assert "'ami-of-nobody' is no image" in json.dumps(result["warnings"])


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


def refusing(monkeypatch: pytest.MonkeyPatch, function: str, *refused: str) -> None:
    """Let one of the calls of EC2 fail for these ids."""
    real = getattr(ami_retention, function)

    def call(client: Any, resource_id: str) -> Any:
        if resource_id not in refused:
            return real(client, resource_id)
        error = {"Code": "InvalidRequest", "Message": f"{resource_id} is in use"}
        raise ami_retention.AnsibleAWSError(
            message=f"Failed to {function}", exception=ClientError({"Error": error}, function)
        )

    monkeypatch.setattr(ami_retention, function, call)


def left(ec2: Any) -> set[str]:
    return {one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}


def test_a_snapshot_that_stays_is_named(
    ec2: Any, images: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (snapshot,) = snapshots(ec2, images[3:])
    refusing(monkeypatch, "delete_snapshot", snapshot)
    result = run(capsys)
    assert result["failed"]
    assert f"{snapshot} of {images[3]}" in result["msg"]
    assert "Delete them by hand" in result["msg"]
    assert "in use" in result["msg"]
    assert result["changed"]
    assert ids(result["removed"]) == images[3:]


def test_all_errors_are_told_and_the_rest_goes(
    ec2: Any, images: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot of the first image, the second image, and the third, of which nothing is refused."""
    (first,), (second,), (third,) = (snapshots(ec2, [image]) for image in images[1:])
    refusing(monkeypatch, "delete_snapshot", first)
    refusing(monkeypatch, "deregister_image", images[2])
    result = run(capsys, keep=1)
    assert result["failed"]
    assert f"Images deregistered: {images[1]}, {images[3]}." in result["msg"]
    assert f"{first} of {images[1]}: Failed to delete_snapshot" in result["msg"]
    assert f"{images[2]}: Failed to deregister_image" in result["msg"]
    assert result["msg"].count("is in use") == 2
    assert ids(result["removed"]) == [images[1], images[3]]
    assert present(ec2) == {images[0], images[2]}
    assert {first, second} <= left(ec2)
    assert third not in left(ec2)


def test_two_images_that_stay_are_both_told(
    ec2: Any, images: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(monkeypatch, "deregister_image", *images[1:])
    result = run(capsys, keep=1)
    assert (result["failed"], result["changed"], result["removed"]) == (True, False, [])
    assert "Images deregistered: none." in result["msg"]
    assert all(image in result["msg"] for image in images[1:])
    assert "by hand" not in result["msg"]


def test_a_stack_that_would_be_all_stacks(
    ec2: Any, images: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for stack in ("*", "dem?", ""):
        result = run(capsys, stack=stack, keep=1)
        assert result["msg"].startswith(f"stack: '{stack}' cannot name a stack.")
    assert present(ec2) == set(images)
