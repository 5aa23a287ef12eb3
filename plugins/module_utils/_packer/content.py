# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second stage of a bake: what shapes the image, in parts with names that a person understands."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from . import fingerprint as fp
from .places import Place
from .request import Request


@dataclass(frozen=True)
class Content:
    """Everything that goes into a fingerprint, and how it differs from another.

    files: of each part that is files (C(template), C(files.roles/r)) their digests by name.
    values: the values (C(base_image_id), C(variables.instance_type)).
    """

    files: Mapping[str, Mapping[str, str]]
    values: Mapping[str, Any]

    def parts(self) -> dict[str, str]:
        """A digest for each part."""
        digests = {
            part: fp.value_digest([files[name] for name in sorted(files)])
            for part, files in self.files.items()
        }
        digests.update({part: fp.value_digest(value) for part, value in self.values.items()})
        return digests

    def fingerprint(self) -> str:
        """One hash over all parts."""
        return fp.fingerprint(self.parts())

    def lines(self) -> dict[str, str]:
        """What a person sees of each file and value, in one line."""
        seen = {
            f"{part}/{fp.printable(name)}": digest[:12]
            for part, files in self.files.items()
            for name, digest in files.items()
        }
        seen.update({part: json.dumps(value, ensure_ascii=False) for part, value in self.values.items()})
        return seen

    def summary(self) -> dict[str, str]:
        """Like C(lines), but of files only how many they are."""
        counts = {part: _count(len(files)) for part, files in self.files.items()}
        values = {part: json.dumps(value, ensure_ascii=False) for part, value in self.values.items()}
        return {**counts, **values}


def content_of(request: Request) -> Content:
    """Everything that shapes the image.

    Raises FingerprintError when a path cannot be read or lies outside of the root.
    """
    files = {"template": list(request.files)}
    for path in map(_stable_path, request.fingerprint_paths):
        root = request.fingerprint_root
        files[f"files.{path}"] = fp.entries(root / path, apart_from=Place(request.work_dir))
    values: dict[str, Any] = {"base_image_id": request.base_image_id}
    groups = {
        "variables": _without(request.variables, request.fingerprint_exclude),
        "provisioner_variables": _without(request.provisioner_variables, request.fingerprint_exclude),
        "fingerprint_extra": request.fingerprint_extra,
    }
    for group, members in groups.items():
        values.update({f"{group}.{name}": value for name, value in members.items()})
    return Content({part: fp.digests(found) for part, found in files.items()}, values)


def _without(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _stable_path(name: str) -> PurePosixPath:
    """A path whose spelling may go into the fingerprint: it is the same from every checkout."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise fp.FingerprintError(
            f"The path {name} in fingerprint_paths has to be relative to fingerprint_root: its name counts"
        )
    return path


def difference(before: Content | None, after: Content) -> tuple[str, str]:
    """Two texts with a line for each file and value that differs; the first is empty for a first bake."""
    if before is None:
        return "", "".join(_lines(after.summary()))
    old, new = before.lines(), after.lines()
    return (
        "".join(_lines({name: text for name, text in old.items() if new.get(name) != text})),
        "".join(_lines({name: text for name, text in new.items() if old.get(name) != text})),
    )


def _lines(texts: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(texts):
        yield f"{name}: {texts[name]}\n"


def _count(files: int) -> str:
    return f"{files} file" if files == 1 else f"{files} files"
