# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of a run, in one place: options → copy → init → plan → review → apply → report.

Each stage is a file. It takes the value of the stage before and hands on its own. See docs/terraform_run.md.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._run.progress import Progress
from .._run.secrets import secrets_in
from .apply import apply
from .changes import Change, is_real, parse_drift
from .errors import told
from .init import initialize, initialized
from .options import Options
from .place import open_place
from .plan import make_plan, plan_refresh
from .report import Report
from .resolve import resolve
from .review import permit, review


def run(options: Options, progress: Progress, report: Report) -> None:
    """Make it so, or destroy it; in check mode all but that. Raises TerraformError."""
    with told():
        asked = resolve(options)
        report.asked(asked)
        with open_place(asked, progress) as place:
            report.opened(place)
            planned = initialized(place, make_plan)
            if planned is None:
                report.nothing()
                return
            report.initialized(planned.place)
            reviewed = review(planned)
            report.reviewed(reviewed)
            permit(reviewed)
            applied = apply(reviewed)
            report.applied(applied)
            if applied.failure is not None:
                raise applied.failure


def find_drift(options: Options, progress: Progress, report: Report) -> None:
    """Tell what differs from the state: the line as far as the plan, in check mode. Raises TerraformError."""
    with told():
        asked = resolve(replace(options, check=True))
        report.asked(asked)
        with open_place(asked, progress) as place:
            report.opened(place)
            planned = initialized(place, plan_refresh)
            found: list[Change] = []
            if planned is not None and planned.anything:
                found, secrets = parse_drift(planned.document())
                place.cli.scrubber.add(secrets_in(secrets))
            report.drifted(planned.digest if planned else None, [item for item in found if is_real(item)])


def fetch_providers(
    source: Path, work_dir: Path, overrides: Mapping[str, Any], providers: Mapping[str, Any]
) -> None:
    """Have Terraform fetch the providers to where it will run: the line as far as the init.

    Raises TerraformError. Not from a thread: it forks.
    """
    _initialize(Options(source, work_dir, overrides=overrides, providers=providers))


def look_for_providers(source: Path, overrides: Mapping[str, Any], providers: Mapping[str, Any]) -> None:
    """See whether Terraform can have the providers, in a folder that goes away again.

    Raises TerraformError. Not from a thread: it forks.
    """
    with tempfile.TemporaryDirectory() as empty:
        _initialize(Options(source, Path(empty), overrides=overrides, providers=providers, check=True))


def _initialize(options: Options) -> None:
    with told(), open_place(resolve(options), Progress(None)) as place:
        initialize(place)
