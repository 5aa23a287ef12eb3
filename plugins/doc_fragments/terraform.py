# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    """The options that the Terraform modules share; their spec is in module_utils/_terraform/options.py."""

    DOCUMENTATION = r"""
options:
  source:
    description:
      - The folder of the root module. It is copied to O(work_dir) and never written to.
      - Modules outside of it that are called by a relative path, and files outside that are named with
        C(path.module), C(path.root) or in a function, are copied, too. The folders keep their layout, and
        Terraform runs in the one in O(work_dir) that corresponds to this.
      - A state that lies in it, from runs of Terraform by hand, is not used. If O(work_dir) has none, the
        task fails and says what to do.
    type: path
    required: true
  work_dir:
    description:
      - The folder in which Terraform runs, made if it does not exist. One for each stack. With a local
        backend the state lies here.
      - It may lie in O(source).
      - A lock lets only one run at a time work in it.
    type: path
    required: true
  variables:
    description: Input variables of any type, name to value.
    type: dict
    default: {}
  sensitive_variables:
    description:
      - Like O(variables), for values that must not be seen. They stay on the disk only while Terraform runs,
        and are masked in results and logs, unless they are shorter than 6 characters.
      - Declare them C(sensitive) in the configuration, too, so that Terraform itself masks what is made of
        them.
    type: dict
    default: {}
  backend:
    description:
      - Where the state is kept, in place of what the configuration and O(overrides) say. Without any of
        them it is kept in O(work_dir).
      - When this changes, the task fails and names both places. Move the state by hand with
        C(terraform init -migrate-state) in O(work_dir).
    type: dict
    suboptions:
      type:
        description: The type of backend, such as V(s3) or V(local).
        type: str
        required: true
      config:
        description:
          - Its settings. They are written into O(work_dir), so give credentials by the environment.
        type: dict
        default: {}
  overrides:
    description:
      - What Terraform is to read over the configuration, in its JSON syntax, such as a provider's endpoints.
      - It becomes an override file in O(work_dir), see
        U(https://developer.hashicorp.com/terraform/language/files/override).
    type: dict
    default: {}
  providers:
    description:
      - The providers to keep to, address to C(version) and C(hashes), as M(iac.ds_stack.terraform_stack)
        returns them. They go before what a C(.terraform.lock.hcl) says.
      - The task fails before anything is changed when such a version cannot be had, when its package is
        another one than was locked, or when the configuration does not take it. Providers that are not named
        here are locked in O(work_dir) alone.
    type: dict
    default: {}
  workspace:
    description: The workspace. Made if it does not exist.
    type: str
    default: default
  binary:
    description:
      - Name or path of the program. Without it the first found of C(terraform) and C(tofu).
    type: path
  plugin_cache_dir:
    description:
      - A folder in which stacks share their providers. It is made if it does not exist. Many stacks may use
        it at the same time. Not used in check mode, which writes nowhere.
    type: path
  timeout:
    description:
      - Seconds after which Terraform is asked to stop. It then finishes the operations it is in and saves its
        state, and the task fails. No limit by default.
    type: int
"""

    # For the modules that speak to a state without a configuration.
    STATE = r"""
options:
  work_dir:
    description: The folder in which Terraform runs, see M(iac.ds_stack.terraform_stack).
    type: path
    required: true
  backend:
    description: Where the state is kept. Without it the state lies in O(work_dir).
    type: dict
    suboptions:
      type:
        description: The type of backend, such as V(s3).
        type: str
        required: true
      config:
        description: Its settings. Give credentials by the environment.
        type: dict
        default: {}
  binary:
    description:
      - Name or path of the program. Without it the first found of C(terraform) and C(tofu).
    type: path
"""
