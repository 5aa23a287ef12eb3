"""The tasks of a playbook that change something, in the order in which they run: read from the playbooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"

READS = {
    "ansible.builtin.assert",
    "ansible.builtin.debug",
    "ansible.builtin.fail",
    "ansible.builtin.include_role",
    "ansible.builtin.set_fact",
    "ansible.builtin.stat",
    "iac.ds_stack.check_configuration",
    "iac.ds_stack.check_environment",
    "iac.ds_stack.machine_presence",
    "iac.ds_stack.machine_status",
    "iac.ds_stack.show_text",
}
"""Modules that change nothing and are not called so."""

KEYWORDS = {
    *("changed_when", "check_mode", "failed_when", "loop", "loop_control", "name", "no_log"),
    *("register", "rescue", "tags", "vars", "when"),
}


def _load(path: Path) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = yaml.safe_load(path.read_text())
    return content


def _tasks(tasks: list[dict[str, Any]], folder: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Each task with its module; of a block those in it, not those that follow a failure."""
    for task in tasks:
        if "block" in task:
            yield from _tasks([*task["block"], *task.get("always", [])], folder)
            continue
        (module,) = task.keys() - KEYWORDS
        if module in ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks"):
            file = folder / task[module]
            yield from _tasks(_load(file), file.parent)
        else:
            yield task, module


def of_file(file: str) -> list[str]:
    """The names of the tasks of a file below playbooks/ that change something."""
    path = PLAYBOOKS / file
    return [task["name"] for task, module in _tasks(_load(path), path.parent) if _changes(task, module)]


def _changes(task: Mapping[str, Any], module: str) -> bool:
    return not (
        module in READS
        or module.endswith("_info")
        or task.get("changed_when") is False
        or task.get("check_mode") is True
    )


def kill_points(playbook: str) -> list[str]:
    """The names of the tasks of a playbook that change something, each once."""
    names: dict[str, None] = {}
    for play in _load(PLAYBOOKS / f"{playbook}.yml"):
        if "ansible.builtin.import_playbook" in play:
            file = play["ansible.builtin.import_playbook"]
            names.update(dict.fromkeys(kill_points(Path(file).stem)))
            continue
        for task, module in _tasks(play["tasks"], PLAYBOOKS):
            if _changes(task, module):
                names[task["name"]] = None
    return list(names)
