# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Terraform modules share: options (documented in doc_fragments/terraform.py) and how they end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.iac.ds_stack.plugins.module_utils._process import exit_on_signals
from ansible_collections.iac.ds_stack.plugins.module_utils._progress import Progress
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_cli import TerraformError
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_masks import credentials_in, secrets_in
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_site import Options, Result

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


def _secrets(options: Options, result: Result) -> set[str]:
    given = secrets_in([options.sensitive_variables, *credentials_in([options.overrides, options.backend])])
    # A sensitive attribute may be as harmless as "us-east-1". What Terraform itself shows in an output is
    # no secret, and must reach the play as it is.
    shown = json.dumps(result.values.get("outputs"), ensure_ascii=False)
    found = {secret for secret in result.secrets if secret not in shown}
    return (given | found) - secrets_in(result.revealed)


def execute(module: AnsibleModule, work: Work) -> None:
    """Run what a module is for and leave the module with its result."""
    params = module.params
    progress = Progress.from_environment()
    given = {name: Path(params[name]).absolute() for name in _PATHS if params.get(name) is not None}
    names = [item.name for item in fields(Options) if item.name in params]
    options = Options(**{**{name: params[name] for name in names}, **given, "check": module.check_mode})
    result = Result()
    failure: TerraformError | None = None
    try:
        with exit_on_signals():
            work(options, progress, os.environ, result)
    except TerraformError as error:
        failure = error
    # Ansible's own list holds all values of a no_log option, also those as short as "1", which would mask
    # half of the result. So the parameters, which every result holds, are to be without them.
    module.no_log_values = _secrets(options, result)
    params["sensitive_variables"] = dict.fromkeys(options.sensitive_variables, _HIDDEN)
    for warning in result.warnings:
        module.warn(warning)
    for warning in () if progress.hidden else result.terraform_warnings:
        module.warn(f"Terraform: {warning}")
    values = {**result.values, **progress.result(), "changed": result.changed}
    if module._diff:
        values["diff"] = result.diff
    if failure is not None:
        values["changed"] = failure.changed
        values["diagnostics"] = [asdict(item) for item in failure.diagnostics]
        module.fail_json(msg=progress.failure(failure.message, values.get("log_path")), **values)
    module.exit_json(**values)
