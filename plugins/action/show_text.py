# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action behind iac.ds_stack.show_text."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display


class ActionModule(ActionBase):
    """Print a text as it is."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Print the text and change nothing."""
        result = super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec({"text": {"type": "str", "required": True}})
        # Everything else that is displayed is also written to Ansible's log file.
        Display().display(arguments["text"], screen_only=bool(self._task.no_log))
        return {**result, "changed": False}
