"""Folders that must outlive the image, such as that of the hub's database, or of the users' crontabs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from . import mounts
from .process import run
from .settings import Settings, StateFolder


def attach(settings: Settings, log: Callable[[str], None]) -> None:
    """Show each folder's copy on the data volume where its service looks for it. Raises InitError.

    By a bind mount and not by a link, which a service that is confined to its own folder could not follow.
    """
    table = mounts.current()
    for folder in settings.state_folders:
        source = settings.state / folder.name
        if folder.optional and not folder.path.exists():
            continue
        _prepare(folder, source)
        if str(folder.path) not in table:
            run("mount", "--bind", str(source), str(folder.path))
            log(f"{folder.path} lives in {source}")


def _prepare(folder: StateFolder, source: Path) -> None:
    """Make both folders. The first time the one on the volume begins with what the image has in its own."""
    if not folder.path.exists():
        folder.path.mkdir(parents=True, mode=0o700)
    if source.exists():
        _give_over(source, folder.path.stat())
        return
    unfinished = source.with_name(f".{source.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(folder.path, unfinished, symlinks=True, copy_function=_copy)
    _owner(str(folder.path), str(unfinished))
    unfinished.rename(source)


def _give_over(source: Path, wanted: os.stat_result) -> None:
    """Let the folder, and what is its owner's and group's in it, be whose it is on this image.

    The numbers of the system's users and groups are the image's own.
    """
    before = source.stat()
    source.chmod(wanted.st_mode & 0o7777)
    if (before.st_uid, before.st_gid) == (wanted.st_uid, wanted.st_gid):
        return
    for path in [*source.rglob("*"), source]:
        found = path.lstat()
        uid = wanted.st_uid if found.st_uid == before.st_uid else -1
        gid = wanted.st_gid if found.st_gid == before.st_gid else -1
        os.chown(path, uid, gid, follow_symlinks=False)


def _copy(source: str, target: str) -> None:
    shutil.copy2(source, target, follow_symlinks=False)
    _owner(source, target)


def _owner(source: str, target: str) -> None:
    status = os.lstat(source)
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
