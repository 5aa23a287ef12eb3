# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sixth stage: that plan is applied, and nothing else."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from .._run.process import Callbacks
from .changes import has_changed
from .cli import Cli
from .errors import TerraformError
from .events import Digest, Narrator
from .outputs import Outputs, outputs_of, planned_outputs, state_outputs
from .plan import common_arguments
from .review import Review
from .workdir import rescued_state

LOOK_SECONDS = 60.0
"""Time for a look at the state after a failure, whatever `timeout` says."""


@dataclass(frozen=True)
class Applied:
    """How it is now, or in check mode would be.

    outputs: None when they cannot be told. digest: what Terraform said, if it was run.
    failure: why the apply failed, with what it has changed.
    """

    reviewed: Review
    outputs: Outputs | None
    digest: Digest | None = None
    failure: TerraformError | None = None


def apply(reviewed: Review) -> Applied:
    """Apply a plan that is permitted, if there is anything to apply. Raises TerraformError."""
    place = reviewed.planned.place
    options = place.options
    reveal = options.reveal_outputs
    gone = options.state == "absent"
    if not reviewed.planned.anything:
        return Applied(reviewed, Outputs() if gone else state_outputs(place))
    if options.check or not reviewed.goes_on:
        return Applied(reviewed, planned_outputs(reviewed.plan, reveal))
    try:
        digest = _run(reviewed)
    except TerraformError as error:
        if error.interrupted not in (None, "timeout"):
            raise
        return _look_after_failure(reviewed, error)
    items = digest.outputs
    untold = items is None or any(
        name in reveal and "value" not in item for name, item in items.items() if item.get("sensitive")
    )
    if gone:
        return Applied(reviewed, Outputs(), digest)
    if items is None or untold:  # an apply does not tell sensitive ones
        return Applied(reviewed, state_outputs(place), digest)
    return Applied(reviewed, outputs_of(items, reveal), digest)


def _run(reviewed: Review) -> Digest:
    place = reviewed.planned.place
    operation = "destroy" if place.options.state == "absent" else "apply"
    callbacks = place.record.begin(operation, place.cli.log.path) if place.record else Callbacks()
    args = ["apply", *common_arguments(place.options), str(place.plan_file)]
    return place.cli.events(args, narrator=Narrator(reviewed.plan.operations), callbacks=callbacks)[1]


def _look_after_failure(reviewed: Review, error: TerraformError) -> Applied:
    """What an apply has left which failed: what a failed operation leaves (a tainted resource) is told by no
    event."""
    place = reviewed.planned.place
    # One that could not be saved is newer than what is kept elsewhere.
    state = None if rescued_state(place.options.work_dir) else _state(place.cli)
    if state is None:
        error.changed = error.changed or error.begun  # and half of it may be there
        return Applied(reviewed, None, failure=error)
    error.changed = error.changed or has_changed(reviewed.document, reviewed.plan, state)
    items = (state.get("values") or {}).get("outputs") or {}
    return Applied(reviewed, outputs_of(items, place.options.reveal_outputs), failure=error)


def _state(cli: Cli) -> dict[str, Any] | None:
    """None when it cannot be read."""
    cli = replace(cli, deadline=time.monotonic() + LOOK_SECONDS)
    try:
        state: dict[str, Any] = cli.document(["show", "-json"])
    except TerraformError:
        return None
    return state
