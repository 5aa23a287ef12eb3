# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outputs in a state file: `terraform output` takes half a second where the provider is a large one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_mirror import (
    DEFAULT_STATE,
    DEFAULT_WORKSPACE_DIR,
)

DEFAULT_WORKSPACE = "default"

VERSION = 4
"""Of the format, the same since Terraform 0.12: internal/states/statefile/version4.go in its source."""


def selected_workspace(directory: Path) -> str:
    """The workspace that is selected where Terraform runs."""
    try:
        return (directory / ".terraform/environment").read_text().strip() or DEFAULT_WORKSPACE
    except OSError:
        return DEFAULT_WORKSPACE


def local_outputs(directory: Path, workspace: str) -> dict[str, dict[str, Any]] | None:
    """The outputs in the state of a workspace, as `terraform output -json` gives them.

    None when only Terraform can tell: the state is kept by a backend, encrypted, or of another format.
    """
    if (directory / ".terraform/terraform.tfstate").exists():  # which backend
        return None
    folder = directory
    if workspace != DEFAULT_WORKSPACE:
        folder = directory / DEFAULT_WORKSPACE_DIR / workspace
    try:
        state = json.loads((folder / DEFAULT_STATE).read_bytes())
        if state["version"] != VERSION:
            return None
        return {name: {"sensitive": False, **output} for name, output in sorted(state["outputs"].items())}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
