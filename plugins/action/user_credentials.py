# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name, on the control machine without the cost of its start."""

from __future__ import annotations

from ansible_collections.iac.ds_stack.plugins.modules import user_credentials
from ansible_collections.iac.ds_stack.plugins.plugin_utils.forked_action import ForkedAction


class ActionModule(ForkedAction):
    """All else is in ForkedAction."""

    main = user_credentials.main
