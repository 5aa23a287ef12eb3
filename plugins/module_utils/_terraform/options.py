# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Terraform modules share: options (documented in doc_fragments/terraform.py) and how they end."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.iac.ds_stack.plugins.module_utils._run.process import exit_on_signals
from ansible_collections.iac.ds_stack.plugins.module_utils._run.progress import Progress
from ansible_collections.iac.ds_stack.plugins.module_utils._run.secrets import SENSITIVE, Scrubber, leaves
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.errors import TerraformError
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.site import Options, Result

COMMON: dict[str, dict[str, Any]] = {
    "source": {"type": "path", "required": True},
    "work_dir": {"type": "path", "required": True},
    "variables": {"type": "dict", "default": {}},
    "sensitive_variables": {"type": "dict", "default": {}, "no_log": True},
    "backend": {
        "type": "dict",
        "options": {
            "type": {"type": "str", "required": True},
            "config": {"type": "dict", "default": {}},
        },
    },
    "overrides": {"type": "dict", "default": {}},
    "workspace": {"type": "str", "default": "default"},
    "binary": {"type": "path"},
    "plugin_cache_dir": {"type": "path"},
    "timeout": {"type": "int"},
}

_PATHS = ("source", "work_dir", "plugin_cache_dir")

_HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"

Work = Callable[[Options, Progress, Mapping[str, str], Result], None]
"""What a module is for."""


def execute(module: AnsibleModule, work: Work) -> None:
    """Run what a module is for and leave the module with its result."""
    params = module.params
    progress = Progress.from_environment()
    known = {item.name for item in fields(Options)}
    given = {name: value for name, value in params.items() if name in known and value is not None}
    paths = {name: Path(given[name]).absolute() for name in _PATHS if name in given}
    options = Options(**{**given, **paths, "check": module.check_mode})
    result = Result()
    failure: TerraformError | None = None
    try:
        with exit_on_signals():
            work(options, progress, os.environ, result)
    except TerraformError as error:
        failure = error
    scrubber = Scrubber(_secrets(result))
    for warning in result.warnings:
        module.warn(scrubber.text(warning))
    for warning in () if progress.hidden else result.terraform_warnings:
        module.warn(scrubber.text(f"Terraform: {warning}"))
    hidden = dict.fromkeys(options.sensitive_variables, _HIDDEN)
    values = {**result.values, "changed": result.changed}
    values["invocation"] = {"module_args": {**params, "sensitive_variables": hidden}}
    if module._diff:
        values["diff"] = result.diff
    if failure is not None:
        values["changed"] = failure.changed
        values["diagnostics"] = [asdict(item) for item in failure.diagnostics]
        values["msg"] = progress.failure(failure.message, values.get("log_path"))
    revealed = {name: value for name, value in values.get("outputs", {}).items() if name in result.revealed}
    values = {**scrubber.value(values), **progress.result()}
    if revealed:  # exactly as they are, whatever is in them
        values["outputs"].update(revealed)
    # The result is clean. Ansible's own list holds all values of a no_log option, also those as short as "1",
    # which would mask half of it, and would mask what is to be revealed.
    module.no_log_values = set()
    if failure is not None:
        module.fail_json(**values)
    module.exit_json(**values)


def _secrets(result: Result) -> set[str]:
    # A sensitive attribute may be as harmless as "us-east-1". What Terraform itself shows in an output is
    # no secret, and must reach the play as it is.
    shown = [leaf for leaf in leaves(result.values.get("outputs")) if leaf != SENSITIVE]
    return result.given | {secret for secret in result.found if not any(secret in leaf for leaf in shown)}
