# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An action plugin that runs the module of its name in a fork, where that is the same and saves its start."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.iac.ds_stack.plugins.plugin_utils import forked

INTERPRETER = "ansible_python_interpreter"


def can_run_main(action: ActionBase, task_vars: dict[str, Any]) -> bool:
    """Whether a fork of this process is what the module would be: same machine, same user, same Python."""
    interpreter = action._templar.template(task_vars.get(INTERPRETER))
    local = action._connection.transport == "local" and action._connection.become is None
    return forked.MAIN_AVAILABLE and local and not action._task.async_val and interpreter == sys.executable


def variables_of(action: ActionBase) -> dict[str, str]:
    """The environment that the task asks for."""
    environment: dict[str, Any] = {}
    action._compute_environment_string(environment)
    return {name: str(value) for name, value in environment.items()}


def start_main(
    action: ActionBase, main: Callable[[], None], task_vars: dict[str, Any], *unwanted: int
) -> forked.Fork:
    """Start the module of the action's name, whose function `main` is, in a fork.

    unwanted: file descriptors that the fork must not hold.
    """
    arguments = dict(action._task.args)
    action._update_module_args(action._task.action, arguments, task_vars)
    return forked.start_main(main, arguments, variables_of(action), *unwanted)


def result_of(action: ActionBase, module: forked.Fork) -> dict[str, Any]:
    """Wait for the result of a module that was started."""
    said = module.wait()
    if not said:
        return module.killed()
    result: dict[str, Any] = action._parse_returned_data({"stdout": said}, forked.PROFILE)
    return result


class ForkedAction(ActionBase):
    """Runs the module of its own name. main: the module's function of that name."""

    _supports_check_mode = True
    _supports_async = True
    main: Callable[[], None]

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Called by Ansible."""
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        if not can_run_main(self, task_vars):
            wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
            result: dict[str, Any] = self._execute_module(task_vars=task_vars, wrap_async=wrap_async)
            return result
        module = start_main(self, type(self).main, task_vars)
        try:
            return result_of(self, module)
        except BaseException:  # a task timeout is no Exception
            module.stop()
            raise
