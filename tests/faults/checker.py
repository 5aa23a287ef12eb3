"""What a stack's users have in the account, and whether they lost any of it.

Shares no code with the product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Look:
    """What there is.

    attachments: of the data volumes. active: machines that say so. hashes: parameter → hash. snapshots: id →
    purpose.
    """

    volumes: frozenset[str]
    attachments: tuple[str, ...]
    machines: tuple[str, ...]
    active: tuple[str, ...]
    networks: tuple[str, ...]
    groups: tuple[str, ...]
    hashes: dict[str, str] = field(repr=False)
    snapshots: dict[str, str]

    def __str__(self) -> str:
        counts = {
            "data volume": len(self.volumes),
            "attachment": len(self.attachments),
            "machine": len(self.machines),
            "group": len(self.groups),
            "password": len(self.hashes),
            "snapshot": len(self.snapshots),
        }
        return (
            ", ".join(f"{count} {what}{'s' if count > 1 else ''}" for what, count in counts.items() if count)
            or "nothing"
        )


def look(client: Callable[[str], Any], stack: str) -> Look:
    """Look at the account."""
    ec2, ssm = client("ec2"), client("ssm")

    def own(part: str) -> list[dict[str, Any]]:
        return [
            {"Name": "tag:ds-stack:name", "Values": [stack]},
            {"Name": "tag:ds-stack:part", "Values": [part]},
        ]

    volumes = ec2.describe_volumes(Filters=own("data"))["Volumes"]
    machines = [
        machine
        for reservation in ec2.describe_instances(Filters=own("instance"))["Reservations"]
        for machine in reservation["Instances"]
        if machine["State"]["Name"] not in ("terminated", "shutting-down")
    ]
    groups = ec2.describe_security_groups(Filters=own("network"))["SecurityGroups"]
    hashes = ssm.get_parameters_by_path(
        Path=f"/ds-stack/{stack}/machine/users", Recursive=True, WithDecryption=True
    )
    snapshots = ec2.describe_snapshots(OwnerIds=["self"], Filters=own("data"))["Snapshots"]
    return Look(
        volumes=frozenset(one["VolumeId"] for one in volumes),
        attachments=tuple(where["InstanceId"] for one in volumes for where in one["Attachments"]),
        machines=tuple(one["InstanceId"] for one in machines),
        active=tuple(
            one["InstanceId"]
            for one in machines
            if {"Key": "ds-stack:active", "Value": "true"} in one["Tags"]
        ),
        networks=tuple(one["VpcId"] for one in ec2.describe_vpcs(Filters=own("network"))["Vpcs"]),
        groups=tuple(one["GroupId"] for one in groups if one["GroupName"] != "default"),
        hashes={one["Name"]: one["Value"] for one in hashes["Parameters"]},
        snapshots={
            one["SnapshotId"]: {tag["Key"]: tag["Value"] for tag in one["Tags"]}.get("ds-stack:purpose", "")
            for one in snapshots
        },
    )


def doubled(there: Look, most_machines: int = 1) -> list[str]:
    """What there is twice and must be there once at most; while a machine is replaced there are two."""
    counts = {
        "data volumes": len(there.volumes),
        "attachments": len(there.attachments),
        "machines": len(there.machines) - most_machines + 1,
        "networks": len(there.networks),
        "security groups": len(there.groups),
    }
    return [f"{count} {what}{'s' if count > 1 else ''}" for what, count in counts.items() if count > 1]


def lost(before: Look, after: Look) -> list[str]:
    """What was there before and is not any more: homes, passwords, snapshots."""
    return [
        *(f"the data volume {volume}" for volume in before.volumes - after.volumes),
        *(
            f"the password of {name}"
            for name, value in before.hashes.items()
            if after.hashes.get(name) != value
        ),
        *(f"the snapshot {one}" for one in before.snapshots.keys() - after.snapshots.keys()),
    ]
