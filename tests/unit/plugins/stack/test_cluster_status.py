"""What is made of EMR's answers."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.cluster_status import (
    ENDED,
    LIVE,
    STEP,
    Cluster,
    Step,
    clusters_of,
    connect_step,
    is_node,
    workers,
)
from ansible_collections.iac.ds_stack.plugins.modules import cluster_status

CONFIG = {"Jar": "command-runner.jar", "Properties": {}, "Args": ["sudo", "start"]}
BEGAN = datetime(2026, 11, 28, 9, 12, tzinfo=timezone.utc)


class Emr:
    """EMR with some clusters, of which each call of a list shows one."""

    def __init__(self, *clusters: dict[str, Any], steps: list[dict[str, Any]] | None = None) -> None:
        self.clusters = clusters
        self.steps = steps or []
        self.asked: list[dict[str, Any]] = []

    def list_clusters(self, **arguments: Any) -> dict[str, Any]:
        self.asked.append(arguments)
        number = int(arguments.get("Marker", 0))
        found = [one for one in self.clusters if one["Status"]["State"] in arguments["ClusterStates"]]
        more = {"Marker": str(number + 1)} if number + 1 < len(found) else {}
        return {"Clusters": found[number : number + 1], **more}

    def describe_cluster(self, **which: str) -> dict[str, Any]:
        return {"Cluster": next(one for one in self.clusters if one["Id"] == which["ClusterId"])}

    def list_steps(self, **which: Any) -> dict[str, Any]:
        number = int(which.get("Marker", 0))
        more = {"Marker": str(number + 1)} if number + 1 < len(self.steps) else {}
        return {"Steps": self.steps[number : number + 1], **more}

    def add_job_flow_steps(self, **what: Any) -> None:
        (added,) = what["Steps"]
        config = {**added["HadoopJarStep"], "Properties": {}}
        self.steps.insert(0, {"Name": added["Name"], "Config": config, "Status": {"State": "PENDING"}})

    def list_instance_groups(self, **_which: str) -> dict[str, Any]:
        counts = {"MASTER": 1, "CORE": 2, "TASK": 3}
        return {
            "InstanceGroups": [
                {"InstanceGroupType": kind, "RunningInstanceCount": count} for kind, count in counts.items()
            ]
        }


def cluster(
    name: str, state: str = "WAITING", stack: str = "demo", of: str | None = None, day: int = 28
) -> dict[str, Any]:
    """What EMR says of one. of: the stack in its tag, if that is another one than in its name."""
    return {
        "Id": name,
        "Name": f"ds-stack-{stack}",
        "ReleaseLabel": "emr-spark-8.0.0",
        "Tags": [{"Key": "ds-stack:name", "Value": of or stack}],
        "Status": {
            "State": state,
            "StateChangeReason": {"Message": "as it is"},
            "Timeline": {"CreationDateTime": BEGAN.replace(day=day)},
        },
    }


def step(state: str, **failure: Any) -> dict[str, Any]:
    status = {"State": state, **({"FailureDetails": failure} if failure else {})}
    return {"Name": STEP, "Config": CONFIG, "Status": status}


OTHER = {"Name": "other", "Status": {"State": "FAILED"}}


def test_the_stacks_own_are_found_on_all_pages() -> None:
    emr = Emr(
        cluster("j-4"),
        cluster("j-3", stack="demo2"),
        cluster("j-2", of="demo2"),
        cluster("j-1", "TERMINATED"),
    )
    assert list(clusters_of(emr, "demo", [*LIVE, *ENDED])) == [
        Cluster("j-4", "WAITING", "emr-spark-8.0.0", "as it is", "2026-11-28T09:12:00Z", ""),
        Cluster("j-1", "TERMINATED", "emr-spark-8.0.0", "as it is", "2026-11-28T09:12:00Z", ""),
    ]
    assert [one.get("Marker") for one in emr.asked] == [None, "1", "2", "3"]


def test_the_one_that_is_there_counts_and_else_the_last_one() -> None:
    """In whatever order they are listed."""
    ended = [cluster("j-1", "TERMINATED", day=9), cluster("j-2", "TERMINATED_WITH_ERRORS", day=11)]
    found = cluster_status.newest(Emr(*ended, cluster("j-0", day=1)), "demo")
    assert found and found.id == "j-0"
    for order in (ended, ended[::-1]):
        found = cluster_status.newest(Emr(*order), "demo")
        assert found and found.id == "j-2"
    assert cluster_status.newest(Emr(cluster("j-3", stack="demo2")), "demo") is None


def test_the_primary_node_is_no_worker() -> None:
    assert workers(Emr(), "j-1") == 5


@pytest.mark.parametrize(
    ("steps", "found", "failed"),
    [
        ([], Step("PENDING"), False),
        ([OTHER], Step("PENDING"), False),
        ([step("COMPLETED")], Step("COMPLETED", "", CONFIG), False),
        ([OTHER, OTHER, step("COMPLETED")], Step("COMPLETED", "", CONFIG), False),
        ([step("RUNNING"), step("FAILED")], Step("RUNNING", "", CONFIG), False),
        ([step("FAILED", Reason="Unknown Error.", Message="exit 1")], Step("FAILED", "exit 1", CONFIG), True),
        ([step("CANCELLED", Reason="Unknown Error.")], Step("CANCELLED", "Unknown Error.", CONFIG), True),
    ],
)
def test_the_step_that_starts_spark_connect(steps: list[dict[str, Any]], found: Step, failed: bool) -> None:
    assert connect_step(Emr(steps=steps), "j-1") == found
    assert found.failed is failed


def test_a_node_is_told_by_emrs_own_tag() -> None:
    assert is_node({"Tags": [{"Key": "aws:elasticmapreduce:job-flow-id", "Value": "j-1"}]})
    assert not is_node({"Tags": [{"Key": "ds-stack:part", "Value": "cluster"}]})
    assert not is_node({})


def test_it_waits_until_spark_connect_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    emr = Emr(cluster("j-1", "STARTING"), steps=[step("PENDING")])

    def later(_seconds: float) -> None:
        emr.clusters, emr.steps = (cluster("j-1"),), [step("COMPLETED")]

    monkeypatch.setattr(cluster_status.time, "sleep", later)
    found, waited = cluster_status.wait_until_ready(emr, "demo", 60)
    assert (found.id, found.state, waited < 60) == ("j-1", "WAITING", True)


@pytest.mark.parametrize(
    ("before", "start", "starts"),
    [
        ("COMPLETED", True, 2),  # it may have stopped since, of which EMR knows nothing
        ("FAILED", True, 2),
        ("RUNNING", True, 1),
        ("COMPLETED", False, 1),
    ],
)
def test_it_is_started_once_more(
    before: str, start: bool, starts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    emr = Emr(cluster("j-1"), steps=[step(before)])

    def later(_seconds: float) -> None:
        emr.steps[0]["Status"] = {"State": "COMPLETED"}

    monkeypatch.setattr(cluster_status.time, "sleep", later)
    cluster_status.wait_until_ready(emr, "demo", 60, start)
    assert len(emr.steps) == starts
    assert {tuple(one["Config"]["Args"]) for one in emr.steps} == {("sudo", "start")}


@pytest.mark.parametrize(
    ("emr", "said"),
    [
        (Emr(), "EMR has no cluster of demo."),
        (Emr(cluster("j-1", "TERMINATED_WITH_ERRORS")), "The cluster j-1 has ended. EMR says: as it is"),
        (Emr(cluster("j-1", "TERMINATING")), "The cluster j-1 has ended. EMR says: as it is"),
        (
            Emr(cluster("j-1"), steps=[step("FAILED", Message="no token")]),
            "On the cluster j-1 Spark Connect was not started (FAILED). no token Its output is in",
        ),
        (
            Emr(cluster("j-1", "BOOTSTRAPPING")),
            "The cluster j-1 was not ready within 0 seconds: it is BOOTSTRAPPING, and the start of Spark "
            "Connect is PENDING. It costs while it is there: cluster_stop.yml ends it.",
        ),
    ],
)
def test_what_will_not_be_ready_is_told(emr: Emr, said: str) -> None:
    with pytest.raises(cluster_status.NotReadyError) as error:
        cluster_status.wait_until_ready(emr, "demo", 0)
    assert str(error.value).startswith(said)
