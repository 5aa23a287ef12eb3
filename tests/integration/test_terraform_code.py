"""The root modules under terraform/ with the real Terraform and AWS provider against a simulated AWS account.

The tests that share the fixtures `network` and `stack` tell one story and run in the order of this file: each
takes the stack as the one before left it. The provider's pauses add up to minutes, which forbids a fresh
stack for each test; the instance is made while the tests of the network run. The provider itself is started
once for each root: Terraform would start it two or three times for each of its commands.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto.core.utils import utcnow
from moto.iam.aws_managed_policies import aws_managed_policies_data

from localcloud.api import dlm
from localcloud.authorization import Secret, refuse_ssm
from localcloud.credentials import Holder
from tests.integration.terraform_roots import (
    CHANGES_PLANNED,
    NOTHING_TO_DO,
    REPOSITORY,
    Root,
    at_once,
    initialised,
    provided,
)
from tests.terraform_binary import BINARY

REGION = "us-east-1"
ACCOUNT = "123456789012"
NAME = "terra-test"
ROLE = f"ds-stack-{NAME}-{REGION}"
BACKUPS_ROLE = f"{ROLE}-backups"
STACKS = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/ds-stack"
USER_TAGS = {"team": "Analysis + Research"}


def slots(active: str = "a", kind: str = "t3.large", **images: str) -> dict[str, Any]:
    """The variables of the machines with these images, by slot."""
    machines = {slot: {"image_id": image, "instance_type": kind} for slot, image in images.items()}
    return {"machines": machines, "active": active}


@dataclass
class Stack:
    """The three root modules on one account."""

    network: Root
    data: Root
    instance: Root
    ec2: Any
    iam: Any
    dlm: Any
    images: list[str]
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    instance_outputs: Future[dict[str, Any]] | None = None

    def subnets(self) -> dict[str, tuple[str, str]]:
        """Zone → (subnet id, network) of the stack's subnets."""
        found = self.ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [self.vpc_id]}])["Subnets"]
        return {subnet["AvailabilityZone"]: (subnet["SubnetId"], subnet["CidrBlock"]) for subnet in found}

    def rules(self) -> list[dict[str, Any]]:
        """The rules of the machine's security group as EC2 describes them."""
        group = self.outputs["network"]["security_group_id"]
        found = self.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
        return list(found["SecurityGroupRules"])

    def openings(self) -> set[tuple[bool, str, int, int, str]]:
        """(egress, protocol, first port, last port, network) of each of these rules."""
        return {
            (rule["IsEgress"], rule["IpProtocol"], rule["FromPort"], rule["ToPort"], rule["CidrIpv4"])
            for rule in self.rules()
        }

    def machine(self) -> dict[str, Any]:
        """The instance as EC2 describes it."""
        instance_id = self.outputs["instance"]["instance_id"]
        return self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]

    @property
    def vpc_id(self) -> str:
        return str(self.outputs["network"]["vpc_id"])


ALL_OUTBOUND = (True, "-1", -1, -1, "0.0.0.0/0")


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Root]:
    """The root modules in a folder of their own, initialised."""
    return initialised(tmp_path_factory.mktemp("code"), "network", "data", "instance")


@pytest.fixture(scope="module")
def account(roots: dict[str, Root], endpoint: str) -> Iterator[dict[str, str]]:
    """An empty simulated AWS account: the settings that lead a client to it. The roots' providers run."""
    with provided(roots.values(), endpoint) as settings:
        yield settings


@pytest.fixture(scope="module")
def network(roots: dict[str, Root], account: dict[str, str]) -> Iterator[Stack]:
    """The stack once its network and data volume are made; the instance is on its way."""

    def client(service: str) -> Any:
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=account["AWS_ENDPOINT_URL"],
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    ec2 = client("ec2")
    images = [image["ImageId"] for image in ec2.describe_images(Owners=["amazon"])["Images"]]
    made = Stack(
        roots["network"], roots["data"], roots["instance"], ec2, client("iam"), client("dlm"), images[:2]
    )
    common = {"name": NAME, "region": REGION, "tags": USER_TAGS}

    made.outputs["network"], made.outputs["data"], _ = at_once(
        lambda: made.network.apply(**common, availability_zones=["us-east-1b", "us-east-1d"]),
        lambda: made.data.apply(**common, availability_zone="us-east-1d", size_gib=5),
        # The account is still empty: a plan of the last stage works with placeholders for what is to come.
        lambda: made.instance.plan(
            expect=CHANGES_PLANNED,
            **common,
            **slots(a="ami-to-come"),
            subnet_id="subnet-to-come",
            security_group_id="sg-to-come",
            volume_id="vol-to-come",
        ),
    )
    with ThreadPoolExecutor(max_workers=1) as pool:
        made.instance_outputs = pool.submit(
            made.instance.apply,
            **slots(a=made.images[0]),
            subnet_id=made.outputs["network"]["subnet_ids"]["us-east-1d"],
            security_group_id=made.outputs["network"]["security_group_id"],
            volume_id=made.outputs["data"]["volume_id"],
        )
        yield made


@pytest.fixture(scope="module")
def stack(network: Stack) -> Stack:
    """The whole stack as `site.yml` makes it: network, data volume, instance."""
    assert network.instance_outputs
    network.outputs["instance"] = network.instance_outputs.result()
    return network


def test_the_code_is_formatted() -> None:
    result = subprocess.run(
        [BINARY, "fmt", "-check", "-recursive", "-diff", str(REPOSITORY / "terraform")],
        capture_output=True, text=True, check=False, env=os.environ | {"TF_CLI_CONFIG_FILE": os.devnull},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_variable_and_output_is_described() -> None:
    undescribed = [
        f"{file.relative_to(REPOSITORY)}: {block.splitlines()[0]}"
        for name, wanted in (("variables.tf", ("description", "type")), ("outputs.tf", ("description",)))
        for file in sorted((REPOSITORY / "terraform").rglob(name))
        if ".terraform" not in file.parts
        for block in file.read_text(encoding="utf-8").split("\n\n")
        if re.match("(variable|output) ", block)
        if not all(re.search(rf"^  {attribute} +=", block, re.MULTILINE) for attribute in wanted)
    ]
    assert undescribed == []


def test_the_code_is_valid_and_uses_nothing_deprecated(roots: dict[str, Root]) -> None:
    for result in at_once(*(lambda root=root: root.run("validate", "-json") for root in roots.values())):
        verdict = json.loads(result.stdout)
        assert (verdict["valid"], verdict["diagnostics"]) == (True, [])


def test_the_vpc_has_dns_names_and_every_subnet_a_way_out(network: Stack) -> None:
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        answer = network.ec2.describe_vpc_attribute(VpcId=network.vpc_id, Attribute=attribute)
        assert answer[attribute[0].upper() + attribute[1:]]["Value"] is True

    mine = [{"Name": "vpc-id", "Values": [network.vpc_id]}]
    ways_out = {
        association.get("SubnetId")
        for table in network.ec2.describe_route_tables(Filters=mine)["RouteTables"]
        if any(
            route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("GatewayId", "").startswith("igw-")
            for route in table["Routes"]
        )
        for association in table["Associations"]
    }
    assert ways_out >= {subnet for subnet, _ in network.subnets().values()}


def test_the_default_security_group_is_closed(network: Stack) -> None:
    mine = [{"Name": "vpc-id", "Values": [network.vpc_id]}, {"Name": "group-name", "Values": ["default"]}]
    (group,) = network.ec2.describe_security_groups(Filters=mine)["SecurityGroups"]
    assert group["IpPermissions"] == []
    assert group["IpPermissionsEgress"] == []


def test_every_zone_gets_a_subnet_and_none_moves(network: Stack) -> None:
    assert {zone: cidr for zone, (_, cidr) in network.subnets().items()} == {
        "us-east-1b": "10.77.16.0/20",
        "us-east-1d": "10.77.48.0/20",
    }
    zones = [zone["ZoneName"] for zone in network.ec2.describe_availability_zones()["AvailabilityZones"]]
    planned = network.network.planned(availability_zones=None)
    subnets = {
        after["availability_zone"]: (actions, after["cidr_block"])
        for address, (actions, after) in planned.items()
        if ".aws_subnet." in address
    }
    assert subnets == {
        zone: (
            ["no-op" if zone in network.subnets() else "create"],
            f"10.77.{16 * (ord(zone[-1]) - ord('a'))}.0/20",
        )
        for zone in zones
    }
    assert {action for actions, _ in planned.values() for action in actions} == {"no-op", "create"}


def test_ports_are_open_to_the_allowed_networks_alone(network: Stack) -> None:
    assert network.openings() == {ALL_OUTBOUND}, "no port is open unless asked"

    network.network.apply(allowed_cidrs=["198.51.100.7/24", "192.0.2.1/32", "192.0.2.1/32"])
    assert network.openings() == {ALL_OUTBOUND} | {
        (False, "tcp", port, port, cidr)
        for port in (8000, 8787)
        for cidr in ("198.51.100.0/24", "192.0.2.1/32")
    }

    network.network.apply(allowed_cidrs=["192.0.2.1/32"], ports={"jupyterhub": 8000})
    assert network.openings() == {ALL_OUTBOUND, (False, "tcp", 8000, 8000, "192.0.2.1/32")}


def test_the_outputs_lead_to_what_was_made(stack: Stack) -> None:
    network, data, instance = (stack.outputs[part] for part in ("network", "data", "instance"))
    assert network["availability_zones"] == sorted(network["subnet_ids"])
    assert {zone: subnet for zone, (subnet, _) in stack.subnets().items()} == network["subnet_ids"]
    machine = stack.machine()
    assert machine["State"]["Name"] == "running"
    assert machine["SubnetId"] == network["subnet_ids"][data["availability_zone"]]
    assert instance == {
        "instance_id": machine["InstanceId"],
        "instance_ids": {"a": machine["InstanceId"]},
        "public_ip": machine["PublicIpAddress"],
        "private_ip": machine["PrivateIpAddress"],
        "image_id": stack.images[0],
        "role_name": ROLE,
    }


def test_a_second_plan_changes_nothing(stack: Stack) -> None:
    at_once(
        lambda: stack.network.plan(expect=NOTHING_TO_DO),
        lambda: stack.data.plan(expect=NOTHING_TO_DO),
        lambda: stack.instance.plan(expect=NOTHING_TO_DO),
    )


def test_the_role_can_do_nothing_but_its_work(stack: Stack) -> None:
    role = stack.iam.get_role(RoleName=ROLE)["Role"]
    assert role["AssumeRolePolicyDocument"]["Statement"] == [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    ]
    assert stack.iam.list_attached_role_policies(RoleName=ROLE)["AttachedPolicies"] == []
    assert stack.iam.list_role_policies(RoleName=ROLE)["PolicyNames"] == ["machine"]

    policy = stack.iam.get_role_policy(RoleName=ROLE, PolicyName="machine")["PolicyDocument"]
    parameters = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/ds-stack/{NAME}/machine"
    for statement in policy["Statement"]:
        actions = statement["Action"]
        statement["Action"] = [actions] if isinstance(actions, str) else sorted(actions)
    assert policy["Statement"] == [
        {
            "Sid": "SessionManager",
            "Effect": "Allow",
            "Action": [
                "ec2messages:AcknowledgeMessage",
                "ec2messages:DeleteMessage",
                "ec2messages:FailMessage",
                "ec2messages:GetEndpoint",
                "ec2messages:GetMessages",
                "ec2messages:SendReply",
                "ssm:UpdateInstanceInformation",
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ],
            "Resource": "*",
        },
        {
            "Sid": "ReadOwnConfiguration",
            "Effect": "Allow",
            "Action": ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"],
            "Resource": f"{parameters}/*",
        },
        {
            "Sid": "WriteOwnStatus",
            "Effect": "Allow",
            "Action": ["ssm:PutParameter"],
            "Resource": [f"{parameters}/status/*", f"{parameters}/status"],
        },
        {
            "Sid": "NoOperatorParameters",
            "Effect": "Deny",
            "Action": ["ssm:*"],
            "Resource": [
                f"{STACKS}/{NAME}",
                f"{STACKS}/*/operator/*",
                f"{STACKS}/*/operator",
                STACKS,
                STACKS.removesuffix("ds-stack"),
            ],
        },
        {
            "Sid": "NoOperatorSecrets",
            "Effect": "Deny",
            "Action": ["kms:Decrypt"],
            "Resource": "*",
            "Condition": {
                "StringLike": {"kms:EncryptionContext:PARAMETER_ARN": f"{STACKS}/*/operator/*"},
            },
        },
    ]


def with_policy(stack: Stack, policy: dict[str, Any]) -> list[dict[str, Any]]:
    """The documents of the machine's role, and one that somebody has given it besides."""
    return [
        stack.iam.get_role_policy(RoleName=ROLE, PolicyName="machine")["PolicyDocument"],
        {"Statement": [{"Effect": "Allow", "Resource": "*", **policy}]},
    ]


MANAGED = json.loads(aws_managed_policies_data)["AmazonSSMManagedInstanceCore"]["Document"]["Statement"][0]
ACCOUNTS_KEY = Secret("", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1", is_default=True)
OPERATORS_KEY = replace(ACCOUNTS_KEY, is_default=False)


@pytest.mark.parametrize("key", [ACCOUNTS_KEY, OPERATORS_KEY])
@pytest.mark.parametrize("actions", [MANAGED["Action"], "ssm:Get*", ["ssm:*", "kms:*"], "*"])
@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("GetParameter", {"Name": f"/ds-stack/{NAME}/operator/passwords/ada"}),
        ("GetParameter", {"Name": f"/ds-stack/{NAME}/operator/passwords/ada:1"}),
        ("GetParameter", {"Name": f"{STACKS}/another/operator/passwords/ada"}),
        (
            "GetParameters",
            {"Names": [f"/ds-stack/{NAME}/machine/config", "/ds-stack/another/operator/stack"]},
        ),
        ("GetParameterHistory", {"Name": f"/ds-stack/{NAME}/operator/passwords/ada"}),
        ("PutParameter", {"Name": f"/ds-stack/{NAME}/operator/passwords/ada", "Value": "x"}),
        *(("GetParametersByPath", {"Path": path}) for path in ("/", "/ds-stack", f"/ds-stack/{NAME}")),
        *(("GetParametersByPath", {"Path": path}) for path in ("/ds-stack/", "/ds-stack/another")),
    ],
)
def test_no_further_policy_gives_away_the_passwords(
    stack: Stack, call: str, body: dict[str, Any], actions: Any, key: Secret
) -> None:
    # Of a path that nothing denies it is the decryption that is refused.
    found = replace(key, parameter=f"{STACKS}/another/operator/passwords/ada")
    refusal = refuse_ssm(
        Holder(ACCOUNT, ROLE),
        with_policy(stack, {"Action": actions}),
        f"AmazonSSM.{call}",
        body | {"WithDecryption": True},
        REGION,
        secrets=[found] if call == "GetParametersByPath" else [],
    )
    assert refusal is not None


def test_a_further_policy_gives_what_is_not_an_operators(stack: Stack) -> None:
    documents = with_policy(stack, {"Action": MANAGED["Action"] + ["ssm:GetParametersByPath"]})
    for call, body in (
        ("GetParameter", {"Name": "/mine/token"}),
        ("GetParametersByPath", {"Path": "/mine"}),
        ("GetParametersByPath", {"Path": f"/ds-stack/{NAME}/machine/users"}),
    ):
        mine = replace(ACCOUNTS_KEY, parameter=f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/mine/token")
        arguments = (f"AmazonSSM.{call}", body, REGION)
        assert refuse_ssm(Holder(ACCOUNT, ROLE), documents, *arguments, secrets=[mine]) is None


def test_under_the_operators_key_no_role_reads_passwords_by_a_managed_policy() -> None:
    """Those of other machines of the account, which have no denial."""
    body = {"Name": f"/ds-stack/{NAME}/operator/passwords/ada", "WithDecryption": True}

    def refusal(key: Secret) -> Any:
        documents = [{"Statement": MANAGED}]
        return refuse_ssm(
            Holder(ACCOUNT, "another"), documents, "AmazonSSM.GetParameter", body, REGION, secrets=[key]
        )

    assert refusal(ACCOUNTS_KEY) is None  # what ds_stack_operator_key: none comes to
    assert refusal(OPERATORS_KEY) is not None


def test_the_machine_is_hardened_and_its_disks_encrypted(stack: Stack) -> None:
    machine = stack.machine()
    options = machine["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1)
    assert options["InstanceMetadataTags"] == "enabled"
    assert "KeyName" not in machine
    user_data = stack.ec2.describe_instance_attribute(InstanceId=machine["InstanceId"], Attribute="userData")
    assert not user_data.get("UserData", {}).get("Value")
    assert [group["GroupId"] for group in machine["SecurityGroups"]] == [
        stack.outputs["network"]["security_group_id"]
    ]

    disks = {disk["DeviceName"]: disk["Ebs"]["VolumeId"] for disk in machine["BlockDeviceMappings"]}
    assert disks["/dev/sdf"] == stack.outputs["data"]["volume_id"]
    assert len(disks) == 2
    for volume in stack.ec2.describe_volumes(VolumeIds=list(disks.values()))["Volumes"]:
        assert volume["Encrypted"] is True
        assert volume["VolumeType"] == "gp3"


def test_every_resource_is_tagged(stack: Stack) -> None:
    tags: dict[str, dict[str, str]] = {}
    for tag in stack.ec2.describe_tags()["Tags"]:
        tags.setdefault(tag["ResourceId"], {})[tag["Key"]] = tag["Value"]
    for role in (ROLE, BACKUPS_ROLE):
        tags[role] = {tag["Key"]: tag["Value"] for tag in stack.iam.list_role_tags(RoleName=role)["Tags"]}
    (policy,) = stack.dlm.get_lifecycle_policies()["Policies"]
    tags["policy"] = policy["Tags"]
    profile = stack.iam.get_instance_profile(InstanceProfileName=ROLE)["InstanceProfile"]
    tags["profile"] = {tag["Key"]: tag["Value"] for tag in profile["Tags"]}

    mine = [{"Name": "vpc-id", "Values": [stack.vpc_id]}]
    default_group = [*mine, {"Name": "group-name", "Values": ["default"]}]
    tables = stack.ec2.describe_route_tables(Filters=mine)["RouteTables"]
    expected = {
        "network": [
            stack.vpc_id,
            stack.outputs["network"]["security_group_id"],
            *stack.outputs["network"]["subnet_ids"].values(),
            *(
                group["GroupId"]
                for group in stack.ec2.describe_security_groups(Filters=default_group)["SecurityGroups"]
            ),
            *(t["RouteTableId"] for t in tables if not any(a.get("Main") for a in t["Associations"])),
            *(i for i in tags if i.startswith("igw-")),
            *(rule["SecurityGroupRuleId"] for rule in stack.rules()),
        ],
        "data": [stack.outputs["data"]["volume_id"], BACKUPS_ROLE, "policy"],
        "instance": [
            stack.outputs["instance"]["instance_id"],
            *(
                disk["Ebs"]["VolumeId"]
                for disk in stack.machine()["BlockDeviceMappings"]
                if disk["Ebs"]["VolumeId"] != stack.outputs["data"]["volume_id"]
            ),
            ROLE,
            "profile",
        ],
    }
    for part, resources in expected.items():
        for resource in resources:
            wanted = {"ds-stack:name": NAME, "ds-stack:part": part} | USER_TAGS
            assert wanted.items() <= tags.get(resource, {}).items(), (part, resource)


def backups(stack: Stack) -> list[dict[str, Any]]:
    """The snapshots that are marked as made on a schedule, the oldest first."""
    mine = [{"Name": "tag:ds-stack:purpose", "Values": ["scheduled"]}]
    found = stack.ec2.describe_snapshots(OwnerIds=["self"], Filters=mine)["Snapshots"]
    return sorted(found, key=lambda one: one["StartTime"])


def test_the_data_volume_alone_is_backed_up_and_old_backups_go(stack: Stack) -> None:
    policy_id = stack.outputs["data"]["backups_policy_id"]
    policy = stack.dlm.get_lifecycle_policy(PolicyId=policy_id)["Policy"]
    assert policy["ExecutionRoleArn"].endswith(f":role/{BACKUPS_ROLE}")
    assert policy["PolicyDetails"]["TargetTags"] == [{"Key": "ds-stack:backups", "Value": NAME}]

    # Another stack's volume, and one with this stack's tags but that one, as the disk of its machine.
    others = []
    for tags in ({"ds-stack:part": "data", "ds-stack:backups": "other"}, {"ds-stack:name": NAME}):
        specification = {"ResourceType": "volume", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
        other = stack.ec2.create_volume(
            AvailabilityZone="us-east-1d", Size=1, TagSpecifications=[specification]
        )
        others.append(other["VolumeId"])

    today = utcnow()
    for days in (40, 13, 1):
        dlm.run_policies(today - timedelta(days=days))
    assert {one["VolumeId"] for one in backups(stack)} == {stack.outputs["data"]["volume_id"]}
    dlm.run_policies(today)
    kept = backups(stack)
    assert [(today - one["StartTime"].replace(tzinfo=None)).days for one in kept] == [13, 1, 0]
    for other in others:
        stack.ec2.delete_volume(VolumeId=other)
    wanted = {"ds-stack:name": NAME, "ds-stack:part": "data", "Name": f"{NAME}-data"} | USER_TAGS
    for one in kept:
        assert wanted.items() <= {tag["Key"]: tag["Value"] for tag in one["Tags"]}.items()


def test_the_backups_are_kept_for_another_time_without_another_policy(stack: Stack) -> None:
    before = stack.outputs["data"]["backups_policy_id"]
    stack.outputs["data"] = stack.data.apply(backups_keep_days=3)
    assert stack.outputs["data"]["backups_policy_id"] == before
    (rule,) = (
        schedule["RetainRule"]
        for schedule in stack.dlm.get_lifecycle_policy(PolicyId=before)["Policy"]["PolicyDetails"][
            "Schedules"
        ]
    )
    assert (rule["Interval"], rule["IntervalUnit"]) == (3, "DAYS")
    without = stack.data.planned(backups_keep_days=0)
    assert {address.partition(".")[2]: actions for address, (actions, _) in without.items()} == {
        "data_volume.aws_ebs_volume.this": ["update"],  # its tag
        **{
            f"backups[0].{made}.backups": ["delete"]
            for made in ("aws_dlm_lifecycle_policy", "aws_iam_role", "aws_iam_role_policy")
        },
    }


def test_a_stopped_machine_is_not_replaced(stack: Stack) -> None:
    instance_id = stack.outputs["instance"]["instance_id"]
    stack.ec2.stop_instances(InstanceIds=[instance_id])
    plan = stack.instance.run("plan", "-no-color", "-input=false").stdout
    assert "aws_instance.machine" not in plan.partition("execution plan")[2]
    stack.ec2.start_instances(InstanceIds=[instance_id])


def test_a_stack_of_before_the_slots_keeps_its_machine(stack: Stack) -> None:
    """Only the tags come that tell the slots apart."""
    machine = stack.machine()["InstanceId"]
    tags = [{"Key": "ds-stack:slot"}, {"Key": "ds-stack:active"}]
    stack.ec2.delete_tags(Resources=[machine], Tags=tags)
    address = "module.compute.aws_instance.machine"
    stack.instance.run("state", "mv", f'{address}["a"]', address)
    stack.instance.run("plan", "-no-color", "-input=false", "-out=plan")
    planned = json.loads(stack.instance.run("show", "-json", "plan").stdout)
    (change,) = (one for one in planned["resource_changes"] if one["change"]["actions"] != ["no-op"])
    assert (change["previous_address"], change["address"]) == (address, f'{address}["a"]')
    before, after = change["change"]["before"], change["change"]["after"]
    assert change["change"]["actions"] == ["update"]
    assert {name for name in before if before[name] != after.get(name)} == {"tags", "tags_all"}
    stack.instance.apply()
    assert tags_of(stack.machine()).items() >= {"ds-stack:slot": "a", "ds-stack:active": "true"}.items()


def tags_of(machine: dict[str, Any]) -> dict[str, str]:
    """The tags of an instance."""
    return {tag["Key"]: tag["Value"] for tag in machine["Tags"]}


def test_a_machine_of_a_new_image_comes_beside_the_old_one(stack: Stack) -> None:
    """Added, it has neither volume nor address, and nothing about the old one is changed."""
    before = stack.machine()
    both = {"a": stack.images[0], "b": stack.images[1]}
    planned = stack.instance.planned(**slots(**both))
    assert {address: actions for address, (actions, _) in planned.items() if actions != ["no-op"]} == {
        'module.compute.aws_instance.machine["b"]': ["create"]
    }
    added = stack.instance.apply(**slots(**both))
    assert stack.machine() == before
    (new,) = (one for slot, one in added["instance_ids"].items() if slot == "b")
    stack.outputs["instance"] = {**added, "instance_id": new}
    assert tags_of(stack.machine()).items() >= {"Name": f"{NAME}-b", "ds-stack:active": "false"}.items()
    assert stack.machine()["ImageId"] == stack.images[1]
    assert attached_to(stack) == [before["InstanceId"]]


def attached_to(stack: Stack) -> list[str]:
    """The machines that have the data volume."""
    (volume,) = stack.ec2.describe_volumes(VolumeIds=[stack.outputs["data"]["volume_id"]])["Volumes"]
    return [attachment["InstanceId"] for attachment in volume["Attachments"]]


def test_the_volume_moves_to_it(stack: Stack) -> None:
    """From a machine that is stopped then, and still there."""
    old = stack.instance.run("output", "-raw", "instance_id").stdout
    both = {"a": stack.images[0], "b": stack.images[1]}
    stack.outputs["instance"] = stack.instance.apply(**slots("b", **both))
    assert attached_to(stack) == [stack.outputs["instance"]["instance_id"]]
    assert stack.machine()["ImageId"] == stack.images[1] == stack.outputs["instance"]["image_id"]
    assert tags_of(stack.machine()).items() >= {"Name": NAME, "ds-stack:active": "true"}.items()
    (stopped,) = stack.ec2.describe_instances(InstanceIds=[old])["Reservations"][0]["Instances"]
    assert stopped["State"]["Name"] == "stopped"
    assert tags_of(stopped)["ds-stack:active"] == "false"


def test_the_old_machine_goes(stack: Stack) -> None:
    new = stack.machine()
    planned = stack.instance.planned(**slots("b", b=stack.images[1]))
    assert {address: actions for address, (actions, _) in planned.items() if actions != ["no-op"]} == {
        'module.compute.aws_instance.machine["a"]': ["delete"]
    }
    stack.outputs["instance"] = stack.instance.apply(**slots("b", b=stack.images[1]))
    assert stack.machine() == new
    assert stack.outputs["instance"]["instance_ids"] == {"b": new["InstanceId"]}


def test_options_reach_what_they_are_about(stack: Stack) -> None:
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234"
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
    more = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    (elsewhere,) = stack.ec2.describe_subnets(
        Filters=[
            {"Name": "default-for-az", "Values": ["true"]},
            {"Name": "availability-zone", "Values": [f"{REGION}c"]},
        ]
    )["Subnets"]
    machine, data, network = at_once(
        lambda: stack.instance.planned(
            kms_key_id=key,
            static_ip=True,
            permissions_boundary=boundary,
            policy_arns=[more],
            **slots("b", "m7i.large", b=stack.images[1]),
        ),
        lambda: stack.data.planned(
            size_gib=6, final_snapshot=False, permissions_boundary=boundary, import_backups={"role": None}
        ),
        lambda: stack.network.planned(subnet_id=elsewhere["SubnetId"]),
    )

    # In a subnet of somebody else's the stack has nothing but its security group.
    there = {address for address, (actions, _) in network.items() if actions != ["delete"]}
    assert {address.partition(".aws_")[0] for address in there} == {"module.security"}
    assert network["module.security.aws_security_group.machine"][1]["vpc_id"] == elsewhere["VpcId"]

    actions, volume = data["module.data_volume.aws_ebs_volume.this"]
    assert (actions, volume["size"], volume["final_snapshot"]) == (["update"], 6, False)

    actions, role = data["module.backups[0].aws_iam_role.backups"]
    assert (actions, role["permissions_boundary"]) == (["update"], boundary)

    changes = {address.partition(".aws_")[2]: change for address, change in machine.items()}
    assert changes['instance.machine["b"]'][1]["root_block_device"][0]["kms_key_id"] == key
    assert changes['instance.machine["b"]'][1]["instance_type"] == "m7i.large"
    assert changes["eip.machine[0]"][0] == ["create"]
    assert changes["eip_association.machine[0]"][0] == ["create"]
    actions, role = changes["iam_role.machine"]
    assert (actions, role["permissions_boundary"]) == (["update"], boundary)
    attached = changes[f'iam_role_policy_attachment.further["{more}"]']
    assert (attached[0], attached[1]["policy_arn"]) == (["create"], more)


REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "network": (
        {
            "name": "No Good",
            "tags": {"aws:mine": "x", "with space": "y", "good": "tab\there"},
            "vpc_cidr": "10.0.0.0/8",
            "availability_zones": ["eu-central-1a"],
            "allowed_cidrs": ["10.0.0.1", "office"],
            "ports": {"hub": 80000},
        },
        [
            "The name of a stack has 2 to 31 characters",
            "The key of a tag has 1 to 128 characters",
            "keys that begin with aws: or ds-stack: are taken",
            "The value of a tag has at most 256 characters",
            "must be an IPv4 CIDR block from /16 to /24",
            f"Each availability zone must lie in the region {REGION}.",
            "Each allowed network must be an IPv4 CIDR block",
            "A port is a whole number from 1 to 65535.",
        ],
    ),
    "data": (
        {
            "availability_zone": "eu-central-1a",
            "size_gib": 0.5,
            "kms_key_id": "alias/mine",
            "backups_keep_days": 0.5,
        },
        [
            f"The availability zone must lie in the region {REGION}.",
            "The size of the data volume is a whole number of GiB from 1 to 65536.",
            "The KMS key must be given by its ARN",
            "Backups are kept for a whole number of days from 1 to 3650; 0 makes none.",
        ],
    ),
    "instance": (
        {
            "machines": {"c": {"image_id": "latest", "instance_type": "big"}},
            "active": "a",
            "subnet_id": "vpc-1",
            "security_group_id": "default",
            "volume_id": "snap-1",
            "root_volume_size_gib": -1,
            "kms_key_id": "mine",
            "permissions_boundary": "Boundary",
            "policy_arns": ["AmazonS3FullAccess"],
        },
        [
            "A machine is in slot a or in slot b, and there is one at least.",
            "The id of an image begins with ami-.",
            "An instance type is a family and a size, such as t3.xlarge.",
            "The id of a subnet begins with subnet-.",
            "The id of a security group begins with sg-.",
            "The id of a volume begins with vol-.",
            "The size of the root volume is a whole number of GiB from 1 to 65536.",
            "The KMS key must be given by its ARN",
            "The permissions boundary must be the ARN of a policy",
            "Each further policy must be given by its ARN",
        ],
    ),
}


def test_bad_variables_are_refused_with_what_to_write(stack: Stack) -> None:
    def unsaid(part: str) -> list[str]:
        bad, messages = REFUSED[part]
        root: Root = getattr(stack, part)
        said = root.refuse(**bad)
        return [message for message in messages if message not in said]

    assert at_once(*(lambda part=part: unsaid(part) for part in REFUSED)) == [[], [], []]
    # Apart, since it is not looked at where the machines are wrong.
    assert "The active slot is one that has a machine." in stack.instance.refuse(active="a")
    # Apart, since with a subnet the variables of a VPC do not count.
    assert "The id of a subnet begins with subnet-." in stack.network.refuse(subnet_id="vpc-1")


def test_destroy_of_the_machine_keeps_the_data(stack: Stack) -> None:
    stack.instance.destroy()
    (volume,) = stack.ec2.describe_volumes(VolumeIds=[stack.outputs["data"]["volume_id"]])["Volumes"]
    assert volume["State"] == "available"
    # AWS goes on with the backups: the homes are there.
    assert [role["RoleName"] for role in stack.iam.list_roles()["Roles"]] == [BACKUPS_ROLE]
    assert len(stack.dlm.get_lifecycle_policies()["Policies"]) == 1
    assert stack.iam.list_instance_profiles()["InstanceProfiles"] == []


def test_destroy_of_all_leaves_nothing_but_snapshots(stack: Stack) -> None:
    kept = [one["SnapshotId"] for one in backups(stack)]
    at_once(stack.data.destroy, stack.network.destroy)
    assert stack.iam.list_roles()["Roles"] == []
    assert stack.dlm.get_lifecycle_policies()["Policies"] == []
    assert [one["SnapshotId"] for one in backups(stack)] == kept != []

    volume_id = stack.outputs["data"]["volume_id"]
    snapshots = stack.ec2.describe_snapshots(Filters=[{"Name": "volume-id", "Values": [volume_id]}])[
        "Snapshots"
    ]
    (final,) = (one for one in snapshots if one["SnapshotId"] not in kept)
    assert [tag["Value"] for tag in final["Tags"] if tag["Key"] == "ds-stack:name"] == [NAME]

    mine = [{"Name": "tag:ds-stack:name", "Values": [NAME]}]
    left = {
        "vpcs": stack.ec2.describe_vpcs(Filters=mine)["Vpcs"],
        "subnets": stack.ec2.describe_subnets(Filters=mine)["Subnets"],
        "gateways": stack.ec2.describe_internet_gateways(Filters=mine)["InternetGateways"],
        "tables": stack.ec2.describe_route_tables(Filters=mine)["RouteTables"],
        "groups": stack.ec2.describe_security_groups(Filters=mine)["SecurityGroups"],
        "volumes": stack.ec2.describe_volumes(Filters=mine)["Volumes"],
    }
    assert {kind: found for kind, found in left.items() if found} == {}
