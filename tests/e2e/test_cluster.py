"""A Spark cluster beside the machine: from a first question to the end of an idle one (`make soak`).

The tests build on each other in the order of the file, on a small stack of its own: each is a chapter.
"""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from localcloud.addresses import HOST
from localcloud.api.owner import DEBIAN_OWNER
from tests.e2e.conftest import Stack, client
from tests.e2e.visits import run_cell, signed_in

pytestmark = pytest.mark.e2e

SMALL = {"jupyterhub_kernel_environment_specs": ["python>=3.11,<3.15", "pip", "ipykernel", "pandas"]}
CLUSTER: dict[str, Any] = {
    "workers": {"min": 2, "max": 2, "core": 2},
    # Amazon Linux, which EMR wants, is not to be had here.
    "base_image": {"owner": DEBIAN_OWNER, "name": "debian-12-amd64-*", "ssh_username": "admin"},
}
VARIABLES: dict[str, Any] = {
    "ds_stack_components": ["jupyterhub"],
    "ds_stack_preset": "minimal",
    "ds_stack_image_variables": SMALL,
    "ds_stack_users": [{"name": "alice"}],
    "ds_stack_allowed_cidrs": [f"{HOST}/32"],
    "ds_stack_cluster": CLUSTER,
}
#: Seconds that anything of Spark may take on a machine that does much else.
PATIENCE = 300


@pytest.fixture(scope="module")
def stack(cloud: None, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Return a stack of a hub with a cluster, that is not made yet."""
    return Stack("sparkling", tmp_path_factory.mktemp("operator"), dict(VARIABLES))


def clusters(*states: str) -> list[str]:
    """Return the ids of the account's clusters in these states."""
    found = client("emr").list_clusters(ClusterStates=list(states))["Clusters"]
    return [cluster["Id"] for cluster in found]


def workers() -> dict[str, str]:
    """Return the living workers of the one cluster: instance → address."""
    (cluster,) = clusters("WAITING", "RUNNING")
    found = client("emr").list_instances(ClusterId=cluster, InstanceGroupTypes=["CORE", "TASK"])["Instances"]
    return {
        node["Ec2InstanceId"]: node["PrivateIpAddress"]
        for node in found
        if node["Status"]["State"] == "RUNNING"
    }


def test_python_and_r_ask_two_workers_and_are_told_what_pandas_says(stack: Stack, tmp_path: Path) -> None:
    stack.play("site")
    stack.play("cluster")
    assert len(workers()) == 2
    with signed_in(stack, tmp_path) as alice:
        wait_until_known(alice)
        assert run_cell(alice, GROUP_BY, timeout=PATIENCE) == "True"
        assert run_cell(alice, WHERE, timeout=PATIENCE) == str(
            sorted(f"ip-{one.replace('.', '-')}" for one in workers().values())
        )
        assert run_cell(alice, GROUP_BY_IN_R, "ir", PATIENCE).split() == [
            str(sum(range(k, 70000, 7))) for k in range(7)
        ]


GROUP_BY = """
import pandas
rows = pandas.DataFrame({"key": [one % 7 for one in range(70000)], "value": range(70000)})
there = spark.createDataFrame(rows).groupBy("key").sum("value").orderBy("key").toPandas()
here = rows.groupby("key", as_index=False)["value"].sum()
print(there.values.tolist() == here.values.tolist())
"""
#: In the users' own environment on each worker, with a package of it.
WHERE = """
spark.range(1).count()
from pyspark.sql.functions import udf
@udf("string")
def where(_):
    import socket, pandas
    return socket.gethostname()
found = spark.range(0, 40, 1, 40).select(where("id").alias("host")).distinct().collect()
print(sorted(row.host for row in found))
"""
GROUP_BY_IN_R = """
rows <- spark$range(70000L)$selectExpr("id % 7 as key", "id as value")
sums <- rows$groupBy("key")$sum("value")$orderBy("key")$toArrow()$to_pydict()
cat(format(unlist(sums[["sum(value)"]]), scientific = FALSE, trim = TRUE))
"""
KNOWN = "from pathlib import Path; print(Path('/etc/ds-stack/spark/remote').exists())"


def wait_until_known(user: Any) -> None:
    """Wait until the machine's timer has told its users of the cluster."""
    end = time.monotonic() + PATIENCE
    while run_cell(user, KNOWN) != "True":
        assert time.monotonic() < end
        time.sleep(5)


def test_a_worker_that_dies_in_mid_job_costs_time_alone(stack: Stack, tmp_path: Path) -> None:
    (victim, *_), said = workers(), []
    with signed_in(stack, tmp_path) as alice:
        job = threading.Thread(target=lambda: said.append(run_cell(alice, SLOW, timeout=PATIENCE)))
        job.start()
        time.sleep(40)
        assert said == []
        client("ec2").terminate_instances(InstanceIds=[victim])
        job.join(PATIENCE)
    assert said == [str((120, sum(range(120))))]
    end = time.monotonic() + PATIENCE
    while len(workers()) < 2:  # EMR replaces it
        assert time.monotonic() < end
        time.sleep(1)
    assert victim not in workers()


SLOW = """
spark.range(1).count()
from pyspark.sql.functions import udf, count, sum
@udf("long")
def slow(number):
    import time
    time.sleep(1)
    return number
print(tuple(spark.range(0, 120, 1, 24).select(slow("id").alias("id")).agg(count("id"), sum("id")).first()))
"""


def test_what_no_notebook_holds_two_small_executors_count(stack: Stack, tmp_path: Path) -> None:
    with signed_in(stack, tmp_path) as alice:
        # 39999983 is a prime, so that all its remainders are met.
        ask = "print(spark.range(40000000).selectExpr('(id * 7919) % 39999983 AS x').distinct().count())"
        assert run_cell(alice, ask, timeout=PATIENCE) == "39999983"


def test_whoever_is_not_the_machine_or_not_trusted_is_told_so_in_time(stack: Stack, tmp_path: Path) -> None:
    with signed_in(stack, tmp_path) as alice:
        told = run_cell(alice, REFUSED, timeout=PATIENCE).splitlines()
    assert [line.partition(" | ")[2] for line in told] == ["True"] * 4
    for line, words in zip(
        told,
        ("refuses the token", "refuses the token", "another certificate", "cannot be reached"),
        strict=True,
    ):
        assert words in line
    (cluster,) = clusters("WAITING", "RUNNING")
    primary = client("emr").list_instances(ClusterId=cluster, InstanceGroupTypes=["MASTER"])["Instances"][0]
    with pytest.raises(OSError), socket.create_connection((primary["PrivateIpAddress"], 15443), 5):
        pass


REFUSED = """
import re, time
from dataclasses import replace
from pathlib import Path
import ds_spark
from ds_spark import remote, session
good = remote.read()
def told(**changes):
    remote.read = lambda: replace(good, **changes)
    began = time.monotonic()
    try:
        session.connect()
        said = "connected"
    except ds_spark.ClusterError as error:
        said = str(error)
    print(said, "|", time.monotonic() - began < 16)
told(url=re.sub("token=[^;]*", "token=wrong", good.url))
told(url=re.sub(";?token=[^;]*", "", good.url))
told(certificate=Path("/etc/ssl/certs/ca-certificates.crt").read_bytes())
told(host="10.77.250.250")
"""


def test_spark_connect_that_has_stopped_is_back_before_the_cluster_has_ended(
    stack: Stack, tmp_path: Path
) -> None:
    (cluster,) = clusters("WAITING", "RUNNING")
    stop = {"Jar": "command-runner.jar", "Args": ["sudo", "/usr/local/bin/ds-stack-spark-connect", "stop"]}
    steps = [{"Name": "stop", "ActionOnFailure": "CONTINUE", "HadoopJarStep": stop}]
    (step,) = client("emr").add_job_flow_steps(JobFlowId=cluster, Steps=steps)["StepIds"]
    client("emr").get_waiter("step_complete").wait(ClusterId=cluster, StepId=step, WaiterConfig={"Delay": 2})
    stack.play("cluster")
    assert clusters("WAITING", "RUNNING") == [cluster]
    with signed_in(stack, tmp_path) as alice:
        assert run_cell(alice, GROUP_BY, timeout=PATIENCE) == "True"


def test_an_idle_cluster_ends_says_so_and_comes_back(stack: Stack, tmp_path: Path) -> None:
    (before,) = clusters("WAITING", "RUNNING")
    stack.variables["ds_stack_cluster"] = {**CLUSTER, "idle_minutes": 1}
    stack.play("cluster")
    assert clusters("WAITING", "RUNNING") == [before]  # changed in place
    end = time.monotonic() + 600
    while clusters("TERMINATED") != [before]:
        assert time.monotonic() < end
        time.sleep(5)
    assert "ended by itself" in stack.play("status").text
    stack.variables["ds_stack_cluster"] = {**CLUSTER, "idle_minutes": 30}
    stack.play("cluster")
    (after,) = clusters("WAITING", "RUNNING")
    assert after != before
    with signed_in(stack, tmp_path) as alice:
        time.sleep(60)  # as cluster.yml says
        assert run_cell(alice, GROUP_BY, timeout=PATIENCE) == "True"


def test_at_the_end_nothing_of_it_costs(stack: Stack) -> None:
    stack.play("destroy", ds_stack_replace="now", ds_stack_destroy_data=True, ds_stack_destroy_images=True)
    assert not {"instance", "image", "vpc", "subnet", "role", "parameter"} & set(stack.left())
    assert clusters("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING", "TERMINATING") == []
    buckets = [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]]
    assert [name for name in buckets if name.startswith(stack.name)] == []
