"""A user's home as a snapshot has it, copied beside the living one: nothing is overwritten.

The operator attaches a volume that was made from the snapshot, and says in the configuration whose home is
wanted. To copy it may take hours, so a unit of its own does, in a mount namespace of its own: whatever ends
it, nothing stays mounted, and the volume can be taken off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from . import files, health, memory, shares, userdb, volume
from .config import HomeRestore
from .errors import InitError
from .process import run
from .reporter import explain
from .settings import Settings
from .status import Progress

UNIT = "ds-stack-restore.service"
NAME = "restore.json"
"""In the state folder, so that a machine that boots in between, or takes this one's place, knows it too."""
UNFINISHED = "restore.unfinished"
"""There too, where no user gets: what is copied until it is whole."""
COPYING, PLACING, DONE, FAILED = "copying", "placing", "done", "failed"
OVER = frozenset({DONE, FAILED})
OPTIONS = "ro,nodev,nosuid,noexec"
COPY_SECONDS = 7 * 24 * 3600


def known(settings: Settings) -> Progress | None:
    """Return how far the restore is that was asked for last, or None when none is."""
    try:
        return Progress(**json.loads(files.read(settings.state / NAME) or ""))
    except (ValueError, TypeError, OSError):
        return None


def heed(settings: Settings, wanted: HomeRestore | None, log: Callable[[str], None]) -> None:
    """Begin what is wanted, or go on with it; end what is wanted no more. Raises InitError."""
    there = known(settings)
    if there and (wanted is None or there.volume_id != wanted.volume_id):
        run("systemctl", "stop", UNIT)
        _clear(settings)
        (settings.state / NAME).unlink()
        there = None
    if wanted is None or (there and there.state in OVER) or volume.find(wanted.volume_id) is None:
        return
    if there is None:
        log(f"restoring the home of {wanted.user} from {wanted.volume_id} to {wanted.folder} in it")
        _save(settings, Progress(wanted.volume_id, wanted.user, wanted.folder, COPYING))
    run("systemctl", "--no-block", "start", UNIT)


def work(settings: Settings, log: Callable[[str], None]) -> None:
    """Do what was begun: the unit's work. What went wrong is noted."""
    wanted = known(settings)
    if wanted is None or wanted.state in OVER:
        return
    try:
        over = replace(wanted, state=DONE, message=_restore(settings, wanted))
    except Exception as error:
        over = replace(wanted, state=FAILED, message=explain(error))
    _clear(settings)
    _save(settings, over)
    log(f"the restore of the home of {over.user} is {over.state}: {over.message}")


def _restore(settings: Settings, wanted: Progress) -> str:
    """Return where the home is that was copied. Raises InitError."""
    home = settings.home / wanted.user
    place = home / wanted.folder
    told = f"It is in {place}."
    if wanted.user not in userdb.read_accounts() or not home.is_dir():
        raise InitError(f"There is no user {wanted.user} here who has a home.")
    if os.path.lexists(place):
        if wanted.state == PLACING:
            return told
        raise InitError(f"{place} is there already, and stays as it is: rename it, or remove it.")
    device = volume.find(wanted.volume_id)
    if device is None:
        raise InitError(f"The volume {wanted.volume_id} is not attached any more.")
    mounted = memory.FOLDER / "restore"
    files.make_folder(mounted, 0o700)
    run("mount", "-t", "ext4", "-o", OPTIONS, str(device), str(mounted), seconds=900)
    try:
        _copy(settings, mounted / settings.home.name / wanted.user, home)
    finally:
        run("umount", str(mounted))
    _save(settings, replace(wanted, state=PLACING))
    _unfinished(settings).rename(place)
    os.sync()  # the volume that it came from goes
    return told


def _copy(settings: Settings, source: Path, home: Path) -> None:
    """Copy a home to where it is kept until it is whole. Raises InitError."""
    if not source.is_dir():
        raise InitError(f"The snapshot has no home of {home.name}.")
    if source.stat().st_uid != home.stat().st_uid:
        raise InitError(
            f"In the snapshot the home of {home.name} is of uid {source.stat().st_uid}, and here of "
            f"{home.stat().st_uid}."
        )
    wanted, room = sum(shares.add_up(source).values()), health.usage(settings.data_mount)
    if not health.judge(health.DATA, settings.data_mount, replace(room, free=room.free - wanted)).ok:
        takes, left = shares.size_in_words(wanted), shares.size_in_words(room.free)
        raise InitError(
            f"It takes {takes}, and {settings.data_mount} has {left} left: enlarge the data volume, or "
            "remove files."
        )
    _clear(settings)
    run(
        "cp",
        "--archive",
        "--no-target-directory",
        str(source),
        str(_unfinished(settings)),
        seconds=COPY_SECONDS,
    )


def _unfinished(settings: Settings) -> Path:
    return settings.state / UNFINISHED


def _clear(settings: Settings) -> None:
    run("rm", "-rf", "--", str(_unfinished(settings)), seconds=3600)


def _save(settings: Settings, progress: Progress) -> None:
    files.write(settings.state / NAME, json.dumps(asdict(progress)), 0o600, spare=True)
