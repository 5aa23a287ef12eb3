#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
---
module: terraform_state_move
short_description: Hand a Terraform state that lies in a folder over to a backend
version_added: 0.1.0
author:
  - The iac.ds_stack developers (@iac-ds-stack)
description:
  - Gives the state C(terraform.tfstate) of O(work_dir) to O(backend) with C(terraform state push), which
    refuses a state of another origin and an older one.
  - If there is an C(errored.tfstate), which O(backend) did not take at the end of an apply, as when
    credentials expire, it is that one; and the lock that the same apply could not give back is freed.
  - If the backend has a newer state of the same origin, that one counts. If it has one of another origin, the
    task fails and tells both.
  - In any case the file stays, beside its place, with the suffix C(.moved-<time>).
  - Without such a file nothing is done, and Terraform is not started.
requirements:
  - Terraform >= 1.10 or OpenTofu >= 1.10
options:
  backend:
    description: Where the state is to be kept.
    type: dict
    required: true
    suboptions:
      type:
        description: The type of backend, such as V(s3).
        type: str
        required: true
      config:
        description: Its settings. Give credentials by the environment.
        type: dict
        default: {}
attributes:
  async:
    support: full
  check_mode:
    support: full
  diff_mode:
    support: none
    details: A state is neither short nor fit to be shown.
extends_documentation_fragment:
  - iac.ds_stack.attributes
  - iac.ds_stack.attributes.async
  - iac.ds_stack.terraform.state
seealso:
  - module: iac.ds_stack.terraform_stack
"""

EXAMPLES = r"""
- name: Keep the state of the network in a bucket from now on
  iac.ds_stack.terraform_state_move:
    work_dir: "{{ playbook_dir }}/.stacks/demo/network"
    backend:
      type: s3
      config:
        bucket: example-states
        key: demo/network.tfstate
        region: eu-central-1
        use_lockfile: true
"""

RETURN = r"""
action:
  description:
    - V(push) if the state was handed over, or would be in check mode. V(remote) if what the backend has
      counts, as the file is older, the same, or has no resources. V(nothing) if there was no file.
  returned: success
  type: str
  sample: push
kept:
  description: Where the file is now; null if there was none, and in check mode.
  returned: success
  type: str
  sample: /home/ada/.stacks/demo/network/terraform.tfstate.moved-20261127T201436Z
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.errors import TerraformError
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.handover import NOTHING, hand_over
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.options import OF_A_STATE, read_path

ARGUMENTS: dict[str, Any] = {
    **OF_A_STATE,
    "backend": {**OF_A_STATE["backend"], "required": True},
}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    try:
        done = hand_over(
            read_path("work_dir", params["work_dir"]),
            params["backend"],
            params["binary"],
            os.environ,
            check=module.check_mode,
        )
    except TerraformError as error:
        module.fail_json(msg=error.message)
    module.exit_json(
        changed=done.action != NOTHING, action=done.action, kept=str(done.kept) if done.kept else None
    )


if __name__ == "__main__":
    main()
