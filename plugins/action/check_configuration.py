# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind iac.ds_stack.check_configuration: it needs the play's variables, so it runs here."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleUndefinedVariable
from ansible.plugins.action import ActionBase
from ansible_collections.iac.ds_stack.plugins.module_utils._configuration import PREFIX, find_problems


class ActionModule(ActionBase):
    """Compare the play's ds_stack_ variables with their specification."""

    _requires_connection = False
    _supports_check_mode = True
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with every problem at once, or change nothing."""
        result = super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(
            {"specification": {"type": "path", "required": True}},
        )
        specification = self._loader.load_from_file(arguments["specification"])
        options = specification["argument_specs"]["configuration"]["options"]
        problems = find_problems(options, self._values(task_vars or {}))
        if problems:
            lines = "".join(f"\n  - {problem}" for problem in problems)
            raise AnsibleActionFail(f"Nothing was done. The configuration has to be mended first:{lines}")
        return {**result, "changed": False}

    def _values(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        values = {}
        for name, value in task_vars.items():
            if name.startswith(PREFIX):
                try:
                    values[name] = self._templar.template(value)
                except AnsibleUndefinedVariable:
                    # A default that is made of a variable which is missing: that one is the problem.
                    continue
        return values
