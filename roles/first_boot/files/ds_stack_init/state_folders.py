"""Folders of the services that must outlive the image, such as the hub's database."""

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
        _prepare(folder, source)
        if str(folder.path) not in table:
            run("mount", "--bind", str(source), str(folder.path))
            log(f"{folder.path} lives in {source}")


def _prepare(folder: StateFolder, source: Path) -> None:
    """Make both folders. The first time the one on the volume begins with what the image has in its own."""
    if not folder.path.exists():
        folder.path.mkdir(parents=True, mode=0o700)
    if source.exists():
        return
    unfinished = source.with_name(f".{source.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(folder.path, unfinished, symlinks=True, copy_function=_copy)
    _owner(str(folder.path), str(unfinished))
    unfinished.rename(source)


def _copy(source: str, target: str) -> None:
    shutil.copy2(source, target, follow_symlinks=False)
    _owner(source, target)


def _owner(source: str, target: str) -> None:
    status = os.lstat(source)
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
