#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
---
module: terraform_stack
short_description: Plan a Terraform configuration, review the plan, apply exactly that
version_added: 0.1.0
author:
  - The iac.ds_stack developers (@iac-ds-stack)
description:
  - Runs Terraform or OpenTofu on a copy of a root module. What is applied is always the plan that was
    reviewed, also when everything is destroyed.
  - Whether something changed, the diff and the counts come from Terraform's own JSON, never from its texts.
  - The source is never written to. Terraform runs in O(work_dir), where a person can run it by hand, too.
  - Runs C(terraform init) only when Terraform asks for it.
  - Terraform runs under a supervisor of its own. When the play is interrupted, Terraform gets one SIGINT and
    the time to finish what it is doing, save its state and free its lock; the next run says what happened.
  - Progress is shown while Terraform runs on the control machine itself, which is where it belongs
    (connection P(ansible.builtin.local#connection)), and at the end when it runs on a remote host.
requirements:
  - Terraform >= 1.10 or OpenTofu >= 1.10
extends_documentation_fragment:
  - iac.ds_stack.terraform
  - iac.ds_stack.attributes
  - iac.ds_stack.attributes.action
  - iac.ds_stack.attributes.async
  - iac.ds_stack.attributes.stack
options:
  state:
    description:
      - V(present) makes the infrastructure what the configuration says.
      - V(absent) destroys all that is in the state, by a plan, under the same guards. The state and
        O(work_dir) are kept. Variables, O(backend) and O(overrides) that are not given are those of the last
        run.
    type: str
    choices: [present, absent]
    default: present
  targets:
    description: Addresses to which the plan is limited. Meant for repairs; the plan is not complete then.
    type: list
    elements: str
    default: []
  replace:
    description: Addresses of resources to be replaced even if nothing about them has changed.
    type: list
    elements: str
    default: []
  protect:
    description:
      - Patterns of addresses that may never be destroyed, which includes being replaced.
      - V(*) and V(?) stand for any text and any character. Brackets stand for themselves. A pattern covers
        all instances of a resource and all that is in a module.
      - If the plan would destroy such a resource, the task fails before anything is changed.
      - A pattern that covers nothing, neither in the state nor in the plan, gives a warning.
    type: list
    elements: str
    default: []
  max_destroys:
    description:
      - The task fails before anything is changed if the plan would destroy more resources than this,
        replacements included. No limit by default.
    type: int
  confirm:
    description:
      - Show the plan and ask at the terminal before anything is changed. What is then applied is that plan.
      - In a run that is not interactive, on a remote host and with C(async), a plan that is not empty fails.
        With C(no_log), which forbids to show the plan, the task fails at once.
    type: bool
    default: false
  refresh:
    description: Whether to ask the provider for the real objects before planning.
    type: bool
    default: true
  upgrade:
    description:
      - Run C(terraform init -upgrade), which takes the newest providers and modules that the configuration
        allows. Otherwise a O(work_dir) stays on the providers in its C(.terraform.lock.hcl), which is taken
        over from O(source) whenever it has changed there; when it has, that is the version that is used.
    type: bool
    default: false
  parallelism:
    description: How many operations Terraform runs at once. Terraform's own default is 10.
    type: int
  lock_timeout:
    description: Seconds to wait for a state that another Terraform has locked.
    type: int
    default: 0
  reveal_outputs:
    description:
      - Names of sensitive outputs to be returned exactly as they are, whatever is in them. The others are
        masked.
    type: list
    elements: str
    default: []
attributes:
  action:
    support: full
  async:
    support: full
    details:
      - Without progress, and without being stopped when the play is interrupted. Terraform is stopped, as
        described above, when the job is killed or takes longer than it may.
  check_mode:
    support: full
    details:
      - Plans without locking the state and changes nothing anywhere. Where O(work_dir) does not exist or is
        not up to date, Terraform runs in a temporary copy, so that absolute paths of files in it differ.
  diff_mode:
    support: full
    details:
      - One difference for each resource and output, with sensitive values masked.
notes:
  - Variables are given in files, so that any type survives. Sensitive ones are in a file with mode 0600
    that is removed when Terraform has ended.
  - The environment variables C(TF_CLI_ARGS*), C(TF_WORKSPACE), C(TF_DATA_DIR), C(TF_LOG*), and a
    C(TF_CLI_CONFIG_FILE) that does not exist, are ignored with a warning. C(TF_VAR_*) and the variables of
    the providers and backends are passed on.
  - With C(no_log) nothing that Terraform says is shown, neither progress nor why it failed. The log has it.
  - C(SIGINT) on the console ends the play within a second. Terraform stops by itself, as described above.
seealso:
  - module: community.general.terraform
  - module: iac.ds_stack.packer_image
"""

EXAMPLES = r"""
- name: Make the network
  iac.ds_stack.terraform_stack:
    source: "{{ playbook_dir }}/terraform/network"
    work_dir: "{{ playbook_dir }}/.stacks/demo/network"
    variables:
      name: demo
      vpc_cidr: 10.77.0.0/16
      ports: {jupyterhub: 8000, rstudio: 8787}
  register: network

- name: Make the machine in it, with the state in a bucket
  iac.ds_stack.terraform_stack:
    source: "{{ playbook_dir }}/terraform/instance"
    work_dir: "{{ playbook_dir }}/.stacks/demo/instance"
    variables:
      name: demo
      subnet_id: "{{ network.outputs.subnet_ids.values() | first }}"
    sensitive_variables:
      token: "{{ vault_token }}"
    backend: &backend
      type: s3
      config:
        bucket: example-states
        key: demo/instance.tfstate
        region: eu-central-1
        use_lockfile: true
    protect:
      - aws_ebs_volume.*
      - module.data
    max_destroys: 3
    timeout: 1800

- name: Destroy the machine
  iac.ds_stack.terraform_stack:
    source: "{{ playbook_dir }}/terraform/instance"
    work_dir: "{{ playbook_dir }}/.stacks/demo/instance"
    backend: *backend
    state: absent
"""

RETURN = r"""
outputs:
  description:
    - The outputs of the configuration, name to value. Sensitive ones are V((sensitive)) unless they are in
      O(reveal_outputs). One that is null is left out, as Terraform keeps none in a state.
    - In check mode what is not known yet is missing, be it a whole output or a key of a map. In a list it is
      null. See RV(outputs_unknown).
    - After an apply that failed they are those in the state.
  returned: success, and after an apply that failed if the state can be read
  type: dict
  sample: {subnet_ids: {us-east-1a: subnet-0a1b}, token: (sensitive)}
outputs_unknown:
  description: Names of the outputs that will be known, or wholly known, only after the apply, in check mode.
  returned: success
  type: list
  elements: str
  sample: [instance_id]
changes:
  description: What was changed, or would be in check mode. Also returned when a guard refuses the plan.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The resource.
      type: str
    action:
      description:
        - One of V(create), V(update), V(replace), V(delete), V(import), V(move), V(forget) and V(invoke).
        - V(invoke) is an C(action) block that runs, on Terraform 1.14 and later.
      type: str
    actions:
      description: Terraform's own list. Its order tells which comes first in a replacement.
      type: list
      elements: str
    reason:
      description: Terraform's own word for the reason, where it gives one.
      type: str
    previous_address:
      description: The address that the resource has in the state, if it is another one.
      type: str
    imported_id:
      description: The id of an object that is imported.
      type: str
    id:
      description: The id of an object that is destroyed, where its kind has one. Masked if it is sensitive.
      type: str
    deposed:
      description: Present and true for the remainder of an earlier replacement that could not be destroyed.
      type: bool
  sample:
    - address: terraform_data.machine
      action: replace
      actions: [delete, create]
      reason: replace_because_cannot_update
summary:
  description:
    - How many resources in RV(changes) are added, changed, and so on.
    - V(invoke) counts the C(action) blocks that run. It is there only if there are some.
  returned: success
  type: dict
  sample: {add: 0, change: 0, destroy: 0, forget: 0, import: 0, move: 0, replace: 1}
drift:
  description: Resources that were changed outside of Terraform since its last run.
  returned: success
  type: list
  elements: dict
  sample: [{address: aws_security_group.machine, action: update}]
diagnostics:
  description: Terraform's errors and warnings.
  returned: always
  type: list
  elements: dict
  contains:
    severity:
      description: V(error) or V(warning).
      type: str
    summary:
      description: What it is about.
      type: str
    detail:
      description: The whole text.
      type: str
    address:
      description: The resource, or null.
      type: str
    file:
      description: The file in O(source), or null.
      type: str
    line:
      description: The line in RV(diagnostics[].file), or null.
      type: int
    code:
      description: That line, or null.
      type: str
  sample:
    - severity: error
      summary: Resource precondition failed
      detail: There must be at least one.
      address: terraform_data.machine
      file: /home/ada/terraform/main.tf
      line: 12
      code: "      condition     = var.number > 0"
providers:
  description: The providers that the configuration uses, as Terraform has locked them.
  returned: success, but when there is nothing to destroy
  type: dict
  sample:
    registry.terraform.io/hashicorp/aws:
      version: 5.100.0
      hashes: ["h1:Ijt7pOlB7Tr7maGQIqtsLFbl7pSMIj06TVdkoSBcYOw="]
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
log_path:
  description: The file with the full text of all that Terraform said. Null in check mode.
  returned: always
  type: str
  sample: /home/ada/.stacks/demo/network/.terraform_stack/logs/20261123T201436Z-4711.log
duration:
  description: Seconds the run took.
  returned: success
  type: float
  sample: 12.345
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.line import run
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.options import COMMON
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.report import execute

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **COMMON,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "targets": {"type": "list", "elements": "str", "default": []},
    "replace": {"type": "list", "elements": "str", "default": []},
    "protect": {"type": "list", "elements": "str", "default": []},
    "max_destroys": {"type": "int"},
    "confirm": {"type": "bool", "default": False},
    "refresh": {"type": "bool", "default": True},
    "upgrade": {"type": "bool", "default": False},
    "parallelism": {"type": "int"},
    "lock_timeout": {"type": "int", "default": 0},
    "reveal_outputs": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    """Entry point."""
    execute(AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True), run)


if __name__ == "__main__":
    main()
