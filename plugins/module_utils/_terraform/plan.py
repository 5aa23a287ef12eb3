# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fourth stage: a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import workdir
from .events import Digest
from .options import Options
from .place import Place


@dataclass(frozen=True)
class Planned:
    """A plan that was made.

    place: where, with the workspace selected. anything: it is not empty. digest: what Terraform said.
    """

    place: Place
    anything: bool
    digest: Digest

    def document(self) -> dict[str, Any]:
        """The plan as JSON; starts the providers once more."""
        shown: dict[str, Any] = self.place.cli.document(["show", "-json", str(self.place.plan_file)])
        return shown


def make_plan(place: Place) -> Planned:
    """Plan what the options ask for. Raises TerraformError."""
    options = place.options
    args = ["-destroy"] if options.state == "absent" else []
    if not options.refresh:
        args.append("-refresh=false")
    args += [f"-target={address}" for address in options.targets]
    args += [f"-replace={address}" for address in options.replace]
    return _plan(place, args)


def plan_refresh(place: Place) -> Planned:
    """Plan nothing but to take over what others have changed. Raises TerraformError."""
    return _plan(place, ["-refresh-only"])


def _plan(place: Place, arguments: Sequence[str]) -> Planned:
    workdir.write_file(place.plan_file, b"")  # so that Terraform finds it there, with mode 0600
    args = ["plan", *common_arguments(place.options), "-detailed-exitcode", f"-out={place.plan_file}"]
    code, digest = place.cli.events([*args, *arguments], accept=(0, 2))
    return Planned(place, code == 2, digest)


def common_arguments(options: Options) -> list[str]:
    """What plan and apply have in common."""
    args = ["-json", "-input=false"]
    if options.parallelism is not None:
        args.append(f"-parallelism={options.parallelism}")
    if options.check:
        args.append("-lock=false")
    elif options.lock_timeout:
        args.append(f"-lock-timeout={options.lock_timeout}s")
    return args
