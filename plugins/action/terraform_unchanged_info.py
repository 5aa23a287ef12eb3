# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at all stacks at the same time where it can, else runs the module of the same name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import IO, Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.iac.ds_stack.plugins.module_utils._progress import Progress
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_options import Ending
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_unchanged import (
    ARGUMENT_SPEC,
    InvalidStackError,
    check_stacks,
    look_at,
    merge,
)
from ansible_collections.iac.ds_stack.plugins.plugin_utils import forked
from ansible_collections.iac.ds_stack.plugins.plugin_utils.forked_action import variables_of
from ansible_collections.iac.ds_stack.plugins.plugin_utils.progress import ProgressAction


class ActionModule(ProgressAction):
    """A fork for each stack, where terraform_stack has one."""

    def _start(self, task_vars: dict[str, Any] | None, lease: IO[str]) -> Callable[[], dict[str, Any]]:
        if not self._can_fork():
            return super()._start(task_vars, lease)
        given = ArgumentSpecValidator(ARGUMENT_SPEC).validate(forked.plain_arguments(self._task.args))
        if given.error_messages:
            return functools.partial(dict, failed=True, msg=given.errors.msg)
        try:
            stacks = check_stacks(given.validated_parameters["stacks"])
        except InvalidStackError as error:
            return functools.partial(dict, failed=True, msg=str(error))
        variables = variables_of(self)
        waits = {
            name: forked.start(functools.partial(_look, name, options), variables, lease.fileno())
            for name, options in stacks.items()
        }
        return lambda: merge({name: wait() for name, wait in waits.items()})


def _look(name: str, options: Mapping[str, Any]) -> Ending:
    return look_at(name, options, Progress.from_environment())
