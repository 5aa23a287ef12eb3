# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name and shows meanwhile for whom it waits."""

from __future__ import annotations

from ansible_collections.iac.ds_stack.plugins.plugin_utils.progress import ProgressAction


class ActionModule(ProgressAction):
    """All is in ProgressAction."""
