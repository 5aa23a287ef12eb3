# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which program runs, Terraform or OpenTofu, its version, and what that one can do."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .._run import process
from .._run.outcome import ProcessError
from .._run.programs import find_program
from .errors import TerraformError
from .events import Event

Version = tuple[int, ...]

TERRAFORM = "Terraform"
OPENTOFU = "OpenTofu"

NAMED: Mapping[str, str] = {TERRAFORM: "terraform", OPENTOFU: "tofu"}
"""Under which key an event of the type "version" has it."""

OLDEST: Mapping[str, Version] = {TERRAFORM: (1, 10), OPENTOFU: (1, 10)}
"""The first versions with native locking of S3 states and ephemeral variables at apply."""

VARIABLES_SINCE: Mapping[str, Mapping[str, Version]] = {
    "init": OLDEST,
    "plan": OLDEST,
    "apply": OLDEST,
    # For variables in the source of a module.
    "show": {TERRAFORM: (1, 15), OPENTOFU: (1, 10)},
    # For variables in the backend and in the encryption of the state.
    "state list": {OPENTOFU: (1, 10)},
    "output": {OPENTOFU: (1, 10)},
    "workspace list": {OPENTOFU: (1, 10)},
    "workspace select": {OPENTOFU: (1, 10)},
}
"""Which commands take variables by -var-file, since when."""


@dataclass(frozen=True)
class Release:
    """product: TERRAFORM or OPENTOFU. version: as it says."""

    product: str
    version: str

    @property
    def numbers(self) -> Version:
        """Major and minor."""
        return tuple(int(part) for part in re.findall(r"\d+", self.version)[:2])


@dataclass
class Tool:
    """The program.

    path: absolute. environment: to ask it in. release: which it is; None until it has said so.
    """

    path: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    release: Release | None = None

    @property
    def name(self) -> str:
        """As people call it: "terraform"."""
        return Path(self.path).name

    @property
    def by_hand(self) -> str:
        """What a person types to run it."""
        return self.name if shutil.which(self.name) == self.path else self.path

    def heard(self, events: Iterable[Event | str]) -> None:
        """Take what it says of itself while it works, so that it need not be asked."""
        for event in events:
            if isinstance(event, dict) and event.get("type") == "version":
                for product, key in NAMED.items():
                    if isinstance(event.get(key), str):
                        self.release = Release(product, event[key])

    def check(self) -> Release:
        """Which release it is, asked when it has not said so yet.

        Raises TerraformError when it is too old, or another program.
        """
        if self.release is None:
            self.release = self._ask()
        oldest = OLDEST[self.release.product]
        if self.release.numbers < oldest:
            wanted = ".".join(map(str, oldest))
            raise TerraformError(
                f"{self.path} is version {self.release.version}; {wanted} or later is needed."
            )
        return self.release

    def takes_variables(self, command: str) -> bool:
        """Whether a command takes -var-file. Raises TerraformError."""
        since = VARIABLES_SINCE.get(command, {})
        if since == OLDEST:
            return True
        release = self.check()
        return release.product in since and release.numbers >= since[release.product]

    def _ask(self) -> Release:
        try:
            said = process.run_plainly([self.path, "version"], cwd=Path.cwd(), env=self.environment)
        except ProcessError as error:
            raise TerraformError(str(error)) from error
        text = said.stdout.decode("utf-8", "replace")
        found = re.search(rf"^({TERRAFORM}|{OPENTOFU}) v(\d\S*)", text, re.MULTILINE)
        if found is None:
            words = " ".join((text + said.stderr.decode("utf-8", "replace")).split())[:200]
            raise TerraformError(
                f"{self.path} is neither Terraform nor OpenTofu: asked for its version it says: {words}"
            )
        return Release(found[1], found[2])


def command_of(arguments: Sequence[str]) -> str:
    """ "plan", "workspace select": the words that name the command."""
    return " ".join(arguments[: 2 if arguments[0] in ("state", "workspace") else 1])


def find_binary(name: str | None) -> str:
    """The absolute path of the binary asked for, or of the first of terraform and tofu on PATH.

    Raises TerraformError.
    """
    for candidate in [name] if name else ["terraform", "tofu"]:
        if path := find_program(candidate):
            return path
    if name:
        raise TerraformError(f"There is no program {name} (or it is not executable).")
    raise TerraformError(
        "Neither terraform nor tofu is on PATH. Install one of them, or name it in `binary`."
    )


def find_tool(name: str | None, environment: Mapping[str, str]) -> Tool:
    """The program, not asked anything yet. Raises TerraformError."""
    return Tool(find_binary(name), environment)
