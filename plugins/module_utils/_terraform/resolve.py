# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first stage: everything that a run needs to know is looked up, once."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .._run import environment as environments
from .._run.secrets import credentials_in, secrets_in
from . import provider_lock, workdir
from .errors import TerraformError
from .options import Options
from .tool import Tool, find_tool


@dataclass(frozen=True)
class Asked:
    """What is asked for.

    options: each path in its one spelling; to destroy, with what the last run has had.
    deadline: `time.monotonic()` value at which Terraform is asked to stop.
    """

    options: Options
    tool: Tool
    environment: Mapping[str, str] = field(repr=False)
    deadline: float | None
    warnings: Sequence[str] = ()

    @property
    def secrets(self) -> set[str]:
        """The strings that must not be seen."""
        return secrets_of(self.options)


def secrets_of(options: Options) -> set[str]:
    """The strings in options that must not be seen."""
    return secrets_in([options.sensitive_variables, *credentials_in([options.overrides, options.backend])])


def resolve(options: Options) -> Asked:
    """Look up what the options mean. Raises TerraformError."""
    provider_lock.check(options.providers)
    if options.providers and options.upgrade:
        raise TerraformError("`upgrade` moves what `providers` is to hold: give one of them.")
    deadline = None if options.timeout is None else time.monotonic() + options.timeout
    options = replace(options, source=options.source.resolve(), work_dir=options.work_dir.resolve())
    if not options.source.is_dir():
        raise TerraformError(f"source: {options.source} is no directory.")
    if options.state == "absent":
        options = _with_last_options(options)
    environment, warnings = clean_environment(os.environ)
    tool = find_tool(options.binary, environment)
    if not workdir.has_run(options.work_dir):
        tool.check()  # before anything is made; later it says its version as it works
    if options.plugin_cache_dir is not None and not options.check:
        environment["TF_PLUGIN_CACHE_DIR"] = str(options.plugin_cache_dir)
        # Without this a stack that has no lock file yet downloads every provider in spite of the cache.
        environment["TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE"] = "1"
    return Asked(options, tool, environment, deadline, warnings)


def _with_last_options(options: Options) -> Options:
    """To destroy, what was last applied with counts for what is not given."""
    backend = options.backend
    if backend is None and not _name_backend(options.overrides):
        backend = workdir.last_backend(options.work_dir)
    return replace(
        options,
        variables={**workdir.last_variables(options.work_dir), **options.variables},
        backend=backend,
        overrides=options.overrides or workdir.last_overrides(options.work_dir),
    )


def _name_backend(overrides: Mapping[str, Any]) -> bool:
    """Whether overrides say where the state is."""
    settings = overrides.get("terraform")
    blocks = settings if isinstance(settings, list) else [settings]
    return any(isinstance(block, dict) and {"backend", "cloud"} & block.keys() for block in blocks)


def clean_environment(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The environment for Terraform, and a warning for each variable that is held back."""
    kept = environments.absolute(environments.without(environ, environments.TERRAFORM))
    ignored = sorted(environ.keys() - kept.keys())
    warnings = [f"The environment variable {name} is ignored: use the module's options." for name in ignored]
    config = kept.get("TF_CLI_CONFIG_FILE")
    if config is not None and not Path(config).is_file():
        del kept["TF_CLI_CONFIG_FILE"]
        warnings.append(f"The environment variable TF_CLI_CONFIG_FILE is ignored: there is no file {config}.")
    kept.update(TF_INPUT="0", TF_IN_AUTOMATION="1", CHECKPOINT_DISABLE="1")
    return kept, warnings
