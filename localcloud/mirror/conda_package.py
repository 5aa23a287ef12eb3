"""Write packages in conda's ``.conda`` format, byte for byte the same from the same input."""

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from backports import zstd

from localcloud.mirror.target import EPOCH, PLACEHOLDER, SUBDIR

#: zstd level. conda-forge's 16 to 19 take minutes for the whole channel; this one takes seconds.
COMPRESSION = 3
ORIGIN = "repacked for the offline mirror of iac.ds_stack; not a build of conda-forge"


@dataclass(frozen=True)
class Recipe:
    """What a package says about itself."""

    name: str
    version: str
    build: str
    depends: list[str]
    license: str
    summary: str
    home: str
    source: str  #: where the content comes from, e.g. "PyPI wheel numpy-2.4.6-….whl"
    noarch: Literal["python", "generic"] | None = None
    entry_points: list[str] = field(default_factory=list)  #: only for ``noarch="python"``

    @property
    def subdir(self) -> str:
        """The channel's folder for it."""
        return "noarch" if self.noarch else SUBDIR

    @property
    def stem(self) -> str:
        """File name without its suffix."""
        return f"{self.name}-{self.version}-{self.build}"

    def index(self) -> dict[str, Any]:
        """``info/index.json``: what solvers read."""
        index: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "build": self.build,
            "build_number": 0,
            "depends": self.depends,
            "license": self.license,
            "subdir": self.subdir,
            "timestamp": EPOCH * 1000,
        }
        if self.noarch:
            index["noarch"] = self.noarch
        else:
            index.update(arch="x86_64", platform="linux")
        return index

    def about(self) -> dict[str, Any]:
        """``info/about.json``: what people read."""
        return {
            "description": f"{self.source}, {ORIGIN}.",
            "home": self.home,
            "license": self.license,
            "summary": self.summary,
        }


@dataclass(frozen=True)
class Package:
    """A written package: its file and its entry in the channel's index."""

    path: Path
    record: dict[str, Any]


def write(recipe: Recipe, tree: Path, channel: Path) -> Package:
    """Write the files under ``tree`` as a package into its subdir of ``channel``.

    Text files that hold the placeholder are marked so that conda writes the environment's folder in.
    """
    paths = [_path_entry(file, tree) for file in _files(tree)]
    info: dict[str, bytes] = {
        "info/about.json": _json(recipe.about()),
        "info/files": "".join(f"{entry['_path']}\n" for entry in paths).encode(),
        "info/index.json": _json(recipe.index()),
        "info/paths.json": _json({"paths": paths, "paths_version": 1}),
    }
    if recipe.noarch == "python":
        noarch = {"type": "python", "entry_points": recipe.entry_points}
        info["info/link.json"] = _json({"noarch": noarch, "package_metadata_version": 1})
    folder = channel / recipe.subdir
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{recipe.stem}.conda"
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED) as archive:
        with archive.open(_zip_info("metadata.json"), "w") as member:
            member.write(_json({"conda_pkg_format_version": 2}))
        with archive.open(_zip_info(f"pkg-{recipe.stem}.tar.zst"), "w", force_zip64=True) as member:
            _write_payload(member, tree)
        with archive.open(_zip_info(f"info-{recipe.stem}.tar.zst"), "w") as member:
            _write_info(member, info)
    return Package(path, {**recipe.index(), **_digests(path)})


def extract(package: Path, folder: Path) -> None:
    """Unpack the payload of one of our packages, not its metadata."""
    with zipfile.ZipFile(package) as archive:
        name = next(name for name in archive.namelist() if name.startswith("pkg-"))
        with (
            archive.open(name) as member,
            zstd.open(member) as stream,
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            tar.extractall(folder)  # noqa: S202 (we wrote it)


def _files(tree: Path) -> Iterator[Path]:
    """All files and links (not the folders), sorted by their path."""
    return (path for path in sorted(tree.rglob("*")) if path.is_symlink() or path.is_file())


def _path_entry(file: Path, tree: Path) -> dict[str, Any]:
    """What ``paths.json`` says about one file."""
    link = file.is_symlink()
    data = file.read_bytes() if file.is_file() else b""
    entry: dict[str, Any] = {
        "_path": str(file.relative_to(tree)),
        "path_type": "softlink" if link else "hardlink",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_in_bytes": len(data),
    }
    if not link and PLACEHOLDER.encode() in data:
        entry.update(prefix_placeholder=PLACEHOLDER, file_mode="text")
    return entry


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def _zip_info(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))


def _write_payload(output: IO[bytes], tree: Path) -> None:
    with _tar_zst(output) as tar:
        for file in _files(tree):
            tar.add(file, str(file.relative_to(tree)), recursive=False, filter=anonymous)


def _write_info(output: IO[bytes], files: Mapping[str, bytes]) -> None:
    with _tar_zst(output) as tar:
        for name, data in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(anonymous(member), io.BytesIO(data))


@contextmanager
def _tar_zst(output: IO[bytes]) -> Iterator[tarfile.TarFile]:
    with (
        zstd.open(output, "wb", level=COMPRESSION) as stream,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as tar,
    ):
        yield tar


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nothing of the building machine: owner, time, umask."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mtime = EPOCH
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member


def _digests(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {
        "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
    }
