"""EMR's clusters with a real Spark on their nodes: brought up, given steps, scaled, ended when idle."""

import gzip
import json
import subprocess
import threading
import time
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

from moto.s3.models import s3_backends

from localcloud import spark_layer, spark_node
from localcloud.api.emr import ENDED, LocalCluster, LocalNode, LocalStep
from localcloud.api.instances import LocalInstance
from localcloud.cloud import Cloud, log, logged
from localcloud.errors import LocalCloudError
from localcloud.netns import inside
from localcloud.podman import podman

#: How often a cluster is looked at, in seconds; a call of the API does not wait for it.
LOOK = 2.0
#: Between two workers more, and without any work before there are fewer.
GROW_SECONDS = 15.0
SHRINK_SECONDS = 60.0


class Spark:
    """The engine of all clusters: a thread for each."""

    def __init__(self, cloud: Cloud) -> None:
        """Nothing is fetched before the first cluster is asked for."""
        self._cloud = cloud
        self._lives: dict[str, Life] = {}

    def settle(self, cluster: LocalCluster) -> None:
        """Have the cluster's thread look at it now."""
        life = self._lives.get(cluster.id)
        if life is None:
            life = self._lives[cluster.id] = Life(self._cloud, cluster)
            threading.Thread(target=logged, args=(life.run,), name=cluster.id, daemon=True).start()
        life.wake.set()

    def prepare(self, node: LocalNode) -> None:
        """Put Spark below the root disk of a node that has not booted."""
        node.ec2_instance.stand_on(spark_layer.NAME)


class Life:
    """One cluster from its beginning to its end. moto's objects are touched under the lock alone."""

    def __init__(self, cloud: Cloud, cluster: LocalCluster) -> None:
        """See `run`."""
        self.wake = threading.Event()
        self._cloud = cloud
        self._cluster = cluster
        self._configured: set[str] = set()
        self._worked = self._grown = self._used = time.monotonic()

    def run(self) -> None:
        """Live until the cluster has ended."""
        began = time.monotonic()
        try:
            layer = spark_layer.ensure(log.info)
        except LocalCloudError as error:
            with self._cloud.lock:
                self._cluster.fail(f"Spark is not to be had: {error}")
        else:
            self._cloud.root_disks.offer(spark_layer.NAME, layer)
        while not self._ended():
            before = self._cluster.ready_datetime
            try:
                self._look()
            except LocalCloudError as error:  # of a node that ends this moment: the next look tells
                log.info("%s: %s", self._cluster.id, error)
            except Exception as error:  # EC2 refuses a node, for one
                log.exception("%s ends", self._cluster.id)
                with self._cloud.lock:
                    self._cluster.fail(str(error))
            if self._cluster.ready_datetime != before:
                log.info("%s is ready after %.1f s", self._cluster.id, time.monotonic() - began)
            self.wake.wait(LOOK)
            self.wake.clear()
        log.info("%s has ended: %s", self._cluster.id, self._cluster.last_state_change_reason)

    def _ended(self) -> bool:
        """Whether the last node is gone, once the cluster is to end."""
        with self._cloud.lock:
            nodes = [node.ec2_instance for node in self._cluster.ec2_instances]
            if self._cluster.state == "TERMINATING" and all(one.state == "terminated" for one in nodes):
                self._cluster.end()
            return self._cluster.state in ENDED

    def _look(self) -> None:
        """Have the nodes that are wanted, each with its daemon, and do what is due."""
        nodes = self._nodes()
        if nodes is None:
            return
        primary = nodes[0]
        self._configure([primary], primary)
        status = _status(primary.ec2_instance)
        if status is None:
            return
        self._configure(nodes[1:], primary)  # a worker that is there before its master loses ten seconds
        if not self._cluster.ready_datetime and not spark_node.workers(status):
            return
        with self._cloud.lock:
            if not self._cluster.ready_datetime:
                self._worked = time.monotonic()
            self._begin_steps(primary)
            self._cluster.ready()
            self._scale(*spark_node.load(status))
            self._end_idle(len(status["activeapps"]))

    def _nodes(self) -> list[LocalNode] | None:
        """Start and end nodes until there are as many as wanted: the primary and then the others.

        None when the cluster ends.
        """
        with self._cloud.lock:
            cluster = self._cluster
            if cluster.state == "TERMINATING":
                return None
            lost = [node for node in cluster.ec2_instances if node.lost]
            if any(not cluster.ready_datetime or node.instance_group.role == "MASTER" for node in lost):
                cluster.fail(f"Lost nodes: {', '.join(node.ec2_instance_id for node in lost)}")
                return None
            cluster.bring_to_count()
            return cluster.nodes("MASTER") + cluster.nodes("CORE", "TASK")

    def _configure(self, nodes: list[LocalNode], primary: LocalNode) -> None:
        """Set up those of the nodes that have booted and are not set up yet."""
        for node in nodes:
            if node.id not in self._configured and node.ec2_instance.reachable:
                text = spark_node.script(
                    node.instance_group.role,
                    self._cluster.configurations,
                    str(node.private_ip_address),
                    str(primary.private_ip_address),
                )
                podman("exec", "--interactive", _container(node.ec2_instance), "sh", stdin=text)
                self._configured.add(node.id)

    def _begin_steps(self, primary: LocalNode) -> None:
        for step in self._cluster.pending_steps():
            step.begin()
            job = partial(self._step, step, primary.ec2_instance)
            threading.Thread(target=logged, args=(job,), name=step.id, daemon=True).start()

    def _scale(self, applications: int, used: int, free: int) -> None:
        now = time.monotonic()
        if used:
            self._used = now
        if applications and used and not free and now - self._grown > GROW_SECONDS:
            self._grown = now
            self._cluster.scale(by=1)
        elif now - self._used > SHRINK_SECONDS:
            self._cluster.scale(by=-len(self._cluster.ec2_instances))

    def _end_idle(self, applications: int) -> None:
        cluster, now = self._cluster, time.monotonic()
        if applications or cluster.running_steps() or cluster.pending_steps():
            self._worked = now
            return
        limit = (cluster.auto_termination_policy or {}).get("IdleTimeout")
        if cluster.auto_terminate and cluster.steps:
            cluster.terminate("Steps completed")
        elif limit and now - self._worked > int(limit):
            cluster.terminate(f"Idle for {limit} seconds")

    def _step(self, step: LocalStep, primary: LocalInstance) -> None:
        """Run a step on the primary node, in a thread of its own."""
        try:
            command = spark_node.command(step.hadoop_jar_step)
        except ValueError as error:
            done = subprocess.CompletedProcess([], 1, b"", str(error).encode())
        else:
            done = subprocess.run(
                ["podman", "exec", _container(primary), *command],
                stdin=subprocess.DEVNULL, capture_output=True, check=False,
            )  # fmt: skip
        with self._cloud.lock:
            if step.state != "RUNNING":  # the cluster was ended meanwhile
                return
            self._keep(step, stdout=done.stdout, stderr=done.stderr)
            words = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            step.end("FAILED" if done.returncode else "COMPLETED", *words if done.returncode else ())
            if done.returncode and step.action_on_failure in ("TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW"):
                self._cluster.fail(f"Step {step.id} failed")
        log.info("step %s (%s): %s", step.id, step.name, step.state)
        self.wake.set()

    def _keep(self, step: LocalStep, **outputs: bytes) -> None:
        """Put a step's outputs where EMR puts them. Needs the lock."""
        if not self._cluster.log_uri:
            return
        bucket, _, prefix = self._cluster.log_uri.partition("://")[2].partition("/")
        backend = s3_backends[self._cluster.emr_backend.account_id]["aws"]
        if bucket in backend.buckets:
            for name, content in outputs.items():
                path = Path(prefix) / self._cluster.id / "steps" / step.id / f"{name}.gz"
                backend.put_object(bucket, str(path), gzip.compress(content))


def _container(instance: LocalInstance) -> str:
    if instance.machine is None:
        raise LocalCloudError(f"{instance.id} has ended")
    return instance.machine.spec.container


def _status(primary: LocalInstance) -> dict[str, Any] | None:
    """What the master says of itself, once it is there.

    It is asked from within the node, past its security groups.
    """
    pid = primary.machine.pid if primary.machine else None
    address = f"http://{primary.private_ip}:{spark_node.STATUS_PORT}/json/"

    def ask() -> dict[str, Any]:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return dict(json.load(answer))

    try:
        return inside(pid, ask) if pid else None
    except OSError:  # it does not listen yet, or ends this moment
        return None
