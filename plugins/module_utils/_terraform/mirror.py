# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The copy of a root module in which Terraform runs, so that the source is never written to.

All that is ours in the work_dir lies in the folder `.terraform_stack`, but for two kinds of files which
Terraform reads only from the root: `terraform_stack.auto.tfvars.json` (the variables that are not
sensitive; a person who runs terraform there by hand gets them, too) and `*terraform_stack_*override.tf.json`.

Modules outside of the source (`source = "../modules/network"`) are copied into `.terraform_stack/modules`
in the order they have to each other, and an override file points the calls there.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.config import (
    CONFIG_SUFFIXES,
    is_config,
    module_sources,
)

PRIVATE = ".terraform_stack"
VARIABLES = "terraform_stack.auto.tfvars.json"
LOCK_FILE = ".terraform.lock.hcl"

OVERRIDES = "terraform_stack_override.tf.json"
BACKEND = "terraform_stack_override_backend_override.tf.json"
"""Terraform reads override files in the order of their names, and the last one wins."""

_MODULES = "terraform_stack_modules_override.tf.json"
_MANIFEST = f"{PRIVATE}/mirror.json"
_LOCK_SEEN = f"{PRIVATE}/source{LOCK_FILE}"
_OUTSIDE = f"{PRIVATE}/modules"

_SKIPPED = frozenset({".terraform", ".git", ".svn", ".hg", "__pycache__", PRIVATE, LOCK_FILE})


def _is_skipped(name: str) -> bool:
    """Not needed there, or Terraform's own: a state above all must never be copied over another."""
    return name in _SKIPPED or ".tfstate" in name or name.endswith(".tfplan")


@dataclass(frozen=True)
class Mirror:
    """What the work_dir shall hold.

    entries: path in the work_dir → file to copy, or the content itself (then it may hold what not
        everybody shall read, and gets mode 0600).
    lock_file: the source's own.
    """

    entries: dict[str, Path | bytes] = field(repr=False)
    lock_file: Path | None

    def origin(self, file: str) -> str:
        """Where a file that Terraform names came from."""
        origin = self.entries.get(os.path.normpath(file))
        return str(origin) if isinstance(origin, Path) else file

    def with_backend(self, kind: str, config: Mapping[str, Any]) -> Mirror:
        """The same with another backend in force."""
        content = _json({"terraform": {"backend": {kind: config}}})
        return Mirror({**self.entries, _last_of(self.entries, BACKEND): content}, self.lock_file)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _last_of(entries: Mapping[str, Path | bytes], name: str) -> str:
    """A name that ends like the given one, which Terraform reads after all override files of the source."""
    theirs = [other for other, content in entries.items() if isinstance(content, Path) and _overrides(other)]
    last = max(theirs, key=os.fsencode, default="")
    # What begins with another name comes after it.
    return name if os.fsencode(last) < os.fsencode(name) else f"{last}_{name}"


def _overrides(name: str) -> bool:
    """Whether Terraform or OpenTofu takes a file for an override file of the root module."""
    suffix = next((suffix for suffix in CONFIG_SUFFIXES if name.endswith(suffix)), None)
    if suffix is None or "/" in name:
        return False
    stem = name.removesuffix(suffix)
    return stem == "override" or stem.endswith("_override")


def plan_mirror(
    source: Path,
    work_dir: Path,
    variables: Mapping[str, Any],
    backend: Mapping[str, Any] | None,
    overrides: Mapping[str, Any],
    *,
    tofu: bool = False,
) -> Mirror:
    """Decide what the work_dir shall hold; reads the source, writes nothing.

    backend: {"type", "config"} or None for what the source says. tofu: for OpenTofu.
    """
    entries: dict[str, Path | bytes] = {}
    calls: dict[Path, dict[str, str]] = {}  # directory → module → source
    for relative, path in _walk(source, work_dir):
        entries[relative] = path
        if is_config(path, tofu=tofu):
            calls.setdefault(path.parent, {}).update(_module_sources(path))
    _add_outside_modules(source, work_dir, entries, calls, tofu=tofu)
    if overrides:
        entries[_last_of(entries, OVERRIDES)] = _json(overrides)
    entries[VARIABLES] = _json(variables)
    lock_file = source / LOCK_FILE
    mirror = Mirror(entries, lock_file if lock_file.is_file() else None)
    return mirror if backend is None else mirror.with_backend(backend["type"], backend.get("config") or {})


def _module_sources(path: Path) -> dict[str, str]:
    return module_sources(path.name, path.read_text(encoding="utf-8", errors="replace"))


def last_overrides(work_dir: Path) -> dict[str, Any]:
    """The overrides that the last run has had."""
    return _last_written(work_dir, OVERRIDES)


def last_backend(work_dir: Path) -> dict[str, Any] | None:
    """The option `backend` that the last run has had."""
    for kind, config in _last_written(work_dir, BACKEND).get("terraform", {}).get("backend", {}).items():
        return {"type": kind, "config": config}
    return None


def _last_written(work_dir: Path, name: str) -> dict[str, Any]:
    """The content of the override file whose name ends like this, as the last run has written it."""
    for written in _manifest(work_dir):
        if written.endswith(name):
            with contextlib.suppress(OSError, ValueError):
                content: dict[str, Any] = json.loads((work_dir / written).read_bytes())
                return content
    return {}


def _walk(top: Path, excluded: Path) -> Iterator[tuple[str, Path]]:
    """All files below a directory that a mirror needs: relative path and path. Links are followed."""
    for folder, folders, files in os.walk(top, followlinks=True):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if _is_wanted(here / name, excluded))
        for name in sorted(files):
            if not _is_skipped(name) and (here / name).is_file():  # no sockets, no links to nowhere
                yield os.path.relpath(here / name, top), here / name


def _is_wanted(folder: Path, excluded: Path) -> bool:
    if _is_skipped(folder.name) or folder == excluded:
        return False
    # A link to a folder above it would be followed for ever.
    return not (folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve()))


def _add_outside_modules(
    source: Path,
    work_dir: Path,
    entries: dict[str, Path | bytes],
    calls: dict[Path, dict[str, str]],
    *,
    tofu: bool,
) -> None:
    redirected: dict[Path, dict[str, Path]] = {}
    wanted: list[Path] = []
    for directory, modules in calls.items():
        for name, address in modules.items():
            target = _local_target(directory, address)
            if target is not None and not target.is_relative_to(source):
                redirected.setdefault(directory, {})[name] = target
                wanted.append(target)
    if not redirected:
        return
    outside: dict[Path, dict[Path, Path]] = {}  # module → path below it → file
    while wanted:
        module = wanted.pop()
        if module in outside or not module.is_dir():
            continue
        files = {Path(relative): path for relative, path in _walk(module, work_dir)}
        outside[module] = files
        for path in files.values():
            if is_config(path, tofu=tofu):
                targets = (_local_target(path.parent, address) for address in _module_sources(path).values())
                wanted += [target for target in targets if target and not target.is_relative_to(module)]
    if not outside:
        return  # Terraform will say that it cannot find them
    ancestor = Path(os.path.commonpath([module.parent for module in outside]))
    for module, files in outside.items():
        for relative, path in files.items():
            entries[f"{_OUTSIDE}/{module.relative_to(ancestor) / relative}"] = path
    for directory, redirections in redirected.items():
        folder = directory.relative_to(source)
        override = {
            name: {"source": _module_address(folder, Path(_OUTSIDE) / target.relative_to(ancestor))}
            for name, target in redirections.items()
            if target in outside
        }
        entries[os.path.normpath(folder / _MODULES)] = _json({"module": override})


def _module_address(folder: Path, target: Path) -> str:
    """A module's source as Terraform wants it: with a dot in front."""
    address = os.path.relpath(target, folder)
    return address if address.startswith("../") else f"./{address}"


def _local_target(directory: Path, address: str) -> Path | None:
    """The directory that a module's source means, or None when it is not a local one."""
    if not address.startswith(("./", "../")):
        return None
    return Path(os.path.normpath(directory / address))


@dataclass(frozen=True)
class Differences:
    """What has to be done to a work_dir so that it is the mirror."""

    write: list[str]
    remove: list[str]

    def __bool__(self) -> bool:
        return bool(self.write or self.remove)


def compare(mirror: Mirror, work_dir: Path) -> Differences:
    """Compare a work_dir, which need not exist, with what it shall hold."""
    write = [name for name, content in mirror.entries.items() if not _same(work_dir / name, content)]
    remove = sorted(set(_manifest(work_dir)) - set(mirror.entries))
    return Differences(write, remove)


def _manifest(work_dir: Path) -> list[str]:
    try:
        names = json.loads((work_dir / _MANIFEST).read_bytes())
    except (OSError, ValueError):
        return []
    return [name for name in names if not _is_skipped(Path(name).name)]


def _same(path: Path, content: Path | bytes) -> bool:
    try:
        there = path.stat()
        if isinstance(content, bytes):
            return there.st_size == len(content) and path.read_bytes() == content
        here = content.stat()
        same_mode = (there.st_mode ^ here.st_mode) & 0o100 == 0
        return same_mode and there.st_size == here.st_size and path.read_bytes() == content.read_bytes()
    except OSError:
        return False


def write(mirror: Mirror, differences: Differences, work_dir: Path) -> None:
    """Make the work_dir what it shall be. Files that are not the mirror's own are left alone."""
    for name in differences.remove:
        with contextlib.suppress(OSError):
            (work_dir / name).unlink()
        _remove_empty_parents(work_dir, Path(name).parent)
    for name in differences.write:
        write_file(work_dir / name, mirror.entries[name])
    if differences or not (work_dir / _MANIFEST).exists():
        write_file(work_dir / _MANIFEST, _json(sorted(mirror.entries)))
    if follows_lock_file(mirror, work_dir):
        for name in (LOCK_FILE, _LOCK_SEEN):
            write_file(work_dir / name, mirror.lock_file or b"")


def follows_lock_file(mirror: Mirror, work_dir: Path) -> bool:
    """Whether the source's lock file has moved since the work_dir took it over: what has happened to the one
    there since then, such as an upgrade, stays until it does."""
    if mirror.lock_file is None:
        return False
    seen = work_dir / _LOCK_SEEN
    return not (work_dir / LOCK_FILE).exists() or not _same(seen, mirror.lock_file)


def link_others(mirror: Mirror, work_dir: Path, root: Path) -> None:
    """Let a copy of a work_dir have what a person has put there for Terraform to read, such as variables."""
    ours = {*mirror.entries, *_manifest(work_dir)}
    for path in work_dir.glob("*"):
        if path.is_file() and path.name not in ours and not _is_skipped(path.name):
            (root / path.name).symlink_to(path)


def _remove_empty_parents(work_dir: Path, folder: Path) -> None:
    while folder != Path():
        try:
            (work_dir / folder).rmdir()
        except OSError:
            return
        folder = folder.parent


def write_file(path: Path, content: Path | bytes) -> None:
    """Write a file as a whole: either the old one is there or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        if isinstance(content, bytes):
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
        else:
            shutil.copyfile(content, new)
            new.chmod(0o755 if content.stat().st_mode & 0o100 else 0o644)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
