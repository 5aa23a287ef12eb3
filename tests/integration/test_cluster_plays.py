"""A cluster on moto, with the real Terraform and provider: made, seen, ended, made again, destroyed.

The tests build on each other in the order of the file.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.moto_stacks import all_but_the_record, living_stack, machines, make_image
from tests.integration.operators import REGION, Operator

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

NAME = "sparkling"
PATH = f"/ds-stack/{NAME}"
CONNECT, MACHINE = f"{PATH}/cluster/connect", f"{PATH}/machine/cluster"


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Iterator[Operator]:
    """Somebody who has a machine, whose image has Spark's client, and an image for nodes."""
    someone = Operator.with_account(
        tmp_path_factory.mktemp("an operator"),
        endpoint,
        ds_stack_name=NAME,
        ds_stack_backups={"keep_days": 0},
    )
    with living_stack(someone):
        image = make_image(someone, "1", spark="4.0.2")
        node = make_image(someone, "2", "nodes-1", part="node-image", spark="4.0.2")
        someone.variables["ds_stack_cluster"] = {"instance_type": "m5.xlarge", "image_id": node}
        someone.run("network")
        someone.run("instance")
        assert [one["ImageId"] for one in machines(someone)] == [image]
        yield someone


def lines(said: str) -> str:
    return " ".join(said.split())


def document(operator: Operator, name: str) -> dict[str, Any] | None:
    """Of a parameter; None where there is none."""
    ssm = operator.client("ssm")
    try:
        found = ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
    except ssm.exceptions.ParameterNotFound:
        return None
    assert found["Type"] == "SecureString"
    return dict(json.loads(found["Value"]))


def clusters(operator: Operator, *states: str) -> list[str]:
    """The ids of the account's clusters in some states."""
    found = operator.client("emr").list_clusters(ClusterStates=list(states) or ["WAITING", "RUNNING"])
    return [one["Id"] for one in found["Clusters"]]


def refused(operator: Operator, **variables: Any) -> str:
    """Run cluster.yml, which must stop before anything is made or spent, and return what it said."""
    before = all_but_the_record(operator)
    said = lines(operator.run("cluster", code=2, **variables))
    assert all_but_the_record(operator) == before
    assert clusters(operator) == []
    return said.replace("\\n", " ")


def with_cluster(operator: Operator, **keys: Any) -> dict[str, Any]:
    return {"ds_stack_cluster": {**operator.variables["ds_stack_cluster"], **keys}}


def test_what_cannot_be_is_told_before_anything_is_made(operator: Operator) -> None:
    """All of it at once."""
    ec2 = operator.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    zone = machines(operator)[0]["Placement"]["AvailabilityZone"]
    other = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
    said = refused(operator, **with_cluster(operator, subnet_id=other, image_id="ami-1e749f67"))
    assert f"{other} is in the VPC {vpc}, and the machine in vpc-" in said
    assert "ami-1e749f67 belongs to the account 099720109477" in said
    ec2.delete_subnet(SubnetId=other)
    ec2.delete_vpc(VpcId=vpc)


@pytest.mark.soak
def test_without_the_client_on_the_machine_no_cluster_is_made(operator: Operator) -> None:
    ec2, (machine,) = operator.client("ec2"), machines(operator)
    ec2.delete_tags(Resources=[machine["ImageId"]], Tags=[{"Key": "ds-stack:spark"}])
    assert (
        f"Nothing was done: the machine's image {machine['ImageId']} has no client of Spark, and the cluster "
        "would have Spark 4.0.2. Run site.yml first" in refused(operator)
    )
    ec2.create_tags(Resources=[machine["ImageId"]], Tags=[{"Key": "ds-stack:spark", "Value": "4.0.2"}])


def test_check_mode_shows_it(operator: Operator) -> None:
    before = all_but_the_record(operator)
    said = operator.run("cluster", "--check", "--diff")
    assert all_but_the_record(operator) == before
    assert clusters(operator) == []
    assert "secrets      token and certificate to make" in said
    assert re.search(r"^  cluster +\d+ to add$", said, re.MULTILINE)
    assert "create   module.cluster.aws_emr_cluster.this" in said
    assert "BEGIN" not in said


def test_it_is_made(operator: Operator) -> None:
    said = operator.run("cluster")
    (cluster,) = clusters(operator)
    assert f"{NAME} has a Spark cluster: {cluster}, emr-spark-8.0.0 with Spark 4.0.2." in said
    nodes, machine = document(operator, CONNECT), document(operator, MACHINE)
    assert nodes
    assert machine
    assert (nodes["idle_minutes"], machine["port"], machine["spark"]) == (60, 15443, "4.0.2")
    assert machine["token"] == nodes["token"]
    assert machine["certificate"] == nodes["certificate"]
    (primary,) = operator.client("emr").list_instances(ClusterId=cluster, InstanceGroupTypes=["MASTER"])[
        "Instances"
    ]
    assert machine["host"] == primary["PrivateIpAddress"]
    assert nodes["token"] not in said
    assert "BEGIN" not in said


def test_another_idle_time_is_set_in_place_and_kept_in_the_record(operator: Operator) -> None:
    """So that a run that mentions nothing finds nothing to change."""
    (cluster,) = clusters(operator)
    operator.run("cluster", **with_cluster(operator, idle_minutes=30))
    assert clusters(operator) == [cluster]
    policy = operator.client("emr").get_auto_termination_policy(ClusterId=cluster)["AutoTerminationPolicy"]
    assert policy == {"IdleTimeout": 1800}
    nodes = document(operator, CONNECT)
    assert nodes
    assert nodes["idle_minutes"] == 30
    before = all_but_the_record(operator)
    said = operator.elsewhere(operator.folder).run("cluster")
    assert re.search(r"changed=0\b", said)
    assert all_but_the_record(operator) == before


def test_status_tells_of_it(operator: Operator) -> None:
    (cluster,) = clusters(operator)
    said = operator.run("status")
    assert re.search(
        rf"^  Cluster      {cluster} \(emr-spark-8.0.0\), WAITING since \S+Z, 1 workers$", said, re.MULTILINE
    )


@pytest.mark.soak
def test_a_run_of_the_machine_leaves_it_alone(operator: Operator) -> None:
    """It and its nodes are no machine of the stack's, and its nodes' image none of the machine's."""
    before = clusters(operator), document(operator, MACHINE)
    said = operator.run("instance")
    assert (clusters(operator), document(operator, MACHINE)) == before
    assert re.search(r"changed=0\b", said)


def test_the_audit_knows_all_of_it(operator: Operator) -> None:
    (cluster,) = clusters(operator)
    said = operator.run("audit")
    assert re.search(
        rf"^  Spark cluster +{cluster}\n +emr-spark-8.0.0, WAITING\n +destroy.yml removes it",
        said,
        re.MULTILINE,
    )
    for kind, name in (
        ("role", f"ds-stack-{NAME}-{REGION}-emr"),
        ("role", f"ds-stack-{NAME}-{REGION}-nodes"),
        ("instance profile", f"ds-stack-{NAME}-{REGION}-nodes"),
        ("bucket", rf"{NAME}-emr-\w+"),
        ("endpoint", r"vpce-\w+"),
        ("parameter", CONNECT),
    ):
        assert re.search(rf"^  {kind} +{name}$", said, re.MULTILINE), (kind, name)
    assert "cluster node" not in said
    assert "nothing looks after" not in said


@pytest.mark.soak
def test_one_that_has_ended_by_itself(operator: Operator) -> None:
    """Status says so, and cluster.yml brings it back, with the same secrets."""
    (ended,) = clusters(operator)
    before = document(operator, CONNECT)
    operator.client("emr").terminate_job_flows(JobFlowIds=[ended])
    said = operator.run("status")
    assert re.search(
        r"^  Cluster      ended by itself at \S+Z: cluster.yml brings it back$", said, re.MULTILINE
    )
    operator.elsewhere(operator.folder).run("cluster")
    (cluster,) = clusters(operator)
    assert cluster != ended
    # The idle time is the one of the operator's file, which the run of the machine has put into the record.
    after = document(operator, CONNECT)
    assert before and after
    assert all(after[name] == before[name] for name in ("token", "certificate", "private_key"))


def test_stop_leaves_what_the_next_one_needs(operator: Operator) -> None:
    secrets = document(operator, CONNECT)
    said = operator.run("cluster_stop")
    assert f"The cluster of {NAME} has ended" in said
    assert clusters(operator) == []
    assert document(operator, MACHINE) is None
    assert document(operator, CONNECT) == secrets
    own = [{"Name": "tag:ds-stack:part", "Values": ["cluster"]}]
    ec2 = operator.client("ec2")
    assert ec2.describe_security_groups(Filters=own)["SecurityGroups"] == []
    assert ec2.describe_subnets(Filters=own)["Subnets"] == []
    assert "  Cluster      none: cluster.yml makes it" in operator.run("status")


@pytest.mark.soak
def test_a_cluster_that_no_state_has_stops_the_next(operator: Operator) -> None:
    """As after a lost state: a second one would cost, unseen."""
    tags = [{"Key": "ds-stack:name", "Value": NAME}, {"Key": "ds-stack:part", "Value": "cluster"}]
    emr, iam = operator.client("emr"), operator.client("iam")
    iam.create_instance_profile(InstanceProfileName="of-nodes")
    kinds = {"MasterInstanceType": "m5.xlarge", "SlaveInstanceType": "m5.xlarge", "InstanceCount": 2}
    lost = emr.run_job_flow(
        Name=f"ds-stack-{NAME}",
        ReleaseLabel="emr-spark-8.0.0",
        Instances={**kinds, "KeepJobFlowAliveWhenNoSteps": True},
        Tags=tags,
        JobFlowRole="of-nodes",
        ServiceRole="of-emr",
    )["JobFlowId"]
    said = lines(operator.run("cluster", code=2)).replace("\\n", " ")
    assert f"does not have: Spark cluster {lost}. They would be made a second time." in said
    said = operator.run("destroy", code=2).replace("\\n", "\n")
    assert re.search(rf"^  Spark cluster +{lost}$", said, re.MULTILINE)
    assert clusters(operator) == [lost]
    emr.terminate_job_flows(JobFlowIds=[lost])
    iam.delete_instance_profile(InstanceProfileName="of-nodes")


def test_destroy_takes_it_down_first_and_leaves_nothing(operator: Operator) -> None:
    operator.run("cluster")
    all_of_it = {
        "ds_stack_destroy_data": True,
        "ds_stack_destroy_images": True,
        "ds_stack_final_snapshot": False,
    }
    said = operator.run("destroy", **all_of_it)
    assert said.index("TASK [Destroy the cluster]") < said.index("TASK [Destroy the machine]")
    assert f"{NAME} is destroyed." in said
    assert "What the account still has of it" not in said
    assert clusters(operator) == []
    ec2, iam = operator.client("ec2"), operator.client("iam")
    own = [{"Name": "tag:ds-stack:name", "Values": [NAME]}]
    assert ec2.describe_vpcs(Filters=own)["Vpcs"] == []
    assert ec2.describe_security_groups(Filters=own)["SecurityGroups"] == []
    assert ec2.describe_images(Owners=["self"], Filters=own)["Images"] == []
    assert [one for one in iam.list_roles()["Roles"] if NAME in one["RoleName"]] == []
    found = operator.client("ssm").get_parameters_by_path(Path=PATH, Recursive=True)["Parameters"]
    assert [one["Name"] for one in found] == []
