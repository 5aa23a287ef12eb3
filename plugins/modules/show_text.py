#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: show_text
short_description: Print a text as it is
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - M(ansible.builtin.debug) shows a text of several lines in the form that the output callback has for data,
    quoted and escaped. This prints it so that a person can read it and copy commands from it.
  - With C(no_log) on the task the text gets to the screen only, not to Ansible's log file (C(log_path)), nor
    to what callbacks write.
options:
  text:
    description: The text.
    type: str
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
seealso:
  - module: ansible.builtin.debug
"""

EXAMPLES = r"""
- name: Say how to go on
  iac.ds_stack.show_text:
    text: |
      The machine is ready.
      Log in at https://198.51.100.7:8000
"""

RETURN = r""" # """
