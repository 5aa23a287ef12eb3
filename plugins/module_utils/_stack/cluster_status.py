# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a stack's Spark cluster is, as EMR says it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.errors import AWSErrorHandler
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.tagging import boto3_tag_list_to_ansible_dict

from .._packer.images import NAME_TAG

STARTING = ("STARTING", "BOOTSTRAPPING")
WORKING = ("RUNNING", "WAITING")
LIVE = (*STARTING, *WORKING, "TERMINATING")
ENDED = ("TERMINATED", "TERMINATED_WITH_ERRORS")

NODE_TAG = "aws:elasticmapreduce:job-flow-id"
STEP = "Start Spark Connect"
"""Name of the step that terraform/modules/cluster has EMR run first."""

Client = Any


class ClusterError(AnsibleAWSError):
    """A call of EMR failed."""


class _Handler(AWSErrorHandler):
    _CUSTOM_EXCEPTION = ClusterError


@dataclass(frozen=True)
class Cluster:
    """A cluster of EMR.

    state: EMR's word. reason: why it is in that state, in EMR's words, empty without one.
    began, ended: when, in UTC, empty where it has not yet.
    """

    id: str
    state: str
    release: str
    reason: str = ""
    began: str = ""
    ended: str = ""

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Cluster:
        """Read what DescribeCluster says of one."""
        status = found["Status"]
        times = status.get("Timeline", {})
        return cls(
            found["Id"],
            status["State"],
            found.get("ReleaseLabel", ""),
            status.get("StateChangeReason", {}).get("Message", ""),
            _time(times.get("CreationDateTime")),
            _time(times.get("EndDateTime")),
        )


@dataclass(frozen=True)
class Step:
    """The step that starts Spark Connect. detail: why it has failed. config: what it runs, as EMR says."""

    state: str
    detail: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether there will be no Spark Connect."""
        return self.state in ("FAILED", "CANCELLED", "INTERRUPTED")

    @property
    def over(self) -> bool:
        """Whether EMR is done with it."""
        return self.failed or self.state == "COMPLETED"


def is_node(instance: Mapping[str, Any]) -> bool:
    """Whether an instance is of a cluster, by the tag that EMR gives it."""
    return any(tag["Key"] == NODE_TAG for tag in instance.get("Tags", []))


def clusters_of(emr: Client, stack: str, states: Collection[str]) -> Iterator[Cluster]:
    """The clusters of a stack in some states, of those that have ended the ones of the last two months.

    Raises ClusterError.
    """
    page: dict[str, Any] = {"ClusterStates": list(states)}
    while True:
        found = _call(emr, "list_clusters", "list the clusters", **page)
        for one in found["Clusters"]:
            # By the name first: each look at the tags is a call of its own.
            if one["Name"] == f"ds-stack-{stack}":
                doing = f"look at the cluster {one['Id']}"
                cluster = _call(emr, "describe_cluster", doing, ClusterId=one["Id"])["Cluster"]
                if boto3_tag_list_to_ansible_dict(cluster.get("Tags", [])).get(NAME_TAG) == stack:
                    yield Cluster.parse(cluster)
        if not found.get("Marker"):
            return
        page["Marker"] = found["Marker"]


def workers(emr: Client, cluster_id: str) -> int:
    """How many nodes work at present, beside the primary one. Raises ClusterError."""
    found = _call(emr, "list_instance_groups", "count the nodes", ClusterId=cluster_id)
    return sum(
        int(group.get("RunningInstanceCount", 0))
        for group in found["InstanceGroups"]
        if group["InstanceGroupType"] != "MASTER"
    )


def connect_step(emr: Client, cluster_id: str) -> Step:
    """How the last start of Spark Connect goes; without its step it is pending. Raises ClusterError."""
    page = {"ClusterId": cluster_id}
    while True:
        found = _call(emr, "list_steps", "look at the cluster's steps", **page)
        for step in found["Steps"]:  # the newest first
            if step["Name"] == STEP:
                status = step["Status"]
                failure = status.get("FailureDetails", {})
                detail = failure.get("Message") or failure.get("Reason") or ""
                return Step(status["State"], detail, step["Config"])
        if not found.get("Marker"):
            return Step("PENDING")
        page["Marker"] = found["Marker"]


def start_connect(emr: Client, cluster_id: str, step: Step) -> None:
    """Have EMR run the step once more. Raises ClusterError."""
    runs = {name: step.config[name] for name in ("Jar", "Args")}
    again = {"Name": STEP, "ActionOnFailure": "CONTINUE", "HadoopJarStep": runs}
    _call(emr, "add_job_flow_steps", "start Spark Connect", JobFlowId=cluster_id, Steps=[again])


def _call(emr: Client, operation: str, doing: str, **arguments: Any) -> Any:
    return _Handler.common_error_handler(doing)(getattr(emr, operation))(**arguments)


def _time(when: datetime | None) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ") if when else ""
