# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a state is, as Terraform itself noted it, and what a state file says."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEFAULT_WORKSPACE = "default"
DEFAULT_STATE = "terraform.tfstate"
DEFAULT_WORKSPACE_DIR = "terraform.tfstate.d"
RESCUED = "errored.tfstate"
"""Where Terraform puts a state that its backend did not take at the end of an apply."""

NOTE = ".terraform/terraform.tfstate"
"""Where Terraform notes the backend that it was initialized with."""

VERSION = 4
"""Of the format, the same since Terraform 0.12: internal/states/statefile/version4.go in its source."""


@dataclass(frozen=True)
class Backend:
    """What keeps a state."""

    type: str
    config: Mapping[str, Any] = field(repr=False)


DEFAULT_BACKEND = Backend("local", {})


def selected_workspace(directory: Path) -> str:
    """The workspace that is selected where Terraform runs."""
    try:
        return (directory / ".terraform/environment").read_text().strip() or DEFAULT_WORKSPACE
    except OSError:
        return DEFAULT_WORKSPACE


def noted_backend(directory: Path) -> Backend | None:
    """The backend that a directory was initialized with; None is the default, a file in that directory."""
    noted = _read(directory / NOTE)
    backend = noted.get("backend") if isinstance(noted, dict) else None
    if not isinstance(backend, dict) or not backend.get("type"):
        return None
    config = backend.get("config")
    return Backend(str(backend["type"]), config if isinstance(config, dict) else {})


def local_paths(backend: Backend | None) -> tuple[Path, Path] | None:
    """Of a local backend, as seen from its directory: the state of the default workspace, and the folder
    with those of the others. None of any other."""
    backend = backend or DEFAULT_BACKEND
    if backend.type != "local":
        return None
    path, folder = backend.config.get("path"), backend.config.get("workspace_dir")
    return Path(path or DEFAULT_STATE), Path(folder or DEFAULT_WORKSPACE_DIR)


def _state_file(directory: Path, backend: Backend | None, workspace: str) -> Path | None:
    """Where a workspace's state is; None when that is no file of this machine."""
    paths = local_paths(backend)
    if paths is None:
        return None
    path = paths[0] if workspace == DEFAULT_WORKSPACE else paths[1] / workspace / DEFAULT_STATE
    return Path(os.path.normpath(directory / path))


def may_have_state(directory: Path) -> bool:
    """Whether Terraform has left a trace of a state in a directory, be it only of where it is."""
    traces = (NOTE, DEFAULT_STATE, DEFAULT_WORKSPACE_DIR)
    return any((directory / name).exists() for name in traces)


def _read(path: Path) -> Any:
    """The content of a JSON file: None when there is none, text when it is not JSON."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    try:
        return json.loads(text) if text.strip() else None
    except ValueError:
        return text


def _has_objects(state: Any) -> bool:
    """Whether there is something in a state; one that cannot be read counts as such."""
    if not isinstance(state, dict):
        return state is not None
    modules = state.get("modules")  # of versions before 0.12
    old = any(module.get("resources") for module in modules or [] if isinstance(module, dict))
    return bool(state.get("resources") or state.get("encrypted_data") or old)


@dataclass(frozen=True)
class Stray:
    """A state in the source, from runs by hand there, which is not the one that is used.

    path: of it. instead: of the one that is, None when a backend keeps that. twice: nothing is in that one,
    as far as it is known, so that all that is in the stray one would be made again.
    """

    path: Path
    instead: Path | None
    twice: bool


def stray_state(source: Path, root: Path, workspace: str, given: Backend | None) -> Stray | None:
    """The state of this workspace that lies in the source, if it is of any consequence.

    root: where Terraform runs. given: the backend that is asked for. Of others than local ones it is not
        known what they hold.
    """
    of_source = noted_backend(source)
    path = _state_file(source, of_source, workspace)
    if path is None or not _has_objects(state := _read(path)):
        return None
    backend = given if given and given.type == "local" else of_source
    if (root / NOTE).exists():
        backend = noted_backend(root)
    instead = _state_file(root, backend, workspace)
    if instead is None:
        return Stray(path, None, twice=False)
    if instead == path or (instead.exists() and instead.samefile(path)):
        return None
    used = _read(instead)
    if isinstance(used, dict) and isinstance(state, dict) and _is_successor(used, state):
        return None
    return Stray(path, instead, twice=not _has_objects(used))


def _is_successor(state: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether a state began as a copy of the other."""
    return state.get("lineage") is not None and state["lineage"] == other.get("lineage")


def local_outputs(directory: Path, workspace: str) -> dict[str, dict[str, Any]] | None:
    """The outputs in the state of a workspace, as `terraform output -json` gives them, which takes half a
    second where the provider is a large one.

    None when only Terraform can tell: the state is kept by a backend, encrypted, or of another format.
    """
    if (directory / NOTE).exists():
        return None
    path = _state_file(directory, None, workspace)
    state: Any = _read(path) if path is not None else None
    try:
        if state["version"] != VERSION:
            return None
        return {name: {"sensitive": False, **output} for name, output in sorted(state["outputs"].items())}
    except (LookupError, TypeError, AttributeError):
        return None


def known_outputs(outputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Outputs without those that are null: Terraform keeps none of them in a state, so that most runs do not
    know them. A sensitive one that was not told has no value here, and stays."""
    return {name: item for name, item in outputs.items() if item.get("value", "") is not None}
