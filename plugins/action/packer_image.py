# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows Packer's progress while the module of the same name runs, and tells it which Ansible runs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import ansible
from ansible.utils.collection_loader import AnsibleCollectionConfig
from ansible_collections.iac.ds_stack.plugins.plugin_utils.progress import ProgressAction

# .../ansible_collections/iac/ds_stack/plugins/action/packer_image.py
ANSIBLE_ITSELF = str(Path(ansible.__file__).parent)
OWN_COLLECTIONS_PATH = Path(__file__).absolute().parents[5]


class ActionModule(ProgressAction):
    """What the module cannot know: it may run as a program of its own, outside of any collection."""

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Called by Ansible."""
        if self._connection.transport == "local":
            known = {"ansible_playbook": ansible_playbook(), "collections_path": collections_path()}
            self._task.args = {**known, **self._task.args}
        return super().run(tmp, task_vars)


def ansible_playbook() -> str:
    """The ansible-playbook of the Ansible that runs: beside the program, or beside its Python."""
    for program in (Path(sys.argv[0]).absolute(), Path(sys.executable)):
        candidate = program.with_name("ansible-playbook")
        if candidate.is_file():
            return str(candidate)
    return "ansible-playbook"


def collections_path() -> list[str]:
    """Where the Ansible that runs finds collections; first where it found this one."""
    paths = [str(OWN_COLLECTIONS_PATH), *AnsibleCollectionConfig.collection_paths]
    roots = [path.removesuffix("/ansible_collections") for path in paths]
    # What is part of Ansible itself, the other one has too.
    return [path for path in dict.fromkeys(roots) if not path.startswith(ANSIBLE_ITSELF)]
