# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters for the lock of an image, documented in the YAML files beside this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.iac.ds_stack.plugins.module_utils._stack.image_lock import completed, for_bake


class FilterModule:
    """The lock as the playbook bake uses it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by their names."""
        return {"lock_for_bake": for_bake, "lock_completed": completed}
