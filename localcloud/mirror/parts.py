"""The mirror is a table of parts, each built alone and cached by a hash of its inputs."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.errors import LocalCloudError
from localcloud.mirror.workshop import Finished, Workshop

SOURCES = Path(__file__).resolve().parent
#: How many mirrors, and builds of each part, stay: somebody may be served from the last but one.
KEPT = 3
#: How the names of folders begin in which a build is under way.
TEMPORARY = ".building-"
HINT = (
    "To build the mirror, pip has to reach a package index, npm a registry and apt Debian's servers. "
    "What has been downloaded is kept: run the command again."
)


@dataclass(frozen=True)
class Part:
    """One part of the mirror."""

    name: str
    build: Callable[[Workshop], dict[str, Any]]  #: fills the workshop's tree; returns manifest entries
    inputs: tuple[str, ...]  #: globs below this folder: the files that decide what is built
    needs: tuple[str, ...] = ()  #: parts that stand before it in the table


def key(part: Part, keys: Mapping[str, str], sources: Path = SOURCES) -> str:
    """Sixteen hexadecimal digits that change with anything that decides what is built.

    ``keys``: those of the parts it needs. Raises ValueError for an input that does not exist.
    """
    digest = hashlib.sha256(part.name.encode())
    for needed in part.needs:
        digest.update(f"\0{needed}\0{keys[needed]}".encode())
    for pattern in part.inputs:
        found = sources.glob(pattern)
        files = sorted(path for path in found if path.is_file() and path.parent.name != "__pycache__")
        if not files:
            raise ValueError(f"part {part.name}: no input matches {pattern}")
        for file in files:
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"\0{file.relative_to(sources)}\0{content}".encode())
    return digest.hexdigest()[:16]


def ensure(parts: Sequence[Part], root: Path, log: Callable[[str], None], sources: Path = SOURCES) -> Path:
    """Return the mirror made of these parts, building first what is not in ``root`` yet.

    A folder in ``root`` appears under its final name when it is finished, so a build that broke leaves
    nothing that looks like one. Only one process builds at a time; the others wait for it. Of mirrors and
    parts for other inputs the last few are kept.
    """
    keys: dict[str, str] = {}
    for part in parts:
        keys[part.name] = key(part, keys, sources)
    whole = hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()[:16]
    mirror = root / whole
    if not mirror.is_dir():
        with _lock(root):
            if not mirror.is_dir():  # nobody made it while we waited
                _sweep(root)
                finished: dict[str, Finished] = {}
                for part in parts:
                    finished[part.name] = _finish(part, keys[part.name], root, finished, log)
                with _appears_as(mirror) as folder:
                    _assemble(finished, folder)
                _prune(root, parts)
    with contextlib.suppress(PermissionError):  # a reader of somebody else's cache
        os.utime(mirror)
    return mirror


def _finish(
    part: Part, part_key: str, root: Path, finished: Mapping[str, Finished], log: Callable[[str], None]
) -> Finished:
    """The part under this key, built unless it is there."""
    folder = root / "parts" / f"{part.name}-{part_key}"
    if not folder.is_dir():
        log(f"mirror: building part {part.name}")
        needed = {name: finished[name] for name in part.needs}
        with _appears_as(folder) as temporary, tempfile.TemporaryDirectory(dir=temporary) as scratch:
            (temporary / "tree").mkdir()
            workshop = Workshop(temporary / "tree", Path(scratch), root / "downloads", needed, log)
            try:
                manifest = part.build(workshop)
            except LocalCloudError as error:
                raise LocalCloudError(f"part {part.name} of the offline mirror: {error}\n{HINT}") from error
            _write_json(temporary / "manifest.json", manifest)
    os.utime(folder)  # used now: _prune goes by that
    return Finished(folder / "tree", json.loads((folder / "manifest.json").read_text(encoding="utf-8")))


def _assemble(finished: Mapping[str, Finished], folder: Path) -> None:
    """Lay the parts over each other, by hard links: they take no space twice."""
    manifest: dict[str, Any] = {}
    for part in finished.values():
        shutil.copytree(part.tree, folder, copy_function=os.link, symlinks=True, dirs_exist_ok=True)
        manifest.update(part.manifest)
    _write_json(folder / "manifest.json", manifest)


def _sweep(root: Path) -> None:
    """Remove what a build left that was killed. Only under the lock: then there is no other build."""
    for folder in (root, root / "parts"):
        for path in folder.glob(f"{TEMPORARY}*"):
            shutil.rmtree(path)


def _prune(root: Path, parts: Sequence[Part]) -> None:
    """Remove the mirrors, and the builds of each part, that have not been used for longest."""
    for folder, pattern in [(root, "[0-9a-f]" * 16), *((root / "parts", f"{part.name}-*") for part in parts)]:
        newest_first = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in newest_first[KEPT:]:
            shutil.rmtree(path)


@contextmanager
def _appears_as(folder: Path) -> Iterator[Path]:
    """A folder that gets its name when the block ends well, and is removed when it does not."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=folder.parent))
    try:
        yield temporary
        temporary.chmod(0o755)  # web servers and containers read it
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


@contextmanager
def _lock(root: Path) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
