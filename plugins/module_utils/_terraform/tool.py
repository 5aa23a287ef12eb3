# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which program runs, Terraform or OpenTofu, its version, and what that one can do."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._run import process
from .._run.outcome import ProcessError
from .._run.programs import find_program
from .errors import TerraformError

Version = tuple[int, ...]

TERRAFORM = "Terraform"
OPENTOFU = "OpenTofu"

OLDEST: Mapping[str, Version] = {TERRAFORM: (1, 10), OPENTOFU: (1, 10)}
"""The first versions with native locking of S3 states and ephemeral variables at apply."""

VARIABLES_SINCE: Mapping[str, Mapping[str, Version]] = {
    "init": {TERRAFORM: (1, 10), OPENTOFU: (1, 10)},
    "plan": {TERRAFORM: (1, 10), OPENTOFU: (1, 10)},
    "apply": {TERRAFORM: (1, 10), OPENTOFU: (1, 10)},
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
class Tool:
    """The program.

    path: absolute. product: TERRAFORM or OPENTOFU. version: as it says.
    """

    path: str
    product: str
    version: str

    @property
    def name(self) -> str:
        """As people call it: "terraform"."""
        return Path(self.path).name

    @property
    def by_hand(self) -> str:
        """What a person types to run it."""
        return self.name if shutil.which(self.name) == self.path else self.path

    def takes_variables(self, command: str) -> bool:
        """Whether a command takes -var-file."""
        since = VARIABLES_SINCE.get(command, {}).get(self.product)
        return since is not None and self._numbers >= since

    @property
    def _numbers(self) -> Version:
        return tuple(int(part) for part in re.findall(r"\d+", self.version)[:2])

    def check(self) -> None:
        """Raises TerraformError when it is too old."""
        oldest = OLDEST[self.product]
        if self._numbers < oldest:
            wanted = ".".join(map(str, oldest))
            raise TerraformError(f"{self.path} is version {self.version}; {wanted} or later is needed.")


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
    """The program, asked for its version. Raises TerraformError."""
    path = find_binary(name)
    try:
        said = process.run_plainly([path, "version"], cwd=Path.cwd(), env=environment)
    except ProcessError as error:
        raise TerraformError(str(error)) from error
    text = said.stdout.decode("utf-8", "replace")
    found = re.search(rf"^({TERRAFORM}|{OPENTOFU}) v(\d\S*)", text, re.MULTILINE)
    if found is None:
        words = " ".join((text + said.stderr.decode("utf-8", "replace")).split())[:200]
        raise TerraformError(
            f"{path} is neither Terraform nor OpenTofu: asked for its version it says: {words}"
        )
    tool = Tool(path, found[1], found[2])
    tool.check()
    return tool
