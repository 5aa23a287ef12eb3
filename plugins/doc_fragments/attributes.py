# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    """What the attributes mean; each module says what it supports."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and tell what would change without changing anything.
  diff_mode:
    description: Can show in detail what changes or would change when in diff mode.
"""

    ASYNC = r"""
options: {}
attributes:
  async:
    description: Supports being used with the C(async) keyword.
"""

    ACTION = r"""
options: {}
attributes:
  action:
    description: Has a corresponding action plugin, so that some parts of it run on the control machine.
"""

    AWS = r"""
options: {}
attributes:
  action_group:
    description: >-
      Use C(group/iac.ds_stack.aws) in C(module_defaults) to set defaults for this module, and for those of
      amazon.aws.
    support: full
    membership: [iac.ds_stack.aws]
"""

    STACK = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/iac.ds_stack.stack) in C(module_defaults) to set defaults for this module.
    support: full
    membership: [iac.ds_stack.stack]
"""
