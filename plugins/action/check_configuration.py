# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind iac.ds_stack.check_configuration: it needs the play's variables, so it runs here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.configuration import find_problems
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.configuration_types import PREFIX


class ActionModule(ActionBase):
    """Compare the play's ds_stack_ variables with their specification."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with every problem at once, or change nothing."""
        result = super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(
            {
                "specification": {"type": "path", "required": True},
                "roles": {"type": "path"},
                "read_only": {"type": "bool", "default": False},
            },
        )
        options = self._options(arguments["specification"], "configuration")
        values, failures = self._work_out(options, task_vars or {})
        problems = find_problems(
            options,
            values,
            role_options=self._role_options(arguments["roles"]) if arguments["roles"] else None,
            failures=failures,
            writes=not arguments["read_only"],
        )
        if problems:
            lines = "".join(f"\n  - {problem}" for problem in problems)
            raise AnsibleActionFail(f"Nothing was done. The configuration has to be mended first:{lines}")
        return {**result, "changed": False}

    def _options(self, path: str, entry_point: str) -> Mapping[str, Any]:
        found = self._loader.load_from_file(path)["argument_specs"]
        return dict(found.get(entry_point, {}).get("options", {}))

    def _role_options(self, folder: str) -> dict[str, Any]:
        return {
            name: option
            for path in sorted(Path(folder).glob("*/meta/argument_specs.yml"))
            for name, option in self._options(str(path), "main").items()
        }

    def _work_out(
        self, options: Mapping[str, Any], task_vars: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """The values of the variables, and why some have none."""
        values, failures = {}, {}
        for name, value in task_vars.items():
            if name in options or name.startswith(PREFIX):
                try:
                    values[name] = self._templar.template(value)
                except AnsibleError as error:
                    failures[name] = str(error)
        return values, failures
