# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder where Packer runs: a copy of the template with the overlay on it, and the module's own files.

What a person puts there stays, but for files with the names of the template's.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from ansible_collections.iac.ds_stack.plugins.module_utils._packer.fingerprint import (
    Entry,
    FingerprintError,
    entries,
    printable,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.places import real
from ansible_collections.iac.ds_stack.plugins.module_utils._run.process import birth_of
from ansible_collections.iac.ds_stack.plugins.module_utils._run.secrets import Scrubber
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.config import (
    attributes,
    top_level_blocks,
)

LOGS_KEPT = 10
"""As many as terraform_stack keeps."""

Kept = TypeVar("Kept")
"""What is kept in a file of its own, Bake or Attempt."""


@dataclass(frozen=True)
class Bake:
    """A bake that ended well.

    ami_id, fingerprint: of its image.
    files, values: the fields of its `Content`.
    """

    ami_id: str
    fingerprint: str
    files: Mapping[str, Mapping[str, str]]
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Attempt:
    """A bake that was begun. While its file is there nobody has reported how it ended.

    run_id: value of the tag that everything of it carries.
    log_path: its log.
    pid, birth: of the process in which Packer runs, see `birth_of`.
    outcome: how Packer ended, in words; None as long as it runs, or when nobody watched it any more.
    succeeded: whether it ended well.
    image_name: the name of the image that it makes.
    """

    run_id: str
    log_path: str
    pid: int = 0
    birth: str | None = None
    outcome: str | None = None
    succeeded: bool = False
    image_name: str = ""

    def still_runs(self) -> bool:
        """Whether Packer runs although nobody watches it."""
        return self.outcome is None and self.birth is not None and birth_of(self.pid) == self.birth


class WorkDirError(Exception):
    """The folder cannot be used; the text says why."""


class WorkDir:
    """Files in the folder, all of them readable by their owner only where they hold values."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = path / ".lock"
        self.variables = path / "variables.pkrvars.json"
        self.sensitive_variables = path / "sensitive.pkrvars.json"
        self.provisioner_variables = path / "provisioner_variables.json"
        self.manifest = path / "manifest.json"
        self.logs = path / "log"
        self._copied = path / ".template_files.json"
        self._made = path / ".made_files.json"
        self._bake = path / ".bake.json"
        self._attempt = path / ".attempt.json"

    def create(self) -> None:
        """Make the folder. Raises WorkDirError when that cannot be."""
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkDirError(
                f"The work_dir {self.path} cannot be made: {error.strerror} ({error.filename}). "
                "Name another folder."
            ) from error

    def strays(self, files: Iterable[Entry]) -> list[str]:
        """Files in the folder that would shape an image although they are not of its template.

        What earlier templates and bakes have left does not count, as long as nobody changes it. Raises
        FingerprintError.
        """
        if not self.path.is_dir():
            return []
        known = {entry.name for entry in files} | set(self._read(self._copied) or ())
        made = self._read(self._made) or {}
        return [
            entry.name
            for entry in self._foreign()
            if entry.name not in known and made.get(entry.name) != entry.digest()
        ]

    def note_made(self) -> None:
        """Remember what a bake has left here, so that it is not taken for a person's."""
        known = set(self._read(self._copied) or ())
        with contextlib.suppress(FingerprintError, OSError):
            made = {entry.name: entry.digest() for entry in self._foreign() if entry.name not in known}
            write_private(self._made, made)

    def _foreign(self) -> list[Entry]:
        """The files that are not the module's own."""
        own = {path for path in vars(self).values() if path != self.path}
        ignored = {path.name for path in own} | {f"{path.name}.partial" for path in own}
        return entries(self.path, without=ignored)

    def new_log(self, name: str) -> Path:
        """The path of a new log, and room for it. The name of an image may hold slashes."""
        logs = sorted(self.logs.glob("*.log"), key=lambda path: path.stat().st_mtime)
        for path in logs[: -(LOGS_KEPT - 1)]:
            path.unlink(missing_ok=True)
        return self.logs / f"{name.replace('/', '_')}.log"

    def lay_out(self, files: Iterable[Entry]) -> None:
        """Remove the files of an earlier template and copy the template's here.

        Raises WorkDirError when something of a person's is in the way.
        """
        wanted = {entry.name: entry for entry in files}
        for name in sorted(set(self._read(self._copied) or ()) - wanted.keys(), reverse=True):
            self._remove(name)
        try:
            for name, entry in wanted.items():
                self._copy(entry.path, self._own_path(name))
        except OSError as error:
            raise WorkDirError(
                f"The work_dir {self.path} cannot be filled: {error.strerror} "
                f"({printable(error.filename or '')}). Remove what is in the way, or name another folder."
            ) from error
        write_private(self._copied, list(wanted))

    def _own_path(self, name: str) -> Path:
        """Where a file of the template goes, with the folders for it.

        A link under a name of the template's is no place for it: who writes there writes elsewhere, maybe to
        the template itself.
        """
        target = self.path
        for part in Path(name).parts:
            target /= part
            if target.is_symlink():
                target.unlink()
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        shutil.copyfile(source, target)
        shutil.copymode(source, target)
        target.chmod(target.stat().st_mode | 0o200)

    def _remove(self, name: str) -> None:
        """Remove a file of an earlier template, and its folders where nothing else is in them."""
        path = self.path / name
        if real(path.parent).is_relative_to(real(self.path)):  # else a folder became a link to others' files
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
                while (path := path.parent) != self.path:
                    path.rmdir()

    def last_bake(self) -> Bake | None:
        """The last bake that ended well in this folder, if it is known."""
        return _load(Bake, self._read(self._bake))

    def note_bake(self, bake: Bake) -> None:
        """Remember a bake that ended well."""
        write_private(self._bake, asdict(bake))

    def unreported_attempt(self) -> Attempt | None:
        """The attempt whose end nobody has reported, if there is one."""
        return _load(Attempt, self._read(self._attempt))

    def note_attempt(self, attempt: Attempt) -> None:
        """Remember an attempt until it is reported."""
        write_private(self._attempt, asdict(attempt))

    def reported(self) -> None:
        """The attempt's end has been reported."""
        self._attempt.unlink(missing_ok=True)

    def remove_secrets(self, scrubber: Scrubber) -> None:
        """Remove the sensitive variables, also from what a template may have put into its manifest."""
        self.sensitive_variables.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            text = self.manifest.read_text(encoding="utf-8", errors="replace")
            if scrubber.text(text) != text:
                self.manifest.write_text(scrubber.text(text), encoding="utf-8")

    @staticmethod
    def _read(path: Path) -> Any:
        with contextlib.suppress(OSError, ValueError):
            return json.loads(path.read_bytes())
        return None


def write_private(path: Path, value: Any) -> None:
    """Write a JSON file that only its owner may read, at once as a whole."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")
    partial.replace(path)


def is_read_by_packer(entry: Entry) -> bool:
    """Whether a file is part of the template itself. Packer reads no folders in folders."""
    return "/" not in entry.name and entry.name.endswith((".pkr.hcl", ".pkr.json"))


def legacy_template(files: Iterable[Entry]) -> str | None:
    """The name of a file that is a template in the JSON of before Packer 1.5, if there is one."""
    for entry in files:
        if "/" not in entry.name and entry.name.endswith(".json") and not is_read_by_packer(entry):
            with contextlib.suppress(OSError, ValueError):
                content = json.loads(entry.path.read_bytes())
                if isinstance(content, dict) and "builders" in content:
                    return entry.name
    return None


def declared_variables(files: Iterable[Entry]) -> set[str]:
    """Names of the input variables that a template declares, in HCL or JSON."""
    names: set[str] = set()
    for entry in filter(is_read_by_packer, files):
        if entry.name.endswith(".pkr.hcl"):
            names.update(_declared_in_hcl(entry.path.read_text(encoding="utf-8", errors="replace")))
        else:
            names.update(_declared_in_json(entry.path.read_bytes()))
    return names


def _declared_in_hcl(text: str) -> Iterator[str]:
    """Names in C(variable "x" {}), C(variable x {}) and the older C(variables { x = ... })."""
    for block in top_level_blocks(text):
        if block.type == "variable" and block.labels:
            yield block.labels[0]
        elif block.type == "variables" and not block.labels:
            yield from attributes(block.body)


def _declared_in_json(text: bytes) -> Iterator[str]:
    try:
        template = json.loads(text)
    except ValueError:
        return  # a broken file is Packer's to explain
    for kind in ("variable", "variables"):
        blocks = template.get(kind, []) if isinstance(template, dict) else []
        for group in blocks if isinstance(blocks, list) else [blocks]:
            yield from group if isinstance(group, dict) else ()


def _load(kind: type[Kept], fields: Any) -> Kept | None:
    try:
        return kind(**fields)
    except TypeError:
        return None  # of another version, or broken: as if it were not there
