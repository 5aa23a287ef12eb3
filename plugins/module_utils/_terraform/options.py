# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is asked for: the options of the modules, documented in doc_fragments/terraform.py."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .errors import TerraformError
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
    """The parameters of a module as options. What is None counts as not given, an optional path that is empty
    too. Raises TerraformError."""
    known = {item.name for item in fields(Options)}
    given = {name: value for name, value in params.items() if name in known and value is not None}
    given |= {name: read_path(name, given[name]) for name in ("source", "work_dir")}
    cache = given.pop("plugin_cache_dir", None)
    check_workspace(given.get("workspace", DEFAULT_WORKSPACE))
    for name in ("variables", "sensitive_variables", "backend", "overrides"):
        _check_json(name, given.get(name))
    return Options(**given, plugin_cache_dir=Path(cache).absolute() if cache else None, check=check)


def read_path(name: str, path: str) -> Path:
    """A path that has to be given. Raises TerraformError: an empty one does not mean where we are."""
    if not path:
        raise TerraformError(f"{name}: it is empty.")
    return Path(path).absolute()


def check_workspace(name: str) -> None:
    """Raises TerraformError for a name that Terraform refuses, or takes for another workspace's."""
    if re.fullmatch(r"(?!-|\.\.?$)[\w.~$&+=:@-]+", name, re.ASCII) is None:
        raise TerraformError(
            f"workspace: {name!r} is no name of one. It takes letters, digits and . _ ~ $ & + = : @ -, the "
            "last not at its beginning."
        )


def _check_json(name: str, value: Any) -> None:
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:  # it names the value, which may be secret
        raise TerraformError(
            f"{name}: it holds what JSON cannot: a number such as .nan, or a text of broken characters."
        ) from None
