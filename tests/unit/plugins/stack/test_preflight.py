"""The rules about tools and account: what they say to which facts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import preflight
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.preflight import (
    Account,
    BaseImage,
    Image,
    InstanceType,
    Program,
    Refusal,
    Running,
    Subnet,
    Wanted,
)

ZONES = ("eu-central-1a", "eu-central-1b", "eu-central-1c")
X86 = frozenset({"x86_64"})
BASE = Image("ami-base", "debian-12-amd64-1", "x86_64", 8)

WANTED = Wanted(
    stack="demo",
    region="eu-central-1",
    stages=frozenset({"bake", "network", "instance"}),
    base_image=BaseImage("136693071363", "debian-12-amd64-*", pinned_in="ds_stack.lock.yml"),
    bake_instance_type="t3.medium",
    instance_type="t3.large",
    root_volume_size=20,
)
MEDIUM = InstanceType(2, X86, frozenset(ZONES))
#: In which nothing is wrong.
ACCOUNT = Account(
    zones=ZONES,
    types={"t3.medium": MEDIUM, "t3.large": InstanceType(2, X86, frozenset(ZONES))},
    base_image=BASE,
    volume_zone="",
    bake_subnets=[Subnet("subnet-1", "eu-central-1a")],
    vpcs=1,
    has_vpc=False,
    vpc_limit=5,
    running=[],
    vcpu_limits={"Standard": 32},
)


def pinned(account: Account = ACCOUNT, **facts: Any) -> tuple[Wanted, Account]:
    base = replace(WANTED.base_image, pinned_id="ami-pinned") if WANTED.base_image else None
    return replace(WANTED, base_image=base), replace(account, **facts)


def test_nothing_is_wrong() -> None:
    assert preflight.account_problems(WANTED, ACCOUNT) == []
    assert list(preflight.warnings(WANTED, ACCOUNT)) == []
    assert preflight.not_checked(ACCOUNT) == []


def test_nothing_is_said_about_what_is_not_known() -> None:
    assert preflight.account_problems(WANTED, Account()) == []


@pytest.mark.parametrize(
    ("wanted", "facts", "said"),
    [
        (
            {},
            {"types": {"t3.medium": MEDIUM}},
            "ds_stack_instance_type: t3.large is not offered in eu-central-1. Take one of: aws ec2 "
            "describe-instance-type-offerings --region eu-central-1",
        ),
        (
            {"availability_zone": "eu-central-1x"},
            {},
            "ds_stack_availability_zone: eu-central-1 has no zone eu-central-1x. Take one of eu-central-1a, "
            "eu-central-1b, eu-central-1c.",
        ),
        (
            {"instance_type": "m7i.large"},
            {
                "types": {
                    "t3.medium": InstanceType(2, X86, frozenset(ZONES)),
                    "m7i.large": InstanceType(2, X86, frozenset(ZONES[1:])),
                }
            },
            "ds_stack_instance_type: m7i.large is not offered in eu-central-1a, where the machine would "
            "be. Set "
            "ds_stack_availability_zone to one of eu-central-1b, eu-central-1c, or take another type.",
        ),
        (
            {"instance_type": "m7i.large", "availability_zone": "eu-central-1c"},
            {
                "volume_zone": "eu-central-1a",
                "types": {
                    "t3.medium": InstanceType(2, X86, frozenset(ZONES)),
                    "m7i.large": InstanceType(2, X86, frozenset(ZONES[1:])),
                },
            },
            "ds_stack_instance_type: m7i.large is not offered in eu-central-1a, where the data volume is "
            "(but in "
            "eu-central-1b, eu-central-1c). Take another type.",
        ),
        (
            {"bake_instance_type": "t4g.small"},
            {
                "types": {
                    "t4g.small": InstanceType(2, frozenset({"arm64"}), frozenset(ZONES)),
                    "t3.large": InstanceType(2, X86, frozenset(ZONES)),
                }
            },
            "ds_stack_bake_instance_type: t4g.small cannot run images for x86_64, but those for arm64 "
            "alone. Take "
            "another type.",
        ),
        (
            {},
            {"base_image": False},
            "No image 'debian-12-amd64-*' of account 136693071363 is available in eu-central-1. Choose "
            "another "
            "region, or name an image with ds_stack_base_image.",
        ),
        (
            {"root_volume_size": 8},
            {"base_image": replace(BASE, root_size=30)},
            "ds_stack_root_volume_size: 8 GiB is smaller than the image debian-12-amd64-1. Take 30 or more.",
        ),
        (
            {"root_volume_size": 8, "stages": frozenset({"instance"})},
            {"base_image": None, "own_image": Image("ami-own", "demo-1", "x86_64", 20)},
            "ds_stack_root_volume_size: 8 GiB is smaller than the image demo-1. Take 20 or more.",
        ),
        (
            {"data_volume_size": 20},
            {"volume_id": "vol-1", "volume_zone": "eu-central-1a", "volume_size": 50},
            "ds_stack_data_volume_size: 20 GiB is smaller than the data volume vol-1 is, and a volume can "
            "only grow. Take 50 or more.",
        ),
        (
            {"instance_type": "x1.16xlarge"},
            {
                "types": {
                    "t3.medium": MEDIUM,
                    "x1.16xlarge": InstanceType(64, X86, frozenset(ZONES), "xen"),
                },
                "vcpu_limits": {},
            },
            "ds_stack_instance_type: x1.16xlarge is not of the Nitro system, where the machine finds its "
            "data volume by its id. Take a newer type.",
        ),
        (
            {"subnet_id": "subnet-0"},
            {"subnets": []},
            "ds_stack_subnet_id: there is no subnet subnet-0 in eu-central-1.",
        ),
        (
            {"subnet_id": "subnet-2"},
            {"subnets": [Subnet("subnet-2", "eu-central-1b")], "volume_zone": "eu-central-1a"},
            "ds_stack_subnet_id: subnet-2 is in eu-central-1b, and the data volume is in eu-central-1a. Take "
            "a subnet in eu-central-1a.",
        ),
        (
            {"subnet_id": "subnet-2", "availability_zone": "eu-central-1a"},
            {"subnets": [Subnet("subnet-2", "eu-central-1b")]},
            "ds_stack_subnet_id: subnet-2 is in eu-central-1b, and ds_stack_availability_zone wants the "
            "machine in eu-central-1a. Take a subnet in eu-central-1a.",
        ),
        (
            {"bake_subnet_id": "subnet-0"},
            {"bake_subnets": []},
            "ds_stack_bake_subnet_id: there is no subnet subnet-0 in eu-central-1.",
        ),
        (
            {},
            {"bake_subnets": []},
            "eu-central-1 has no default VPC with subnets for the bake. Set ds_stack_bake_subnet_id to a "
            "subnet with a way to the internet, or make the default VPC again: aws ec2 create-default-vpc "
            "--region "
            "eu-central-1",
        ),
        (
            {},
            {
                "types": {
                    "t3.medium": InstanceType(2, X86, frozenset(ZONES[1:])),
                    "t3.large": InstanceType(2, X86, frozenset(ZONES)),
                }
            },
            "ds_stack_bake_instance_type: t3.medium is not offered in eu-central-1a, where the bake would "
            "run. "
            "Take another type, or a subnet for ds_stack_bake_subnet_id in one of eu-central-1b, "
            "eu-central-1c.",
        ),
        (
            {},
            {"vpcs": 5},
            "eu-central-1 has 5 VPCs, and the account's quota is 5. Remove one, or ask for more: aws "
            "service-quotas request-service-quota-increase --service-code vpc --quota-code L-F678F1CE "
            "--desired-value 6 --region eu-central-1",
        ),
        (
            {"bake_instance_type": None},
            {"vcpu_limits": {"Standard": 5}, "running": [Running("m5.xlarge", 4, own=False)]},
            "ds_stack_instance_type: t3.large takes 2 vCPUs, and of the account's quota for running "
            "on-demand Standard instances, 5 in eu-central-1, 4 are used. Take a smaller type, stop "
            "something, or ask for more: aws service-quotas request-service-quota-increase --service-code "
            "ec2 --quota-code L-1216C47A "
            "--desired-value 6 --region eu-central-1",
        ),
        (
            {"kms_key_id": "arn:key"},
            {"key_states": {"arn:key": ""}},
            "ds_stack_kms_key_id: eu-central-1 has no key arn:key. Take one that is in that region.",
        ),
        (
            {"kms_key_id": "arn:key"},
            {"key_states": {"arn:key": "Disabled"}},
            "ds_stack_kms_key_id: arn:key is Disabled. Enable it, or take another.",
        ),
        (
            {"operator_key": "alias/mine"},
            {"key_states": {"alias/mine": ""}},
            "ds_stack_operator_key: eu-central-1 has no key alias/mine. Take one that is in that region.",
        ),
        (
            {"operator_key": "alias/ds-stack-operator"},
            {"key_states": {"alias/ds-stack-operator": "PendingDeletion"}},
            "ds_stack_operator_key: alias/ds-stack-operator is PendingDeletion. Enable it, or take another.",
        ),
        (
            {},
            {
                "refusals": [
                    Refusal(
                        "RunInstances",
                        "UnauthorizedOperation",
                        "You are not authorized to perform this operation. Encoded authorization failure "
                        "message: c2VjcmV0",
                    )
                ]
            },
            "These credentials may not call RunInstances in eu-central-1. Ask for that right, or take "
            "others. If they may, and only this dry run is refused, set ds_stack_check_rights to false. AWS "
            "says: You are not authorized to perform this operation.",
        ),
        (
            {},
            {"refusals": [Refusal("RunInstances", "PendingVerification", "Your account is being verified.")]},
            "RunInstances fails in eu-central-1. AWS says: PendingVerification: Your account is "
            "being verified.",
        ),
    ],
)
def test_each_problem_is_told_with_what_to_do(
    wanted: dict[str, Any], facts: dict[str, Any], said: str
) -> None:
    assert preflight.account_problems(replace(WANTED, **wanted), replace(ACCOUNT, **facts)) == [said]


def test_a_volume_may_stay_or_grow() -> None:
    account = replace(ACCOUNT, volume_id="vol-1", volume_zone="eu-central-1a", volume_size=50)
    for size in (50, 51, None):
        assert preflight.account_problems(replace(WANTED, data_volume_size=size), account) == []
    network = replace(WANTED, data_volume_size=1, stages=frozenset({"network"}))
    assert preflight.account_problems(network, account) == []


def test_all_problems_are_told_at_once() -> None:
    account = replace(ACCOUNT, types={}, base_image=False, bake_subnets=[], vpcs=5)
    assert len(preflight.account_problems(WANTED, account)) == 5


@pytest.mark.parametrize("stage", ["network", "users", "destroy"])
def test_a_stage_without_machines_needs_no_type(stage: str) -> None:
    wanted = replace(WANTED, stages=frozenset({stage}), availability_zone="nowhere")
    assert preflight.account_problems(wanted, replace(ACCOUNT, types={})) == []


def test_a_pinned_base_image_that_is_gone_stops_the_bake_and_how_to_pin_another_is_told() -> None:
    assert preflight.account_problems(*pinned(base_image=False, has_baked=False)) == [
        "The base image ami-pinned is gone from eu-central-1; ds_stack.lock.yml pins it. "
        """To bake from the newest 'debian-12-amd64-*': -e '{"ds_stack_relock": ["base"]}'"""
    ]


def test_a_pinned_base_image_that_is_gone_does_not_matter_to_the_image_baked_from_it() -> None:
    wanted, account = pinned(base_image=False, has_baked=True)
    assert preflight.account_problems(wanted, account) == []
    assert next(preflight.warnings(wanted, account)).endswith(
        """the next bake needs another one than ds_stack.lock.yml says: -e '{"ds_stack_relock": ["base"]}'"""
    )


def test_the_stacks_own_network_and_machine_do_not_count_against_quotas() -> None:
    account = replace(
        ACCOUNT,
        has_vpc=True,
        vpcs=5,
        vcpu_limits={"Standard": 2},
        running=[Running("t3.large", 2, own=True), Running("g5.xlarge", 4, own=False)],
    )
    assert preflight.account_problems(WANTED, account) == []


@pytest.mark.parametrize(
    ("limit", "running", "said"),
    [
        (4, [Running("t3.large", 2, own=True)], ""),
        (3, [Running("t3.large", 2, own=True)], "Standard instances, 3 in eu-central-1, 2 are used."),
        (
            5,
            [Running("t3.large", 2, own=True), Running("m5.large", 2, own=False)],
            ", 5 in eu-central-1, 4 are",
        ),
        (3, [Running("g5.xlarge", 4, own=True)], ""),
        (4, 2 * [Running("t3.large", 2, own=True)], ""),  # the second one is there already
        (3, None, ""),
        (None, [Running("t3.large", 2, own=True)], ""),
    ],
)
def test_whether_there_is_room_for_a_machine_beside_the_stacks_own(
    limit: int | None, running: list[Running] | None, said: str
) -> None:
    limits = {} if limit is None else {"Standard": limit}
    account = replace(ACCOUNT, vcpu_limits=limits, running=running)
    found = preflight.no_room_beside(WANTED, account)
    assert (said in found) if said else (found == "")
    assert preflight.no_room_beside(replace(WANTED, stages=frozenset({"bake"})), account) == ""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("t3.large", "Standard"),
        ("m7i.2xlarge", "Standard"),
        ("im4gn.large", "Standard"),
        ("g5.xlarge", "G and VT"),
        ("p4d.24xlarge", "P"),
        ("u-6tb1.metal", None),
        ("hpc6a.48xlarge", None),
    ],
)
def test_which_quota_a_type_counts_against(name: str, kind: str | None) -> None:
    assert preflight.vcpu_quota(name) == kind


def test_quotas_that_cannot_be_read_are_no_problem_but_are_noted() -> None:
    account = replace(ACCOUNT, refusals=[Refusal("GetServiceQuota", "AccessDeniedException", "no")])
    assert preflight.account_problems(WANTED, account) == []
    assert preflight.not_checked(account) == ["GetServiceQuota: AccessDeniedException"]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (Program("Packer", "/usr/bin/packer", "1.14.2", ">= 1.11.0"), []),
        (Program("Packer", "/usr/bin/packer", "1.6.6", ""), []),
        (
            Program("Packer", "/usr/bin/packer", "1.6.6", ">= 1.11.0"),
            ["/usr/bin/packer has version 1.6.6, and >= 1.11.0 is needed. Install another Packer."],
        ),
        (
            Program("Terraform or OpenTofu", None, None, ">= 1.10"),
            ["There is no Terraform or OpenTofu on PATH. Install Terraform or OpenTofu >= 1.10."],
        ),
        (Program("Packer", None, None, ""), ["There is no Packer on PATH. Install Packer."]),
        (
            Program("Packer", "/usr/sbin/packer", None, ">= 1.11.0"),
            [
                "/usr/sbin/packer does not tell its version, so it seems not to be Packer. Install Packer "
                ">= 1.11.0, before it on PATH."
            ],
        ),
    ],
)
def test_programs(program: Program, said: list[str]) -> None:
    assert list(preflight.program_problems([program])) == said


def test_missing_libraries_are_told_with_the_command() -> None:
    assert list(preflight.library_problems([], "python3")) == []
    assert list(preflight.library_problems(["boto3", "passlib"], "/usr/bin/python3")) == [
        "/usr/bin/python3 lacks the Python package boto3, passlib: /usr/bin/python3 -m pip install boto3 "
        "passlib"
    ]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("NoCredentialsError", "There are no AWS credentials. Run `aws configure`"),
        ("ProfileNotFound", "words. Set AWS_PROFILE to one of `aws configure list-profiles`"),
        ("ExpiredToken", "The AWS credentials have expired. Get new ones"),
        ("RequestExpired", "The AWS credentials have expired. Get new ones"),
        ("UnauthorizedSSOTokenError", "The sign-in for AWS has expired (words). Run `aws sso login`."),
        ("SignatureDoesNotMatch", "this machine's clock"),
        ("InvalidClientTokenId", "does not accept the credentials (InvalidClientTokenId: words)"),
        ("EndpointConnectionError", "Check the network, a proxy and AWS_ENDPOINT_URL."),
    ],
)
def test_credentials(code: str, said: str) -> None:
    assert said in preflight.credential_problem(Refusal("GetCallerIdentity", code, "words"))


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ("eu-central-1", None),
        ("eu-centrl-1", "AWS has no region eu-centrl-1. Did you mean eu-central-1?"),
        ("home", "AWS has no region home. There are ap-east-1, eu-central-1."),
        ("ap-east-1", "is not enabled for this account. Enable it (aws account enable-region"),
    ],
)
def test_regions(region: str, said: str | None) -> None:
    found = preflight.region_problem(region, {"eu-central-1": True, "ap-east-1": False})
    assert found == said if said is None or found is None else said in found
