"""EMR of the local cloud on paper, as boto3 sees it. Terraform meets it in test_cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from localcloud.api import emr

REGION = "eu-west-1"  # not the one that moto takes where it does not know
Client = Callable[[str], Any]
#: What RunJobFlow says below Instances.
OF_INSTANCES = ("Ec2SubnetId", "AdditionalMasterSecurityGroups")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    emr.install()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()

    def make(service: str) -> Any:
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=f"http://{host}:{port}",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    yield make
    server.stop()


@pytest.fixture(scope="module")
def place(client: Client) -> dict[str, str]:
    """A subnet, the groups that EMR manages, and one of our own."""
    ec2, iam = client("ec2"), client("iam")
    iam.create_instance_profile(InstanceProfileName="nodes")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]

    def group(name: str) -> str:
        return str(ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"])

    return {
        "Ec2SubnetId": ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.1.0/24")["Subnet"]["SubnetId"],
        "EmrManagedMasterSecurityGroup": group("primary"),
        "EmrManagedSlaveSecurityGroup": group("workers"),
        "ServiceAccessSecurityGroup": group("service"),
        "connect": group("connect"),
    }


@pytest.fixture
def cluster(client: Client, place: dict[str, str]) -> Iterator[Callable[..., str]]:
    """Runs clusters with one core node, and what is said further; they end with the test."""
    made: list[str] = []
    groups = {name: value for name, value in place.items() if name != "connect"}

    def run(core: int = 1, alive: bool = True, **options: Any) -> str:
        request: dict[str, Any] = {
            "Name": "test",
            "ReleaseLabel": "emr-spark-8.0.0",
            "CustomAmiId": "ami-12c6146b",
            "JobFlowRole": "nodes",
            "ServiceRole": "emr",
            "Tags": [{"Key": "team", "Value": "ours"}],
            "Instances": {
                **groups,
                "AdditionalMasterSecurityGroups": [place["connect"]],
                "AdditionalSlaveSecurityGroups": [""],
                "KeepJobFlowAliveWhenNoSteps": alive,
                "InstanceGroups": [
                    {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1},
                    {"InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": core},
                ],
            },
        }
        for name, value in options.items():
            (request["Instances"] if name in OF_INSTANCES else request)[name] = value
        made.append(client("emr").run_job_flow(**request)["JobFlowId"])
        return made[-1]

    yield run
    client("emr").terminate_job_flows(JobFlowIds=made)


def state(client: Client, cluster_id: str) -> str:
    return str(client("emr").describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"])


def nodes(client: Client, cluster_id: str, *roles: str) -> list[dict[str, Any]]:
    """The living nodes of these roles as EC2 has them."""
    mine = [
        {"Name": "tag:aws:elasticmapreduce:job-flow-id", "Values": [cluster_id]},
        {"Name": "tag:aws:elasticmapreduce:instance-group-role", "Values": list(roles)},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    found = client("ec2").describe_instances(Filters=mine)["Reservations"]
    return [instance for reservation in found for instance in reservation["Instances"]]


def size(client: Client, cluster_id: str) -> tuple[int, int]:
    """How many core and how many task nodes live."""
    return len(nodes(client, cluster_id, "CORE")), len(nodes(client, cluster_id, "TASK"))


def limits(fewest: int, most: int, core: int) -> dict[str, Any]:
    return {
        "ComputeLimits": {
            "UnitType": "Instances",
            "MinimumCapacityUnits": fewest,
            "MaximumCapacityUnits": most,
            "MaximumCoreCapacityUnits": core,
        }
    }


def step(name: str, *arguments: str) -> dict[str, Any]:
    return {"Name": name, "HadoopJarStep": {"Jar": "command-runner.jar", "Args": list(arguments)}}


def test_nodes_are_instances_of_the_image_with_the_clusters_groups_and_tags(
    client: Client, cluster: Callable[..., str], place: dict[str, str]
) -> None:
    made = cluster(core=2)
    (primary,), workers = nodes(client, made, "MASTER"), nodes(client, made, "CORE")
    groups = {group["GroupId"] for group in primary["SecurityGroups"]}
    assert groups == {place["EmrManagedMasterSecurityGroup"], place["connect"]}
    assert [[group["GroupId"] for group in one["SecurityGroups"]] for one in workers] == [
        [place["EmrManagedSlaveSecurityGroup"]]
    ] * 2
    for node in (primary, *workers):
        assert (node["ImageId"], node["SubnetId"]) == ("ami-12c6146b", place["Ec2SubnetId"])
        assert node["IamInstanceProfile"]["Arn"].endswith(":instance-profile/nodes")
        assert {"Key": "team", "Value": "ours"} in node["Tags"]
    described = client("emr").describe_cluster(ClusterId=made)["Cluster"]
    assert described["MasterPublicDnsName"] == primary["PrivateDnsName"]


def test_emr_opens_the_nodes_to_each_other(client: Client, cluster: Callable[..., str]) -> None:
    (primary,) = nodes(client, cluster(), "MASTER")
    mine = [{"Name": "group-id", "Values": [group["GroupId"] for group in primary["SecurityGroups"]]}]
    rules = client("ec2").describe_security_group_rules(Filters=mine)["SecurityGroupRules"]
    inbound = {
        (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in rules if not rule["IsEgress"]
    }
    assert inbound == {("tcp", 0, 65535), ("udp", 0, 65535), ("icmp", -1, -1), ("tcp", 8443, 8443)}


@pytest.mark.parametrize(
    ("core", "policy", "wanted"),
    [
        (1, limits(1, 4, 1), (1, 0)),
        (1, limits(3, 4, 1), (1, 2)),  # above the core they are tasks
        (1, limits(3, 4, 2), (1, 2)),  # and the core grows for nobody
        (3, limits(1, 2, 2), (2, 0)),  # too many are taken away
    ],
)
def test_managed_scaling_starts_the_fewest_workers_and_keeps_to_the_most(
    client: Client, cluster: Callable[..., str], core: int, policy: dict[str, Any], wanted: tuple[int, int]
) -> None:
    made = cluster(core=core)
    client("emr").put_managed_scaling_policy(ClusterId=made, ManagedScalingPolicy=policy)
    assert size(client, made) == wanted
    got = client("emr").get_managed_scaling_policy(ClusterId=made)["ManagedScalingPolicy"]
    assert got == policy


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_group_is_resized(client: Client, cluster: Callable[..., str], count: int) -> None:
    made, api = cluster(core=2), client("emr")
    groups = api.list_instance_groups(ClusterId=made)["InstanceGroups"]
    (core,) = [group["Id"] for group in groups if group["InstanceGroupType"] == "CORE"]
    api.modify_instance_groups(InstanceGroups=[{"InstanceGroupId": core, "InstanceCount": count}])
    assert size(client, made) == (count, 0)
    states = [one["Status"]["State"] for one in api.list_instances(ClusterId=made)["Instances"]]
    assert states.count("RUNNING") == 1 + count


@pytest.mark.parametrize("idle", [60, 5400])
def test_the_idle_time_is_kept_changed_and_forgotten(
    client: Client, cluster: Callable[..., str], idle: int
) -> None:
    made, api = cluster(AutoTerminationPolicy={"IdleTimeout": 3600}), client("emr")
    assert api.get_auto_termination_policy(ClusterId=made)["AutoTerminationPolicy"]["IdleTimeout"] == 3600
    api.put_auto_termination_policy(ClusterId=made, AutoTerminationPolicy={"IdleTimeout": idle})
    assert api.get_auto_termination_policy(ClusterId=made)["AutoTerminationPolicy"]["IdleTimeout"] == idle
    api.remove_auto_termination_policy(ClusterId=made)
    assert "AutoTerminationPolicy" not in api.get_auto_termination_policy(ClusterId=made)


def test_steps_end(client: Client, cluster: Callable[..., str]) -> None:
    made, api = cluster(Steps=[step("first", "true")]), client("emr")
    api.add_job_flow_steps(JobFlowId=made, Steps=[step("second", "true")])
    steps = api.list_steps(ClusterId=made)["Steps"]
    assert {one["Name"]: one["Status"]["State"] for one in steps} == {
        "first": "COMPLETED",
        "second": "COMPLETED",
    }
    assert state(client, made) == "WAITING"


def test_a_cluster_that_is_not_to_wait_ends_with_its_last_step(
    client: Client, cluster: Callable[..., str]
) -> None:
    made = cluster(alive=False, Steps=[step("only", "true")])
    assert state(client, made) == "TERMINATED"
    assert nodes(client, made, "MASTER", "CORE") == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"CustomAmiId": "ami-12c6146b", "AmiVersion": "3.0"}, "Only one AMI version"),  # before there is one
        ({"Tags": [{"Key": "alone"}]}, "500"),
        ({"Ec2SubnetId": "subnet-12345678"}, "InvalidSubnetID"),
        ({"AdditionalMasterSecurityGroups": ["sg-12345678"]}, "InvalidGroup"),
        ({"JobFlowRole": "nobody"}, "Instance profile nobody not found"),  # when the first node is there
    ],
)
def test_a_cluster_that_is_refused_leaves_nothing(
    client: Client, cluster: Callable[..., str], wrong: dict[str, Any], said: str
) -> None:
    api = client("emr")

    def there() -> tuple[int, int]:
        alive = [{"Name": "instance-state-name", "Values": ["running"]}]
        found = client("ec2").describe_instances(Filters=alive)["Reservations"]
        return len(api.list_clusters()["Clusters"]), sum(len(one["Instances"]) for one in found)

    before = there()
    with pytest.raises(ClientError, match=said):
        cluster(**wrong)
    assert there() == before


@pytest.mark.parametrize("policy", ["auto_termination_policy", "managed_scaling_policy"])
def test_an_ended_cluster_says_so_where_terraform_listens(
    client: Client, cluster: Callable[..., str], policy: str
) -> None:
    made, api = cluster(), client("emr")
    api.terminate_job_flows(JobFlowIds=[made])
    assert state(client, made) == "TERMINATED"
    with pytest.raises(ClientError, match="shutting down, terminated, or finished") as refused:
        getattr(api, f"get_{policy}")(ClusterId=made)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_there_are_no_fleets(client: Client, cluster: Callable[..., str]) -> None:
    with pytest.raises(ClientError, match="mutually exclusive"):
        client("emr").list_instance_fleets(ClusterId=cluster())


@pytest.mark.parametrize("label", ["emr-7.13.0", "emr-spark-8.0.0"])
def test_both_kinds_of_release_are_known(client: Client, cluster: Callable[..., str], label: str) -> None:
    made = cluster(ReleaseLabel=label)
    assert client("emr").describe_cluster(ClusterId=made)["Cluster"]["ReleaseLabel"] == label


def test_a_rule_about_a_group_keeps_its_description(client: Client, place: dict[str, str]) -> None:
    ec2 = client("ec2")
    ec2.authorize_security_group_ingress(
        GroupId=place["connect"],
        IpPermissions=[
            {
                "IpProtocol": "tcp", "FromPort": 15443, "ToPort": 15443,
                "UserIdGroupPairs": [{"GroupId": place["connect"], "Description": "to itself"}],
            }
        ],
    )  # fmt: skip
    mine = [{"Name": "group-id", "Values": [place["connect"]]}]
    rules = ec2.describe_security_group_rules(Filters=mine)["SecurityGroupRules"]
    (rule,) = [rule for rule in rules if not rule["IsEgress"]]
    assert (rule["Description"], rule["ReferencedGroupInfo"]["GroupId"]) == ("to itself", place["connect"])
