# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan, review, apply exactly that: the flow of the module terraform_stack."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from ansible_collections.iac.ds_stack.plugins.module_utils._run.process import Callbacks
from ansible_collections.iac.ds_stack.plugins.module_utils._run.progress import Progress
from ansible_collections.iac.ds_stack.plugins.module_utils._run.secrets import SENSITIVE, secrets_in
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.cli import Cli
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.errors import TerraformError
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.events import (
    Diagnostic,
    Digest,
    Narrator,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.plan import (
    NOTHING,
    Plan,
    addresses_in,
    diff_of,
    has_changed,
    is_protected,
    parse_plan,
    refuse,
    say_summary,
    summarize,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.site import (
    Options,
    Planned,
    Result,
    common_arguments,
    make_plan,
    open_site,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.state import (
    known_outputs,
    local_outputs,
)

LOOK_SECONDS = 60.0
"""Time for a look at the state after a failure, whatever `timeout` says."""


def run(options: Options, progress: Progress, environ: Mapping[str, str], result: Result) -> None:
    """Do what the module is for; fills the result as it goes, so that a failure can tell what is known.

    Raises TerraformError.
    """
    began = time.monotonic()
    with open_site(options, progress, environ, result) as site:
        planned = make_plan(options, site, *_plan_arguments(options)) if site is not None else None
        if planned is None:
            _report(result, NOTHING)
            _report_outputs(result, {})
        else:
            _converge(options, planned, result)
    result.values["duration"] = round(time.monotonic() - began, 3)


def _plan_arguments(options: Options) -> list[str]:
    args = ["-destroy"] if options.state == "absent" else []
    if not options.refresh:
        args.append("-refresh=false")
    args += [f"-target={address}" for address in options.targets]
    args += [f"-replace={address}" for address in options.replace]
    return args


def _converge(options: Options, planned: Planned, result: Result) -> None:
    cli = planned.site.cli
    result.values["drift"] = planned.digest.drift
    if not planned.anything:
        _report(result, NOTHING, planned.digest)
        if options.protect:
            listed = cli.text(["state", "list"]).split("\n")
            _warn_of_patterns(options, {address for address in listed if address}, result)
        _report_outputs(result, {} if options.state == "absent" else _read_outputs(options, cli, result))
        return
    document = planned.document()
    plan = parse_plan(document, options.reveal_outputs)
    cli.scrubber.add(secrets_in(plan.secrets))
    result.diff = diff_of([*plan.changes, *plan.output_changes])
    result.revealed |= set(plan.sensitive_outputs) & set(options.reveal_outputs)
    _report(result, plan, planned.digest)
    _warn_of_patterns(options, addresses_in(document), result)
    reason = refuse(plan.changes, options.protect, options.max_destroys)
    if reason is not None:
        raise TerraformError(reason, planned.digest.diagnostics)
    result.changed = plan.applyable is not False
    if result.changed:
        cli.progress.say(f"plan: {say_summary(summarize(plan.changes))}")
    if options.check or not result.changed:
        _report_outputs(result, plan.outputs, plan.outputs_unknown)
        return
    if options.confirm:
        _confirm(cli, plan)
    try:
        applied = _apply(options, planned, plan)
    except TerraformError as error:
        if error.interrupted in (None, "timeout"):
            state = _look_after_failure(cli)
            if state is not None:
                error.changed = error.changed or has_changed(document, plan, state)
                outputs = (state.get("values") or {}).get("outputs") or {}
                _report_outputs(result, _mask_outputs(outputs, options, result))
        raise
    _report(result, plan, planned.digest, applied)
    _report_outputs(
        result, {} if options.state == "absent" else _applied_outputs(options, cli, applied, result)
    )


def _look_after_failure(cli: Cli) -> dict[str, Any] | None:
    """The state that an apply has left which failed: what a failed operation leaves (a tainted resource) is
    told by no event. None when it cannot be read."""
    cli = replace(cli, deadline=time.monotonic() + LOOK_SECONDS)
    try:
        state: dict[str, Any] = cli.document(["show", "-json"])
    except TerraformError:
        return None
    return state


def _warn_of_patterns(options: Options, addresses: set[str], result: Result) -> None:
    """Tell of patterns that cover nothing; where there is nothing at all, none can."""
    for pattern in options.protect if addresses else ():
        if not any(is_protected(address, [pattern]) for address in addresses):
            result.warnings.append(f"protect: {pattern} covers nothing in the state or the plan.")


def _confirm(cli: Cli, plan: Plan) -> None:
    """Ask whether to go on. Raises TerraformError unless the answer is yes."""
    for change in (*plan.changes, *plan.output_changes):
        cli.progress.say(f"  {change.address}: {change.action}")
    answer = cli.progress.ask("Apply this plan? Only 'yes' does it", cli.deadline)
    if answer is None:
        raise TerraformError(
            "`confirm` is set and there is nobody to ask: the run is not interactive, not local, or async. "
            "Nothing was changed."
        )
    if answer != "yes":
        raise TerraformError("The plan was turned down at the console. Nothing was changed.")


def _apply(options: Options, planned: Planned, plan: Plan) -> Digest:
    site = planned.site
    operation = "destroy" if options.state == "absent" else "apply"
    callbacks = site.record.begin(operation, site.cli.log.path) if site.record else Callbacks()
    args = ["apply", *common_arguments(options), str(site.plan_file)]
    return site.cli.events(args, narrator=Narrator(plan.operations), callbacks=callbacks)[1]


def _read_outputs(options: Options, cli: Cli, result: Result) -> dict[str, Any]:
    """The outputs in the state; starts no provider."""
    found = local_outputs(cli.directory, options.workspace)
    return _mask_outputs(found if found is not None else cli.document(["output", "-json"]), options, result)


def _applied_outputs(options: Options, cli: Cli, applied: Digest, result: Result) -> dict[str, Any]:
    """The outputs that the apply reported; sensitive ones it does not tell are read if they are wanted."""
    outputs = applied.outputs
    if outputs is None:
        return _read_outputs(options, cli, result)
    wanted = set(options.reveal_outputs)
    if any(
        item.get("sensitive") and "value" not in item and name in wanted for name, item in outputs.items()
    ):
        return _read_outputs(options, cli, result)
    return _mask_outputs(outputs, options, result)


def _mask_outputs(outputs: dict[str, Any], options: Options, result: Result) -> dict[str, Any]:
    shown = {}
    for name, item in sorted(known_outputs(outputs).items()):
        hidden = item.get("sensitive") and name not in options.reveal_outputs
        shown[name] = SENSITIVE if hidden else item.get("value")
        if item.get("sensitive") and not hidden:
            result.revealed.add(name)
    return shown


def _report(result: Result, plan: Plan, *digests: Digest) -> None:
    """Fill in what every run returns."""
    seen: dict[Diagnostic, None] = {}
    for part in digests:
        seen.update(dict.fromkeys(part.diagnostics))
    result.terraform_warnings = [item.text() for item in seen if item.severity == "warning"]
    result.values.update(
        changes=[change.to_dict() for change in plan.changes],
        summary=summarize(plan.changes),
        diagnostics=[asdict(item) for item in seen],
    )
    result.values.setdefault("drift", [])


def _report_outputs(result: Result, outputs: dict[str, Any], unknown: Sequence[str] = ()) -> None:
    result.values.update(outputs=outputs, outputs_unknown=list(unknown))
