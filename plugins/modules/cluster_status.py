#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_status
short_description: Tell how a stack's Spark cluster is, or wait for it
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - Asks EMR for the newest cluster of a stack, one that has ended in the last two months among them, by its
    name C(ds-stack-<stack>) and its tag C(ds-stack:name).
  - With O(wait) it waits until the step of the cluster that starts Spark Connect has done so.
  - With O(start) it has EMR run that step once more before, as Spark Connect may have stopped for lack of use
    on a cluster that is still there. One that runs goes on, so that this is not counted as a change.
options:
  stack:
    description: Name of the stack, 2 to 31 lower-case letters, digits and hyphens, beginning with a letter.
    type: str
    required: true
  wait:
    description:
      - Whether to wait until Spark Connect answers there. Fails for a cluster that ends before, and for none.
    type: bool
    default: false
  start:
    description: With O(wait), whether a cluster that works is to start Spark Connect once more.
    type: bool
    default: false
  timeout:
    description: Seconds to wait.
    type: int
    default: 900
attributes:
  check_mode:
    support: full
    details: Starts nothing.
  diff_mode:
    support: N/A
    details: This module changes nothing.
extends_documentation_fragment:
  - iac.ds_stack.attributes
  - iac.ds_stack.attributes.aws
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: iac.ds_stack.cluster_connection
"""

EXAMPLES = r"""
- name: Ask how the cluster is
  iac.ds_stack.cluster_status:
    stack: demo
  register: demo

- name: Say so
  ansible.builtin.debug:
    msg: "{{ demo.cluster.state | default('there is none') }}"
"""

RETURN = r"""
cluster:
  description: The cluster, without keys where there is none.
  returned: success
  type: dict
  sample:
    id: j-1K48XXXXXXHCB
    state: WAITING
    release: emr-spark-8.0.0
    reason: Cluster ready to run steps.
    began: "2026-11-28T09:12:00Z"
    ended: ""
    workers: 2
    live: true
  contains:
    id:
      description: Its id.
      type: str
    state:
      description: EMR's word for how it is.
      type: str
    release:
      description: EMR's release.
      type: str
    reason:
      description: Why it is so, in EMR's words.
      type: str
    began:
      description: When it was made, in UTC.
      type: str
    ended:
      description: When it ended, in UTC; empty for one that has not.
      type: str
    workers:
      description: How many nodes work beside the primary one. 0 for one that has ended.
      type: int
    live:
      description: Whether it is there, and costs.
      type: bool
machine_knows:
  description:
    - Whether the machine has been told of a cluster, by the parameter that M(iac.ds_stack.cluster_connection)
      keeps. Where it has and RV(cluster) is not live, that one has ended by itself.
  returned: success
  type: bool
  sample: true
waited:
  description: Seconds that passed until then.
  returned: success
  type: float
  sample: 84.2
"""

import time
from dataclasses import asdict
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import cluster_status as clusters
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.cluster_status import Cluster
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.names import OptionError, check_stack
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.parameters import ParameterStore, Paths

PAUSE_SECONDS = 5.0

ARGUMENTS: dict[str, Any] = {
    "stack": {"type": "str", "required": True},
    "wait": {"type": "bool", "default": False},
    "start": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 900},
}


class NotReadyError(Exception):
    """There is no cluster, it has ended, or the time is up."""


def newest(emr: Any, stack: str) -> Cluster | None:
    """Return the stack's cluster; of those that have ended the last one."""
    for states in (clusters.LIVE, clusters.ENDED):
        if found := list(clusters.clusters_of(emr, stack, states)):
            return max(found, key=lambda one: one.began)
    return None


def wait_until_ready(emr: Any, stack: str, timeout: float, start: bool = False) -> tuple[Cluster, float]:
    """Wait until Spark Connect was started; the cluster, and the seconds that took. Raises NotReadyError.

    start: once more, on a cluster that works already.
    """
    began = time.monotonic()
    while True:
        found = newest(emr, stack)
        if found is None:
            raise NotReadyError(f"EMR has no cluster of {stack}.")
        if found.state in clusters.ENDED or found.state == "TERMINATING":
            raise NotReadyError(f"The cluster {found.id} has ended. EMR says: {found.reason or found.state}")
        step = clusters.connect_step(emr, found.id)
        waited = time.monotonic() - began
        again, start = start and found.state in clusters.WORKING and step.over, False
        if again:
            clusters.start_connect(emr, found.id, step)
            continue
        if step.failed:
            raise NotReadyError(
                f"On the cluster {found.id} Spark Connect was not started ({step.state}). {step.detail} Its "
                f"output is in the cluster's logs: aws emr list-steps --cluster-id {found.id}"
            )
        if found.state in clusters.WORKING and step.state == "COMPLETED":
            return found, waited
        if waited >= timeout:
            raise NotReadyError(
                f"The cluster {found.id} was not ready within {timeout:.0f} seconds: it is {found.state}, "
                f"and the start of Spark Connect is {step.state}. It costs while it is there: "
                "cluster_stop.yml ends it."
            )
        time.sleep(PAUSE_SECONDS)


def run(module: AnsibleAWSModule) -> dict[str, Any]:
    """Do what the task asks for and return the module's result."""
    stack = check_stack(module.params["stack"])
    emr = module.client("emr")
    store = ParameterStore(module.client("ssm", retry_decorator=AWSRetry.jittered_backoff()))
    waited = 0.0
    if module.params["wait"]:
        start = module.params["start"] and not module.check_mode
        cluster, waited = wait_until_ready(emr, stack, module.params["timeout"], start)
        found: Cluster | None = cluster
    else:
        found = newest(emr, stack)
    return {
        "changed": False,
        "cluster": describe(emr, found) if found else {},
        "machine_knows": store.get(Paths(stack).machine_cluster) is not None,
        "waited": round(waited, 1),
    }


def describe(emr: Any, found: Cluster) -> dict[str, Any]:
    """What the playbooks want to know of a cluster."""
    live = found.state in clusters.LIVE
    return {**asdict(found), "live": live, "workers": clusters.workers(emr, found.id) if live else 0}


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module)
    except (OptionError, NotReadyError) as error:
        module.fail_json(msg=str(error))
    except AnsibleAWSError as error:
        module.fail_json_aws_error(error)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
