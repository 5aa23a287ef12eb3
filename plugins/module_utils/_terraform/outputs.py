# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outputs of a stack as they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._run.log import Log
from .._run.progress import Progress
from .._run.secrets import SENSITIVE, Scrubber
from .changes import Plan
from .cli import Cli
from .errors import TerraformError
from .options import check_workspace
from .place import Place
from .resolve import clean_environment
from .state import known_outputs, local_outputs, selected_workspace
from .tool import find_binary, find_tool
from .tree import Tree
from .workdir import root_of

Items = Mapping[str, Mapping[str, Any]]
"""Outputs as Terraform gives them: name → {"value", "sensitive", ...}."""


@dataclass(frozen=True)
class Outputs:
    """What is shown of the outputs.

    values: sensitive ones masked, but for those that are `revealed`. unknown: those that only an apply tells.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    revealed: frozenset[str] = frozenset()
    unknown: Sequence[str] = ()


def outputs_of(items: Items, reveal: Iterable[str]) -> Outputs:
    """The outputs that a state has, or an apply has told."""
    known = known_outputs(items)
    sensitive = {name for name, item in known.items() if item.get("sensitive")}
    hidden = sensitive - set(reveal)
    values = {name: SENSITIVE if name in hidden else known[name].get("value") for name in sorted(known)}
    return Outputs(values, frozenset(sensitive - hidden))


def planned_outputs(plan: Plan, reveal: Iterable[str]) -> Outputs:
    """The outputs as an apply would make them."""
    revealed = plan.outputs.keys() & set(plan.sensitive_outputs) & set(reveal)
    return Outputs(plan.outputs, frozenset(revealed), plan.outputs_unknown)


def state_outputs(place: Place) -> Outputs:
    """The outputs in the state; starts no provider. Raises TerraformError."""
    items = local_outputs(place.cli.directory, place.options.workspace)
    if items is None:
        items = place.cli.document(["output", "-json"])
    return outputs_of(items, place.options.reveal_outputs)


def read_outputs(
    work_dir: Path, binary: str | None, workspace: str | None, environ: Mapping[str, str]
) -> tuple[Items, list[str]]:
    """The outputs in a state as Terraform gives them, for who has no run; and warnings.

    workspace: None is the selected one. Raises TerraformError.
    """
    if not work_dir.is_dir():
        raise TerraformError(f"{work_dir} is no directory.")
    if workspace is not None:
        check_workspace(workspace)
    root = root_of(work_dir.resolve())
    if binary is not None:  # one that is not there is a mistake, needed or not
        find_binary(binary)
    found = local_outputs(root, workspace or selected_workspace(root))
    if found is not None:
        return found, []
    environment, warnings = clean_environment(environ)
    if workspace is not None:
        environment["TF_WORKSPACE"] = workspace
    tool = find_tool(binary, environment)
    scrubber = Scrubber()
    # Lookups run in Ansible's own processes, where a fork or a signal handler would be a liberty.
    cli = Cli(
        tool, root, environment, Tree(), Log(None, scrubber), scrubber, Progress(None), supervised=False
    )
    outputs: Items = cli.document(["output", "-json"])
    return outputs, warnings
