# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs from the state: the flow of the module terraform_drift_info."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from ansible_collections.iac.ds_stack.plugins.module_utils._run.progress import Progress
from ansible_collections.iac.ds_stack.plugins.module_utils._run.secrets import secrets_in
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.plan import Change, diff_of, parse_drift
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.site import (
    Options,
    Result,
    make_plan,
    open_site,
)


def find_drift(options: Options, progress: Progress, environ: Mapping[str, str], result: Result) -> None:
    """Fill the result with what differs. Raises TerraformError."""
    began = time.monotonic()
    options = replace(options, check=True)  # in every mode
    changes: list[Change] = []
    with open_site(options, progress, environ, result) as site:
        planned = make_plan(options, site, "-refresh-only") if site is not None else None
        if planned is not None:
            result.values["diagnostics"] = [asdict(item) for item in planned.digest.diagnostics]
            if planned.anything:
                found, secrets = parse_drift(planned.document())
                changes = [change for change in found if is_real(change)]
                planned.site.cli.scrubber.add(secrets_in(secrets))
    del result.values["log_path"]  # nothing is written, no log either
    result.diff = diff_of(changes)
    result.values.update(
        drifted=bool(changes),
        drift=[describe(change) for change in changes],
        duration=round(time.monotonic() - began, 3),
    )


def is_real(change: Change) -> bool:
    """Whether anything differs but null and empty: providers turn one into the other."""
    return change.action != "update" or bool(_differing(change))


def describe(change: Change) -> dict[str, Any]:
    """What differs, before and after."""
    before, after = change.before or {}, change.after or {}
    names = _differing(change)
    return {
        "address": change.address,
        "action": change.action,
        "before": {name: before[name] for name in names if name in before},
        "after": {name: after[name] for name in names if name in after},
    }


def _differing(change: Change) -> list[str]:
    before, after = change.before or {}, change.after or {}
    differing = [name for name in {*before, *after} if before.get(name) != after.get(name)]
    empty: tuple[Any, ...] = (None, "", [], {})
    return sorted(name for name in differing if not (before.get(name) in empty and after.get(name) in empty))
