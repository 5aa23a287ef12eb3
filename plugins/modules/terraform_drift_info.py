#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
---
module: terraform_drift_info
short_description: Tell what differs from the Terraform state
version_added: 0.1.0
author:
  - The iac.ds_stack developers (@iac-ds-stack)
description:
  - Compares the real objects with the state of a stack (C(terraform plan -refresh-only)) and returns what was
    changed outside of Terraform.
  - Changes nothing, neither the objects nor the state nor O(work_dir), and does not lock the state.
  - Give the same options as to M(iac.ds_stack.terraform_stack).
requirements:
  - Terraform >= 1.10 or OpenTofu >= 1.10
extends_documentation_fragment:
  - iac.ds_stack.attributes
  - iac.ds_stack.attributes.action
  - iac.ds_stack.attributes.async
  - iac.ds_stack.attributes.stack
  - iac.ds_stack.terraform
  - iac.ds_stack.attributes
  - iac.ds_stack.attributes.action
  - iac.ds_stack.attributes.async
  - iac.ds_stack.attributes.stack
attributes:
  action:
    support: full
  async:
    support: full
  check_mode:
    support: full
    details:
      - This module changes nothing in any mode.
  diff_mode:
    support: full
    details:
      - One difference for each object, from what the state says to what is, with sensitive values masked.
seealso:
  - module: iac.ds_stack.terraform_stack
"""

EXAMPLES = r"""
- name: Look for changes by others
  iac.ds_stack.terraform_drift_info:
    source: "{{ playbook_dir }}/terraform/network"
    work_dir: "{{ playbook_dir }}/.stacks/demo/network"
    variables:
      name: demo
  register: network

- name: Refuse to go on when the network is not as we left it
  ansible.builtin.assert:
    that: not network.drifted
    fail_msg: "Changed by others: {{ network.drift | map(attribute='address') | join(', ') }}"
"""

RETURN = r"""
drifted:
  description: Whether anything differs.
  returned: success
  type: bool
  sample: true
drift:
  description: What differs.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The resource.
      type: str
    action:
      description: V(update) if it was changed, V(delete) if it is gone.
      type: str
    before:
      description: Its attributes as the state has them, only those that differ, sensitive ones masked.
      type: dict
    after:
      description: The same attributes as they are. Empty if the object is gone.
      type: dict
  sample:
    - address: aws_security_group.machine
      action: update
      before: {description: Made by Terraform}
      after: {description: Changed by hand}
diagnostics:
  description: Terraform's errors and warnings, as M(iac.ds_stack.terraform_stack) returns them.
  returned: always
  type: list
  elements: dict
  sample: []
workspace:
  description: The workspace.
  returned: always
  type: str
  sample: default
version:
  description: The version of Terraform or OpenTofu.
  returned: success
  type: str
  sample: 1.11.4
duration:
  description: Seconds the run took.
  returned: success
  type: float
  sample: 6.789
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.line import find_drift
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.options import COMMON
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.report import execute


def main() -> None:
    """Entry point."""
    execute(AnsibleModule(argument_spec=COMMON, supports_check_mode=True), find_drift)


if __name__ == "__main__":
    main()
