# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that the Terraform modules share; documented in doc_fragments/terraform.py."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_masks import (
    SHORTEST_SECRET,
    credentials_in,
    secrets_in,
)

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
}

_HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


def take_secrets(module: AnsibleModule) -> dict[str, Any]:
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
