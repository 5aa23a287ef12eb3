#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
---
module: terraform_unchanged_info
short_description: Tell which of several stacks have nothing to do, with one look at all of them
version_added: 0.1.0
author:
  - The iac.ds_stack developers (@iac-ds-stack)
description:
  - Plans several stacks and returns those for which M(iac.ds_stack.terraform_stack) would have nothing to do.
    A play can leave those out.
  - On the control machine itself (connection P(ansible.builtin.local#connection)) the stacks are planned at
    the same time, elsewhere one after the other.
  - A stack is planned only if its source, variables and settings are those of its last run, and that came to
    its end. Any other has something to do, so that no time is spent on a plan that will be made again.
  - Changes nothing and does not lock the state.
requirements:
  - Terraform >= 1.10 or OpenTofu >= 1.10
options:
  stacks:
    description:
      - The stacks by names of your own. The options of each are C(source), C(work_dir), C(variables),
        C(backend), C(overrides), C(workspace), C(binary) and C(timeout), as for
        M(iac.ds_stack.terraform_stack).
      - There are no C(sensitive_variables), as their values are not kept and cannot be compared. A stack that
        needs some is planned without them, which fails, so that it always has something to do.
    type: dict
    required: true
attributes:
  async:
    support: full
  check_mode:
    support: full
    details:
      - This module changes nothing in any mode.
  diff_mode:
    support: none
extends_documentation_fragment:
  - iac.ds_stack.attributes
  - iac.ds_stack.attributes.async
seealso:
  - module: iac.ds_stack.terraform_stack
  - module: iac.ds_stack.terraform_drift_info
"""

EXAMPLES = r"""
- name: Look which stacks have something to do
  iac.ds_stack.terraform_unchanged_info:
    stacks:
      network:
        source: "{{ playbook_dir }}/terraform/network"
        work_dir: "{{ playbook_dir }}/.stacks/demo/network"
        variables: &variables
          name: demo
          vpc_cidr: 10.77.0.0/16
          ports: {jupyterhub: 8000, rstudio: 8787}
      database:
        source: "{{ playbook_dir }}/terraform/database"
        work_dir: "{{ playbook_dir }}/.stacks/demo/database"
  register: looked

- name: Make the network
  iac.ds_stack.terraform_stack:
    source: "{{ playbook_dir }}/terraform/network"
    work_dir: "{{ playbook_dir }}/.stacks/demo/network"
    variables: *variables
  when: "'network' not in looked.unchanged"
"""

RETURN = r"""
unchanged:
  description:
    - The stacks that have nothing to do, by name. Of each what M(iac.ds_stack.terraform_stack) would return.
  returned: success
  type: dict
  contains:
    outputs:
      description: The outputs of the configuration, sensitive ones masked.
      type: dict
  sample:
    network:
      changed: false
      changes: []
      diagnostics: []
      drift: []
      duration: 2.214
      log_path: null
      outputs: {vpc_id: vpc-0a1b2c3d}
      outputs_unknown: []
      summary: {add: 0, change: 0, destroy: 0, forget: 0, import: 0, move: 0, replace: 0}
      version: 1.11.4
      workspace: default
others:
  description: The other stacks by name, and what is known of why.
  returned: success
  type: dict
  sample:
    database: "The plan: 1 to change."
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.iac.ds_stack.plugins.module_utils._progress import Progress
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_unchanged import (
    ARGUMENT_SPEC,
    InvalidStackError,
    check_stacks,
    look_at,
    merge,
)


def main() -> None:
    """Look at one stack after the other."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        stacks = check_stacks(module.params["stacks"])
    except InvalidStackError as error:
        module.fail_json(msg=str(error))
    progress = Progress.from_environment()
    endings = {name: look_at(name, options, progress) for name, options in stacks.items()}
    module.no_log_values = set().union(*(ending.secrets for ending in endings.values()))
    for ending in endings.values():
        for warning in ending.warnings:
            module.warn(warning)
    result = merge({name: ending.result for name, ending in endings.items()})
    module.exit_json(**result, **progress.result())


if __name__ == "__main__":
    main()
