"""terraform/cluster with the real Terraform and AWS provider against a simulated AWS account.

The tests tell one story and run in the order of this file: each takes the cluster as the one before left it.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from tests.integration.terraform_roots import CHANGES_PLANNED, NOTHING_TO_DO, Root, initialised, provided

REGION = "us-east-1"
ACCOUNT = "123456789012"
NAME = "spark-test"
ROLES = f"ds-stack-{NAME}-{REGION}"
EMR_TAG = {"for-use-with-amazon-emr-managed-policies": "true"}
OWN_TAGS = {"ds-stack:name": NAME, "ds-stack:part": "cluster", "team": "Analysis", **EMR_TAG}
CLUSTER = "module.cluster.aws_emr_cluster.this"


@dataclass
class Stack:
    """The root module and the account that it is applied to."""

    root: Root
    client: Callable[[str], Any]
    outputs: dict[str, Any]

    def describe(self) -> dict[str, Any]:
        """Return the cluster as EMR has it."""
        return dict(self.client("emr").describe_cluster(ClusterId=self.outputs["cluster_id"])["Cluster"])

    def groups(self) -> dict[str, str]:
        """Return the root's security groups: the last part of the name → id."""
        mine = [{"Name": "tag:ds-stack:name", "Values": [NAME]}]
        found = self.client("ec2").describe_security_groups(Filters=mine)["SecurityGroups"]
        return {group["GroupName"].rpartition("-")[2]: group["GroupId"] for group in found}

    def nodes(self) -> list[dict[str, Any]]:
        """Return the living nodes as EC2 has them."""
        mine = [
            {"Name": "tag:aws:elasticmapreduce:job-flow-id", "Values": [self.outputs["cluster_id"]]},
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
        ]
        found = self.client("ec2").describe_instances(Filters=mine)["Reservations"]
        return [instance for reservation in found for instance in reservation["Instances"]]

    def policy(self, role: str, name: str) -> dict[str, list[Any]]:
        """Return the statements of a role's policy: sid → [actions, resources], each a sorted list."""
        document = self.client("iam").get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        if isinstance(document, str):
            document = json.loads(urllib.parse.unquote(document))
        return {one["Sid"]: [listed(one["Action"]), listed(one["Resource"])] for one in document["Statement"]}


def listed(value: str | list[str]) -> list[str]:
    return sorted([value] if isinstance(value, str) else value)


def role_of(node: dict[str, Any]) -> str:
    return next(t["Value"] for t in node["Tags"] if t["Key"] == "aws:elasticmapreduce:instance-group-role")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Iterator[Stack]:
    """A cluster beside a machine's network, with all that can be given."""
    roots = initialised(tmp_path_factory.mktemp("code"), "cluster")
    with provided(roots.values(), endpoint) as settings:

        def client(service: str) -> Any:
            return boto3.client(
                service,
                region_name=REGION,
                endpoint_url=settings["AWS_ENDPOINT_URL"],
                aws_access_key_id="testing",
                aws_secret_access_key="testing",
            )

        ec2 = client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.78.0.0/16")["Vpc"]["VpcId"]
        ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
        machine = ec2.create_security_group(GroupName="machine", Description="the machine", VpcId=vpc)
        outputs = roots["cluster"].apply(
            name=NAME,
            region=REGION,
            vpc_id=vpc,
            vpc_cidr="10.78.0.0/16",
            availability_zone="us-east-1b",
            machine_security_group_id=machine["GroupId"],
            image_id=ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"],
            workers={"min": 2, "max": 3, "core": 1},
            read_buckets=["measurements"],
            write_buckets=["results"],
            python="/opt/conda/envs/ds/bin/python",
            r_home="/usr/lib/R",
            tags={"team": "Analysis"},
        )
        yield Stack(roots["cluster"], client, outputs)


def test_a_second_plan_is_empty(stack: Stack) -> None:
    stack.root.plan(expect=NOTHING_TO_DO)


def test_the_outputs_say_where_spark_is(stack: Stack) -> None:
    (primary,) = [node for node in stack.nodes() if role_of(node) == "MASTER"]
    address = primary["PrivateIpAddress"]
    assert address.startswith("10.78.24")  # the last sixteenth
    cluster = stack.describe()
    assert stack.outputs == {
        "cluster_id": cluster["Id"],
        "primary_private_ip": address,
        "connect_url": f"sc://{address}:15443/;use_ssl=true",
        "logs": cluster["LogUri"],
        "release": "emr-spark-8.0.0",
    }


def test_the_nodes_are_of_the_image_in_a_private_subnet(stack: Stack) -> None:
    nodes, ec2 = stack.nodes(), stack.client("ec2")
    assert sorted(map(role_of, nodes)) == ["CORE", "MASTER", "TASK"]
    assert {node["ImageId"] for node in nodes} == {stack.root.variables["image_id"]}
    profile = f"arn:aws:iam::{ACCOUNT}:instance-profile/{ROLES}-nodes"
    assert {node["IamInstanceProfile"]["Arn"] for node in nodes} == {profile}
    (subnet,) = ec2.describe_subnets(SubnetIds=list({node["SubnetId"] for node in nodes}))["Subnets"]
    assert (subnet["CidrBlock"], subnet["AvailabilityZone"], subnet["MapPublicIpOnLaunch"]) == (
        "10.78.240.0/20", "us-east-1b", False
    )  # fmt: skip
    assert {tag["Key"]: tag["Value"] for tag in subnet["Tags"]} == OWN_TAGS | {"Name": f"{NAME}-cluster"}
    here = [{"Name": "vpc-id", "Values": [subnet["VpcId"]]}]
    endpoints = ec2.describe_vpc_endpoints(Filters=here)["VpcEndpoints"]
    assert {one["ServiceName"]: one["VpcEndpointType"] for one in endpoints} == {
        f"com.amazonaws.{REGION}.s3": "Gateway",
        f"com.amazonaws.{REGION}.ssm": "Interface",
    }
    tables = ec2.describe_route_tables(
        Filters=[{"Name": "association.subnet-id", "Values": [subnet["SubnetId"]]}]
    )["RouteTables"]
    assert not any(route.get("GatewayId", "").startswith("igw-") for t in tables for route in t["Routes"])


def test_spark_connect_is_open_to_the_machine_alone(stack: Stack) -> None:
    groups, ec2 = stack.groups(), stack.client("ec2")
    by_role = {
        role_of(node): {group["GroupId"] for group in node["SecurityGroups"]} for node in stack.nodes()
    }
    assert by_role == {
        "MASTER": {groups["primary"], groups["connect"]},
        "CORE": {groups["workers"]},
        "TASK": {groups["workers"]},
    }
    rules = ec2.describe_security_group_rules(
        Filters=[{"Name": "group-id", "Values": [groups[name] for name in ("primary", "workers", "connect")]}]
    )["SecurityGroupRules"]
    inbound = [rule for rule in rules if not rule["IsEgress"]]
    assert not any("CidrIpv4" in rule or "CidrIpv6" in rule for rule in inbound)
    machine = stack.root.variables["machine_security_group_id"]
    assert [
        (rule["GroupId"], rule["IpProtocol"], rule["FromPort"], rule["ToPort"], rule["Description"])
        for rule in inbound
        if rule["ReferencedGroupInfo"]["GroupId"] == machine
    ] == [(groups["connect"], "tcp", 15443, 15443, "Spark Connect from the machine")]


def test_the_nodes_may_reach_their_logs_the_named_buckets_and_their_own_parameters(stack: Stack) -> None:
    logs = "arn:aws:s3:::" + stack.outputs["logs"].removeprefix("s3://").strip("/")
    read = ["arn:aws:s3:::measurements", "arn:aws:s3:::measurements/*"]
    written = ["arn:aws:s3:::results", "arn:aws:s3:::results/*"]
    assert stack.policy(f"{ROLES}-nodes", "nodes") == {
        "Logs": [["s3:GetObject", "s3:ListBucket", "s3:PutObject"], [logs, f"{logs}/*"]],
        "Read": [["s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket"], read + written],
        "Write": [
            [
                "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:ListBucketMultipartUploads",
                "s3:ListMultipartUploadParts", "s3:PutObject",
            ],
            written,
        ],
        "ReadOwnParameters": [
            ["ssm:GetParameter"], [f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/ds-stack/{NAME}/cluster/*"]
        ],
    }  # fmt: skip
    assert stack.policy(f"{ROLES}-emr", "pass-nodes") == {
        "PassTheNodesRole": [["iam:PassRole"], [f"arn:aws:iam::{ACCOUNT}:role/{ROLES}-nodes"]]
    }


def test_the_logs_are_closed_encrypted_and_expire(stack: Stack) -> None:
    s3, bucket = stack.client("s3"), stack.outputs["logs"].removeprefix("s3://").strip("/")
    closed = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(closed.values()) == {True}
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    (expiry,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert (expiry["Status"], expiry["Expiration"]["Days"]) == ("Enabled", 30)
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Condition"]) == (
        "Deny", "*", {"Bool": {"aws:SecureTransport": "false"}}
    )  # fmt: skip


def test_the_cluster_is_bound_tagged_and_told_of_the_users_environment(stack: Stack) -> None:
    cluster, emr = stack.describe(), stack.client("emr")
    assert cluster["Status"]["State"] == "WAITING"
    assert (cluster["AutoTerminate"], cluster["TerminationProtected"]) == (False, False)
    assert {tag["Key"]: tag["Value"] for tag in cluster["Tags"]} == OWN_TAGS
    security = emr.describe_security_configuration(Name=cluster["SecurityConfiguration"])
    assert json.loads(security["SecurityConfiguration"]) == {
        "InstanceMetadataServiceConfiguration": {
            "MinimumInstanceMetadataServiceVersion": 2,
            "HttpPutResponseHopLimit": 1,
        }
    }
    given = {one["Classification"]: one for one in cluster["Configurations"]}
    defaults = given["spark-defaults"]["Properties"]
    assert defaults["spark.pyspark.python"] == "/opt/conda/envs/ds/bin/python"
    assert defaults["spark.executorEnv.R_HOME"] == "/usr/lib/R"
    (step,) = emr.list_steps(ClusterId=cluster["Id"])["Steps"]
    program = ["sudo", "/usr/local/bin/ds-stack-spark-connect", "start"]
    assert step["Config"]["Args"] == [*program, "--stack", NAME, "--region", REGION]


def test_workers_above_the_core_are_spot(stack: Stack) -> None:
    cluster_id, emr = stack.outputs["cluster_id"], stack.client("emr")
    scaling = emr.get_managed_scaling_policy(ClusterId=cluster_id)["ManagedScalingPolicy"]["ComputeLimits"]
    assert scaling == {
        "UnitType": "Instances",
        "MinimumCapacityUnits": 2,
        "MaximumCapacityUnits": 3,
        "MaximumCoreCapacityUnits": 1,
        "MaximumOnDemandCapacityUnits": 1,
    }


def test_the_idle_minutes_change_in_place(stack: Stack) -> None:
    cluster_id = stack.outputs["cluster_id"]
    assert stack.root.planned(idle_minutes=90)[CLUSTER][0] == ["update"]
    assert stack.root.apply(idle_minutes=90) == stack.outputs
    policy = stack.client("emr").get_auto_termination_policy(ClusterId=cluster_id)["AutoTerminationPolicy"]
    assert policy == {"IdleTimeout": 5400}
    stack.root.plan(expect=NOTHING_TO_DO)


def test_what_managed_scaling_and_people_do_is_not_undone(stack: Stack) -> None:
    cluster_id, emr = stack.outputs["cluster_id"], stack.client("emr")
    emr.add_job_flow_steps(
        JobFlowId=cluster_id,
        Steps=[{"Name": "by hand", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["true"]}}],
    )
    groups = emr.list_instance_groups(ClusterId=cluster_id)["InstanceGroups"]
    (core,) = [group for group in groups if group["InstanceGroupType"] == "CORE"]
    emr.modify_instance_groups(InstanceGroups=[{"InstanceGroupId": core["Id"], "InstanceCount": 2}])
    assert sorted(map(role_of, stack.nodes())) == ["CORE", "CORE", "MASTER", "TASK"]
    stack.root.plan(expect=NOTHING_TO_DO)


def test_a_cluster_that_has_ended_is_made_anew(stack: Stack) -> None:
    ended = stack.outputs["cluster_id"]
    stack.client("emr").terminate_job_flows(JobFlowIds=[ended])
    assert stack.nodes() == []
    stack.root.plan(expect=CHANGES_PLANNED)
    planned = stack.root.planned()
    assert {address for address, (actions, _) in planned.items() if actions == ["create"]} == {
        CLUSTER,
        "module.cluster.aws_emr_managed_scaling_policy.this",
    }
    stack.outputs = stack.root.apply()
    assert stack.outputs["cluster_id"] != ended
    assert stack.describe()["Status"]["State"] == "WAITING"


def test_what_cannot_work_is_refused(stack: Stack) -> None:
    assert "name a private subnet of it for the cluster" in stack.root.refuse(vpc_cidr=None)
    told = stack.root.refuse(
        workers={"min": 1, "max": 2, "core": 2},
        idle_minutes=0,
        release="8.0.0",
        root_volume_size_gib=8,
        image_id="debian-12",
        write_buckets=["s3://results"],
        permissions_boundary="Boundary",
        policy_arns=["AdministratorAccess"],
        connect_port=70000,
    )
    for words in (
        "1 <= core <= min <= max",
        "ends after 1 to 10080 idle minutes",
        "named like emr-spark-8.0.0",
        "at least 15 GiB",
        "begins with ami-",
        "A bucket is given by its name alone",
        "boundary must be the ARN of a policy",
        "must be given by its ARN",
        "A port is a whole number from 1 to 65535",
    ):
        assert words in told


def test_one_run_destroys_all(stack: Stack) -> None:
    groups = stack.groups()
    assert set(groups) == {"primary", "workers", "service", "connect", "endpoint"}
    stack.root.destroy()
    assert stack.groups() == {}
    assert stack.nodes() == []
    assert stack.describe()["Status"]["State"] == "TERMINATED"
    buckets = [bucket["Name"] for bucket in stack.client("s3").list_buckets()["Buckets"]]
    assert [name for name in buckets if name.startswith(NAME)] == []
    names = [role["RoleName"] for role in stack.client("iam").list_roles()["Roles"]]
    assert [name for name in names if NAME in name] == []
    vpc = [{"Name": "vpc-id", "Values": [stack.root.variables["vpc_id"]]}]
    ec2 = stack.client("ec2")
    assert ec2.describe_subnets(Filters=vpc)["Subnets"] == []
    left = ec2.describe_vpc_endpoints(Filters=vpc)["VpcEndpoints"]
    assert [one["State"] for one in left if one["State"] != "deleted"] == []
    ec2.delete_vpc(VpcId=stack.root.variables["vpc_id"])  # nothing of the cluster holds it
