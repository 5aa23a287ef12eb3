"""Data Lifecycle Manager of the local cloud, as boto3 sees it. Terraform meets it in test_terraform_code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.core.utils import utcnow
from moto.server import ThreadedMotoServer

from localcloud.api import dlm

REGION = "eu-west-1"
TRUST = '{"Version": "2012-10-17", "Statement": []}'


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    dlm.install()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()

    def make(service: str) -> Any:
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=f"http://{host}:{port}",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    make("iam").create_role(RoleName="backups", AssumeRolePolicyDocument=TRUST)
    yield make
    server.stop()


def details(**schedule: Any) -> dict[str, Any]:
    return {
        "PolicyType": "EBS_SNAPSHOT_MANAGEMENT",
        "ResourceTypes": ["VOLUME"],
        "TargetTags": [{"Key": "backup", "Value": "mine"}, {"Key": "backup", "Value": "ours"}],
        "Schedules": [{"Name": "daily", "RetainRule": {"Count": 2}, **schedule}],
    }


def policy(client: Any, **options: Any) -> str:
    request = {
        "ExecutionRoleArn": "arn:aws:iam::123456789012:role/backups",
        "Description": "backups",
        "State": "ENABLED",
        "PolicyDetails": details(),
        **options,
    }
    return str(client("dlm").create_lifecycle_policy(**request)["PolicyId"])


def volume(client: Any, **tags: str) -> str:
    tagged = [{"Key": key, "Value": value} for key, value in tags.items()]
    made = client("ec2").create_volume(
        AvailabilityZone=f"{REGION}a",
        Size=1,
        TagSpecifications=[{"ResourceType": "volume", "Tags": tagged}] if tags else [],
    )
    return str(made["VolumeId"])


def snapshots(client: Any, *of: str) -> list[dict[str, Any]]:
    found = client("ec2").describe_snapshots(Filters=[{"Name": "volume-id", "Values": list(of)}])["Snapshots"]
    return sorted(found, key=lambda one: one["StartTime"])


def test_a_policy_is_made_found_changed_and_removed(client: Any) -> None:
    api = client("dlm")
    made = policy(client, Tags={"team": "a"})
    found = api.get_lifecycle_policy(PolicyId=made)["Policy"]
    assert (found["State"], found["Tags"], found["PolicyDetails"]) == ("ENABLED", {"team": "a"}, details())
    for tag, expected in (("backup=ours", [made]), ("backup=theirs", [])):
        assert [
            one["PolicyId"] for one in api.get_lifecycle_policies(TargetTags=[tag])["Policies"]
        ] == expected
    api.update_lifecycle_policy(PolicyId=made, State="DISABLED")
    assert [one["State"] for one in api.get_lifecycle_policies(PolicyIds=[made])["Policies"]] == ["DISABLED"]
    api.tag_resource(ResourceArn=found["PolicyArn"], Tags={"owner": "b"})
    api.untag_resource(ResourceArn=found["PolicyArn"], TagKeys=["team"])
    assert api.list_tags_for_resource(ResourceArn=found["PolicyArn"])["Tags"] == {"owner": "b"}
    api.delete_lifecycle_policy(PolicyId=made)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        api.get_lifecycle_policy(PolicyId=made)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"Description": "stack: mine"}, "Description"),
        ({"ExecutionRoleArn": "arn:aws:iam::123456789012:role/nobody"}, "does not exist"),
        ({"PolicyDetails": details(RetainRule={"Interval": 3})}, "RetainRule"),
        ({"PolicyDetails": {**details(), "ResourceTypes": ["INSTANCE"]}}, "target tags"),
    ],
)
def test_what_aws_refuses_is_refused(client: Any, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ClientError, match=f"InvalidRequestException.*{said}"):
        policy(client, **wrong)


@pytest.mark.parametrize(
    ("rule", "kept"),
    [({"Count": 2}, [1, 0]), ({"Interval": 1, "IntervalUnit": "WEEKS"}, [6, 1, 0])],
)
def test_a_run_snapshots_what_is_tagged_and_retires_its_own(
    client: Any, rule: dict[str, Any], kept: list[int]
) -> None:
    ours, other = volume(client, backup="ours", copied="yes"), volume(client, backup="theirs")
    by_hand = client("ec2").create_snapshot(VolumeId=ours)["SnapshotId"]
    tags = [{"Key": "purpose", "Value": "scheduled"}]
    made = policy(client, PolicyDetails=details(RetainRule=rule, TagsToAdd=tags, CopyTags=True))
    now = utcnow()
    for days in (9, 6, 1, 0):
        dlm.run_policies(now - timedelta(days=days))
    found = [one for one in snapshots(client, ours) if one["SnapshotId"] != by_hand]
    assert [(now - one["StartTime"].replace(tzinfo=None)).days for one in found] == kept
    wanted = {"purpose": "scheduled", "copied": "yes"}
    assert all(wanted.items() <= {tag["Key"]: tag["Value"] for tag in one["Tags"]}.items() for one in found)
    assert not snapshots(client, other)
    client("dlm").delete_lifecycle_policy(PolicyId=made)
    assert dlm.run_policies(now) == []
    assert len(snapshots(client, ours)) == len(kept) + 1


def test_the_last_snapshot_of_a_volume_stays_however_old(client: Any) -> None:
    ours = volume(client, backup="mine")
    made = policy(client, PolicyDetails=details(RetainRule={"Interval": 1, "IntervalUnit": "DAYS"}))
    now = utcnow()
    dlm.run_policies(now - timedelta(days=30))
    client("ec2").delete_tags(Resources=[ours], Tags=[{"Key": "backup"}])
    dlm.run_policies(now)
    assert len(snapshots(client, ours)) == 1
    client("dlm").delete_lifecycle_policy(PolicyId=made)
