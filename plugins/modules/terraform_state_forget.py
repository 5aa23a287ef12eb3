#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
---
module: terraform_state_forget
short_description: Let a Terraform state forget a resource that is kept
version_added: 0.1.0
author:
  - The iac.ds_stack developers (@iac-ds-stack)
description:
  - Takes the resource with O(id) out of a state with C(terraform state rm), at whichever addresses it stands.
    The resource itself is not touched, and is nobody's from then on.
  - So another one can be imported at that address.
  - A state that does not have it, or does not exist, is as wanted.
  - Neither the provider nor the code is needed. The state is locked meanwhile.
requirements:
  - Terraform >= 1.10 or OpenTofu >= 1.10
options:
  id:
    description: The id of the resource, as its provider has it.
    type: str
    required: true
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
- name: Keep a volume without Terraform
  iac.ds_stack.terraform_state_forget:
    work_dir: "{{ playbook_dir }}/.stacks/demo/data"
    id: vol-0123456789abcdef0
"""

RETURN = r"""
addresses:
  description: The addresses that were forgotten, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [module.data_volume.aws_ebs_volume.this]
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.errors import TerraformError
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.forget import forget
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.options import OF_A_STATE, read_path

ARGUMENTS: dict[str, Any] = {
    **OF_A_STATE,
    "id": {"type": "str", "required": True},
}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    try:
        addresses = forget(
            read_path("work_dir", params["work_dir"]),
            params["backend"],
            params["id"],
            params["binary"],
            os.environ,
            check=module.check_mode,
        )
    except TerraformError as error:
        module.fail_json(msg=error.message)
    module.exit_json(changed=bool(addresses), addresses=addresses)


if __name__ == "__main__":
    main()
