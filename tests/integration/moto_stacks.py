"""What a stack on moto lacks: an image that was made beforehand, and a machine that reports."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_block_store import EBSBackend, Volume

from tests import listings
from tests.integration.operators import Operator

HAD: set[str] = set()
"""Volumes from which a machine has copied a home."""


def make_image(
    operator: Operator,
    fingerprint: str,
    name: str = "image-1",
    *,
    stands_by: bool = True,
    part: str = "image",
    spark: str = "",
) -> str:
    """Make an image that the bake finds; the image's id.

    stands_by: whether its machines know how to wait. part: what it is for. spark: the version of Spark whose
        client it has.
    """
    ec2 = operator.client("ec2")
    pattern = operator.variables["ds_stack_base_image"]["name"]
    (base, *_) = ec2.describe_images(Filters=[{"Name": "name", "Values": [pattern]}])["Images"]
    (machine,) = ec2.run_instances(ImageId=base["ImageId"], MinCount=1, MaxCount=1)["Instances"]
    tags = {
        "ds-stack:name": operator.variables["ds_stack_name"],
        "ds-stack:part": part,
        "ds-stack:fingerprint": fingerprint,
        "ds-stack:verified": "all",
        **({"ds-stack:stands-by": "true"} if stands_by else {}),
        **({"ds-stack:spark": spark} if spark else {}),
    }
    tagged = [
        {"ResourceType": "image", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
    ]
    image = ec2.create_image(InstanceId=machine["InstanceId"], Name=name, TagSpecifications=tagged)
    ec2.terminate_instances(InstanceIds=[machine["InstanceId"]])
    return str(image["ImageId"])


def make_older(image: str, days: int) -> None:
    """Have an image made days ago, in all of moto's accounts: it simulates them in this process."""
    made = datetime.now(timezone.utc) - timedelta(days=days)
    for account in ec2_backends.values():
        for region in account.values():
            if image in region.amis:
                region.amis[image].creation_date = made


def all_but_the_record(operator: Operator) -> dict[str, Any]:
    """All that the account has, but the stack's record: what runs say of themselves, they always say."""
    found = listings.account(operator.client)
    record = f"/ds-stack/{operator.variables['ds_stack_name']}/operator/stack"
    return {**found, "parameters": [one for one in found["parameters"] if one["Name"] != record]}


def machines(operator: Operator) -> list[dict[str, Any]]:
    """The stack's machines that are there."""
    filters = [
        {"Name": "tag:ds-stack:name", "Values": [operator.variables["ds_stack_name"]]},
        {"Name": "tag:ds-stack:part", "Values": ["instance"]},
        {"Name": "instance-state-name", "Values": ["pending", "running"]},
    ]
    reservations = operator.client("ec2").describe_instances(Filters=filters)["Reservations"]
    return [instance for reservation in reservations for instance in reservation["Instances"]]


def report(
    operator: Operator,
    at_work: dict[str, str] | None = None,
    seconds: float = 0,
    failing: Collection[str] = (),
) -> None:
    """Say what the machine says when it is ready, if there is a machine with a configuration.

    One beside it, without the homes, waits for them.

    at_work: who is, and at what. seconds: since when it has said nothing. failing: images that do not work,
    and users whose home cannot be copied.
    """
    ssm = operator.client("ssm")
    for machine in machines(operator):
        stands_by = {"Key": "ds-stack:active", "Value": "false"} in machine["Tags"]
        said = "waiting" if stands_by and not has_homes(operator, machine) else "ready"
        if said == "ready" and machine["ImageId"] in failing:
            said = "failed"
        config = ssm.get_parameter(Name=f"/ds-stack/{operator.variables['ds_stack_name']}/machine/config")[
            "Parameter"
        ]
        status = {
            "state": said,
            "message": "jupyterhub: it answers nothing" if said == "failed" else "All checks passed.",
            "instance_id": machine["InstanceId"],
            "image_id": machine["ImageId"],
            "config_version": config["Version"],
            "time": (datetime.now(timezone.utc) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "checks": [{"name": "jupyterhub", "ok": said != "failed", "detail": "a stand-in says so"}],
            "restore": restored(operator, machine, json.loads(config["Value"]).get("restore_home"), failing),
            "at_work": [{"name": name, "doing": doing} for name, doing in (at_work or {}).items()]
            if said == "ready"
            else [],
            "also_at_work": 0,
        }
        ssm.put_parameter(
            Name=f"/ds-stack/{operator.variables['ds_stack_name']}/machine/status/{machine['InstanceId']}",
            Value=json.dumps(status),
            Type="String",
            Overwrite=True,
        )


def restored(
    operator: Operator, machine: dict[str, Any], wanted: dict[str, str] | None, failing: Collection[str]
) -> dict[str, str] | None:
    """What the machine says of a home that is wanted back, also when the volume of it is gone."""
    if wanted is None:
        return None
    told = {"volume_id": wanted["volume_id"], "user": wanted["user"], "message": ""}
    if machine["InstanceId"] in attached(operator, wanted["volume_id"]):
        HAD.add(wanted["volume_id"])
    if wanted["volume_id"] not in HAD:
        return None
    if wanted["user"] in failing:
        return {**told, "state": "failed", "message": f"The snapshot has no home of {wanted['user']}."}
    return {
        **told,
        "state": "done",
        "message": f"It is in /data/home/{wanted['user']}/{wanted['folder']}.",
    }


def attached(operator: Operator, volume: str) -> list[str]:
    """To which machines a volume is attached, if it is there."""
    found = operator.client("ec2").describe_volumes(Filters=[{"Name": "volume-id", "Values": [volume]}])
    return [one["InstanceId"] for volume in found["Volumes"] for one in volume["Attachments"]]


def has_homes(operator: Operator, machine: dict[str, Any]) -> bool:
    """Whether a data volume of the stack is attached to a machine."""
    attached = [{"Name": "attachment.instance-id", "Values": [machine["InstanceId"]]}]
    tagged = [{"Name": f"tag:{tag['Key']}", "Values": [tag["Value"]]} for tag in data_tags(operator)]
    return bool(operator.client("ec2").describe_volumes(Filters=[*attached, *tagged])["Volumes"])


@contextmanager
def a_thread_for_the_machine(
    operator: Operator, at_work: dict[str, str] | None = None, failing: Collection[str] = ()
) -> Iterator[None]:
    """Report, as the machine does, every second; also who is at work at the time, and at what."""
    over = threading.Event()

    def live() -> None:
        while not over.wait(1):
            report(operator, at_work, failing=failing)

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def leave_volumes_without_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS answers with an empty id of a snapshot where there was none; moto leaves the field out."""
    create = EBSBackend.create_volume

    def create_volume(*arguments: Any, **options: Any) -> Volume:
        volume = create(*arguments, **options)
        volume.snapshot_id = volume.snapshot_id or ""
        return volume

    monkeypatch.setattr(EBSBackend, "create_volume", create_volume)


@contextmanager
def living_stack(
    operator: Operator, at_work: dict[str, str] | None = None, failing: Collection[str] = ()
) -> Iterator[None]:
    """What runs on moto need: a machine that reports, and the provider, started once for all."""
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        a_thread_for_the_machine(operator, at_work, failing),
        operator.running_provider(),
    ):
        leave_volumes_without_a_snapshot(monkeypatch)
        yield


def data_tags(operator: Operator) -> list[dict[str, str]]:
    """The tags of the stack's data volume."""
    tags = {"ds-stack:name": operator.variables["ds_stack_name"], "ds-stack:part": "data"}
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def purpose(value: str) -> dict[str, str]:
    """The tag that says what a snapshot is for."""
    return {"Key": "ds-stack:purpose", "Value": value}


def volumes(operator: Operator) -> list[str]:
    """The ids of the stack's data volumes."""
    found = operator.client("ec2").describe_volumes(
        Filters=[{"Name": f"tag:{tag['Key']}", "Values": [tag["Value"]]} for tag in data_tags(operator)]
    )
    return [one["VolumeId"] for one in found["Volumes"]]


def snapshots(operator: Operator) -> dict[str, str]:
    """Snapshots of data volumes: id and purpose, empty for none."""
    found = operator.client("ec2").describe_snapshots(
        OwnerIds=["self"],
        Filters=[{"Name": f"tag:{tag['Key']}", "Values": [tag["Value"]]} for tag in data_tags(operator)],
    )
    return {
        one["SnapshotId"]: {tag["Key"]: tag["Value"] for tag in one["Tags"]}.get("ds-stack:purpose", "")
        for one in found["Snapshots"]
    }


def snapshot(operator: Operator, volume: str, description: str, *tags: dict[str, str]) -> str:
    """Make a snapshot as people do, with the volume's tags and others; its id."""
    made = operator.client("ec2").create_snapshot(
        VolumeId=volume,
        Description=description,
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": [*data_tags(operator), *tags]}],
    )
    return str(made["SnapshotId"])
