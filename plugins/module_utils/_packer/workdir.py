# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder where Packer runs: a copy of the template with the overlay on it, and the module's own files.

What a person puts there stays, but for files with the names of the template's.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .._run.attempt import Attempt, AttemptFile, fields_of
from .._run.files import PARTIAL, read_json, write_private_json
from .._run.secrets import Scrubber
from .fingerprint import Entry, FingerprintError, entries, printable
from .places import real


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


@dataclass(frozen=True, kw_only=True)
class BakeAttempt(Attempt):
    """A bake that was begun.

    run_id: value of the tag that everything of it carries.
    image_name: the name of the image that it makes.
    """

    run_id: str
    image_name: str = ""


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

    @property
    def attempts(self) -> AttemptFile[BakeAttempt]:
        """The record of a bake whose end nobody has reported."""
        return AttemptFile(self._attempt, BakeAttempt)

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
        known = {entry.name for entry in files} | set(read_json(self._copied) or ())
        made = read_json(self._made) or {}
        return [
            entry.name
            for entry in self._foreign()
            if entry.name not in known and made.get(entry.name) != entry.digest()
        ]

    def note_made(self) -> None:
        """Remember what a bake has left here, so that it is not taken for a person's."""
        known = set(read_json(self._copied) or ())
        with contextlib.suppress(FingerprintError, OSError):
            made = {entry.name: entry.digest() for entry in self._foreign() if entry.name not in known}
            write_private_json(self._made, made)

    def _foreign(self) -> list[Entry]:
        """The files that are not the module's own."""
        own = {path for path in vars(self).values() if path != self.path}
        ignored = {path.name for path in own} | {f"{path.name}{PARTIAL}" for path in own}
        return entries(self.path, without=ignored)

    def lay_out(self, files: Iterable[Entry]) -> None:
        """Remove the files of an earlier template and copy the template's here.

        Raises WorkDirError when something of a person's is in the way.
        """
        wanted = {entry.name: entry for entry in files}
        for name in sorted(set(read_json(self._copied) or ()) - wanted.keys(), reverse=True):
            self._remove(name)
        try:
            for name, entry in wanted.items():
                self._copy(entry.path, self._own_path(name))
        except OSError as error:
            raise WorkDirError(
                f"The work_dir {self.path} cannot be filled: {error.strerror} "
                f"({printable(error.filename or '')}). Remove what is in the way, or name another folder."
            ) from error
        write_private_json(self._copied, list(wanted))

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
        return fields_of(Bake, self._bake)

    def note_bake(self, bake: Bake) -> None:
        """Remember a bake that ended well."""
        write_private_json(self._bake, asdict(bake))

    def remove_secrets(self, scrubber: Scrubber) -> None:
        """Remove the sensitive variables, also from what a template may have put into its manifest."""
        self.sensitive_variables.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            text = self.manifest.read_text(encoding="utf-8", errors="replace")
            if scrubber.text(text) != text:
                self.manifest.write_text(scrubber.text(text), encoding="utf-8")
