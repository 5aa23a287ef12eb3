# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fifth stage: what the plan would do, and whether it may."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._run.secrets import secrets_in
from .changes import INVOKE, NOTHING, Change, Plan, addresses_in, parse_plan
from .cli import Cli
from .errors import TerraformError
from .options import Options
from .plan import Planned

COUNTED = ("add", "change", "replace", "destroy", "import", "move", "forget")

_COUNT_OF = {
    "create": "add",
    "update": "change",
    "replace": "replace",
    "delete": "destroy",
    "forget": "forget",
    INVOKE: "invoke",
}


@dataclass(frozen=True)
class Review:
    """A plan that was looked at.

    plan: what it would do, masked. document: Terraform's own JSON of it. goes_on: there is something to
        apply. refused: why it may not be applied, or None. warnings: about the options.
    """

    planned: Planned
    plan: Plan
    document: dict[str, Any] = field(default_factory=dict, repr=False)
    goes_on: bool = False
    refused: str | None = None
    warnings: Sequence[str] = ()


def review(planned: Planned) -> Review:
    """Look at a plan. An empty one is not shown: that would start the providers again."""
    options, cli = planned.place.options, planned.place.cli
    if not planned.anything:
        asked = options.protect or options.targets or options.replace
        return Review(planned, NOTHING, warnings=warn_of_patterns(options, _listed(cli)) if asked else ())
    document = planned.document()
    plan = parse_plan(document, options.reveal_outputs)
    cli.scrubber.add(secrets_in(plan.secrets))
    return Review(
        planned,
        plan,
        document,
        goes_on=plan.applyable is not False,
        refused=refuse(plan.changes, options.protect, options.max_destroys),
        warnings=warn_of_patterns(options, addresses_in(document)),
    )


def _listed(cli: Cli) -> set[str]:
    """What is in the state; Terraform fails where there is none."""
    try:
        return {*cli.text(["state", "list"]).split("\n")} - {""}
    except TerraformError as error:
        if error.interrupted is not None:
            raise
        return set()


def permit(reviewed: Review) -> None:
    """Refuse a plan, or say what it does and, with `confirm`, ask. Raises TerraformError."""
    cli, plan, options = reviewed.planned.place.cli, reviewed.plan, reviewed.planned.place.options
    if reviewed.refused is not None:
        raise TerraformError(reviewed.refused, reviewed.planned.digest.diagnostics)
    if not reviewed.goes_on:
        return
    cli.progress.say(f"plan: {say_summary(summarize(plan.changes))}")
    if options.check or not options.confirm:
        return
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


def warn_of_patterns(options: Options, addresses: set[str]) -> list[str]:
    """Tell of patterns and addresses that cover nothing. Where there is nothing, nothing can be guarded or
    destroyed."""
    asked = {"targets": options.targets, "replace": options.replace, "protect": options.protect}
    if not addresses:
        asked = {} if options.state == "absent" else {**asked, "protect": ()}
    return [
        f"{name}: {pattern} covers nothing in the state or the plan."
        for name, patterns in asked.items()
        for pattern in patterns
        # Data sources are in no state before something else is.
        if not re.search(r"(^|\.)data\.", pattern)
        and not any(is_protected(address, [pattern]) for address in addresses)
    ]


def summarize(changes: Iterable[Change]) -> dict[str, int]:
    """Count the changes; a replacement is a replacement, neither an addition nor a destruction."""
    counts = dict.fromkeys(COUNTED, 0)
    for change in changes:
        counted = _COUNT_OF.get(change.action)
        if counted:
            counts[counted] = counts.get(counted, 0) + 1
        if change.action != "forget" and "forget" in change.actions:
            counts["forget"] += 1
        if change.action == "import" or change.imported_id is not None:
            counts["import"] += 1
        if change.previous_address:
            counts["move"] += 1
    return counts


def say_summary(summary: dict[str, int]) -> str:
    """ "1 to add, 2 to destroy"; "no resource changes" when all are zero."""
    parts = [f"{count} to {what}" for what, count in summary.items() if count]
    return ", ".join(parts) or "no resource changes"


def _pattern(glob: str) -> re.Pattern[str]:
    """`*` and `?` as in file names; brackets stand for themselves, being part of addresses."""
    escaped = "".join(char if char in "*?" else f"[{char}]" if char in "[]" else char for char in glob)
    return re.compile(fnmatch.translate(escaped))


def is_protected(address: str, protect: Sequence[str]) -> bool:
    """Whether a glob covers an address: the address itself, or the resource or module it belongs to."""
    patterns = [_pattern(glob) for glob in protect]
    ends = [match.start() for match in re.finditer(r"\[|\.", address)]
    candidates = [address, *(address[:end] for end in ends)]
    return any(pattern.match(candidate) for pattern in patterns for candidate in candidates)


def refuse(changes: Sequence[Change], protect: Sequence[str], max_destroys: int | None) -> str | None:
    """Why these changes may not be applied, or None."""
    destroyed = [change for change in changes if change.destroys]
    guarded = [
        change
        for change in destroyed
        if is_protected(change.address, protect)
        or (change.previous_address is not None and is_protected(change.previous_address, protect))
    ]
    if guarded:
        return (
            f"The plan would destroy what `protect` guards: {_list_changes(guarded)}. Nothing was changed. "
            "If this is meant, take the pattern out of `protect`."
        )
    if max_destroys is not None and len(destroyed) > max_destroys:
        return (
            f"The plan would destroy {len(destroyed)} resources, more than `max_destroys` ({max_destroys}) "
            f"allows: {_list_changes(destroyed)}. Nothing was changed."
        )
    return None


def _list_changes(changes: Sequence[Change], at_most: int = 20) -> str:
    listed = [f"{change.address} ({change.action})" for change in changes[:at_most]]
    more = len(changes) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more > 0 else "")


def diff_of(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """The changes in the form that Ansible shows in diff mode."""
    return [
        {
            "before_header": change.previous_address or change.address,
            "after_header": f"{change.address} ({change.action})",
            "before": _showable(change.before),
            "after": _showable(change.after),
        }
        for change in changes
    ]


def _showable(value: Any) -> Any:
    """Ansible shows objects as JSON itself and takes everything else for text."""
    if value is None or isinstance(value, dict):
        return value or ""
    return json.dumps(value, indent=4, ensure_ascii=False) + "\n"
