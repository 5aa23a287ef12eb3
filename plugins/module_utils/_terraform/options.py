# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is asked for: the options of the modules, documented in doc_fragments/terraform.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .state import DEFAULT_WORKSPACE

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
    "providers": {"type": "dict", "default": {}},
    "workspace": {"type": "str", "default": "default"},
    "binary": {"type": "path"},
    "plugin_cache_dir": {"type": "path"},
    "timeout": {"type": "int"},
}

OF_A_STATE = {name: COMMON[name] for name in ("work_dir", "backend", "binary")}
"""For the modules that speak to a state without a configuration."""


@dataclass(frozen=True)
class Options:
    """The options of a run, see the module's documentation. Durations in seconds."""

    source: Path
    work_dir: Path
    state: str = "present"
    variables: Mapping[str, Any] = field(default_factory=dict)
    sensitive_variables: Mapping[str, Any] = field(default_factory=dict, repr=False)
    backend: Mapping[str, Any] | None = field(default=None, repr=False)
    overrides: Mapping[str, Any] = field(default_factory=dict, repr=False)
    providers: Mapping[str, Any] = field(default_factory=dict)
    workspace: str = DEFAULT_WORKSPACE
    targets: Sequence[str] = ()
    replace: Sequence[str] = ()
    refresh: bool = True
    upgrade: bool = False
    parallelism: int | None = None
    lock_timeout: int = 0
    timeout: float | None = None
    binary: str | None = None
    plugin_cache_dir: Path | None = None
    max_destroys: int | None = None
    protect: Sequence[str] = ()
    confirm: bool = False
    reveal_outputs: Sequence[str] = ()
    check: bool = False


def read_options(params: Mapping[str, Any], *, check: bool) -> Options:
    """The parameters of a module as options. What is None counts as not given."""
    known = {item.name for item in fields(Options)}
    given = {name: value for name, value in params.items() if name in known and value is not None}
    paths = ("source", "work_dir", "plugin_cache_dir")
    given |= {name: Path(given[name]).absolute() for name in paths if name in given}
    return Options(**given, check=check)
