# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name, and tells it which process the playbook is.

The module runs in one that ends with the task, and cannot tell which of those above it is Ansible's.
"""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.iac.ds_stack.plugins.module_utils._run.life import name_process


class ActionModule(ActionBase):
    """Add the option."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module."""
        result = super().run(tmp, task_vars)
        # An action runs in a worker, and Ansible's own process is its parent.
        arguments = {"process": name_process(os.getppid()), **self._task.args}
        return {**result, **self._execute_module(module_args=arguments, task_vars=task_vars)}
