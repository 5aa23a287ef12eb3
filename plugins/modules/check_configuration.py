#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: check_configuration
short_description: Check the variables of a stack
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - Compares every variable of the play that begins with C(ds_stack_) with their specification, and
    checks what a type cannot say, such as networks and names.
  - A text has to be a text, and a list a list, since YAML reads C(no), C(012) or a date as something else.
    Only what a command line cannot say otherwise is converted, a number or a truth value in C(-e name=value).
  - All that is wrong is told in one message, each point with what to do about it.
options:
  specification:
    description: File with the argument spec, in the form of a role's C(meta/argument_specs.yml).
    type: path
    required: true
  roles:
    description:
      - Folder of the roles that make the image. The variables for them, in C(ds_stack_image_variables) and
        C(ds_stack_downloads), are compared with the argument specs there.
    type: path
  read_only:
    description: Whether nothing will be written on this machine, so that its files are not looked at.
    type: bool
    default: false
extends_documentation_fragment:
  - iac.ds_stack.attributes
  - iac.ds_stack.attributes.action
attributes:
  action:
    support: full
  check_mode:
    support: full
  diff_mode:
    support: none
notes:
  - This runs on the control machine only.
"""

EXAMPLES = r"""
- name: Check the configuration
  iac.ds_stack.check_configuration:
    specification: "{{ role_path }}/meta/argument_specs.yml"
    roles: "{{ role_path | dirname }}"
"""

RETURN = r""" # """
