"""The users' homes: made from the image's skeleton, and given what a newer image has in its own.

Root makes a home beside its place. One that is in its place is the user's, who may have put links there to
anything: what is done in it is done as the user.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import files
from .errors import InitError
from .settings import Settings

SKELETON = Path("/etc/skel")
GIVEN = "skeleton.json"
"""In the state folder: user → what was ever given. What the user has removed does not come again."""


@dataclass(frozen=True)
class Entry:
    """Something in the skeleton.

    Attributes:
        name: its path there.
        mode: with its kind, as lstat has it.
        content: a file's, or where a link leads.
    """

    name: str
    mode: int
    content: bytes = b""


def entries() -> Iterator[Entry]:
    """Yield all that is in the skeleton, folders before what is in them."""
    for folder, folders, names in os.walk(SKELETON):
        for path in sorted(Path(folder, name) for name in [*folders, *names]):
            mode, name = path.lstat().st_mode, str(path.relative_to(SKELETON))
            if stat.S_ISLNK(mode):
                yield Entry(name, mode, os.fsencode(path.readlink()))
            elif stat.S_ISDIR(mode):
                yield Entry(name, mode)
            elif stat.S_ISREG(mode):
                yield Entry(name, mode, path.read_bytes())


def provide(name: str, uid: int, settings: Settings, log: Callable[[str], None]) -> None:
    """Make a home that is not there, and give one that is there what it has never had. Raises InitError."""
    given, skeleton = _load(settings.state), list(entries())
    home = settings.home / name
    if not home.exists():
        _make(home, uid)
        log(f"made the home of {name}")
    elif new := [one for one in skeleton if one.name not in given.get(name, ())]:
        if problem := _as_user(uid, lambda: give(home, new)):
            log(f"what is new in {SKELETON} was not given to {name}: {problem}")
            return
        log(f"gave the home of {name} what is new in {SKELETON}")
    else:
        return
    _save(settings.state, {**given, name: sorted({*given.get(name, ()), *(one.name for one in skeleton)})})


def give(home: Path, wanted: Collection[Entry]) -> None:
    """Make what is not there. What is, or has something else in its way, stays as it is."""
    os.umask(0)
    for one in wanted:
        path = home / one.name
        with contextlib.suppress(FileExistsError, FileNotFoundError, NotADirectoryError, PermissionError):
            if stat.S_ISLNK(one.mode):
                path.symlink_to(os.fsdecode(one.content))
            elif stat.S_ISDIR(one.mode):
                path.mkdir(stat.S_IMODE(one.mode))
            else:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IMODE(one.mode))
                with os.fdopen(descriptor, "wb") as file:
                    file.write(one.content)


def _as_user(uid: int, work: Callable[[], None]) -> str | None:
    """Do something as a user, in a process of its own. Return what went wrong."""
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            work()
            code = 0
        except OSError as error:
            code = error.errno or 255
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return os.strerror(code) if code else None


def _make(home: Path, uid: int) -> None:
    unfinished = home.with_name(f".{home.name}.new")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(SKELETON, unfinished, symlinks=True)
        for folder, folders, names in os.walk(unfinished):
            for path in [folder, *(str(Path(folder, name)) for name in [*folders, *names])]:
                os.chown(path, uid, uid, follow_symlinks=False)
        unfinished.chmod(0o700)
        unfinished.rename(home)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        # What copytree raises tells of several files, and has no error number.
        why = error.strerror or (error.args[0][0][2] if isinstance(error, shutil.Error) else error)
        raise InitError(
            f"The home of {home.name} cannot be made: {why}. Where the data volume has no space or no "
            "inodes left, delete files or enlarge it."
        ) from error


def _load(state: Path) -> dict[str, list[str]]:
    """What was given to whom; nothing where that cannot be read, for then too nothing is overwritten."""
    try:
        found = json.loads(files.read(state / GIVEN) or "{}")
        return {str(name): [str(one) for one in names] for name, names in found.items()}
    except (ValueError, AttributeError, TypeError, OSError):
        return {}


def _save(state: Path, given: dict[str, list[str]]) -> None:
    # A full volume: it is given again the next time, which does no harm.
    with contextlib.suppress(OSError):
        files.write(state / GIVEN, json.dumps(given, indent=1, sort_keys=True) + "\n", 0o600)
