"""check_environment against moto's account, with stand-ins for what moto does not answer as AWS does."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.amazon.aws.plugins.module_utils.botocore import boto3_inventory_conn
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import preflight_tools
from ansible_collections.iac.ds_stack.plugins.modules import check_environment
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.parsers import ResponseParserError
from moto import mock_aws
from moto.ec2.models import amis

REGION = "us-east-1"
CANONICAL = {"owner": "099720109477", "name": "ubuntu/images/hvm-ssd/ubuntu-trusty-14.04-amd64-server-*"}
BASE_SIZE = 15
"""GiB of that image's root disk, as moto has it."""

REPOSITORY = Path(__file__).resolve().parents[3]

Answers = dict[str, Any]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Operation → the answer, or the error, to give in moto's place."""
    given: Answers = {}
    asked = BaseClient._make_api_call

    def call(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        answer = given.get(operation)
        if isinstance(answer, Exception):
            raise answer
        return asked(client, operation, parameters) if answer is None else answer

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    return given


def refuse(operation: str, code: str, message: str = "AWS' own words") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@cache
def client(service: str, region: str) -> Any:
    """A client of all tests: making one reads megabytes of descriptions."""
    return boto3.client(service, region_name=region, aws_access_key_id="test", aws_secret_access_key="test")


@pytest.fixture(scope="module", autouse=True)
def few_images() -> Iterator[None]:
    """Of the vendors' images that moto knows those that the tests look for: thousands take long."""
    found = [one for one in amis.AMIS if fnmatch(one["name"], CANONICAL["name"])]
    assert found
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(amis, "AMIS", found)
        patch.setattr(amis, "load_resource", lambda _path: [])
        yield


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch, answers: Answers) -> Iterator[Any]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setattr(
        check_environment,
        "boto3_inventory_conn",
        lambda resource, region, **_options: client(resource, region),
    )
    with mock_aws():
        yield client("ec2", REGION)


@pytest.fixture
def run(ec2: Any, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run the module as for site.yml, but for what a test wants otherwise."""

    def play(**arguments: Any) -> dict[str, Any]:
        arguments = {
            "stack": "demo",
            "region": REGION,
            "stages": ["bake", "network", "instance"],
            "base_image": CANONICAL,
            "bake_instance_type": "t3.medium",
            "instance_type": "t3.large",
            "root_volume_size": 20,
            **arguments,
        }
        with patch_module_args(arguments), pytest.raises(SystemExit):
            check_environment.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return play


def problems(result: dict[str, Any]) -> list[str]:
    assert result["failed"], result
    head, *lines = result["msg"].split("\n  - ")
    assert head == "Nothing was done. This has to be mended first:"
    return lines


def owned(ec2: Any) -> dict[str, int]:
    """How much there is in the account that somebody could have made."""
    return {
        "instances": len(ec2.describe_instances()["Reservations"]),
        "images": len(ec2.describe_images(Owners=["self"])["Images"]),
        "key pairs": len(ec2.describe_key_pairs()["KeyPairs"]),
        "groups": len(ec2.describe_security_groups()["SecurityGroups"]),
        "volumes": len(ec2.describe_volumes()["Volumes"]),
        "vpcs": len(ec2.describe_vpcs()["Vpcs"]),
    }


def test_an_account_that_is_fit_passes_and_nothing_is_made_in_it(ec2: Any, run: Any) -> None:
    before = owned(ec2)
    result = run()
    assert result["changed"] is False
    assert owned(ec2) == before
    assert result["not_checked"] == ["GetServiceQuota: NoSuchResourceException"]  # moto has VPC's alone


def test_what_was_found_on_the_way_is_returned(ec2: Any, run: Any) -> None:
    newest = {"image_id": "ami-1e749f67", "name": CANONICAL["name"][:-1] + "20170727"}
    here = {
        "account_id": "123456789012",
        "partition": "aws",
        "host": platform.node(),
        "lacks_operator_key": False,
        "no_room_beside": "",
    }
    assert run()["found"] == {"base_image": newest, **here}
    pinned = {**CANONICAL, "pinned_id": newest["image_id"], "pinned_in": "/lock"}
    assert run(base_image=pinned)["found"] == {"base_image": newest, **here}
    assert run(stages=["users"])["found"] == {"base_image": {}, **here}


@pytest.mark.parametrize("stage", ["bake", "instance"])
def test_a_smaller_data_volume_is_refused_before_anything_is_made(ec2: Any, run: Any, stage: str) -> None:
    tags = [{"Key": "ds-stack:name", "Value": "demo"}, {"Key": "ds-stack:part", "Value": "data"}]
    volume = ec2.create_volume(
        AvailabilityZone="us-east-1a", Size=50, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}]
    )
    smaller = (
        f"ds_stack_data_volume_size: 49 GiB is smaller than the data volume {volume['VolumeId']} is, and a "
        "volume can only grow. Take 50 or more."
    )
    assert smaller in problems(run(stages=[stage], data_volume_size=49))
    assert run(stages=[stage], data_volume_size=50)["changed"] is False


def test_all_that_is_wrong_is_told_at_once(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = problems(
        run(
            packer_template=str(REPOSITORY / "packer"),
            terraform={"source": str(REPOSITORY / "terraform/network"), "work_dir": str(tmp_path / "work")},
            bake_instance_type="t9.huge",
            root_volume_size=8,
        )
    )
    assert [line.split(". ")[0] for line in found] == [
        "There is no Packer on PATH",
        "There is no Terraform or OpenTofu on PATH",
        "ds_stack_bake_instance_type: t9.huge is not offered in us-east-1",
        f"ds_stack_root_volume_size: 8 GiB is smaller than the image {CANONICAL['name'][:-1]}20170727",
    ]
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (refuse("GetCallerIdentity", "ExpiredToken"), "The AWS credentials have expired."),
        (refuse("GetCallerIdentity", "InvalidClientTokenId"), "AWS does not accept the credentials"),
        (EndpointConnectionError(endpoint_url="https://sts"), "Check the network, a proxy"),
        (ResponseParserError("a proxy's page"), "Check the network, a proxy"),
    ],
)
def test_credentials_that_aws_does_not_know(run: Any, answers: Answers, error: Exception, said: str) -> None:
    answers["GetCallerIdentity"] = error
    (found,) = problems(run(instance_type="t9.huge"))
    assert said in found


def test_what_others_have_found_is_told_with_the_rest(run: Any) -> None:
    first, second = problems(run(problems=["The record cannot be read."], instance_type="t9.huge"))
    assert first == "The record cannot be read."
    assert second.startswith("ds_stack_instance_type: t9.huge is not offered")


def test_a_profile_that_does_not_exist(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_environment, "boto3_inventory_conn", boto3_inventory_conn)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (found,) = problems(run(profile="nobody"))
    assert found.startswith("The config profile (nobody) could not be found. Set AWS_PROFILE to one of")


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ("eu-centrl-1", "AWS has no region eu-centrl-1. Did you mean eu-central-1?"),
        ("ap-east-1", "ap-east-1 is not enabled for this account."),
    ],
)
def test_regions_that_the_account_has_not(run: Any, region: str, said: str) -> None:
    (found,) = problems(run(region=region, instance_type="t9.huge"))
    assert said in found


def test_the_data_volumes_zone_has_no_such_type(ec2: Any, run: Any) -> None:
    tags = [{"Key": "ds-stack:name", "Value": "demo"}, {"Key": "ds-stack:part", "Value": "data"}]
    ec2.create_volume(
        AvailabilityZone="us-east-1e",
        Size=1,
        TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
    )
    (found,) = problems(run(stages=["instance"], availability_zone="us-east-1a"))
    assert "t3.large is not offered in us-east-1e, where the data volume is" in found


def test_a_volume_smaller_than_it_is_now(ec2: Any, run: Any) -> None:
    tags = [{"Key": "ds-stack:name", "Value": "demo"}, {"Key": "ds-stack:part", "Value": "data"}]
    volume = ec2.create_volume(
        AvailabilityZone="us-east-1a",
        Size=50,
        TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
    )["VolumeId"]
    assert problems(run(stages=["instance"], data_volume_size=20)) == [
        f"ds_stack_data_volume_size: 20 GiB is smaller than the data volume {volume} is, and a volume can "
        "only grow. Take 50 or more."
    ]
    assert run(stages=["instance"], data_volume_size=50)["changed"] is False


def test_a_type_that_is_not_of_the_nitro_system(run: Any) -> None:
    assert problems(run(stages=["instance"], instance_type="t2.large")) == [
        "ds_stack_instance_type: t2.large is not of the Nitro system, where the machine finds its data "
        "volume by its id. Take a newer type."
    ]


def test_a_type_for_another_processor(run: Any) -> None:
    (found,) = problems(run(instance_type="t4g.large"))
    assert found.startswith("ds_stack_instance_type: t4g.large cannot run images for x86_64")


def test_no_image_has_the_name(run: Any) -> None:
    (found,) = problems(run(base_image={**CANONICAL, "name": "nothing-*"}))
    assert found.startswith("No image 'nothing-*' of account 099720109477 is available in us-east-1.")


def test_the_pinned_image_is_gone(run: Any) -> None:
    pinned = {**CANONICAL, "pinned_id": "ami-00000000", "pinned_in": "/ds_stack.lock.yml"}
    (found,) = problems(run(base_image=pinned))
    assert "The base image ami-00000000 is gone from us-east-1; /ds_stack.lock.yml pins it." in found
    assert found.endswith("""-e '{"ds_stack_relock": ["base"]}'""")


def test_the_image_that_was_baked_from_one_that_is_gone_still_serves(ec2: Any, run: Any) -> None:
    machine = ec2.run_instances(ImageId="ami-00000000", MinCount=1, MaxCount=1)["Instances"][0]
    image = ec2.create_image(InstanceId=machine["InstanceId"], Name="demo-1")["ImageId"]
    tags = {"ds-stack:name": "demo", "ds-stack:part": "image", "ds-stack:base-image": "ami-00000000"}
    ec2.create_tags(Resources=[image], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    result = run(base_image={**CANONICAL, "pinned_id": "ami-00000000", "pinned_in": "/ds_stack.lock.yml"})
    assert not result.get("failed"), result
    assert "ami-00000000 is gone" in str(result["warnings"])


def test_the_disk_holds_just_the_image(run: Any) -> None:
    assert not run(root_volume_size=BASE_SIZE).get("failed")
    (found,) = problems(run(root_volume_size=BASE_SIZE - 1))
    assert found.endswith(f"Take {BASE_SIZE} or more.")


def test_there_is_no_default_vpc(ec2: Any, run: Any) -> None:
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    (found,) = problems(run())
    assert "us-east-1 has no default VPC with subnets for the bake." in found
    (found,) = problems(run(bake_subnet_id="subnet-0"))
    assert found == "ds_stack_bake_subnet_id: there is no subnet subnet-0 in us-east-1."


def test_a_subnet_of_ones_own_decides_the_zone_and_needs_no_vpc(ec2: Any, run: Any) -> None:
    subnets = {one["AvailabilityZone"]: one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]}
    for number in range(4):
        ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")
    assert not run(subnet_id=subnets["us-east-1b"]).get("failed")
    (found,) = problems(run(subnet_id=subnets["us-east-1e"]))
    assert found.startswith("ds_stack_instance_type: t3.large is not offered in us-east-1e, where")
    assert problems(run(subnet_id="subnet-0")) == [
        "ds_stack_subnet_id: there is no subnet subnet-0 in us-east-1."
    ]


def test_the_quota_of_vpcs_is_used_up(ec2: Any, run: Any) -> None:
    for number in range(4):
        ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")
    (found,) = problems(run())
    assert found.startswith("us-east-1 has 5 VPCs, and the account's quota is 5.")
    assert not run(stages=["instance"]).get("failed")


def test_the_quota_of_vcpus_is_used_up(run: Any, answers: Answers) -> None:
    answers["GetServiceQuota"] = {"Quota": {"Value": 5.0}}
    machine = {
        "InstanceId": "i-1",
        "ImageId": "ami-1",
        "State": {"Name": "running"},
        "InstanceType": "m5.xlarge",
        "CpuOptions": {"CoreCount": 2, "ThreadsPerCore": 2},
    }
    answers["DescribeInstances"] = {"Reservations": [{"Instances": [machine]}]}
    bake, machine_itself = problems(run())
    assert "ds_stack_bake_instance_type: t3.medium takes 2 vCPUs" in bake
    assert "5 in us-east-1, 4 are used." in machine_itself
    spot = {**machine, "InstanceLifecycle": "spot"}
    answers["DescribeInstances"] = {"Reservations": [{"Instances": [spot]}]}
    assert not run().get("failed")


@pytest.mark.parametrize("operation", ["RunInstances", "CreateImage", "CreateKeyPair", "CreateVolume"])
def test_rights_that_are_lacking_show_in_a_dry_run(run: Any, answers: Answers, operation: str) -> None:
    answers[operation] = refuse(operation, "UnauthorizedOperation")
    assert problems(run()) == [
        f"These credentials may not call {operation} in us-east-1. Ask for that right, or take others. "
        "If they may, and only this dry run is refused, set ds_stack_check_rights to false. "
        "AWS says: AWS' own words"
    ]
    assert not run(dry_runs=False).get("failed")


def test_dry_runs_carry_what_an_organization_may_demand(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Answers = {}
    asked = BaseClient._make_api_call

    def call(one: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if parameters.get("DryRun"):
            seen[operation] = parameters
        return asked(one, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    key = client("kms", REGION).create_key()["KeyMetadata"]["Arn"]
    assert not run(tags={"cost-centre": 4711}, kms_key_id=key).get("failed")
    tags = [{"Key": "cost-centre", "Value": "4711"}, {"Key": "ds-stack:name", "Value": "demo"}]
    kinds = {
        "RunInstances": ["instance", "volume"],
        "CreateKeyPair": ["key-pair"],
        "CreateSecurityGroup": ["security-group"],
        "CreateVolume": ["volume"],
    }
    for operation, tagged in kinds.items():
        assert seen[operation]["TagSpecifications"] == [
            {"ResourceType": kind, "Tags": tags} for kind in tagged
        ]
    machine = seen["RunInstances"]
    assert machine["MetadataOptions"] == {"HttpTokens": "required"}
    disk = {"Encrypted": True, "VolumeSize": 20, "VolumeType": "gp3", "KmsKeyId": key}
    assert machine["BlockDeviceMappings"] == [{"DeviceName": "/dev/sda1", "Ebs": disk}]
    assert seen["CreateVolume"]["KmsKeyId"] == key


def test_what_a_dry_run_says_of_its_placeholders_is_no_problem(run: Any, answers: Answers) -> None:
    answers["CreateImage"] = refuse("CreateImage", "InvalidInstanceID.NotFound")
    answers["RunInstances"] = refuse("RunInstances", "MissingInput")
    assert not run().get("failed")


def test_a_right_to_look_that_is_lacking_is_told_once(run: Any, answers: Answers) -> None:
    answers["DescribeImages"] = refuse("DescribeImages", "UnauthorizedOperation")
    (found,) = problems(run(base_image={**CANONICAL, "pinned_id": "ami-1", "pinned_in": "/lock"}))
    assert "may not call DescribeImages" in found


def test_keys(run: Any) -> None:
    kms = client("kms", REGION)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    assert not run(kms_key_id=key).get("failed")
    kms.disable_key(KeyId=key.rsplit("/", 1)[1])
    assert problems(run(kms_key_id=key)) == [
        f"ds_stack_kms_key_id: {key} is Disabled. Enable it, or take another."
    ]
    other = key.rsplit("/", 1)[0] + "/00000000-0000-0000-0000-000000000000"
    (found,) = problems(run(kms_key_id=other))
    assert found.endswith("Take one that is in that region.")


def test_the_key_of_the_passwords(run: Any, answers: Answers) -> None:
    alias = "alias/ds-stack-operator"
    assert run(operator_key=alias)["found"]["lacks_operator_key"] is True
    assert run(operator_key=alias, stages=["bake"])["found"]["lacks_operator_key"] is False
    (found,) = problems(run(operator_key="alias/mine"))
    assert found.startswith(f"ds_stack_operator_key: {REGION} has no key alias/mine.")
    kms = client("kms", REGION)
    kms.create_alias(AliasName=alias, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    assert run(operator_key=alias)["found"]["lacks_operator_key"] is False
    answers["DescribeKey"] = refuse("DescribeKey", "AccessDeniedException")
    assert run(operator_key="alias/mine")["found"]["lacks_operator_key"] is False


def test_a_profile_and_a_key(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "research")
    (found,) = problems(run())
    assert found.startswith("Both a profile (AWS_PROFILE) and an access key (AWS_ACCESS_KEY_ID) are set")


def test_what_is_named_of_iam_is_there(run: Any, answers: Answers) -> None:
    iam = client("iam", REGION)
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:List*", "Resource": "*"}}
    )
    policy = iam.create_policy(PolicyName="data", PolicyDocument=document)["Policy"]["Arn"]
    iam.create_instance_profile(InstanceProfileName="ssm")
    named = {"policy_arns": [policy], "permissions_boundary": policy, "bake_instance_profile": "ssm"}
    assert not run(**named).get("failed")
    other = f"{policy}s"
    named = {"policy_arns": [policy, other], "permissions_boundary": other, "bake_instance_profile": "ssn"}
    assert problems(run(**named)) == [
        f"{variable}: there is no {what}. Make it first, or take one that is there."
        for variable, what in (
            ("ds_stack_policy_arns", f"policy {other}"),
            ("ds_stack_permissions_boundary", f"policy {other}"),
            ("ds_stack_bake_instance_profile", "instance profile ssn"),
        )
    ]
    assert not run(**named, stages=["users"]).get("failed")
    for operation in ("GetPolicy", "GetInstanceProfile"):
        answers[operation] = refuse(operation, "AccessDenied")
    result = run(**named)
    assert not result.get("failed")
    assert {"GetInstanceProfile: AccessDenied", "GetPolicy: AccessDenied"} <= {*result["not_checked"]}


@pytest.mark.parametrize("stage", ["users", "destroy"])
def test_other_stages_ask_for_credentials_and_region_alone(run: Any, answers: Answers, stage: str) -> None:
    for operation in ("DescribeImages", "DescribeInstanceTypes", "RunInstances", "DescribeVpcs"):
        answers[operation] = refuse(operation, "UnauthorizedOperation")
    assert not run(stages=[stage]).get("failed")


def test_python_packages_that_are_missing(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_environment.tools, "missing_libraries", list)
    (found,) = problems(run(instance_type="t9.huge"))
    assert "boto3 botocore passlib" in found


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("echo Packer v1.6.6", "1.6.6"),
        ("echo 'Packer v1.14.2'; echo 'Your version is out of date'", "1.14.2"),
        ("exit 3", None),
        ("cat", None),  # cracklib's packer, which waits for words
    ],
)
def test_the_minimum_of_packer_is_what_template_and_overlay_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, version: str | None
) -> None:
    program(tmp_path, "packer", text)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = preflight_tools.packer(REPOSITORY / "packer", None)
    assert (found.path, found.version, found.constraint) == (str(tmp_path / "packer"), version, ">= 1.11.0")
    overlaid = preflight_tools.packer(REPOSITORY / "packer", REPOSITORY / "localcloud/packer")
    assert overlaid.constraint == ""


@pytest.mark.parametrize(
    ("name", "text"), [("terraform", "Terraform v1.5.7\non linux_amd64"), ("tofu", "OpenTofu v1.6.2")]
)
def test_terraform_or_tofu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    program(tmp_path, name, f"echo '{text}'")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = preflight_tools.terraform(REPOSITORY / "terraform/network")
    assert found.path == str(tmp_path / name)
    assert found.version == text.partition("v")[2].partition("\n")[0]
    assert found.constraint == ">= 1.10"


@pytest.fixture
def private_subnet(ec2: Any) -> str:
    """One of another VPC than the stack's, which has none."""
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24", AvailabilityZone=f"{REGION}a")
    return str(made["Subnet"]["SubnetId"])


CLUSTER = {"instance_type": "m5.xlarge", "nodes": 2}


def test_a_clusters_subnet_is_looked_at_with_its_vpc(ec2: Any, run: Any, private_subnet: str) -> None:
    own = [{"Key": "ds-stack:name", "Value": "demo"}]
    cluster = {**CLUSTER, "subnet_id": private_subnet}
    assert run(stages=["cluster"], cluster=cluster)["changed"] is False
    vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": own}])
    (said,) = problems(run(stages=["cluster"], cluster=cluster))
    assert f"and the machine in {vpc['Vpc']['VpcId']}, from which nothing leads there." in said
    machines = ec2.create_subnet(VpcId=vpc["Vpc"]["VpcId"], CidrBlock="10.77.0.0/24")["Subnet"]["SubnetId"]
    (said,) = problems(run(stages=["cluster"], cluster=cluster, subnet_id=machines))
    assert said.startswith(f"ds_stack_cluster.subnet_id: {private_subnet} is in the VPC ")
    (said,) = problems(run(stages=["cluster"], cluster={**CLUSTER, "subnet_id": "subnet-0123456789abcdef0"}))
    assert said == "ds_stack_cluster.subnet_id: there is no subnet subnet-0123456789abcdef0 in us-east-1."


def test_a_clusters_image_is_looked_at_with_its_owner(ec2: Any, run: Any) -> None:
    (of_canonical,) = problems(run(stages=["cluster"], cluster={**CLUSTER, "image_id": "ami-1e749f67"}))
    assert "ami-1e749f67 belongs to the account 099720109477" in of_canonical
    (gone,) = problems(run(stages=["cluster"], cluster={**CLUSTER, "image_id": "ami-0123456789abcdef0"}))
    assert gone.startswith("ds_stack_cluster.image_id: there is no image ami-0123456789abcdef0 in us-east-1")


def test_nobody_is_asked_about_a_cluster_that_is_not_made(run: Any) -> None:
    assert run(cluster={**CLUSTER, "instance_type": "t9.huge", "image_id": "ami-0"})["changed"] is False
