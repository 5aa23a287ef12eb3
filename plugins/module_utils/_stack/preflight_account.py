# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask AWS what there is in an account. Questions of one round are asked at once; nothing is made or changed.

A question that is not answered becomes a Refusal: whether that matters is for the rules to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from ansible_collections.amazon.aws.plugins.module_utils.ec2 import (
    describe_availability_zones,
    describe_images,
    describe_instances,
    describe_regions,
    describe_subnets,
    describe_volumes,
    describe_vpcs,
)
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

from .._packer.images import images_by_id
from .cluster_status import is_node
from .preflight import (
    BAKE,
    CLUSTER,
    INSTANCE,
    NETWORK,
    VCPU_QUOTAS,
    Account,
    BaseImage,
    Cluster,
    Identity,
    Image,
    InstanceType,
    Refusal,
    Running,
    Subnet,
    Wanted,
    is_objection,
    machine_zone,
    vcpu_quota,
)

try:
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError
    from botocore.parsers import ResponseParserError

    #: No answer: AWS says no, cannot be reached, or a proxy answers in its place.
    NO_ANSWER = (AnsibleAWSError, BotoCoreError, ClientError, ResponseParserError)
except ImportError:
    pass  # a problem among others: the module tells it, and asks nothing here

Client = Any
Answer = TypeVar("Answer")
MakeClient = Callable[[str, str], Client]
"""Of a service and a region."""

#: Beginning of a region's name → a region that every account has there, so that it can tell of the others.
_HOME_REGIONS = {"cn-": "cn-north-1", "us-gov-": "us-gov-west-1", "": "us-east-1"}

_AT_ONCE = 8
_DRY_RUN_INSTANCE = "i-00000000000000000"
_DRY_RUN_NAME = "ds-stack-preflight"


def client_config() -> Config:
    """For clients that give an answer soon: a person waits, and the next run asks again."""
    return Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "max_attempts": 3})


def home_regions(region: str) -> list[str]:
    """Where to ask about the account: a region that it has for certain, then its own.

    The second is for networks that let nobody out to another region.
    """
    home = next(home for start, home in _HOME_REGIONS.items() if region.startswith(start))
    return list(dict.fromkeys([home, region]))


def identify(make_client: MakeClient, homes: Iterable[str]) -> Identity | Refusal:
    """Who the credentials are, or why AWS does not know them."""
    try:
        found = _first_answer(homes, lambda region: make_client("sts", region).get_caller_identity())
    except NO_ANSWER as error:
        return _refusal("GetCallerIdentity", error)
    return Identity(found["Account"], found["Arn"].split(":")[1])


def enabled_regions(make_client: MakeClient, homes: Iterable[str]) -> Mapping[str, bool] | None:
    """The regions that AWS has, and whether the account has them; None when it does not tell."""
    try:
        found = _first_answer(
            homes, lambda region: describe_regions(make_client("ec2", region), AllRegions=True)
        )
    except NO_ANSWER:
        return None
    return {one["RegionName"]: one.get("OptInStatus") != "not-opted-in" for one in found}


def ask(make_client: MakeClient, wanted: Wanted) -> Account:
    """Ask all that the stages depend on, in two rounds: the second needs answers of the first."""
    ec2 = make_client("ec2", wanted.region)
    survey = _Survey()
    survey.round(dict(_questions(make_client, ec2, wanted)))
    answers = survey.answers
    account = Account(
        zones=answers.get("DescribeAvailabilityZones"),
        types=_types(answers.get("DescribeInstanceTypes"), answers.get("DescribeInstanceTypeOfferings")),
        base_image=_base_image(wanted, answers),
        newest_base=_newest(answers.get("DescribeImages newest")),
        has_baked=_some(answers.get("DescribeImages baked")),
        own_image=_newest(answers.get("DescribeImages own")),
        volume_id=_of_first(answers.get("DescribeVolumes"), "VolumeId"),
        volume_zone=_of_first(answers.get("DescribeVolumes"), "AvailabilityZone"),
        volume_size=int(_of_first(answers.get("DescribeVolumes"), "Size") or 0),
        subnets=answers.get("DescribeSubnets machine"),
        bake_subnets=answers.get("DescribeSubnets bake"),
        cluster_subnets=answers.get("DescribeSubnets cluster"),
        vpc_id=_vpc_id(answers, wanted.stack),
        node_image=_image_or_none(answers.get("DescribeImages node")),
        vpcs=_count_other(answers.get("DescribeVpcs"), wanted.stack),
        has_vpc=_has_own(answers.get("DescribeVpcs"), wanted.stack),
        vpc_limit=answers.get("GetServiceQuota VPC"),
        running=answers.get("DescribeInstances"),
        vcpu_limits={
            kind: answers[f"GetServiceQuota {kind}"]
            for kind in VCPU_QUOTAS
            if answers.get(f"GetServiceQuota {kind}") is not None
        },
        key_states={
            key: answers[f"DescribeKey {key}"]
            for key in _keys(wanted)
            if answers.get(f"DescribeKey {key}") is not None
        },
        there={
            name: answers[f"{operation} {name}"]
            for _variable, operation, name in wanted.rights
            if f"{operation} {name}" in answers
        },
    )
    if wanted.dry_runs:
        survey.round(dict(_dry_runs(ec2, wanted, account)))
    return replace(account, refusals=tuple(survey.refusals))


@dataclass
class _Survey:
    """Questions and their answers by name."""

    answers: dict[str, Any] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)

    def round(self, questions: Mapping[str, Callable[[], Any]]) -> None:
        """Ask questions at once. Those whose right is lacking twice are told once."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            futures = {name: pool.submit(question) for name, question in questions.items()}
        for name, future in futures.items():
            try:
                self.answers[name] = future.result()
            except NO_ANSWER as error:
                refusal = _refusal(name, error)
                if refusal not in self.refusals:
                    self.refusals.append(refusal)


def _questions(
    make_client: MakeClient, ec2: Client, wanted: Wanted
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The first round. A name begins with the API's operation."""
    types = sorted({name for _variable, name in wanted.machines})
    if types:
        yield "DescribeInstanceTypes", lambda: _pages(ec2, "describe_instance_types", Filters=_is_type(types))
        yield (
            "DescribeInstanceTypeOfferings",
            lambda: _pages(
                ec2,
                "describe_instance_type_offerings",
                LocationType="availability-zone",
                Filters=_is_type(types),
            ),
        )
        yield "DescribeInstances", lambda: _running(ec2, wanted.stack)
        quotas = make_client("service-quotas", wanted.region)
        for kind in {kind for name in types if (kind := vcpu_quota(name))}:
            yield f"GetServiceQuota {kind}", _quota(quotas, "ec2", VCPU_QUOTAS[kind][1])
    if BAKE in wanted.stages:
        yield from _questions_of_bake(ec2, wanted)
    subnet_id = wanted.subnet_id
    if subnet_id and {NETWORK, INSTANCE} & wanted.stages:
        yield "DescribeSubnets machine", lambda: _subnets(ec2, _is_subnet(subnet_id))
    if subnet_id and CLUSTER in wanted.stages:
        yield "DescribeSubnets stack", lambda: _subnets(ec2, _is_subnet(subnet_id))
    elif CLUSTER in wanted.stages:
        yield "DescribeVpcs", lambda: describe_vpcs(ec2)
    if CLUSTER in wanted.stages and wanted.cluster:
        yield from _questions_of_cluster(ec2, wanted.cluster)
    if NETWORK in wanted.stages and not subnet_id:
        yield "DescribeVpcs", lambda: describe_vpcs(ec2)
        yield "GetServiceQuota VPC", _quota(make_client("service-quotas", wanted.region), "vpc", "L-F678F1CE")
    if {BAKE, INSTANCE, CLUSTER} & wanted.stages:
        yield (
            "DescribeVolumes",
            lambda: describe_volumes(ec2, Filters=_is_part(wanted.stack, "data")),
        )
    if INSTANCE in wanted.stages:
        yield "DescribeAvailabilityZones", lambda: _zones(ec2)
        if BAKE not in wanted.stages:
            yield (
                "DescribeImages own",
                lambda: describe_images(ec2, Owners=["self"], Filters=_is_part(wanted.stack, "image")),
            )
    yield from _questions_of_what_is_named(make_client, wanted)


def _questions_of_what_is_named(
    make_client: MakeClient, wanted: Wanted
) -> Iterator[tuple[str, Callable[[], Any]]]:
    for key in _keys(wanted):
        yield f"DescribeKey {key}", partial(_key_state, make_client("kms", wanted.region), key)
    for _variable, operation, name in wanted.rights:
        yield f"{operation} {name}", partial(_is_there, make_client("iam", wanted.region), operation, name)


def _questions_of_bake(ec2: Client, wanted: Wanted) -> Iterator[tuple[str, Callable[[], Any]]]:
    base = wanted.base_image
    if base:
        yield "DescribeImages newest", lambda: _base_images(ec2, base.owner, _is_base(base.name))
        if base.pinned_id:
            yield "DescribeImages pinned", lambda: _pinned_image(ec2, base)
            made_from = [
                *_is_part(wanted.stack, "node-image" if CLUSTER in wanted.stages else "image"),
                {"Name": "tag:ds-stack:base-image", "Values": [base.pinned_id]},
                {"Name": "state", "Values": ["available"]},
            ]
            yield "DescribeImages baked", lambda: describe_images(ec2, Owners=["self"], Filters=made_from)
    default = {"Name": "default-for-az", "Values": ["true"]}
    where = _is_subnet(wanted.bake_subnet_id) if wanted.bake_subnet_id else default
    yield "DescribeSubnets bake", lambda: _subnets(ec2, where)


def _questions_of_cluster(ec2: Client, cluster: Cluster) -> Iterator[tuple[str, Callable[[], Any]]]:
    subnet_id, image_id = cluster.subnet_id, cluster.image_id
    if subnet_id:
        yield "DescribeSubnets cluster", lambda: _subnets(ec2, _is_subnet(subnet_id))
    if image_id:
        yield "DescribeImages node", lambda: _available(images_by_id(ec2, image_id))


def _dry_runs(ec2: Client, wanted: Wanted, account: Account) -> Iterator[tuple[str, Callable[[], None]]]:
    """What the stages are going to call, as far as AWS can be asked before whether it would let them.

    With all that an organization may demand of such calls: tags, encryption, the newer metadata service.
    """
    tags = [{"Key": key, "Value": value} for key, value in wanted.tags.items()]
    tags.append({"Key": "ds-stack:name", "Value": wanted.stack})

    def tagged(*kinds: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": tags} for kind in kinds]

    key = {"KmsKeyId": wanted.kms_key_id} if wanted.kms_key_id else {}
    image = account.image
    if image:
        disk = {"VolumeSize": wanted.root_volume_size or image.root_size, "VolumeType": "gp3", **key}
        subnets = {
            "ds_stack_bake_instance_type": wanted.bake_subnet_id,
            "ds_stack_instance_type": wanted.subnet_id,
        }
        for variable, name in wanted.machines:
            if variable in subnets and name in (account.types or {name}):
                yield (
                    f"RunInstances {variable}",
                    _dry_run(
                        ec2.run_instances,
                        ImageId=image.image_id,
                        InstanceType=name,
                        MinCount=1,
                        MaxCount=1,
                        MetadataOptions={"HttpTokens": "required"},
                        BlockDeviceMappings=[
                            {"DeviceName": image.root_device, "Ebs": {"Encrypted": True, **disk}}
                        ],
                        TagSpecifications=tagged("instance", "volume"),
                        **({"SubnetId": subnet} if (subnet := subnets[variable]) else {}),
                    ),
                )
    if BAKE in wanted.stages:
        yield (
            "CreateImage",
            _dry_run(ec2.create_image, InstanceId=_DRY_RUN_INSTANCE, Name=_DRY_RUN_NAME),
        )
        yield (
            "CreateKeyPair",
            _dry_run(ec2.create_key_pair, KeyName=_DRY_RUN_NAME, TagSpecifications=tagged("key-pair")),
        )
    if {BAKE, NETWORK} & wanted.stages:
        yield (
            "CreateSecurityGroup",
            _dry_run(
                ec2.create_security_group,
                GroupName=_DRY_RUN_NAME,
                Description=_DRY_RUN_NAME,
                TagSpecifications=tagged("security-group"),
            ),
        )
    zone = machine_zone(wanted, account)
    if INSTANCE in wanted.stages and not account.volume_zone and zone in (account.zones or ()):
        yield (
            "CreateVolume",
            _dry_run(
                ec2.create_volume,
                AvailabilityZone=zone,
                Size=1,
                VolumeType="gp3",
                Encrypted=True,
                TagSpecifications=tagged("volume"),
                **key,
            ),
        )


def _dry_run(call: Callable[..., Any], **arguments: Any) -> Callable[[], None]:
    def run() -> None:
        """Raise ClientError when the call would be refused."""
        try:
            call(DryRun=True, **arguments)
        except ClientError as error:
            if is_objection(error.response["Error"]["Code"]):
                raise

    return run


def _first_answer(regions: Iterable[str], question: Callable[[str], Answer]) -> Answer:
    """Ask in one region after the other until one is reached. Raises what the last one did."""
    failure: Exception | None = None
    for region in regions:
        try:
            return question(region)
        except (ConnectionError, HTTPClientError) as error:
            failure = error
    raise failure or ValueError("no region to ask in")


def _refusal(name: str, error: Exception) -> Refusal:
    cause = getattr(error, "exception", None) or error
    if isinstance(cause, ClientError):
        answer = cause.response["Error"]
        return Refusal(cause.operation_name, answer.get("Code", ""), answer.get("Message", ""))
    return Refusal(name.partition(" ")[0], type(cause).__name__, str(cause))


@AWSRetry.jittered_backoff(retries=3)
def _pages(client: Client, operation: str, **arguments: Any) -> list[dict[str, Any]]:
    result = client.get_paginator(operation).paginate(**arguments).build_full_result()
    (found,) = result.values()
    return list(found)


def _quota(client: Client, service: str, code: str) -> Callable[[], int]:
    def value() -> int:
        return int(client.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])

    return value


def _keys(wanted: Wanted) -> list[str]:
    """The KMS keys that the stages use."""
    volumes = wanted.kms_key_id if {BAKE, INSTANCE} & wanted.stages else None
    passwords = wanted.operator_key if INSTANCE in wanted.stages else None
    return [key for key in dict.fromkeys((volumes, passwords)) if key]


def _key_state(kms: Client, key_id: str) -> str:
    try:
        return str(kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"])
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NotFoundException", "InvalidArnException"):
            return ""
        raise


def _is_there(iam: Client, operation: str, name: str) -> bool:
    try:
        if operation == "GetPolicy":
            iam.get_policy(PolicyArn=name)
        else:
            iam.get_instance_profile(InstanceProfileName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchEntity":
            return False
        raise
    return True


def _zones(ec2: Client) -> list[str]:
    """The zones in which the network has a subnet, in its order."""
    kind = [{"Name": "zone-type", "Values": ["availability-zone"]}]
    return sorted(one["ZoneName"] for one in describe_availability_zones(ec2, Filters=kind))


def _subnets(ec2: Client, where: Mapping[str, Any]) -> list[Subnet]:
    return [
        Subnet(
            one["SubnetId"],
            one["AvailabilityZone"],
            one.get("VpcId", ""),
            bool(one.get("MapPublicIpOnLaunch")),
        )
        for one in describe_subnets(ec2, Filters=[where])
    ]


def _is_subnet(subnet_id: str) -> dict[str, Any]:
    return {"Name": "subnet-id", "Values": [subnet_id]}


def _running(ec2: Client, stack: str) -> list[Running]:
    states = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    return [
        Running(
            one["InstanceType"],
            one.get("CpuOptions", {}).get("CoreCount", 0)
            * one.get("CpuOptions", {}).get("ThreadsPerCore", 1),
            _is_own(one, stack) and not is_node(one),
            _is_own(one, stack) and is_node(one),
        )
        for one in _instances(ec2, states)
        if one.get("InstanceLifecycle") != "spot"  # those have quotas of their own
    ]


def _instances(ec2: Client, filters: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for reservation in describe_instances(ec2, Filters=filters):
        yield from reservation["Instances"]


def _is_base(name: str) -> list[dict[str, Any]]:
    return [
        {"Name": "name", "Values": [name]},
        {"Name": "architecture", "Values": ["x86_64"]},
        {"Name": "root-device-type", "Values": ["ebs"]},
        {"Name": "virtualization-type", "Values": ["hvm"]},
    ]


def _base_images(ec2: Client, owner: str, which: list[dict[str, Any]]) -> list[dict[str, Any]]:
    filters = [*which, {"Name": "state", "Values": ["available"]}]
    return list(describe_images(ec2, Owners=[owner], Filters=filters))


def _pinned_image(ec2: Client, base: BaseImage) -> list[dict[str, Any]]:
    return _available(images_by_id(ec2, base.pinned_id or "", Owners=[base.owner]))


def _available(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [image for image in found if image.get("State") == "available"]


def _base_image(wanted: Wanted, answers: Mapping[str, Any]) -> Image | bool | None:
    if wanted.base_image is None:
        return None
    return _image_or_none(
        answers.get(f"DescribeImages {'pinned' if wanted.base_image.pinned_id else 'newest'}")
    )


def _image_or_none(found: list[dict[str, Any]] | None) -> Image | bool | None:
    """False for none that is there, None where it is not known."""
    return None if found is None else _newest(found) or False


def _newest(found: list[dict[str, Any]] | None) -> Image | None:
    if not found:
        return None
    newest = max(found, key=lambda image: image.get("CreationDate", ""))
    device = newest.get("RootDeviceName", "")
    disks = {disk.get("DeviceName"): disk.get("Ebs", {}) for disk in newest.get("BlockDeviceMappings", [])}
    return Image(
        newest["ImageId"],
        newest.get("Name", ""),
        newest.get("Architecture", ""),
        int(disks.get(device, {}).get("VolumeSize", 0)),
        device,
        newest.get("OwnerId", ""),
        sum(bool(disk) for disk in disks.values()),
    )


def _types(
    described: list[dict[str, Any]] | None, offered: list[dict[str, Any]] | None
) -> dict[str, InstanceType] | None:
    if described is None or offered is None:
        return None
    return {
        one["InstanceType"]: InstanceType(
            int(one["VCpuInfo"]["DefaultVCpus"]),
            frozenset(one["ProcessorInfo"]["SupportedArchitectures"]),
            frozenset(offer["Location"] for offer in offered if offer["InstanceType"] == one["InstanceType"]),
            one.get("Hypervisor", ""),
        )
        for one in described
        if any(offer["InstanceType"] == one["InstanceType"] for offer in offered)
    }


def _of_first(found: list[dict[str, Any]] | None, name: str) -> str | None:
    if found is None:
        return None
    return str(found[0][name]) if found else ""


def _some(found: list[Any] | None) -> bool | None:
    return None if found is None else bool(found)


def _count_other(vpcs: list[dict[str, Any]] | None, stack: str) -> int | None:
    return None if vpcs is None else sum(not _is_own(vpc, stack) for vpc in vpcs)


def _has_own(vpcs: list[dict[str, Any]] | None, stack: str) -> bool | None:
    return None if vpcs is None else any(_is_own(vpc, stack) for vpc in vpcs)


def _is_own(thing: Mapping[str, Any], stack: str) -> bool:
    return {"Key": "ds-stack:name", "Value": stack} in thing.get("Tags", [])


def _vpc_id(answers: Mapping[str, Any], stack: str) -> str | None:
    """The stack's own VPC, or that of the subnet that was given for its machine; empty without one."""
    if "DescribeSubnets stack" in answers:
        return next((subnet.vpc_id for subnet in answers["DescribeSubnets stack"]), "")
    vpcs = answers.get("DescribeVpcs")
    return None if vpcs is None else next((vpc["VpcId"] for vpc in vpcs if _is_own(vpc, stack)), "")


def _is_part(stack: str, part: str) -> list[dict[str, Any]]:
    return [
        {"Name": "tag:ds-stack:name", "Values": [stack]},
        {"Name": "tag:ds-stack:part", "Values": [part]},
    ]


def _is_type(names: list[str]) -> list[dict[str, Any]]:
    return [{"Name": "instance-type", "Values": names}]
