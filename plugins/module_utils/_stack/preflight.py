# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the tools and the account for a stack: rules over facts. Nothing here asks anybody.

Every rule yields sentences that say what is wrong and what to do. A fact that is None was not asked for, or
could not be had; a rule says nothing about it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from .._run.versions import satisfies
from .image_lock import how_to_move
from .names import OPERATOR_KEY

BAKE, NETWORK, INSTANCE, CLUSTER, USERS, DESTROY = STAGES = (
    "bake",
    "network",
    "instance",
    "cluster",
    "users",
    "destroy",
)

#: Kinds of instances with an on-demand quota of their own, counted in vCPUs: families and the quota's code.
ENABLED = "Enabled"
"""State of a KMS key that can be used."""

VCPU_QUOTAS: Mapping[str, tuple[frozenset[str], str]] = {
    "Standard": (frozenset({"a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"}), "L-1216C47A"),
    "G and VT": (frozenset({"g", "gr", "vt"}), "L-DB2E81BA"),
    "P": (frozenset({"p"}), "L-417A185B"),
}

#: Why AWS does not know who is asking: codes of the API, names of exceptions, and what to say to them.
_CREDENTIALS: tuple[tuple[frozenset[str], str], ...] = (
    (
        frozenset({"NoCredentialsError", "PartialCredentialsError"}),
        "There are no AWS credentials. Run `aws configure` or `aws sso login`, or set AWS_PROFILE or "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    ),
    (
        frozenset({"ProfileNotFound"}),
        "{message}. Set AWS_PROFILE to one of `aws configure list-profiles`, or unset it.",
    ),
    (
        frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"}),
        "The AWS credentials have expired. Get new ones, for example with `aws sso login`.",
    ),
    (
        frozenset({"SSOTokenLoadError", "TokenRetrievalError", "UnauthorizedSSOTokenError"}),
        "The sign-in for AWS has expired ({message}). Run `aws sso login`.",
    ),
    (
        frozenset({"RequestTimeTooSkewed", "SignatureDoesNotMatch"}),
        "AWS refuses the signature ({message}). Check the secret access key and this machine's clock.",
    ),
    (
        frozenset({"AccessDenied", "AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException"}),
        "AWS does not accept the credentials ({code}: {message}). Check them: `aws sts get-caller-identity`.",
    ),
)
_UNREACHABLE = (
    "AWS cannot be asked who you are ({code}: {message}). Check the network, a proxy and AWS_ENDPOINT_URL."
)

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
#: What keeps an account from starting anything at all; the API's message says why.
_BLOCKED = frozenset({"Blocked", "OptInRequired", "PendingVerification"})


@dataclass(frozen=True)
class BaseImage:
    """The image to bake from.

    pinned_id: its id if it is pinned, else the newest with the name counts. pinned_in: the file that pins it.
    """

    owner: str
    name: str
    pinned_id: str | None = None
    pinned_in: str | None = None


@dataclass(frozen=True)
class Cluster:
    """A Spark cluster, as far as it depends on the account.

    nodes: how many there are at least, all of which are on-demand. subnet_id, image_id: of what is there
    already; None where it is made.
    """

    instance_type: str
    nodes: int
    subnet_id: str | None = None
    image_id: str | None = None


@dataclass(frozen=True)
class Wanted:
    """What a stack is to be, as far as it depends on the account.

    With the stage of the cluster the bake is that of its nodes' image.
    """

    stack: str
    region: str
    stages: frozenset[str]
    base_image: BaseImage | None = None
    bake_instance_type: str | None = None
    instance_type: str | None = None
    root_volume_size: int | None = None
    data_volume_size: int | None = None
    availability_zone: str | None = None
    subnet_id: str | None = None
    bake_subnet_id: str | None = None
    kms_key_id: str | None = None
    operator_key: str | None = None
    policy_arns: Sequence[str] = ()
    permissions_boundary: str | None = None
    bake_instance_profile: str | None = None
    cluster: Cluster | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    dry_runs: bool = True

    @property
    def rights(self) -> Iterator[tuple[str, str, str]]:
        """What of IAM has to be there: the variable that names it, the operation that asks, the name."""
        if {NETWORK, INSTANCE, CLUSTER} & self.stages:
            for arn in self.policy_arns:
                yield "ds_stack_policy_arns", "GetPolicy", arn
            if self.permissions_boundary:
                yield "ds_stack_permissions_boundary", "GetPolicy", self.permissions_boundary
        if BAKE in self.stages and self.bake_instance_profile:
            yield "ds_stack_bake_instance_profile", "GetInstanceProfile", self.bake_instance_profile

    @property
    def machines(self) -> Iterator[tuple[str, str]]:
        """The machines that the stages start: the variable that names the type, and the type."""
        if BAKE in self.stages and self.bake_instance_type:
            yield "ds_stack_bake_instance_type", self.bake_instance_type
        if INSTANCE in self.stages and self.instance_type:
            yield "ds_stack_instance_type", self.instance_type
        if CLUSTER in self.stages and self.cluster:
            yield "ds_stack_cluster.instance_type", self.cluster.instance_type


@dataclass(frozen=True)
class Identity:
    """Who the credentials are. partition: of AWS, for names of resources, such as "aws-cn"."""

    account_id: str
    partition: str


@dataclass(frozen=True)
class Program:
    """A program on the control machine.

    name: what it is called for people. path: None when there is none on PATH. version: None when it does
    not tell. constraint: of versions, as HashiCorp's tools write it; empty when any will do.
    """

    name: str
    path: str | None
    version: str | None
    constraint: str


@dataclass(frozen=True)
class Refusal:
    """The API did not answer a question.

    operation: for example ``DescribeImages``. code: the API's, or the name of the exception.
    """

    operation: str
    code: str
    message: str

    @property
    def denied(self) -> bool:
        """Whether these credentials may not ask that."""
        return self.code in _DENIED


@dataclass(frozen=True)
class InstanceType:
    """A type that the region offers, and in which of its zones. hypervisor: empty for bare metal."""

    vcpus: int
    architectures: frozenset[str]
    zones: frozenset[str]
    hypervisor: str = "nitro"


@dataclass(frozen=True)
class Image:
    """An image, with its root disk: the device's name, and the size in GiB.

    owner: the account whose it is. disks: how many there are.
    """

    image_id: str
    name: str
    architecture: str
    root_size: int
    root_device: str = "/dev/xvda"
    owner: str = ""
    disks: int = 1


@dataclass(frozen=True)
class Subnet:
    """A subnet, its zone and its VPC. public: it gives what is started in it a public address."""

    subnet_id: str
    zone: str
    vpc_id: str = ""
    public: bool = False


@dataclass(frozen=True)
class Running:
    """An instance that counts against a quota.

    own: it is the stack's machine, so that a new one takes its place. node: of the stack's cluster.
    """

    instance_type: str
    vcpus: int
    own: bool
    node: bool = False


@dataclass(frozen=True)
class Account:
    """What the account says. See the module's docstring for None.

    account_id: whose the credentials are.
    regions: region → whether it is enabled. zones: of the region, ordered.
    types: of those that are wanted, the ones that are offered. base_image: the pinned one, or the newest
    with the name; False when there is none. has_baked: whether the stack has an image made from the pinned
    one. newest_base: the newest with the name. own_image: the stack's newest.
    volume_id, volume_zone, volume_size: the data volume's, empty when there is none.
    subnets: the one that the machine is to be in. bake_subnets: where a bake could run.
    cluster_subnets: the one that the cluster is to be in. vpc_id: the VPC of the stack, empty without one.
    node_image: the one that the cluster's nodes are to have; False when there is none.
    vpcs: how many there are, without the stack's own. has_vpc: whether the stack has one.
    vcpu_limits: kind of instances → quota. key_states: KMS key → its state, empty when there is no such key.
    there: what of IAM is named → whether it is there.
    refusals: questions that were not answered, those of dry runs among them.
    """

    account_id: str = ""
    regions: Mapping[str, bool] | None = None
    zones: Sequence[str] | None = None
    types: Mapping[str, InstanceType] | None = None
    base_image: Image | bool | None = None
    newest_base: Image | None = None
    has_baked: bool | None = None
    own_image: Image | None = None
    volume_id: str | None = None
    volume_zone: str | None = None
    volume_size: int | None = None
    subnets: Sequence[Subnet] | None = None
    bake_subnets: Sequence[Subnet] | None = None
    cluster_subnets: Sequence[Subnet] | None = None
    vpc_id: str | None = None
    node_image: Image | bool | None = None
    vpcs: int | None = None
    has_vpc: bool | None = None
    vpc_limit: int | None = None
    running: Sequence[Running] | None = None
    vcpu_limits: Mapping[str, int] = field(default_factory=dict)
    key_states: Mapping[str, str] = field(default_factory=dict)
    there: Mapping[str, bool] = field(default_factory=dict)
    refusals: Sequence[Refusal] = ()

    @property
    def image(self) -> Image | None:
        """What a machine of the stack would be started from, as far as it is known before the bake."""
        return self.base_image if isinstance(self.base_image, Image) else self.own_image


def vcpu_quota(instance_type: str) -> str | None:
    """The kind of instances whose quota a type counts against; None where it is not known."""
    family = re.match(r"[a-z]+", instance_type)
    for kind, (families, _code) in VCPU_QUOTAS.items():
        if family and family[0] in families:
            return kind
    return None


def machine_zone(wanted: Wanted, account: Account) -> str | None:
    """The zone of the machine: its volume's, the one that was asked for, or the first that there is."""
    zones = [subnet.zone for subnet in account.subnets or ()] or account.zones
    return account.volume_zone or wanted.availability_zone or (zones[0] if zones else None)


def program_problems(programs: Sequence[Program]) -> Iterator[str]:
    """Programs that are not there, or of the wrong version."""
    for program in programs:
        versions = f" {program.constraint}" if program.constraint else ""
        if program.path is None:
            yield f"There is no {program.name} on PATH. Install {program.name}{versions}."
        elif program.version is None:
            yield (
                f"{program.path} does not tell its version, so it seems not to be {program.name}. "
                f"Install {program.name}{versions}, before it on PATH."
            )
        elif not satisfies(program.version, program.constraint):
            yield (
                f"{program.path} has version {program.version}, and{versions} is needed. Install another "
                f"{program.name}."
            )


def library_problems(missing: Sequence[str], python: str) -> Iterator[str]:
    """Python packages that are not there."""
    if missing:
        names = " ".join(missing)
        yield f"{python} lacks the Python package {names.replace(' ', ', ')}: {python} -m pip install {names}"


def credential_problem(refusal: Refusal) -> str:
    """Why AWS does not know who is asking."""
    fitting = (sentence for codes, sentence in _CREDENTIALS if refusal.code in codes)
    return next(fitting, _UNREACHABLE).format(code=refusal.code, message=refusal.message)


def identity_problem(options: Mapping[str, Any]) -> str | None:
    """Why a module's options, or the environment in their place, do not say who is asking."""
    if options.get("profile") and options.get("access_key"):
        return (
            "Both a profile (AWS_PROFILE) and an access key (AWS_ACCESS_KEY_ID) are set, and Ansible's "
            "modules take one of them. Unset the other."
        )
    return None


def account_problems(wanted: Wanted, account: Account) -> list[str]:
    """What is wrong with the account for what is wanted."""
    return [problem for rule in _RULES for problem in rule(wanted, account)]


def warnings(wanted: Wanted, account: Account) -> Iterator[str]:
    """What does no harm today."""
    base = wanted.base_image
    if base and base.pinned_id and account.base_image is False and account.has_baked:
        yield (
            f"The base image {base.pinned_id} is gone from {wanted.region}. The image that was baked from it "
            f"stays in use; the next bake needs another one than {base.pinned_in} says: {how_to_move('base')}"
        )


def not_checked(account: Account) -> list[str]:
    """Questions whose answers would have been good to have: quotas, and keys of other accounts."""
    return [
        f"{refusal.operation}: {refusal.code}" for refusal in account.refusals if not _is_problem(refusal)
    ]


def region_problem(region: str, regions: Mapping[str, bool]) -> str | None:
    """Whether the account has the region."""
    if region not in regions:
        nearest = get_close_matches(region, regions, n=1)
        hint = f" Did you mean {nearest[0]}?" if nearest else f" There are {', '.join(sorted(regions))}."
        return f"ds_stack_region: AWS has no region {region}.{hint}"
    if not regions[region]:
        return (
            f"ds_stack_region: {region} is not enabled for this account. Enable it (aws account "
            f"enable-region --region-name {region}) or take another."
        )
    return None


def _refusals(wanted: Wanted, account: Account) -> Iterator[str]:
    for refusal in account.refusals:
        if not _is_problem(refusal):
            continue
        if refusal.denied:
            # What follows can only be read with further rights, and is long.
            reason = refusal.message.split("Encoded authorization failure message", 1)[0].strip()
            yield (
                f"These credentials may not call {refusal.operation} in {wanted.region}. Ask for that "
                f"right, or take others.{_doubt(refusal)} AWS says: {reason}"
            )
        else:
            yield f"{refusal.operation} fails in {wanted.region}. AWS says: {refusal.code}: {refusal.message}"


def _doubt(refusal: Refusal) -> str:
    """What to do about a dry run that a policy refuses for its placeholders."""
    if refusal.operation.startswith(("Describe", "Get")):
        return ""
    return " If they may, and only this dry run is refused, set ds_stack_check_rights to false."


def _is_problem(refusal: Refusal) -> bool:
    return refusal.operation not in _OPTIONAL


#: Questions whose answers are a courtesy: many may build without the right to ask them.
_OPTIONAL = frozenset({"GetServiceQuota", "DescribeKey", "GetPolicy", "GetInstanceProfile"})


def is_objection(code: str) -> bool:
    """Whether a dry run's error says that the call itself would be refused.

    Its other errors are about the placeholders in it, or are found by a rule that can say more.
    """
    return code in _DENIED or code in _BLOCKED


def _types(wanted: Wanted, account: Account) -> Iterator[str]:
    if account.types is None:
        return
    for variable, name in wanted.machines:
        if name not in account.types:
            yield (
                f"{variable}: {name} is not offered in {wanted.region}. Take one of: aws ec2 "
                f"describe-instance-type-offerings --region {wanted.region}"
            )


def _zones(wanted: Wanted, account: Account) -> Iterator[str]:
    zone = wanted.availability_zone
    if INSTANCE not in wanted.stages or account.volume_zone or not zone or account.zones is None:
        return
    if zone not in account.zones:
        yield (
            f"ds_stack_availability_zone: {wanted.region} has no zone {zone}. Take one of "
            f"{', '.join(account.zones)}."
        )


def _type_in_zone(wanted: Wanted, account: Account) -> Iterator[str]:
    zone, name = machine_zone(wanted, account), wanted.instance_type
    offered = (account.types or {}).get(name or "")
    if INSTANCE not in wanted.stages or offered is None or zone is None or zone in offered.zones:
        return
    if zone not in (account.zones or (zone,)):
        return  # that is the problem, and was told
    zones = ", ".join(sorted(offered.zones))
    if account.volume_zone:
        yield (
            f"ds_stack_instance_type: {name} is not offered in {zone}, where the data volume is (but in "
            f"{zones}). Take another type."
        )
    else:
        why = "" if wanted.availability_zone else ", where the machine would be"
        yield (
            f"ds_stack_instance_type: {name} is not offered in {zone}{why}. Set ds_stack_availability_zone "
            f"to one of {zones}, or take another type."
        )


def _architectures(wanted: Wanted, account: Account) -> Iterator[str]:
    image = account.image
    if image is None:
        return
    for variable, name in wanted.machines:
        offered = (account.types or {}).get(name)
        if offered and image.architecture not in offered.architectures:
            yield (
                f"{variable}: {name} cannot run images for {image.architecture}, but those for "
                f"{', '.join(sorted(offered.architectures))} alone. Take another type."
            )


def _hypervisors(wanted: Wanted, account: Account) -> Iterator[str]:
    """The machine finds its data volume by the id that only an NVMe disk shows, which Xen does not have."""
    name = wanted.instance_type or ""
    offered = (account.types or {}).get(name)
    if INSTANCE in wanted.stages and offered and offered.hypervisor == "xen":
        yield (
            f"ds_stack_instance_type: {name} is not of the Nitro system, where the machine finds its data "
            "volume by its id. Take a newer type."
        )


def _base_image(wanted: Wanted, account: Account) -> Iterator[str]:
    base = wanted.base_image
    if base is None or account.base_image is not False:
        return
    if not base.pinned_id:
        variable = "ds_stack_cluster.base_image" if CLUSTER in wanted.stages else "ds_stack_base_image"
        yield (
            f"No image '{base.name}' of account {base.owner} is available in {wanted.region}. Choose another "
            f"region, or name an image with {variable}."
        )
    elif not account.has_baked:
        yield (
            f"The base image {base.pinned_id} is gone from {wanted.region}; {base.pinned_in} pins it. "
            f"To bake from the newest '{base.name}': {how_to_move('base')}"
        )


def _root_volume(wanted: Wanted, account: Account) -> Iterator[str]:
    image, size = account.image, wanted.root_volume_size
    if image and size is not None and size < image.root_size:
        yield (
            f"ds_stack_root_volume_size: {size} GiB is smaller than the image "
            f"{image.name or image.image_id}. Take {image.root_size} or more."
        )


def _data_volume(wanted: Wanted, account: Account) -> Iterator[str]:
    """A volume of EBS never shrinks: nothing is to be baked for what is refused at the end."""
    size, now = wanted.data_volume_size, account.volume_size
    if {BAKE, INSTANCE} & wanted.stages and size is not None and now and size < now:
        yield (
            f"ds_stack_data_volume_size: {size} GiB is smaller than the data volume {account.volume_id} is, "
            f"and a volume can only grow. Take {now} or more."
        )


def _subnet(wanted: Wanted, account: Account) -> Iterator[str]:
    if account.subnets is None:
        return
    if not account.subnets:
        yield f"ds_stack_subnet_id: there is no subnet {wanted.subnet_id} in {wanted.region}."
        return
    zone, other = account.subnets[0].zone, machine_zone(wanted, account)
    if other != zone:
        what = "the data volume is" if account.volume_zone else "ds_stack_availability_zone wants the machine"
        yield (
            f"ds_stack_subnet_id: {wanted.subnet_id} is in {zone}, and {what} in {other}. Take a subnet in "
            f"{other}."
        )


def _bake_network(wanted: Wanted, account: Account) -> Iterator[str]:
    if account.bake_subnets is None:
        return
    if wanted.bake_subnet_id and not account.bake_subnets:
        yield f"ds_stack_bake_subnet_id: there is no subnet {wanted.bake_subnet_id} in {wanted.region}."
    elif not account.bake_subnets:
        yield (
            f"{wanted.region} has no default VPC with subnets for the bake. Set ds_stack_bake_subnet_id to "
            "a subnet with a way to the internet, or make the default VPC again: aws ec2 "
            f"create-default-vpc --region {wanted.region}"
        )
    else:
        name = wanted.bake_instance_type or ""
        offered = (account.types or {}).get(name)
        zones = {subnet.zone for subnet in account.bake_subnets}
        if offered and not zones & offered.zones:
            yield (
                f"ds_stack_bake_instance_type: {name} is not offered in {', '.join(sorted(zones))}, where "
                "the bake would run. Take another type, or a subnet for ds_stack_bake_subnet_id in one of "
                f"{', '.join(sorted(offered.zones))}."
            )


def _vpc_quota(wanted: Wanted, account: Account) -> Iterator[str]:
    if account.vpcs is None or account.vpc_limit is None or account.has_vpc:
        return
    if account.vpcs >= account.vpc_limit:
        more = quota_increase("vpc", "L-F678F1CE", account.vpcs + 1, wanted.region)
        yield (
            f"{wanted.region} has {account.vpcs} VPCs, and the account's quota is {account.vpc_limit}. "
            f"Remove one, or ask for more: {more}"
        )


def _vcpu_quotas(wanted: Wanted, account: Account) -> Iterator[str]:
    for variable, name in wanted.machines:
        if CLUSTER in wanted.stages:
            continue  # of which there are more than one
        # The stack's own machine may go before another is made.
        if problem := _vcpu_problem(wanted, account, name, beside_own=False):
            yield f"{variable}: {problem}"


def no_room_beside(wanted: Wanted, account: Account) -> str:
    """Why there can be no second machine beside the stack's own; empty where nothing speaks against it."""
    name = wanted.instance_type if INSTANCE in wanted.stages else None
    return _vcpu_problem(wanted, account, name, beside_own=True) or "" if name else ""


def _vcpu_problem(wanted: Wanted, account: Account, name: str, *, beside_own: bool) -> str | None:
    kind = vcpu_quota(name)
    offered = (account.types or {}).get(name)
    if kind is None or kind not in account.vcpu_limits or offered is None or account.running is None:
        return None
    limit = account.vcpu_limits[kind]
    there = [one for one in account.running if vcpu_quota(one.instance_type) == kind]
    # Of two that a killed run has left, one is what is wanted, or goes before another is made.
    own = max((one.vcpus for one in there if one.own), default=0) if beside_own else 0
    used = own + sum(one.vcpus for one in there if not one.own)
    if used + offered.vcpus <= limit:
        return None
    more = quota_increase("ec2", VCPU_QUOTAS[kind][1], used + offered.vcpus, wanted.region)
    return (
        f"{name} takes {offered.vcpus} vCPUs, and of the account's quota for running on-demand {kind} "
        f"instances, {limit} in {wanted.region}, {used} are used. Take a smaller type, stop something, or "
        f"ask for more: {more}"
    )


def quota_increase(service: str, code: str, value: int, region: str) -> str:
    return (
        f"aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code} "
        f"--desired-value {value} --region {region}"
    )


def _keys(wanted: Wanted, account: Account) -> Iterator[str]:
    for variable, key in (
        ("ds_stack_kms_key_id", wanted.kms_key_id),
        ("ds_stack_operator_key", wanted.operator_key),
    ):
        state = account.key_states.get(key or "", ENABLED)  # unless it is known
        if state and state != ENABLED:
            yield f"{variable}: {key} is {state}. Enable it, or take another."
        elif not state and key != OPERATOR_KEY:
            yield f"{variable}: {wanted.region} has no key {key}. Take one that is in that region."


def _rights(wanted: Wanted, account: Account) -> Iterator[str]:
    for variable, operation, name in wanted.rights:
        if not account.there.get(name, True):
            what = "policy" if operation == "GetPolicy" else "instance profile"
            yield f"{variable}: there is no {what} {name}. Make it first, or take one that is there."


_RULES: tuple[Callable[[Wanted, Account], Iterator[str]], ...] = (
    _refusals,
    _types,
    _zones,
    _type_in_zone,
    _architectures,
    _hypervisors,
    _base_image,
    _root_volume,
    _data_volume,
    _subnet,
    _bake_network,
    _vpc_quota,
    _vcpu_quotas,
    _keys,
    _rights,
)
