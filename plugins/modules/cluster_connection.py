#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_connection
short_description: Keep what a stack's machine and its Spark cluster need to trust each other
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - Keeps a token, and a certificate of Spark Connect with its key, in SSM Parameter Store. They are made
    here, on the control machine, once, and serve every cluster of the stack.
  - C(/ds-stack/<stack>/cluster/connect) is for the nodes and has all of them. With O(host) the parameter
    C(/ds-stack/<stack>/machine/cluster) tells the machine where the cluster is, with the token and the
    certificate. Both are SecureStrings, and nothing secret is ever returned or shown.
  - What is damaged is made anew, and so is a certificate that is no longer valid for 90 days.
options:
  stack:
    description: Name of the stack, 2 to 31 lower-case letters, digits and hyphens, beginning with a letter.
    type: str
    required: true
  idle_minutes:
    description: Minutes without a session after which Spark Connect ends on the cluster, V(1) to V(10080).
    type: int
    default: 60
  host:
    description:
      - IPv4 address of the cluster's primary node. Without it the machine's parameter is left as it is.
    type: str
  port:
    description: Port of Spark Connect there.
    type: int
    default: 15443
  spark:
    description:
      - Version of the cluster's Spark, which the machine's client has to be of too. Wanted with O(host).
    type: str
  regenerate:
    description:
      - Make another token and certificate, whatever there is.
      - A cluster that runs goes on with those that it has. End it before.
    type: bool
    default: false
  state:
    description:
      - V(present) keeps them. V(absent) removes both parameters, or with O(keep_secrets) the machine's alone.
    type: str
    choices: [present, absent]
    default: present
  keep_secrets:
    description:
      - With O(state=absent), whether the nodes' parameter stays for the next cluster. The machine then knows
        of none.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows neither the token nor the key, and of the certificate its digest.
requirements:
  - python >= 3.10
  - cryptography >= 42, with O(state=present)
extends_documentation_fragment:
  - iac.ds_stack.attributes
  - iac.ds_stack.attributes.aws
  - iac.ds_stack.parameters
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: iac.ds_stack.machine_config
"""

EXAMPLES = r"""
- name: Keep what the nodes of a cluster need, before there are any
  iac.ds_stack.cluster_connection:
    stack: demo
    idle_minutes: 30

- name: Tell the machine where the cluster is
  iac.ds_stack.cluster_connection:
    stack: demo
    idle_minutes: 30
    host: 10.77.240.10
    spark: 4.0.2

- name: Have the machine know of no cluster
  iac.ds_stack.cluster_connection:
    stack: demo
    state: absent
    keep_secrets: true
"""

RETURN = r"""
made:
  description: Whether a token and a certificate were made, or in check mode would be.
  returned: with O(state=present)
  type: bool
  sample: false
expires:
  description: The day after which the certificate is no longer valid; empty for one that would be made.
  returned: with O(state=present)
  type: str
  sample: "2036-11-26"
written:
  description: Parameters that were written, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [/ds-stack/demo/machine/cluster]
removed:
  description: Parameters that were removed, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: []
tagged:
  description: Parameters whose tags were changed.
  returned: success
  type: list
  elements: str
  sample: []
done:
  description: What was changed before a call of AWS failed.
  returned: when a call of AWS failed
  type: list
  elements: str
  sample: [wrote /ds-stack/demo/cluster/connect]
"""

import json
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import (
    cluster_connection as connection,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.names import OptionError, check_stack
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.parameters import (
    ForeignParameterError,
    Parameter,
    ParameterStore,
    Paths,
    Tagging,
    fail,
)

ARGUMENTS: dict[str, dict[str, Any]] = {
    "stack": {"type": "str", "required": True},
    "idle_minutes": {"type": "int", "default": 60},
    "host": {"type": "str"},
    "port": {"type": "int", "default": connection.PORT},
    "spark": {"type": "str"},
    "regenerate": {"type": "bool", "default": False},
    "tags": {"type": "dict"},
    "purge_tags": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "keep_secrets": {"type": "bool", "default": False, "no_log": False},
}

DESCRIPTIONS = ("Token and certificate of the cluster's nodes", "Where the cluster is, for the machine")


def read(store: ParameterStore, name: str) -> Parameter | None:
    """Return a parameter, decrypted. Raises ForeignParameterError."""
    found = store.get(name, decrypt=True)
    if found:
        found.require(name, "SecureString")
    return found


def present(module: AnsibleAWSModule, store: ParameterStore) -> dict[str, Any]:
    """Keep the parameters and return the module's result."""
    options = module.params
    paths = Paths(check_stack(options["stack"]))
    idle_minutes = connection.check_idle_minutes(options["idle_minutes"])
    port = connection.check_port(options["port"])
    host = spark = None
    if options["host"] is not None:
        host, spark = connection.check_host(options["host"]), connection.check_spark(options["spark"])
    tagging = Tagging.of(paths.stack, options["tags"], options["purge_tags"])
    connection.require()
    there = {name: read(store, name) for name in (paths.connect, paths.machine_cluster)}
    before = {name: connection.parse(one.value) if one else {} for name, one in there.items()}
    now = connection.now()
    found = None if options["regenerate"] else connection.usable(before[paths.connect], now)
    secrets = found or connection.make(now)
    module.no_log_values.update(secrets.hidden | _hidden(before))
    after = {paths.connect: secrets.of_nodes(idle_minutes)}
    if host and spark:
        after[paths.machine_cluster] = secrets.of_machine(host, port, spark)
    fresh = [name for name, document in after.items() if before[name] != document]
    retagged = tagging.changes(store, [name for name in after if there[name]])
    if not module.check_mode:
        # The nodes' first: what the machine is told, the cluster knows.
        for name, description in zip(after, DESCRIPTIONS, strict=False):
            if name in fresh:
                store.put_secret(
                    name,
                    json.dumps(after[name]),
                    description=description,
                    kms_key_id=None,
                    tags=tagging.wanted,
                    new=not there[name],
                )
        for name, change in retagged.items():
            store.change_tags(name, change)
    is_there = bool(found) or not module.check_mode
    return {
        "changed": bool(fresh or retagged),
        "made": found is None,
        "expires": connection.expires(secrets.certificate) if is_there else "",
        "written": fresh,
        "removed": [],
        "tagged": list(retagged),
        "diff": {"before": _shown(before), "after": _shown({**before, **after})},
    }


def _hidden(documents: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """What is secret in what was found, of which there may be more than is still used."""
    values = (one.get(name) for one in documents.values() for name in ("token", "private_key"))
    return {value for value in values if isinstance(value, str) and value}


def _shown(documents: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: connection.shown(one) for name, one in documents.items() if one}


def absent(module: AnsibleAWSModule, store: ParameterStore) -> dict[str, Any]:
    """Remove the parameters, both or the machine's alone, and return the module's result."""
    paths = Paths(check_stack(module.params["stack"]))
    names = [paths.machine_cluster, *([] if module.params["keep_secrets"] else [paths.connect])]
    doomed = [name for name in names if store.get(name)]
    if not module.check_mode:
        store.delete(doomed)
    return {
        "changed": bool(doomed),
        "written": [],
        "removed": doomed,
        "tagged": [],
        "diff": {"before": {"parameters": doomed}, "after": {"parameters": []}},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(
        argument_spec=ARGUMENTS, required_by={"host": ["spark"]}, supports_check_mode=True
    )
    store = ParameterStore(module.client("ssm", retry_decorator=AWSRetry.jittered_backoff()))
    try:
        work = present if module.params["state"] == "present" else absent
        result = work(module, store)
    except (OptionError, ForeignParameterError) as error:
        module.fail_json(msg=str(error))
    except ImportError as error:
        module.fail_json(msg=missing_required_lib("cryptography"), exception=str(error))
    except AnsibleAWSError as error:
        fail(module, store, error)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
