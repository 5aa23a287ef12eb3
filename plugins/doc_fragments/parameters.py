# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    """The options that the modules share which keep a stack's parameters in SSM."""

    DOCUMENTATION = r"""
options:
  tags:
    description:
      - Tags of the parameters besides C(ds-stack:name). A number or a truth value becomes the text that JSON
        has for it, and a tag whose value is null is left as it is.
    type: dict
  purge_tags:
    description: Whether to remove tags that are not among O(tags). Without O(tags) none is removed.
    type: bool
    default: false
"""
