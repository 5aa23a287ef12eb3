"""What the local cloud does with a cluster's nodes as they boot, work, idle and die. None is a machine."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from moto.ec2.exceptions import InvalidSubnetIdError

from localcloud.api import clusters, emr
from localcloud.cloud import Cloud


class Ec2:
    """EC2 as far as a cluster asks it: instances that boot when the test says so."""

    def __init__(self) -> None:
        self.instances: list[SimpleNamespace] = []

    def run_instances(self, _image: str, count: int, *_more: Any, **_options: Any) -> SimpleNamespace:
        first = len(self.instances)
        made = [
            SimpleNamespace(
                id=f"i-{number}",
                state="running",
                reachable=True,
                private_ip=f"10.0.0.{number}",
                machine=None,
                stand_on=lambda _layer: None,
            )
            for number in range(first, first + count)
        ]
        self.instances += made
        return SimpleNamespace(instances=made)

    def terminate_instances(self, ids: list[str]) -> None:
        for instance in self.instances:
            if instance.id in ids:
                instance.state = "terminated"

    def associate_iam_instance_profile(self, instance_id: str, **profile: str) -> None:
        """Nobody asks for it."""

    def create_tags(self, ids: list[str], tags: dict[str, str]) -> None:
        """Nobody asks for them."""


@dataclass
class World:
    """A cluster of a primary and one core node, its life, and what the master and the clock say."""

    monkeypatch: pytest.MonkeyPatch
    ec2: Ec2 = field(default_factory=Ec2)
    now: float = 1000.0
    told: dict[str, Any] | None = None
    configured: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        backend = emr.LocalEMR("eu-west-1", "123456789012")
        self.monkeypatch.setattr(emr.LocalEMR, "ec2_backend", self.ec2)
        self.monkeypatch.setattr(emr.LocalCluster, "engine", SimpleNamespace(
            settle=lambda _cluster: None, prepare=lambda _node: None
        ))  # fmt: skip
        self.monkeypatch.setattr(clusters.time, "monotonic", lambda: self.now)
        self.monkeypatch.setattr(clusters, "_status", lambda _primary: self.told)
        self.monkeypatch.setattr(clusters, "_container", lambda instance: instance.id)
        self.monkeypatch.setattr(clusters, "podman", self.podman)
        self.cluster = emr.LocalCluster(
            backend, "test", "", "nodes", "emr", [], {"keep_job_flow_alive_when_no_steps": True}
        )
        for role in ("MASTER", "CORE"):
            backend.add_instance_groups(
                self.cluster.id,
                [{"instance_count": 1, "instance_role": role, "instance_type": "m5.xlarge"}],
            )
        self.cluster.begin()
        cloud = cast(
            Cloud,
            SimpleNamespace(lock=threading.RLock(), root_disks=SimpleNamespace(offer=lambda *_: None)),
        )
        self.life = clusters.Life(cloud, self.cluster)

    def podman(self, *arguments: str, stdin: str) -> None:
        """Note which instance was configured."""
        assert stdin
        self.configured.append(arguments[2])

    def look(self, used: int = 0, applications: int = 0, seconds: float = 0) -> None:
        """Let time pass and look at the cluster, whose workers are all there."""
        self.now += seconds
        self.life._nodes()
        workers = [
            {"state": "ALIVE", "cores": 1, "coresused": int(number < used)}
            for number in range(len(self.cluster.nodes("CORE", "TASK")))
        ]
        self.told = {"activeapps": [{}] * applications, "workers": workers}
        self.life._look()

    def lose(self, role: str) -> None:
        """Let the first node of a role die."""
        self.cluster.nodes(role)[0].ec2_instance.state = "terminated"

    def limits(self, fewest: int, most: int) -> None:
        """Set managed scaling's, with one core node."""
        self.cluster.managed_scaling_policy = {
            "ComputeLimits": {
                "MinimumCapacityUnits": fewest,
                "MaximumCapacityUnits": most,
                "MaximumCoreCapacityUnits": 1,
            }
        }


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_workers_wait_for_the_master_and_the_cluster_for_a_worker(world: World) -> None:
    world.life._look()
    assert (world.configured, world.cluster.state) == (["i-0"], "STARTING")
    world.told = {"activeapps": [], "workers": []}
    world.life._look()
    assert (world.configured, world.cluster.state) == (["i-0", "i-1"], "STARTING")
    world.look()
    assert (world.configured, world.cluster.state) == (["i-0", "i-1"], "WAITING")


@pytest.mark.parametrize("role", ["MASTER", "CORE"])
def test_a_node_that_does_not_boot_ends_the_cluster(world: World, role: str) -> None:
    world.life._look()
    world.lose(role)
    world.life._look()
    assert world.life._ended()
    assert world.cluster.state == "TERMINATED_WITH_ERRORS"
    assert "Lost nodes: i-" in str(world.cluster.last_state_change_reason)


def test_a_node_that_ec2_refuses_ends_the_cluster(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **_options: Any) -> None:
        raise InvalidSubnetIdError("subnet-1")

    monkeypatch.setattr(world.ec2, "run_instances", refuse)
    monkeypatch.setattr(clusters.spark_layer, "ensure", lambda _: None)
    world.life.run()
    assert world.cluster.state == "TERMINATED_WITH_ERRORS"
    assert "'subnet-1' does not exist" in str(world.cluster.last_state_change_reason)


def test_a_worker_that_is_lost_later_is_replaced_and_a_primary_is_not(world: World) -> None:
    world.look()
    world.lose("CORE")
    world.look()
    assert [node.ec2_instance_id for node in world.cluster.nodes("CORE")] == ["i-2"]
    world.lose("MASTER")
    world.look()
    assert world.life._ended()
    assert world.cluster.state == "TERMINATED_WITH_ERRORS"


def test_who_ends_a_cluster_is_believed(world: World) -> None:
    world.look()
    world.cluster.terminate()
    world.look()
    assert world.life._ended()
    assert (world.cluster.state, world.cluster.last_state_change_reason) == (
        "TERMINATED",
        "Terminated by user request",
    )


@pytest.mark.parametrize("applications", [0, 1])
def test_only_an_idle_cluster_ends(world: World, applications: int) -> None:
    world.cluster.auto_termination_policy = {"IdleTimeout": 60}
    world.look(seconds=300)  # what it took to start does not count
    world.look(seconds=59, applications=applications)
    assert world.cluster.state == "WAITING"
    world.look(seconds=2, applications=applications)
    assert world.cluster.state == ("WAITING" if applications else "TERMINATING")


def test_a_running_step_keeps_a_cluster(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters.threading, "Thread", lambda **_: SimpleNamespace(start=lambda: None))
    world.cluster.auto_termination_policy = {"IdleTimeout": 60}
    world.look()
    (step,) = world.cluster.add_steps([{"name": "long"}])
    world.look(seconds=50)
    assert (step.state, world.cluster.state) == ("RUNNING", "RUNNING")
    world.look(seconds=600)
    step.end("COMPLETED")
    world.look(seconds=59)
    assert world.cluster.state == "WAITING"
    world.look(seconds=2)
    assert world.cluster.state == "TERMINATING"


def test_workers_come_with_the_work_and_go_without(world: World) -> None:
    world.limits(1, 3)
    world.look()
    sizes = []
    for _ in range(4):
        world.look(seconds=20, applications=1, used=9)
        world.look(applications=1, used=9)
        sizes.append(len(world.cluster.nodes("CORE", "TASK")))
    assert sizes == [2, 3, 3, 3]
    world.look(seconds=59, applications=1)
    world.look(applications=1)
    assert len(world.cluster.nodes("CORE", "TASK")) == 3
    world.look(seconds=2, applications=1)
    world.look(applications=1)
    assert [len(world.cluster.nodes(role)) for role in ("CORE", "TASK")] == [1, 0]


def test_without_limits_nothing_is_scaled(world: World) -> None:
    world.look()
    world.look(seconds=600, applications=1, used=9)
    world.look(seconds=600)
    assert len(world.cluster.nodes("CORE", "TASK")) == 1
