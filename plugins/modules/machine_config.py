#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: machine_config
short_description: Tell a stack's machine its configuration
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - Writes the parameter C(/ds-stack/<stack>/machine/config), which a machine whose image was made with the
    role P(iac.ds_stack.first_boot#role) reads at boot and every minute.
  - It is no place for secrets.
options:
  stack:
    description: Name of the stack.
    type: str
    required: true
  config:
    description: The configuration.
    type: dict
    required: true
  tags:
    description: Tags of a new parameter besides C(ds-stack:name).
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
extends_documentation_fragment:
  - iac.ds_stack.attributes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: iac.ds_stack.machine_status
"""

EXAMPLES = r"""
- name: Tell the machine its configuration
  iac.ds_stack.machine_config:
    stack: demo
    config:
      schema: 1
      data_volume_id: vol-0123456789abcdef0
      tls: none
      users:
        - name: ada
"""

RETURN = r"""
version:
  description: The version of the configuration, by which the machine says what it has applied.
  returned: success
  type: int
  sample: 3
"""

import json
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from ansible_collections.iac.ds_stack.plugins.module_utils._parameters import (
    NAME_TAG,
    ParameterError,
    ParameterStore,
    Paths,
)

ARGUMENTS: dict[str, dict[str, Any]] = {
    "stack": {"type": "str", "required": True},
    "config": {"type": "dict", "required": True},
    "tags": {"type": "dict", "default": {}},
}


def write(module: AnsibleAWSModule, store: ParameterStore) -> dict[str, Any]:
    """Write the configuration unless it is there already, and return the module's result."""
    name = Paths(module.params["stack"]).config
    text = json.dumps(module.params["config"], sort_keys=True)
    found = store.get(name)
    changed = found is None or found.value != text
    version = found.version if found else 0
    if changed:
        version += 1
    if changed and not module.check_mode:
        tags = {**module.params["tags"], NAME_TAG: module.params["stack"]}
        version = store.put_text(
            name, text, description="Configuration of the machine", tags=tags, new=not found
        )
    before = json.loads(found.value) if found else {}
    return {
        "changed": changed,
        "version": version,
        "diff": {"before": before, "after": module.params["config"]},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = write(
            module, ParameterStore(module.client("ssm", retry_decorator=AWSRetry.jittered_backoff()))
        )
    except ParameterError as error:
        module.fail_json_aws_error(error)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
