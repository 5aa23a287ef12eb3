"""Writing files so that a power cut leaves the old one or the new one, never half of it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def read(path: Path) -> str | None:
    """Return a file's text, or None when there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def write(path: Path, text: str, mode: int, *, spare: bool = False) -> bool:
    """Give a file this text and mode, owned by root. Return whether anything changed.

    With ``spare`` an empty file stays beside it for the next time, which then needs no inode: a file system
    keeps some blocks for root, but no inodes.
    """
    wanted = text.encode()
    # As bytes: what is there may be no text.
    if path.is_file() and path.read_bytes() == wanted and path.stat().st_mode & 0o7777 == mode:
        return False
    unfinished = path.with_name(f".{path.name}.new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # whatever the umask made of it
        file.write(wanted)
        file.flush()
        os.fsync(descriptor)
    unfinished.replace(path)
    if spare:
        with contextlib.suppress(OSError):
            unfinished.touch(mode=0o600)
    return True


def make_folder(path: Path, mode: int) -> None:
    """Make a folder with this mode, owned by root, and the folders above it where they are missing."""
    path.mkdir(parents=True, exist_ok=True)
    if path.stat().st_mode & 0o7777 != mode:
        path.chmod(mode)


def link(path: Path, target: str) -> bool:
    """Make a symbolic link, replacing the link or file that is there. Return whether anything changed."""
    if path.is_symlink() and str(path.readlink()) == target:
        return False
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(target)
    unfinished.replace(path)
    return True
