"""EMR: moto's, with what Terraform needs of it; nodes are EC2's instances, and clusters live and end.

What happens on the nodes is an `Engine`'s. Without one a cluster lives on paper: what is asked for is done
at once.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar, Protocol

from moto.core.responses import ActionResult, BaseResponse, EmptyResult
from moto.core.utils import utcnow
from moto.emr import models, utils
from moto.emr.exceptions import InvalidRequestException, ValidationException
from moto.emr.responses import ElasticMapReduceResponse

from localcloud.api.rules import keep_descriptions

JSON = dict[str, Any]

ENDED = ("TERMINATED", "TERMINATED_WITH_ERRORS")
MASTER, CORE, TASK = "MASTER", "CORE", "TASK"


class Engine(Protocol):
    """Who does what a cluster is for."""

    def settle(self, cluster: "LocalCluster") -> None:
        """Bring about what the API was just asked for. Called under the lock, and returns soon."""

    def prepare(self, node: "LocalNode") -> None:
        """See to a new node before it boots. Called under the lock."""


class OnPaper:
    """For an account without machines: every state that is wanted is reached at once."""

    def settle(self, cluster: "LocalCluster") -> None:
        """Do everything now."""
        if cluster.state == "TERMINATING":
            cluster.end()
        if cluster.state in ENDED:
            return
        cluster.bring_to_count()
        for step in cluster.pending_steps():
            step.begin()
            step.end("COMPLETED")
        cluster.ready()
        if cluster.auto_terminate:
            cluster.terminate("Steps completed")

    def prepare(self, node: "LocalNode") -> None:
        """Do nothing: it does not boot."""


class LocalStep(models.Step):
    """A step that begins and ends."""

    def begin(self) -> None:
        """It runs."""
        self.state, self.start_date_time = "RUNNING", utcnow()

    def end(self, state: str, reason: str | None = None) -> None:
        """It has ended in a state of EMR's: COMPLETED, FAILED, CANCELLED."""
        self.state, self.end_date_time, self.last_state_change_reason = state, utcnow(), reason


class LocalNode(models.Instance):
    """A node, as alive as its instance.

    Attributes:
        dismissed: whether it has ended because fewer were wanted.
    """

    dismissed = False

    @property
    def alive(self) -> bool:
        """Whether the instance is there, or about to be."""
        return self.ec2_instance.state in ("pending", "running")

    @property
    def lost(self) -> bool:
        """Whether it has ended although it was wanted."""
        return not self.alive and not self.dismissed

    @property
    def status(self) -> JSON:
        """The instance's state in EMR's words."""
        known = {"pending": "PROVISIONING", "running": "RUNNING"}
        return super().status | {"State": known.get(self.ec2_instance.state, "TERMINATED")}


class LocalCluster(models.Cluster):
    """A cluster.

    Attributes:
        engine: who works for all clusters.
    """

    engine: ClassVar[Engine] = OnPaper()

    instance_collection_type = "INSTANCE_GROUP"
    scale_down_behavior = "TERMINATE_AT_TASK_COMPLETION"
    auto_termination_policy: JSON | None = None
    managed_scaling_policy: JSON | None = None
    last_state_change_reason: str | None = None
    state: str
    ready_datetime: datetime | None
    begun = failed = False

    # --- moto runs it in its constructor; here it begins when all is said that RunJobFlow says -----

    def run_bootstrap_actions(self) -> None:
        """Nothing yet; see `begin`."""

    def add_steps(self, steps: list[JSON]) -> list[LocalStep]:
        """AddJobFlowSteps, and the steps of RunJobFlow."""
        added = [LocalStep(state="PENDING", **step) for step in steps]
        self.steps.extend(added)
        self.settle()
        return added

    def begin(self) -> None:
        """RunJobFlow has said all."""
        self.begun = True
        self.scale()
        self.settle()

    def settle(self) -> None:
        """Have brought about what was asked for."""
        if self.begun:
            self.engine.settle(self)

    def ready(self) -> None:
        """The nodes are up, and what is to be done is done or under way."""
        if self.state in ("TERMINATING", *ENDED):  # since it was last looked at
            return
        self.ready_datetime = self.ready_datetime or utcnow()
        self.state = "RUNNING" if self.running_steps() else "WAITING"

    def fail(self, reason: str) -> None:
        """End it because it does not come up, or has lost its primary node."""
        self.failed = True
        self.terminate(reason)

    def terminate(self, reason: str = "Terminated by user request") -> None:
        """TerminateJobFlows, or the end of an idle cluster."""
        if self.state not in ("TERMINATING", *ENDED):
            self.state, self.last_state_change_reason = "TERMINATING", reason
            self._terminate([node for node in self.ec2_instances if node.alive])
            for step in self.steps:
                if step.state in ("PENDING", "RUNNING"):
                    step.end("CANCELLED")
            self.settle()

    def end(self) -> None:
        """The last node is gone."""
        self.state = "TERMINATED_WITH_ERRORS" if self.failed else "TERMINATED"
        self.end_datetime = utcnow()
        for group in self.instance_groups:
            group.state, group.end_date_time, group.num_instances = "TERMINATED", self.end_datetime, 0

    # --- steps ---------------------------------------------------------------------------------

    def pending_steps(self) -> list[LocalStep]:
        """Those that may begin now, in their order."""
        room = int(self.step_concurrency_level) - len(self.running_steps())
        return [step for step in self.steps if step.state == "PENDING"][: max(room, 0)]

    def running_steps(self) -> list[LocalStep]:
        """Those under way."""
        return [step for step in self.steps if step.state == "RUNNING"]

    # --- nodes ---------------------------------------------------------------------------------

    @property
    def master_public_dns_name(self) -> str | None:
        """Of the primary node, which has no public name in a private subnet."""
        node = self.primary
        return (node.public_dns_name or node.private_dns_name) if node else None

    @property
    def primary(self) -> LocalNode | None:
        """The primary node; None when it is gone."""
        return next(iter(self.nodes(MASTER)), None)

    def nodes(self, *roles: str) -> list[LocalNode]:
        """The nodes of these roles that are there, or about to be."""
        return [node for node in self.ec2_instances if node.alive and node.instance_group.role in roles]

    @property
    def worker_limits(self) -> tuple[int, int, int] | None:
        """The fewest and most workers by managed scaling, and the most core nodes among them."""
        limits = (self.managed_scaling_policy or {}).get("ComputeLimits")
        if not limits:
            return None
        most = int(limits["MaximumCapacityUnits"])
        return int(limits["MinimumCapacityUnits"]), most, int(limits.get("MaximumCoreCapacityUnits", most))

    def scale(self, by: int = 0) -> None:
        """Have so many workers more or fewer, within managed scaling's limits; above core they are tasks."""
        if self.worker_limits is None:
            return
        fewest, most, core_most = self.worker_limits
        groups = {group.role: group for group in self.instance_groups}
        if CORE not in groups:
            return
        now = sum(group.num_instances for role, group in groups.items() if role != MASTER)
        wanted = min(max(now + by, fewest), most)
        groups[CORE].set_instance_count(min(max(groups[CORE].num_instances, 1), wanted, core_most))
        tasks = wanted - groups[CORE].num_instances
        if TASK in groups:
            groups[TASK].set_instance_count(tasks)
        elif tasks:
            self.emr_backend.add_instance_groups(
                self.id,
                [
                    {
                        "instance_count": tasks,
                        "instance_role": TASK,
                        "instance_type": groups[CORE].instance_type,
                        "market": "SPOT",
                        "name": "task",
                    }
                ],
            )

    def bring_to_count(self) -> None:
        """Start and terminate nodes until each group has as many as it should."""
        for group in self.instance_groups:
            nodes = [node for node in self.ec2_instances if node.alive and node.instance_group is group]
            missing = group.num_instances - len(nodes)
            if missing > 0:
                order = {"instance_count": missing, "instance_type": group.instance_type}
                self.emr_backend.run_instances(self.id, order, group)
            elif missing < 0:
                self._terminate(nodes[missing:])

    def _terminate(self, nodes: list[LocalNode]) -> None:
        for node in nodes:
            node.dismissed = True
        if ids := [node.ec2_instance_id for node in nodes]:
            self.emr_backend.ec2_backend.terminate_instances(ids)

    def node_groups(self, role: str) -> list[str]:
        """Ids of the security groups of the nodes of a role."""
        managed, more = (
            (self.master_security_group, self.additional_master_security_groups)
            if role == MASTER
            else (self.slave_security_group, self.additional_slave_security_groups)
        )
        return [group for group in (managed, *(more or [])) if group]  # Terraform sends an empty one

    def add_tags(self, tags: dict[str, str]) -> None:
        """AddTags, and the tags of RunJobFlow: the nodes have them too."""
        super().add_tags(tags)
        if ids := [node.ec2_instance_id for node in self.ec2_instances if node.alive]:
            self.emr_backend.ec2_backend.create_tags(ids, tags)

    def node_tags(self, role: str) -> dict[str, str]:
        """The tags of a new node."""
        own = {"instance-group-role": role, "job-flow-id": self.id}
        return self._tags | {f"aws:elasticmapreduce:{name}": value for name, value in own.items()}


class LocalEMR(models.ElasticMapReduceBackend):
    """EMR of one region."""

    __module__ = "moto.emr.models"

    def run_instances(self, cluster_id: str, instances: JSON, instance_group: models.InstanceGroup) -> None:
        """Start nodes: instances of the cluster's image, in its subnet, with its groups and role."""
        cluster = self.clusters[cluster_id]
        if not cluster.begun:  # moto would start them before all is said; see `bring_to_count`
            return
        profile = "iam_instance_profile_" + ("arn" if cluster.role.startswith("arn:") else "name")
        reservation = self.ec2_backend.run_instances(
            cluster.custom_ami_id or models.EXAMPLE_AMI_ID,
            int(instances["instance_count"]),
            None,
            [],
            instance_type=instances["instance_type"],
            is_instance_type_default=False,
            subnet_id=cluster.ec2_subnet_id,
            security_group_ids=cluster.node_groups(instance_group.role),
            tags={"instance": cluster.node_tags(instance_group.role)},
            launch_config=None,
        )
        for instance in reservation.instances:
            self.ec2_backend.associate_iam_instance_profile(instance.id, **{profile: cluster.role})
            node = LocalNode(ec2_instance=instance, instance_group=instance_group)
            cluster.add_instance(node)
            cluster.engine.prepare(node)

    def forget(self, cluster_id: str) -> None:
        """Have a cluster never have been."""
        cluster = self.clusters.pop(cluster_id)
        for group in [one for one in self.instance_groups.values() if one.cluster_id == cluster_id]:
            del self.instance_groups[group.id]
        # moto notes a node after its instance is there.
        tagged = [{"name": "tag:aws:elasticmapreduce:job-flow-id", "values": [cluster.id]}]
        if left := [one.id for one in self.ec2_backend.all_instances(tagged)]:
            self.ec2_backend.terminate_instances(left)

    def modify_instance_groups(self, instance_groups: list[JSON]) -> None:
        """ModifyInstanceGroups."""
        super().modify_instance_groups(instance_groups)
        for cluster_id in {
            self.instance_groups[one["instance_group_id"]].cluster_id for one in instance_groups
        }:
            self.clusters[cluster_id].settle()


# --- calls that moto does not know, or does not do to the end; each is a method of its response -----

_moto_run_job_flow = ElasticMapReduceResponse.run_job_flow


def run_job_flow(response: ElasticMapReduceResponse) -> ActionResult:
    """RunJobFlow. One that is refused leaves nothing."""
    backend = response.backend
    before = set(backend.clusters)
    try:
        answer = _moto_run_job_flow(response)
        cluster = backend.clusters[answer.result["JobFlowId"]]
        cluster.auto_termination_policy = response._get_param("AutoTerminationPolicy")
        cluster.managed_scaling_policy = response._get_param("ManagedScalingPolicy")
        cluster.begin()
    except Exception:
        for made in backend.clusters.keys() - before:
            backend.forget(made)
        raise
    return answer


def list_instance_fleets(_response: ElasticMapReduceResponse) -> ActionResult:
    """ListInstanceFleets: no cluster here has any."""
    raise InvalidRequestException("Instance fleets and instance groups are mutually exclusive.")


def _living(response: ElasticMapReduceResponse) -> LocalCluster:
    """The cluster that a call is about. Terraform knows by these words that one has ended."""
    cluster = response.backend.describe_cluster(response._get_param("ClusterId"))
    if cluster.state in ("TERMINATING", *ENDED):
        raise ValidationException(
            "A job flow that is shutting down, terminated, or finished may not be modified."
        )
    return cluster


def _policy(name: str, attribute: str) -> dict[str, Callable[[ElasticMapReduceResponse], ActionResult]]:
    """The three calls about a cluster's policy of this name."""

    def put(response: ElasticMapReduceResponse) -> ActionResult:
        cluster = _living(response)
        setattr(cluster, attribute, response._get_param(name))
        cluster.scale()
        cluster.settle()
        return EmptyResult()

    def get(response: ElasticMapReduceResponse) -> ActionResult:
        policy = getattr(_living(response), attribute)
        return ActionResult({name: policy} if policy else {})

    def remove(response: ElasticMapReduceResponse) -> ActionResult:
        setattr(_living(response), attribute, None)
        return EmptyResult()

    return {f"put_{attribute}": put, f"get_{attribute}": get, f"remove_{attribute}": remove}


CALLS = {
    "run_job_flow": run_job_flow,
    "list_instance_fleets": list_instance_fleets,
    # moto finds the region in AWS' own host names only.
    "get_region_from_url": BaseResponse.get_region_from_url,
    **_policy("AutoTerminationPolicy", "auto_termination_policy"),
    **_policy("ManagedScalingPolicy", "managed_scaling_policy"),
}


def install(engine: Engine | None = None) -> None:
    """Make moto use our classes. Call it before the first call of EMR."""
    models.emr_backends.backend = LocalEMR
    models.Cluster = LocalCluster
    utils.ReleaseLabel.version_re = utils.re.compile(r"^emr-(?:spark-)?(\d+)\.(\d+)\.(\d+)$")
    for name, call in CALLS.items():
        setattr(ElasticMapReduceResponse, name, call)
    keep_descriptions()
    if engine:
        LocalCluster.engine = engine
