# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last stage: what a module returns, with nothing in it that must not be seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .._run.process import exit_on_signals
from .._run.progress import Progress
from .._run.secrets import SENSITIVE, Scrubber, leaves
from .apply import Applied
from .changes import NOTHING, Change, Plan, describe
from .errors import TerraformError
from .events import Diagnostic, Digest
from .options import Options, read_options
from .outputs import Outputs
from .place import Place
from .resolve import Asked, secrets_of
from .review import Review, diff_of, summarize
from .tool import Tool
from .workdir import locked_providers

_HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


class Report:
    """What is known of a run. The line adds to it after each stage, so that a failure tells that, too."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.values: dict[str, Any] = {"changed": False, "workspace": options.workspace, "log_path": None}
        self.diff: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        self.terraform_warnings: list[str] = []
        self._given = secrets_of(options)
        self._scrubber = Scrubber()
        self._outputs = Outputs()
        self._tool: Tool | None = None
        self._began = time.monotonic()

    def asked(self, asked: Asked) -> None:
        """After the first stage."""
        self._tool = asked.tool
        self.warnings += asked.warnings
        self._given = asked.secrets

    def opened(self, place: Place) -> None:
        """After the second."""
        self.warnings += place.warnings
        self._scrubber = place.cli.scrubber
        if place.cli.log.path:
            self.values["log_path"] = str(place.cli.log.path)

    def initialized(self, place: Place) -> None:
        """After the third."""
        self.values["providers"] = locked_providers(place.cli.directory)

    def reviewed(self, reviewed: Review) -> None:
        """After the review."""
        plan, digest = reviewed.plan, reviewed.planned.digest
        self.values.update(changed=reviewed.goes_on, drift=digest.drift)
        self.warnings += reviewed.warnings
        self.diff = diff_of([*plan.changes, *plan.output_changes])
        self._changes(plan, digest)

    def applied(self, applied: Applied) -> None:
        """After the apply."""
        if applied.digest is not None:
            self._changes(applied.reviewed.plan, applied.reviewed.planned.digest, applied.digest)
        if applied.outputs is not None:
            self._outputs = applied.outputs
            self.values.update(
                outputs=dict(applied.outputs.values), outputs_unknown=list(applied.outputs.unknown)
            )

    def nothing(self) -> None:
        """There is nothing that could be destroyed."""
        self._changes(NOTHING)
        self.values.update(drift=[], outputs={}, outputs_unknown=[])

    def drifted(self, digest: Digest | None, changes: list[Change]) -> None:
        """What differs from the state, in place of all that an apply would tell."""
        del self.values["log_path"]  # nothing is written, no log either
        self.diff = diff_of(changes)
        diagnostics = [asdict(item) for item in digest.diagnostics] if digest else []
        described = [describe(change) for change in changes]
        self.values.update(drifted=bool(changes), drift=described, diagnostics=diagnostics)

    def _changes(self, plan: Plan, *digests: Digest) -> None:
        seen: dict[Diagnostic, None] = {}
        for part in digests:
            seen.update(dict.fromkeys(part.diagnostics))
        self.terraform_warnings = [item.text() for item in seen if item.severity == "warning"]
        self.values.update(
            changes=[change.to_dict() for change in plan.changes],
            summary=summarize(plan.changes),
            diagnostics=[asdict(item) for item in seen],
        )

    def finish(self, module: AnsibleModule, progress: Progress, failure: TerraformError | None) -> None:
        """Leave the module."""
        scrubber = Scrubber(self._secrets())
        said = () if progress.hidden else (f"Terraform: {text}" for text in self.terraform_warnings)
        for warning in (*self.warnings, *said):
            module.warn(scrubber.text(warning))
        hidden = dict.fromkeys(self.options.sensitive_variables, _HIDDEN)
        values = self.values
        values["invocation"] = {"module_args": {**module.params, "sensitive_variables": hidden}}
        if module._diff:
            values["diff"] = self.diff
        if failure is None:
            values["duration"] = round(time.monotonic() - self._began, 3)
            values["version"] = self._tool.check().version if self._tool else None
        else:
            values["changed"] = failure.changed
            values["diagnostics"] = [asdict(item) for item in failure.diagnostics]
            values["msg"] = progress.failure(failure.message, values.get("log_path"))
        clean = {**scrubber.value(values), **progress.result()}
        if "outputs" in values:  # with names of the configuration's, and all else of others
            outputs = values["outputs"].items()
            clean["outputs"] = {name: scrubber.value(item, keys=True) for name, item in outputs}
        for name in self._outputs.revealed:  # exactly as they are, whatever is in them
            clean["outputs"][name] = self._outputs.values[name]
        # The result is clean. Ansible's own list holds all values of a no_log option, also those as short as
        # "1", which would mask half of it, and would mask what is to be revealed.
        module.no_log_values = set()
        (module.exit_json if failure is None else module.fail_json)(**clean)

    def _secrets(self) -> Iterable[str]:
        # A sensitive attribute may be as harmless as "us-east-1". What Terraform itself shows in an output is
        # no secret, and must reach the play as it is.
        shown = [leaf for leaf in leaves(self._outputs.values, keys=True) if leaf != SENSITIVE]
        found = set(self._scrubber.secrets) - self._given
        return self._given | {secret for secret in found if not any(secret in leaf for leaf in shown)}


def execute(module: AnsibleModule, work: Callable[[Options, Progress, Report], None]) -> None:
    """Run what a module is for and leave the module with its result."""
    progress = Progress.from_environment()
    try:
        report = Report(read_options(module.params, check=module.check_mode))
    except TerraformError as error:
        module.fail_json(msg=error.message)
    failure: TerraformError | None = None
    try:
        with exit_on_signals():
            work(report.options, progress, report)
    except TerraformError as error:
        failure = error
    report.finish(module, progress, failure)
