# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask an account what it has of a stack, and read its states. All at once; nothing is made or changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.ec2 import (
    describe_addresses,
    describe_images,
    describe_instances,
    describe_key_pairs,
    describe_security_groups,
    describe_snapshots,
    describe_volumes,
    describe_vpc_endpoints,
    describe_vpcs,
)
from ansible_collections.amazon.aws.plugins.module_utils.errors import AWSErrorHandler
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry, RetryingBotoClientWrapper
from ansible_collections.amazon.aws.plugins.module_utils.tagging import boto3_tag_list_to_ansible_dict

from .._packer.images import NAME_TAG, PART_TAG
from . import inventory as kinds
from .cluster_status import LIVE, clusters_of, is_node
from .inventory import Inventory, State, Thing
from .names import OPERATOR_KEY
from .parameters import ParameterStore, Paths, find_key

PURPOSE_TAG = "ds-stack:purpose"
SLOT_TAG = "ds-stack:slot"
ACTIVE_TAG = "ds-stack:active"
BACKUPS_TAG = "ds-stack:backups"
"""Of a data volume that is backed up; its value is the stack's name."""
OPERATOR = "operator"
"""The part whose tag the key of the passwords gets as it is made (playbooks/tasks/operator_key.yml)."""

_STATES = ["pending", "running", kinds.LEAVING, "stopping", "stopped"]
_AT_ONCE = 16

#: Kinds without which nothing can be decided; the others are a courtesy of the audit.
_NEEDED = frozenset({kinds.MACHINE, kinds.VOLUME, kinds.ADDRESS, kinds.VPC, kinds.GROUP})

Client = Any
Things = list[Thing]
MakeClient = Callable[[str], Client]
"""Of a service."""


class BucketError(Exception):
    """The bucket is not to be used; the message says what to do."""


class S3Error(AnsibleAWSError):
    """A call of S3 failed."""


class _S3(AWSErrorHandler):
    _CUSTOM_EXCEPTION = S3Error

    @classmethod
    def _is_missing(cls) -> Any:
        return is_boto3_error_code(
            ["404", "NoSuchBucket", "NoSuchKey", "NoSuchPublicAccessBlockConfiguration"]
        )


@dataclass(frozen=True)
class Bucket:
    """A bucket for states. owner: the account that it has to belong to."""

    name: str
    owner: str
    client: Client

    def look(self) -> tuple[bool, bool]:
        """Whether it exists, and whether it was given all its settings.

        Raises BucketError if it is somebody else's, or these credentials may not use it.
        """
        try:
            if self._call("head_bucket", "find the bucket of the states") is None:
                return False, False
        except S3Error as error:
            raise BucketError(
                f"The bucket {self.name} for Terraform's states belongs to another account than "
                f"{self.owner}, or these credentials may not use it (s3:ListBucket, s3:GetObject, "
                f"s3:PutObject): {error}. Ask for these rights, or keep the state on this machine: "
                "ds_stack_state: local"
            ) from error
        return True, self._is_finished()

    def _is_finished(self) -> bool:
        """Whether the run that made it came to its end. Who may not ask has not made it."""
        try:
            versioning = self._call("get_bucket_versioning", "read its versioning") or {}
            block = self._call("get_public_access_block", "read whether it is public")
        except S3Error:
            return True
        return versioning.get("Status") == "Enabled" and block is not None

    def read(self, key: str) -> Any:
        """The JSON document of an object; None when there is none, its text when that is not JSON."""
        found = self._call("get_object", f"read s3://{self.name}/{key}", Key=key)
        return None if found is None else _parse(found["Body"].read())

    def keys(self, prefix: str) -> list[str]:
        """The keys of the objects below a prefix."""
        found = self._call("list_objects_v2", f"list s3://{self.name}/{prefix}", Prefix=prefix) or {}
        return [one["Key"] for one in found.get("Contents", [])]

    def _call(self, operation: str, doing: str, **arguments: Any) -> Any:
        call = _S3.list_error_handler(doing, None)(getattr(self.client, operation))
        return call(Bucket=self.name, ExpectedBucketOwner=self.owner, **arguments)


def _parse(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content


def read_file(path: Path) -> Any:
    """The JSON document of a file, as of an object."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return _parse(content) if content.strip() else None


def ask(make_client: MakeClient, stack: str, region: str) -> tuple[Things, dict[str, str]]:
    """What there is with the stack's tags or names; and which kinds could not be asked for, with the reason.

    Raises AnsibleAWSError for those that are needed.
    """
    questions = dict(_questions(make_client, stack, region))
    found: Things = []
    not_asked = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        futures = {kind: pool.submit(question) for kind, question in questions.items()}
    for kind, future in futures.items():
        try:
            found += future.result()
        except AnsibleAWSError as error:
            if kind in _NEEDED:
                raise
            not_asked[kind] = str(error)
    return found, not_asked


def objects(bucket: Bucket, prefix: str) -> Things:
    """The objects of the stack in the bucket of the states."""
    return [
        Thing(kinds.STATE, f"s3://{bucket.name}/{key}", detail="Terraform's state, or its lock")
        for key in bucket.keys(prefix)
    ]


def _questions(
    make_client: MakeClient, stack: str, region: str
) -> Iterator[tuple[str, Callable[[], Things]]]:
    ec2, iam, ssm, dlm, emr = (make_client(service) for service in ("ec2", "iam", "ssm", "dlm", "emr"))
    tagged = make_client("resourcegroupstaggingapi")
    own = [{"Name": f"tag:{NAME_TAG}", "Values": [stack]}]
    named = f"ds-stack-{stack}-{region}"
    yield kinds.EMR, lambda: _clusters(emr, stack)
    yield kinds.MACHINE, lambda: _machines(ec2, own)
    yield kinds.VOLUME, lambda: [_volume(one) for one in describe_volumes(ec2, Filters=own)]
    yield (
        kinds.ADDRESS,
        lambda: [
            _thing(kinds.ADDRESS, one, "AllocationId", one.get("PublicIp", ""))
            for one in describe_addresses(ec2, Filters=own)
        ],
    )
    yield (
        kinds.ENDPOINT,
        lambda: [
            _thing(kinds.ENDPOINT, one, "VpcEndpointId", one.get("ServiceName", ""))
            for one in describe_vpc_endpoints(ec2, Filters=own)
            if one.get("State", "").lower() not in ("deleting", "deleted")
        ],
    )
    yield (
        kinds.VPC,
        lambda: [
            _thing(kinds.VPC, one, "VpcId", one.get("CidrBlock", ""))
            for one in describe_vpcs(ec2, Filters=own)
        ],
    )
    yield (
        kinds.GROUP,
        lambda: [
            _thing(kinds.GROUP, one, "GroupId", one["GroupName"])
            for one in describe_security_groups(ec2, Filters=own)
            # Every VPC has one called default. It goes with the VPC, and from Terraform's state before that.
            if one["GroupName"] != "default"
        ],
    )
    roles = {
        named: kinds.INSTANCE,
        f"{named}-backups": kinds.DATA,
        f"{named}-emr": kinds.CLUSTER,
        f"{named}-nodes": kinds.CLUSTER,
    }
    yield kinds.ROLE, lambda: [one for name, part in roles.items() for one in _role(iam, name, part)]
    yield kinds.BACKUPS, lambda: _policies(dlm, stack)
    yield (
        kinds.PROFILE,
        lambda: _profile(iam, named, kinds.INSTANCE) + _profile(iam, f"{named}-nodes", kinds.CLUSTER),
    )
    yield kinds.BUCKET, lambda: _buckets(tagged, stack)
    yield kinds.IMAGE, lambda: [_image(one) for one in describe_images(ec2, Owners=["self"], Filters=own)]
    yield (
        kinds.SNAPSHOT,
        lambda: [_snapshot(one) for one in _snapshots(ec2, own)],
    )
    yield (
        kinds.KEY_PAIR,
        lambda: [
            _thing(kinds.KEY_PAIR, one, "KeyPairId", one.get("KeyName", ""))
            for one in describe_key_pairs(ec2, Filters=own)
        ],
    )
    store = ParameterStore(RetryingBotoClientWrapper(ssm, AWSRetry.jittered_backoff()))
    yield kinds.PARAMETER, lambda: _parameters(store, Paths(stack))
    yield kinds.KEY, lambda: _operator_key(make_client("kms"))
    yield kinds.LOST_KEY, lambda: _lost_keys(tagged, make_client("kms"))


def _tags(one: Mapping[str, Any]) -> dict[str, str]:
    return dict(boto3_tag_list_to_ansible_dict(one.get("Tags") or []))


def _thing(kind: str, one: Mapping[str, Any], key: str, detail: str) -> Thing:
    return Thing(kind, str(one[key]), _tags(one).get(PART_TAG, ""), detail)


def _clusters(emr: Client, stack: str) -> Things:
    return [
        Thing(
            kinds.EMR,
            one.id,
            kinds.CLUSTER,
            f"{one.release}, {one.state}",
            status=kinds.LEAVING if one.state == "TERMINATING" else one.state,
        )
        for one in clusters_of(emr, stack, LIVE)
    ]


def _machines(ec2: Client, own: list[dict[str, Any]]) -> Things:
    filters = [*own, {"Name": "instance-state-name", "Values": _STATES}]
    return [
        Thing(
            kinds.NODE if is_node(one) else kinds.MACHINE,
            one["InstanceId"],
            _tags(one).get(PART_TAG, ""),
            f"{one['State']['Name']} ({one.get('InstanceType', '')})",
            status=one["State"]["Name"],
            image_id=one.get("ImageId", ""),
            instance_type=one.get("InstanceType", ""),
            slot=_tags(one).get(SLOT_TAG, ""),
            active={"true": True, "false": False}.get(_tags(one).get(ACTIVE_TAG, "")),
        )
        for reservation in describe_instances(ec2, Filters=filters)
        for one in reservation["Instances"]
    ]


def _volume(one: Mapping[str, Any]) -> Thing:
    part = _tags(one).get(PART_TAG, "")
    return Thing(
        kinds.VOLUME if part == kinds.DATA else kinds.DISK,
        one["VolumeId"],
        part,
        f"{one.get('Size')} GiB in {one.get('AvailabilityZone')}",
        status=one.get("State", ""),
        size=int(one.get("Size") or 0),
        zone=one.get("AvailabilityZone", ""),
        attached_to=tuple(where["InstanceId"] for where in one.get("Attachments", [])),
    )


def _image(one: Mapping[str, Any]) -> Thing:
    snapshots = [
        disk["Ebs"]["SnapshotId"]
        for disk in one.get("BlockDeviceMappings", [])
        if disk.get("Ebs", {}).get("SnapshotId")
    ]
    detail = " with ".join([one.get("Name", ""), *([", ".join(snapshots)] if snapshots else [])])
    return Thing(kinds.IMAGE, one["ImageId"], _tags(one).get(PART_TAG, ""), detail)


def _snapshots(ec2: Client, own: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    page: dict[str, str] = {}
    while True:
        found = describe_snapshots(ec2, OwnerIds=["self"], Filters=own, **page)
        yield from found["Snapshots"]
        if not found.get("NextToken"):
            return
        page = {"NextToken": found["NextToken"]}


def _snapshot(one: Mapping[str, Any]) -> Thing:
    tags = _tags(one)
    began = one.get("StartTime")
    when = began.strftime("%Y-%m-%d") if began else ""
    return Thing(
        kinds.SNAPSHOT,
        one["SnapshotId"],
        tags.get(PART_TAG, ""),
        f"of {one.get('VolumeId')}, {when}",
        status=one.get("State", ""),
        purpose=tags.get(PURPOSE_TAG, ""),
        size=int(one.get("VolumeSize") or 0),
    )


class _AskedError(AnsibleAWSError):
    pass


class _Asked(AWSErrorHandler):
    """The errors of services that are asked by name or tag: what is not there is none."""

    _CUSTOM_EXCEPTION = _AskedError

    @classmethod
    def _is_missing(cls) -> Any:
        return is_boto3_error_code(["NoSuchEntity", "ResourceNotFoundException", "NotFoundException"])


def _role(iam: Client, name: str, part: str) -> Things:
    found = _Asked.list_error_handler(f"find the role {name}", None)(iam.get_role)(RoleName=name)
    return [Thing(kinds.ROLE, name, part)] if found else []


def _profile(iam: Client, name: str, part: str) -> Things:
    get = _Asked.list_error_handler(f"find the instance profile {name}", None)(iam.get_instance_profile)
    return [Thing(kinds.PROFILE, name, part)] if get(InstanceProfileName=name) else []


def _buckets(tagged: Client, stack: str) -> Things:
    """Those of the stack alone; that of the states is of all stacks."""
    found = _Asked.list_error_handler("find buckets by their tags", {})(tagged.get_resources)(
        TagFilters=[{"Key": NAME_TAG, "Values": [stack]}], ResourceTypeFilters=["s3"]
    )
    return [
        Thing(kinds.BUCKET, one["ResourceARN"].rpartition(":")[2], _tags(one).get(PART_TAG, ""))
        for one in found.get("ResourceTagMappingList", [])
    ]


def _policies(dlm: Client, stack: str) -> Things:
    """Those that make the stack's backups: by the tag of the volumes that they are about."""
    target = [f"{BACKUPS_TAG}={stack}"]
    found = _Asked.list_error_handler("find the policies of the backups", {})(dlm.get_lifecycle_policies)(
        TargetTags=target
    )
    return [
        Thing(kinds.BACKUPS, one["PolicyId"], kinds.DATA, one.get("State", "").lower())
        for one in found.get("Policies", [])
        if one.get("Tags", {}).get(NAME_TAG) == stack
    ]


def _parameters(store: ParameterStore, paths: Paths) -> Things:
    """By their names: nothing is decrypted. Without the lock, which a run has that gives it back."""
    names = [f"{paths.root}/{name}" for name in store.below(paths.root, recursive=True)]
    return [Thing(kinds.PARAMETER, name) for name in names if name != paths.lock]


def _operator_key(kms: Client) -> Things:
    found = find_key(kms, OPERATOR_KEY)
    return [Thing(kinds.KEY, found["KeyId"])] if found and found["KeyState"] != "PendingDeletion" else []


def _lost_keys(tagged: Client, kms: Client) -> Things:
    """By the tag that a key gets as it is made. One that somebody has named otherwise is theirs."""
    found = _Asked.list_error_handler("find keys by their tags", {})(tagged.get_resources)(
        TagFilters=[{"Key": PART_TAG, "Values": [OPERATOR]}], ResourceTypeFilters=["kms:key"]
    )
    aliases = _Asked.list_error_handler("list the aliases of a key", {})(kms.list_aliases)
    lost = []
    for one in found.get("ResourceTagMappingList", []):
        key = find_key(kms, one["ResourceARN"])
        if key and key["KeyState"] != "PendingDeletion" and not aliases(KeyId=key["KeyId"]).get("Aliases"):
            lost.append(Thing(kinds.LOST_KEY, key["KeyId"]))
    return lost


@dataclass(frozen=True)
class Places:
    """Where the states are: of a part the file, or the object in the bucket.

    bucket: None where there is none.
    """

    bucket: Bucket | None
    keys: Mapping[str, str]
    files: Mapping[str, Path]

    def read(self) -> list[State]:
        """The states. One that lies in a file counts until it has been handed over.

        Raises StateError, S3Error, OSError.
        """
        parts = dict.fromkeys([*(self.keys if self.bucket else ()), *self.files])
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self._read, parts))

    def _read(self, part: str) -> State:
        if part in self.files and self.files[part].exists():
            return replace(State.parse(part, str(self.files[part]), read_file(self.files[part])), here=True)
        if self.bucket and part in self.keys:
            key = self.keys[part]
            return State.parse(part, f"s3://{self.bucket.name}/{key}", self.bucket.read(key))
        return State(part, str(self.files[part]))


def inventory(make_client: MakeClient, stack: str, region: str, places: Places) -> Inventory:
    """All of it. Raises AnsibleAWSError, StateError, OSError."""
    with ThreadPoolExecutor(1) as pool:
        states = pool.submit(places.read)
        things, not_asked = ask(make_client, stack, region)
    if places.bucket:
        things += objects(places.bucket, f"{stack}/")
    return Inventory(stack, region, tuple(things), tuple(states.result()), not_asked)
