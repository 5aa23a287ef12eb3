"""Who has how much of the data volume, where that is nearly full: kernels here may know no quotas.

To add it up takes minutes where there are millions of files. So it is done by a unit of its own, with the
lowest priority, at most once an hour, and while the volume is nearly full.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from . import files, health, userdb
from .health import GIB, MIB
from .memory import FOLDER
from .process import run
from .settings import Settings

UNIT = "ds-stack-shares.service"
NAME = "shares.json"
NOTICE = "notice"
"""What everybody reads who signs in: the shell's profile shows it."""

SECONDS = 3600
MOST = 3
BLOCK = 512
"""What st_blocks counts, whatever the file system's blocks are."""


def add_up(folder: Path) -> Counter[int]:
    """Return how many bytes in a folder each uid has, without other file systems and what has just gone."""
    found: Counter[int] = Counter()
    root = folder.lstat()
    several: set[int] = set()
    folders = [str(folder)]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    one = entry.stat(follow_symlinks=False)
                    if one.st_dev != root.st_dev or one.st_ino in several:
                        continue
                    found[one.st_uid] += one.st_blocks * BLOCK
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif one.st_nlink > 1:
                        several.add(one.st_ino)
    return found


def largest(shares: Mapping[int, int], names: Mapping[int, str]) -> str:
    """Return who has most: "ada 31 GiB, grace 900 MiB". Less than a MiB is no share."""
    most = sorted(shares.items(), key=lambda one: one[1], reverse=True)[:MOST]
    return ", ".join(
        f"{names.get(uid, f'uid {uid}')} {size_in_words(size)}" for uid, size in most if size >= MIB
    )


def size_in_words(size: int) -> str:
    """Return "31 GiB" or "900 MiB"."""
    return f"{size / GIB:.0f} GiB" if size >= 2 * GIB else f"{size // MIB} MiB"


def measure(settings: Settings) -> None:
    """Note who has how much."""
    names = {one.uid: name for name, one in userdb.read_accounts().items()}
    found = {"at": time.time(), "largest": largest(add_up(settings.home), names)}
    files.write(FOLDER / NAME, json.dumps(found), 0o600)


def known(now: float) -> tuple[str, bool]:
    """Return who has most, as far as that is known, and whether it has to be looked at again."""
    try:
        found = json.loads(files.read(FOLDER / NAME) or "")
        return str(found["largest"]), not 0 <= now - found["at"] < SECONDS
    except (ValueError, KeyError, TypeError):
        return "", True


def watch(settings: Settings) -> None:
    """Tell who signs in that the volume is nearly full, and who has most; have that looked at."""
    used = health.usage(settings.data_mount).used
    if used < health.NEARLY_FULL:
        for name in (NAME, NOTICE):
            (FOLDER / name).unlink(missing_ok=True)
        return
    who, is_due = known(time.time())
    if is_due:
        run("systemctl", "--no-block", "start", UNIT)
    most = f" Most of it have {who}." if who else ""
    text = f"{settings.data_mount} is {used}% full.{most} Please remove what nobody needs any more.\n"
    files.write(FOLDER / NOTICE, text, 0o644)
