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
  - All that is wrong is told in one message, each point with what to do about it.
options:
  specification:
    description: File with the argument spec, in the form of a role's C(meta/argument_specs.yml).
    type: path
    required: true
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
"""

RETURN = r""" # """
