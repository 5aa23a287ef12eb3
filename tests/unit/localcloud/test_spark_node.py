"""What is written on the nodes of a Spark cluster."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud import spark_node

PRIMARY, WORKER = "10.0.0.4", "10.0.0.5"
CONFIGURATIONS: list[dict[str, Any]] = [
    {
        "Classification": "spark-defaults",
        "Properties": {"spark.pyspark.python": "/opt/python", "spark.executor.memory": "2g"},
    },
    {
        "Classification": "spark-env",
        "Properties": {},
        "Configurations": [{"Classification": "export", "Properties": {"R_HOME": "/opt/it's R"}}],
    },
    {"Classification": "hive-site", "Properties": {"hive.x": "y"}},
]


def test_the_configurations_reach_spark_and_the_master_is_its_own() -> None:
    given = [*CONFIGURATIONS, {"Classification": "spark-defaults", "Properties": {"spark.master": "yarn"}}]
    assert spark_node.defaults(given, PRIMARY).splitlines() == [
        "spark.executor.cores 1",
        "spark.executor.memory 2g",
        "spark.master spark://10.0.0.4:7077",
        "spark.pyspark.python /opt/python",
    ]


@pytest.mark.parametrize("configurations", [[], None])
def test_without_configurations_an_executor_fits_into_a_worker(configurations: Any) -> None:
    lines = spark_node.defaults(configurations, PRIMARY).splitlines()
    assert "spark.executor.memory 768m" in lines
    assert spark_node.EXECUTOR_MIB < spark_node.MEMORY_MIB


def test_the_environment_is_quoted_and_has_the_nodes_own_address() -> None:
    assert spark_node.environment(CONFIGURATIONS, WORKER).splitlines() == [
        "export JAVA_HOME='/usr/lib/jvm/java-17-openjdk-amd64'",
        "export R_HOME='/opt/it'\\''s R'",
        "export SPARK_LOCAL_HOSTNAME='10.0.0.5'",
        "export SPARK_LOCAL_IP='10.0.0.5'",
    ]


@pytest.mark.parametrize(
    ("role", "address", "wanted"),
    [
        ("MASTER", PRIMARY, "deploy.master.Master --host 10.0.0.4 --port 7077"),
        ("CORE", WORKER, "deploy.worker.Worker --host 10.0.0.5 --cores 1"),
        ("TASK", WORKER, "deploy.worker.Worker --host 10.0.0.5 --cores 1"),
    ],
)
def test_the_primary_has_the_master_and_all_others_a_worker(role: str, address: str, wanted: str) -> None:
    unit = spark_node.unit(role, address, PRIMARY)
    assert wanted in unit
    assert "User=spark\n" in unit
    assert unit.rstrip().count(spark_node.master_url(PRIMARY)) == (role != "MASTER")


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["sudo", "/usr/local/bin/program", "start"], ["/usr/local/bin/program", "start"]),
        (["spark-submit", "job.py"], ["spark-submit", "job.py"]),
    ],
)
def test_a_step_is_a_command(arguments: list[str], wanted: list[str]) -> None:
    assert spark_node.command({"Jar": "command-runner.jar", "Args": arguments}) == wanted


@pytest.mark.parametrize("step", [{"Jar": "s3://jobs/my.jar", "Args": ["x"]}, {"Jar": "command-runner.jar"}])
def test_another_jar_is_refused(step: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"command-runner\.jar only"):
        spark_node.command(step)


@pytest.mark.parametrize(
    ("applications", "workers", "wanted"),
    [
        ([], [("ALIVE", 1, 0), ("ALIVE", 1, 0)], (0, 0, 2)),
        ([{}], [("ALIVE", 2, 2), ("DEAD", 4, 4)], (1, 2, 0)),
        ([{}, {}], [], (2, 0, 0)),
    ],
)
def test_the_load_is_that_of_living_workers(
    applications: list[Any], workers: list[tuple[str, int, int]], wanted: tuple[int, int, int]
) -> None:
    told = [{"state": state, "cores": cores, "coresused": used} for state, cores, used in workers]
    assert spark_node.load({"activeapps": applications, "workers": told}) == wanted
