# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name and shows Terraform's progress meanwhile."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.iac.ds_stack.plugins.plugin_utils.progress import ProgressAction


class ActionModule(ProgressAction):
    """All else is in ProgressAction."""

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Called by Ansible."""
        if self._task.no_log and boolean(self._task.args.get("confirm", False), strict=False):
            raise AnsibleActionFail(
                "`confirm` shows the plan and `no_log` forbids it. Nothing was done: leave out one of them."
            )
        return super().run(tmp, task_vars)
