# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
---
name: terraform_output
short_description: Read the outputs of a Terraform stack
version_added: 0.1.0
author:
  - The iac.ds_stack developers (@iac-ds-stack)
description:
  - Reads the outputs in the state of a stack that M(iac.ds_stack.terraform_stack), or a person, has applied.
  - Neither plans nor starts a provider. Runs on the control machine.
options:
  _terms:
    description:
      - Names of outputs. A sensitive one is returned in clear, as it was asked for by name.
      - Without names, one dictionary with all outputs, in which the sensitive ones are V((sensitive)).
      - An output that is null is none, as Terraform keeps none in a state.
    type: list
    elements: str
  work_dir:
    description: The folder in which Terraform runs, initialized.
    type: path
    required: true
  workspace:
    description: The workspace. The one that is selected in O(work_dir) by default.
    type: str
  binary:
    description: Name or path of the program. Without it the first found of C(terraform) and C(tofu).
    type: str
notes:
  - Values that are looked up are not masked by Ansible. Set C(no_log) on a task that uses a sensitive one.
seealso:
  - module: iac.ds_stack.terraform_stack
"""

EXAMPLES = r"""
- name: Show where the machine is
  ansible.builtin.debug:
    msg: "{{ lookup('iac.ds_stack.terraform_output', 'public_ip', work_dir='.stacks/demo/instance') }}"

- name: Show all outputs
  ansible.builtin.debug:
    msg: "{{ lookup('iac.ds_stack.terraform_output', work_dir='.stacks/demo/instance') }}"
"""

RETURN = r"""
_raw:
  description: The value of each output asked for, or one dictionary of all.
  type: list
  elements: raw
  sample: [198.51.100.17]
"""

import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display
from ansible_collections.iac.ds_stack.plugins.module_utils._run.secrets import SENSITIVE
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.errors import TerraformError
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.outputs import read_outputs
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.state import known_outputs

display = Display()


class LookupModule(LookupBase):
    """Called by Ansible."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Read the outputs; see DOCUMENTATION. Raises AnsibleLookupError."""
        self.set_options(var_options=variables, direct=kwargs)
        work_dir = Path(self.get_option("work_dir"))
        try:
            outputs, warnings = read_outputs(
                work_dir, self.get_option("binary"), self.get_option("workspace"), os.environ
            )
        except TerraformError as error:
            raise AnsibleLookupError(f"Outputs of {work_dir}: {error.message}") from error
        for warning in warnings:
            display.warning(warning)
        outputs = known_outputs(outputs)
        if not terms:
            return [
                {
                    name: SENSITIVE if item.get("sensitive") else item.get("value")
                    for name, item in outputs.items()
                }
            ]
        missing = [name for name in terms if name not in outputs]
        if missing:
            raise AnsibleLookupError(
                f"Outputs of {work_dir}: there is none called {', '.join(missing)}; "
                f"there are: {', '.join(outputs) or 'none, the stack has not been applied'}."
            )
        return [outputs[name].get("value") for name in terms]
