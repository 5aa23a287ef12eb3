"""Get packages of Debian 12, whatever system this machine runs."""

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from localcloud import base_image
from localcloud.errors import LocalCloudError
from localcloud.paths import LABEL
from localcloud.podman import podman
from localcloud.processes import run


@dataclass(frozen=True)
class Deb:
    """A downloaded Debian package."""

    path: Path
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def download(packages: Iterable[str], folder: Path, log: Callable[[str], None]) -> list[Deb]:
    """Download packages (not what they depend on) into an empty folder.

    apt runs in a container of the local cloud's base image, so that they are Debian 12's and come from
    where this machine gets its own; apt verifies signatures and hashes. Raises LocalCloudError.
    """
    image = base_image.ensure(log)
    folder.mkdir(parents=True)
    script = 'apt-get update -qq && apt-get download -qq "$@"'
    options = (
        "--rm",
        f"--name=ds-stack-mirror-apt-{os.getpid()}",
        "--network=host",
        f"--label={LABEL}",
        f"--volume={folder}:/debs",
        "--workdir=/debs",
    )
    podman("run", *options, "--entrypoint=/bin/sh", image, "-c", script, "apt", *packages)
    debs = [_read(path) for path in sorted(folder.glob("*.deb"))]
    if lost := set(packages) - {deb.name for deb in debs}:
        raise LocalCloudError(f"apt did not download: {', '.join(sorted(lost))}")
    return debs


def unpack(debs: Iterable[Deb], folder: Path) -> None:
    """Unpack the files of packages, laid over each other. Raises LocalCloudError."""
    folder.mkdir(parents=True, exist_ok=True)
    for deb in debs:
        run("dpkg-deb", "--extract", str(deb.path), str(folder))


def copy_licences(names: Iterable[str], unpacked: Path, folder: Path) -> None:
    """Copy the packages' copyright files, as Debian has them, into ``folder``."""
    folder.mkdir(parents=True)
    for name in names:
        shutil.copyfile(unpacked / "usr/share/doc" / name / "copyright", folder / f"{name}.copyright")


def _read(path: Path) -> Deb:
    name, version = run("dpkg-deb", "--show", "--showformat=${Package}\\n${Version}", str(path)).split("\n")
    return Deb(path, name, version)
