# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A state by itself: read from a file, or spoken to in a folder that knows nothing but its backend."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._run.process import run_plainly
from .errors import TerraformError
from .tool import Tool

LOCK_SECONDS = 60
"""How long to wait for whoever has locked the state."""


@dataclass(frozen=True)
class Version:
    """A state, as far as it matters which of two is the right one.

    resources: what it has, by addresses and ids.
    """

    lineage: str
    serial: int
    resources: frozenset[str] = field(repr=False)

    @classmethod
    def parse(cls, document: Any) -> Version | None:
        """Read a state; None when there is none: Terraform shows one without a lineage then."""
        if not isinstance(document, dict) or not (document.get("lineage") or document.get("resources")):
            return None
        resources = frozenset(
            " ".join(
                str(part)
                for part in (
                    resource.get("module", ""),
                    resource["type"],
                    resource["name"],
                    instance.get("index_key", ""),
                    (instance.get("attributes") or {}).get("id", ""),
                )
            )
            for resource in document.get("resources") or []
            for instance in resource.get("instances") or []
            if resource.get("mode") == "managed"
        )
        return cls(str(document["lineage"]), int(document["serial"]), resources)

    def __str__(self) -> str:
        count = len(self.resources)
        return f"lineage {self.lineage}, serial {self.serial}, {count} resource{'' if count == 1 else 's'}"


def read_state(path: Path) -> Version | None:
    """The state in a file; None when there is none in it. Raises TerraformError, OSError."""
    content = path.read_bytes()
    if not content.strip():
        return None
    try:
        return Version.parse(json.loads(content))
    except (ValueError, KeyError, TypeError):
        raise TerraformError(
            f"{path} is no state that can be read: it is encrypted or damaged. Nothing was changed. Put "
            "back a good one (there may be a .backup beside it), or move it away."
        ) from None


@dataclass(frozen=True)
class StateFolder:
    """A folder in which Terraform finds a state."""

    tool: Tool
    directory: Path
    environment: Mapping[str, str]

    def run(self, *arguments: str) -> str:
        """Run a command. Raises TerraformError."""
        argv = [self.tool.path, *arguments]
        said = run_plainly(argv, cwd=self.directory, env=self.environment)
        text = said.stdout.decode("utf-8", "replace")
        if said.returncode:
            words = (said.stderr.decode("utf-8", "replace") or text).strip()
            raise TerraformError(
                f"{self.tool.name} {arguments[0]} failed, and the state is where it was: {words}"
            )
        return text

    def version(self) -> Version | None:
        """The state in the backend."""
        text = self.run("state", "pull").strip()
        return Version.parse(json.loads(text)) if text else None


@contextmanager
def open_backend(
    tool: Tool, backend: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[StateFolder]:
    """A folder that knows nothing but a backend: no provider is wanted, and nothing else can be meant."""
    with tempfile.TemporaryDirectory(prefix="terraform_state-") as name:
        settings = {"terraform": {"backend": {backend["type"]: backend.get("config") or {}}}}
        (Path(name) / "backend.tf.json").write_text(json.dumps(settings))
        there = StateFolder(tool, Path(name), environment)
        there.run("init", "-input=false", "-no-color")
        yield there
