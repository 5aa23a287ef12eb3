"""The instance metadata service as data: what is at which path. Pure functions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

#: A folder (dict), a text, or absent.
Tree = Mapping[str, "Tree"] | str | bytes

VERSIONS = ("2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23", "latest")
CREDENTIALS_LIVE = timedelta(hours=6)


@dataclass(frozen=True)
class RoleCredentials:
    """Credentials of an instance's role. They are made up, but the API recognises the key id."""

    role: str
    access_key_id: str
    secret_access_key: str
    token: str


@dataclass(frozen=True)
class Metadata:
    """What one instance can learn about itself.

    Attributes:
        tags: the instance's tags; None when ``instance_metadata_tags`` is not enabled.
        public_key: name and OpenSSH public key of the key pair, if any.
        credentials: of the instance profile's role, if any.
        tokens_required: IMDSv2 only.
        enabled: ``HttpEndpoint``.
    """

    instance_id: str
    image_id: str
    instance_type: str
    region: str
    availability_zone: str
    account_id: str
    hostname: str
    private_address: str
    public_address: str | None = None
    public_hostname: str | None = None
    mac: str = "02:00:00:00:00:01"
    subnet_id: str = ""
    vpc_id: str = ""
    security_groups: tuple[str, ...] = ()
    tags: Mapping[str, str] | None = None
    public_key: tuple[str, str] | None = None
    credentials: RoleCredentials | None = None
    profile_arn: str | None = None
    user_data: bytes | None = None
    launch_index: int = 0
    tokens_required: bool = True
    enabled: bool = True


def tree(machine: Metadata, now: datetime) -> dict[str, Tree]:
    """Everything below one version's folder."""
    document = {
        "accountId": machine.account_id, "architecture": "x86_64",
        "availabilityZone": machine.availability_zone, "imageId": machine.image_id,
        "instanceId": machine.instance_id, "instanceType": machine.instance_type,
        "privateIp": machine.private_address, "region": machine.region, "version": "2017-09-30",
    }  # fmt: skip
    found: dict[str, Tree] = {
        "meta-data": _metadata(machine, now),
        "dynamic": {"instance-identity": {"document": json.dumps(document, indent=2)}},
    }
    if machine.user_data is not None:
        found["user-data"] = machine.user_data
    return found


def _metadata(machine: Metadata, now: datetime) -> dict[str, Tree]:
    interface: dict[str, Tree] = {
        "device-number": "0", "local-hostname": machine.hostname, "local-ipv4s": machine.private_address,
        "mac": machine.mac, "owner-id": machine.account_id, "subnet-id": machine.subnet_id,
        "vpc-id": machine.vpc_id,
    }  # fmt: skip
    found: dict[str, Tree] = {
        "ami-id": machine.image_id,
        "ami-launch-index": str(machine.launch_index),
        "hostname": machine.hostname,
        "instance-action": "none",
        "instance-id": machine.instance_id,
        "instance-life-cycle": "on-demand",
        "instance-type": machine.instance_type,
        "local-hostname": machine.hostname,
        "local-ipv4": machine.private_address,
        "mac": machine.mac,
        "network": {"interfaces": {"macs": {machine.mac: interface}}},
        "placement": {"availability-zone": machine.availability_zone, "region": machine.region},
        "security-groups": "\n".join(machine.security_groups),
        "services": {"domain": "amazonaws.com", "partition": "aws"},
    }
    if machine.public_address:
        found["public-ipv4"] = machine.public_address
        found["public-hostname"] = machine.public_hostname or ""
        interface["public-ipv4s"] = machine.public_address
    if machine.tags is not None:
        found["tags"] = {"instance": dict(machine.tags)}
    if machine.public_key:
        found["public-keys"] = {"0": {"openssh-key": machine.public_key[1]}}
    if machine.credentials:
        found["iam"] = {
            "info": json.dumps({"Code": "Success", "InstanceProfileArn": machine.profile_arn}),
            "security-credentials": {machine.credentials.role: _credentials(machine.credentials, now)},
        }
    return found


def _credentials(credentials: RoleCredentials, now: datetime) -> str:
    when = "%Y-%m-%dT%H:%M:%SZ"
    answer = {
        "Code": "Success",
        "LastUpdated": now.astimezone(timezone.utc).strftime(when),
        "Type": "AWS-HMAC",
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "Token": credentials.token,
        "Expiration": (now + CREDENTIALS_LIVE).astimezone(timezone.utc).strftime(when),
    }
    return json.dumps(answer, indent=2)


def answer(machine: Metadata, path: str, now: datetime) -> bytes | None:
    """The body at a path, or None for 404. A folder answers with its entries."""
    parts = [part for part in path.split("?", maxsplit=1)[0].split("/") if part]
    if not parts:
        return "\n".join(VERSIONS).encode()
    if parts[0] not in VERSIONS:
        return None
    node: Tree = tree(machine, now)
    for number, part in enumerate(parts[1:], 1):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
        if machine.public_key and parts[1:] == ["meta-data", "public-keys"] and number == 2:
            return f"0={machine.public_key[0]}".encode()
    if isinstance(node, Mapping):
        return "\n".join(
            name + ("/" if isinstance(entry, Mapping) else "") for name, entry in node.items()
        ).encode()
    return node if isinstance(node, bytes) else node.encode()
