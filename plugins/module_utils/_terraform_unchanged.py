# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several stacks have nothing to do: what the module terraform_unchanged_info is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.iac.ds_stack.plugins.module_utils._progress import Progress
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_options import COMMON, Ending, perform
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_plan import say_summary
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_stack import look

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {"stacks": {"type": "dict", "required": True}}

STACK_SPEC = {
    name: COMMON[name]
    for name in ("source", "work_dir", "variables", "backend", "overrides", "workspace", "binary", "timeout")
}
"""Of each stack. None of it is secret: values of sensitive variables are not kept, so cannot be compared."""

_OF_A_TASK = ("invocation", "progress", "warnings")
"""What a result says of its task and not of the stack."""


class InvalidStackError(Exception):
    """The options of a stack are not what they must be."""


def check_stacks(stacks: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The options of each stack with their defaults. Raises InvalidStackError."""
    checked = {}
    for name, options in stacks.items():
        if not isinstance(options, Mapping):
            raise InvalidStackError(f"stacks.{name}: the options of a stack are a dictionary.")
        result = ArgumentSpecValidator(STACK_SPEC).validate(options)
        if result.error_messages:
            raise InvalidStackError(f"stacks.{name}: {result.errors.msg}")
        checked[name] = {**result.validated_parameters, "sensitive_variables": {}}
    return checked


def look_at(name: str, options: Mapping[str, Any], progress: Progress) -> Ending:
    """Look whether a stack has something to do."""
    progress.prefix = f"{name}: "
    ending = perform(look, options, check=True, diff=False, progress=progress)
    if not ending.result.get("failed") and not ending.result["changed"]:
        progress.say("nothing to do")
    return ending


def merge(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The module's result, made of those of all looks."""
    unchanged = {}
    others = {}
    warnings: list[str] = []
    for name, result in results.items():
        warnings += result.get("warnings", [])
        if result.get("failed"):
            others[name] = str(result["msg"])
        elif result["changed"]:
            others[name] = f"The plan: {say_summary(result['summary'])}."
        else:
            unchanged[name] = {key: value for key, value in result.items() if key not in _OF_A_TASK}
    values = {"changed": False, "unchanged": unchanged, "others": others}
    return {**values, "warnings": list(dict.fromkeys(warnings))} if warnings else values
