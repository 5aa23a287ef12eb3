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
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_masks import (
    SHORTEST_SECRET,
    credentials_in,
    secrets_in,
)
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


def _take_secrets(module: AnsibleModule) -> dict[str, Any]:
    """Take `sensitive_variables` out of the parameters, so that no result can hold them.

    Ansible masks the values of a no_log option wherever they occur in a result, also values as short as
    "1", which would mask half of it. The short ones are dropped from that list; that is why the parameter
    itself, which is part of every result, must not hold them any more.
    """
    secrets: dict[str, Any] = module.params["sensitive_variables"]
    module.params["sensitive_variables"] = dict.fromkeys(secrets, _HIDDEN)
    kept = {value for value in module.no_log_values if len(value) >= SHORTEST_SECRET}
    options = (module.params["overrides"], module.params["backend"])
    module.no_log_values = kept | secrets_in([secrets]) | secrets_in(credentials_in(options))
    return secrets


def _read_options(module: AnsibleModule, check: bool) -> Options:
    given = {**module.params, "sensitive_variables": _take_secrets(module), "check": check}
    for name in _PATHS:
        given[name] = Path(given[name]).absolute() if given[name] is not None else None
    return Options(**{item.name: given[item.name] for item in fields(Options) if item.name in given})


def execute(
    module: AnsibleModule,
    work: Callable[[Options, Progress, Mapping[str, str], Result], None],
    check: bool,
) -> None:
    """Run what a module is for and leave the module with its result.

    check: whether nothing may be changed.
    """
    progress = Progress.from_environment()
    options = _read_options(module, check)
    result = Result()
    failure: TerraformError | None = None
    try:
        with exit_on_signals():
            work(options, progress, os.environ, result)
    except TerraformError as error:
        failure = error
    # A sensitive attribute may be as harmless as "us-east-1". What Terraform itself shows in an output is
    # no secret, and must reach the play as it is.
    shown = json.dumps(result.values.get("outputs"), ensure_ascii=False)
    module.no_log_values |= {secret for secret in result.secrets if secret not in shown}
    module.no_log_values -= secrets_in(result.revealed)
    result.values.update(progress.result())
    for warning in (*result.warnings, *(f"Terraform: {text}" for text in result.terraform_warnings)):
        module.warn(warning)
    if module._diff:
        result.values["diff"] = result.diff
    if failure is not None:
        result.values["diagnostics"] = [asdict(item) for item in failure.diagnostics]
        module.fail_json(msg=failure.message, changed=failure.changed, **result.values)
    module.exit_json(changed=result.changed, **result.values)
