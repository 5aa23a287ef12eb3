# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder in which Terraform runs, as a copy of the source that is kept up to date.

All that is ours in it lies in `.terraform_stack`, but for two kinds of files which Terraform reads only from
the root: `terraform_stack.auto.tfvars.json` (the variables that are not sensitive; who runs it there by hand
gets them, too) and `*terraform_stack_*override.tf.json`.

What is Terraform's own, a local state above all, stays at the top of the work_dir wherever the root lies in
it, with links from the root. So it is found where it has always been, and no move of the root can lose it.
"""

from __future__ import annotations

import contextlib
import filecmp
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .._run.files import PARTIAL, read_json, write_private
from . import provider_lock
from .errors import TerraformError
from .provider_lock import Providers
from .state import DEFAULT_STATE, DEFAULT_WORKSPACE_DIR, RESCUED, local_paths, noted_backend
from .tree import BACKEND, LOCK_FILE, OVERRIDES, PRIVATE, VARIABLES, Tree, as_json, is_skipped

_MANIFEST = f"{PRIVATE}/mirror.json"
_LOCK_SEEN = f"{PRIVATE}/source{LOCK_FILE}"

_STATES = (DEFAULT_STATE, f"{DEFAULT_STATE}.backup", DEFAULT_WORKSPACE_DIR, RESCUED)
PACKAGES = ".terraform/providers"
_OWN = (*_STATES, ".terraform", LOCK_FILE)


@dataclass(frozen=True)
class Differences:
    """What has to be done to a work_dir so that it is as the tree says."""

    write: list[str]
    remove: list[str]

    def __bool__(self) -> bool:
        return bool(self.write or self.remove)


@dataclass(frozen=True)
class _Manifest:
    """What the last run has written, and where its root was. Before 0.2 that was the work_dir itself."""

    files: list[str]
    root: Path = Path()

    @classmethod
    def read(cls, work_dir: Path) -> _Manifest:
        content = read_json(work_dir / _MANIFEST)
        if content is None:
            return cls([])
        found = cls(content) if isinstance(content, list) else cls(content["files"], Path(content["root"]))
        return replace(found, files=[name for name in found.files if not is_skipped(Path(name).name)])


def root_of(work_dir: Path, otherwise: Path | None = None) -> Path:
    """The folder in a work_dir where Terraform was run last; without any run what is given, or itself."""
    if otherwise is not None and not has_run(work_dir):
        return otherwise
    return work_dir / _Manifest.read(work_dir).root


def state_file(work_dir: Path) -> Path:
    """Where the state of the default workspace that lies here is, or would be.

    One that its backend did not take goes on from any other. A run that was killed has left it in its root.
    """
    if rescued := rescued_state(work_dir):
        return rescued
    top, of_root = work_dir / DEFAULT_STATE, root_of(work_dir) / DEFAULT_STATE
    return of_root if of_root.exists() and not top.exists() else top


def rescued_state(work_dir: Path) -> Path | None:
    """The state that the last apply could not save where it is kept, if there is a whole one.

    What is cut off, as on a full disk, Terraform has given in its output too, and that run has told.
    """
    for path in (folder / RESCUED for folder in (work_dir, root_of(work_dir))):
        try:
            # Of a first apply, which had not found out whether there is another, the lineage is empty.
            if isinstance(json.loads(path.read_bytes())["lineage"], str):
                return path
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def has_run(work_dir: Path) -> bool:
    """Whether a run has made this work_dir what it is."""
    return (work_dir / _MANIFEST).exists()


def last_variables(work_dir: Path) -> dict[str, Any]:
    """The variables that the last run has had, without the sensitive ones."""
    return _last_written(work_dir, VARIABLES)


def last_overrides(work_dir: Path) -> dict[str, Any]:
    """The overrides that the last run has had."""
    return _last_written(work_dir, OVERRIDES)


def last_backend(work_dir: Path) -> dict[str, Any] | None:
    """The option `backend` that the last run has had."""
    for kind, config in _last_written(work_dir, BACKEND).get("terraform", {}).get("backend", {}).items():
        return {"type": kind, "config": config}
    return None


def _last_written(work_dir: Path, name: str) -> dict[str, Any]:
    """The content of the file in the root whose name ends like this, as the last run has written it."""
    manifest = _Manifest.read(work_dir)
    for written in map(Path, manifest.files):
        if written.parent == manifest.root and written.name.endswith(name):
            content: dict[str, Any] = read_json(work_dir / written) or {}
            return content
    return {}


def compare(tree: Tree, work_dir: Path) -> Differences:
    """Compare a work_dir, which need not exist, with what it shall hold."""
    write = [name for name, content in tree.entries.items() if not _same(work_dir / name, content)]
    remove = sorted(set(_Manifest.read(work_dir).files) - set(tree.entries))
    return Differences(write, remove)


def _same(path: Path, content: Path | bytes) -> bool:
    try:
        there = path.stat()
        if isinstance(content, bytes):
            return there.st_size == len(content) and path.read_bytes() == content
        here = content.stat()
        same_mode = (there.st_mode ^ here.st_mode) & 0o100 == 0
        return same_mode and filecmp.cmp(path, content, shallow=False)
    except OSError:
        return False


def update(tree: Tree, work_dir: Path) -> Differences:
    """Make the work_dir what it shall be, and return what was done. Files that are no copies are left alone.

    Raises TerraformError.
    """
    before = _Manifest.read(work_dir)
    differences = compare(tree, work_dir)
    root = work_dir / tree.root
    root.mkdir(parents=True, exist_ok=True)
    for name in differences.remove:
        with contextlib.suppress(OSError):
            (work_dir / name).unlink()
    settle(work_dir, root, work_dir / before.root)
    for name in differences.write:
        write_file(work_dir / name, tree.entries[name])
    if differences or not (work_dir / _MANIFEST).exists():
        write_file(work_dir / _MANIFEST, as_json({"root": str(tree.root), "files": sorted(tree.entries)}))
    if before.root != tree.root:
        _remove_links(work_dir, work_dir / before.root)
    for name in differences.remove:
        _remove_empty_parents(work_dir, Path(name).parent)
    if follows_lock_file(tree, work_dir):
        for path in (root / LOCK_FILE, work_dir / _LOCK_SEEN):
            write_file(path, tree.lock_file or b"")
    return differences


def follows_lock_file(tree: Tree, work_dir: Path) -> bool:
    """Whether the source's lock file has moved since the work_dir took it over: what has happened to the one
    there since then, such as an upgrade, stays until it does."""
    if tree.lock_file is None:
        return False
    return not (root_of(work_dir) / LOCK_FILE).exists() or not _same(work_dir / _LOCK_SEEN, tree.lock_file)


def locked_providers(root: Path) -> dict[str, dict[str, Any]]:
    """The providers that Terraform stays on in a root."""
    try:
        return provider_lock.read((root / LOCK_FILE).read_text(encoding="utf-8"))
    except OSError:
        return {}


def has_providers(root: Path, providers: Providers) -> bool:
    """Whether a root is initialized with these, so that an init would fetch none of them."""
    locked = locked_providers(root)
    return provider_lock.keeps_to(locked, providers) and all(
        any(path.exists() for path in (root / PACKAGES / address / one["version"]).glob("*"))
        for address, one in locked.items()
    )


@contextlib.contextmanager
def holding(root: Path, providers: Providers) -> Iterator[None]:
    """Have an init in a root take these providers, and of others what is there. If it fails, nothing has
    changed.
    """
    if not providers:
        yield
        return
    path = root / LOCK_FILE
    before = path.read_bytes() if path.exists() else None
    write_file(path, provider_lock.write({**locked_providers(root), **providers}))
    try:
        yield
    except TerraformError:
        path.unlink()
        if before is not None:
            write_file(path, before)
        raise


def settle(work_dir: Path, root: Path, last_root: Path | None = None) -> None:
    """Bring what Terraform has made in the root to the top of the work_dir, and link it there.

    last_root: where the root was, if it has moved. Raises TerraformError when there are two states of which
    only one can be the right one.
    """
    for folder in (last_root or root, root):
        _take_along(work_dir, folder)
    _remove_links(work_dir, root, only_dead=True)
    if root != work_dir:
        for path in (*(work_dir / name for name in _OWN), *_others(work_dir, work_dir)):
            if path.exists() and not os.path.lexists(root / path.name):
                _link(root / path.name, path)
    # A state with a path of its own stays where it is.
    for relative in local_paths(noted_backend(root)) or ():
        here = Path(os.path.normpath(root / relative))
        for before in (Path(os.path.normpath(folder / relative)) for folder in (last_root or root, work_dir)):
            if before.exists() and not os.path.lexists(here):
                here.parent.mkdir(parents=True, exist_ok=True)
                _link(here, before.resolve())


def _take_along(work_dir: Path, root: Path) -> None:
    if root == work_dir:
        return
    for here, top in ((root / name, work_dir / name) for name in _OWN):
        if here.is_symlink() or not here.exists():
            continue
        if top.exists() and top.name in _STATES:
            raise TerraformError(
                f"There are two states: {here} and {top}. Only one of them can be that of this stack. "
                f"Move the other one elsewhere; {top} is where it is kept. Nothing was changed."
            )
        if top.is_dir() and not top.is_symlink():
            shutil.rmtree(top)
        top.unlink(missing_ok=True)
        here.rename(top)


def _link(link: Path, target: Path) -> None:
    link.symlink_to(os.path.relpath(target, link.parent))


def _remove_links(work_dir: Path, root: Path, *, only_dead: bool = False) -> None:
    """Remove our links to what lies, or has lain, at the top of the work_dir."""
    if root == work_dir or not root.is_dir():
        return
    for path in root.iterdir():
        if path.is_symlink() and not (only_dead and path.exists()):
            target = Path(os.path.normpath(root / path.readlink()))
            if target.parent == work_dir:
                path.unlink()


def _others(work_dir: Path, folder: Path) -> Iterator[Path]:
    """What a person has put into a folder of a work_dir for Terraform to read, such as variables."""
    ours = set(_Manifest.read(work_dir).files)
    for path in folder.glob("*"):
        if path.is_file() and str(path.relative_to(work_dir)) not in ours and not is_skipped(path.name):
            yield path


def link_others(work_dir: Path, root: Path) -> None:
    """Let the root of a copy of a work_dir have what a person has put there for Terraform to read."""
    for folder in dict.fromkeys((root_of(work_dir), work_dir)):
        for path in _others(work_dir, folder):
            if not os.path.lexists(root / path.name):
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
    if isinstance(content, bytes):
        write_private(path, content)
        return
    partial = path.with_name(path.name + PARTIAL)
    try:
        shutil.copyfile(content, partial)
        partial.chmod(0o755 if content.stat().st_mode & 0o100 else 0o644)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
