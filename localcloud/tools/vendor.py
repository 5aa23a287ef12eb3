"""Fetch a pinned release of Terraform or Packer from its vendor into a folder of the project."""

import hashlib
import http.client
import os
import platform
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import LocalCloudError

#: Environment variable with the address of a server that has the vendor's files, laid out as the vendor does.
VARIABLE = "DS_STACK_RELEASES"
RELEASES = "https://releases.hashicorp.com"

#: The names of processors, as the kernel and as the vendor (and Debian) spell them.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

#: Seconds without a byte.
PATIENCE = 20


@dataclass(frozen=True)
class Release:
    """One version of a program. sha256: of its archive, by architecture."""

    product: str
    version: str
    sha256: Mapping[str, str]


TERRAFORM = Release(
    "terraform",
    "1.15.9",
    {
        "amd64": "76edd0b22d2f27d3d2e097cd793209646f719cf60f02ff3af626b07361137da1",
        "arm64": "0afa6c29f61ca5ea270e950e43e50ecf2418b598507bf580e8ae76e1e6699b19",
    },
)
PACKER = Release(
    "packer",
    "1.16.0",
    {
        "amd64": "5edcd14ab59b535040c512dbecd6ec9ef976a000b073c19d93e4c431c948581e",
        "arm64": "cf18f03460d92265d49b56befff333e80641d845822799eab04357c39f75b5d7",
    },
)


def architecture(known: Mapping[str, str], what: str, machine: str | None = None) -> str:
    """The name of this machine's processor, if there is a file for it. Raises LocalCloudError."""
    machine = machine or platform.machine()
    name = ARCHITECTURES.get(machine, machine)
    if name not in known:
        raise LocalCloudError(f"{what} is pinned for {' and '.join(known)} and not for {machine}")
    return name


def place(release: Release, folder: Path) -> Path:
    """Where the program lies once it has been fetched."""
    return folder / f"{release.product}-{release.version}" / release.product


def fetch(release: Release, folder: Path, base: str | None = None, machine: str | None = None) -> Path:
    """Fetch a release and return its program; it is whole and its archive the pinned one, or not there.

    Raises LocalCloudError with what went wrong, as a part of a sentence.
    """
    target = place(release, folder)
    arch = architecture(release.sha256, f"{release.product} {release.version}", machine)
    base = (base or os.environ.get(VARIABLE) or RELEASES).rstrip("/")
    name = f"{release.product}_{release.version}_linux_{arch}.zip"
    url = f"{base}/{release.product}/{release.version}/{name}"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as scratch:
        archive = Path(scratch) / name
        found = download(url, archive)
        if found != release.sha256[arch]:
            raise LocalCloudError(
                f"{url} is not the pinned file: its SHA-256 is {found}, expected is {release.sha256[arch]}"
            )
        program = Path(scratch) / target.parent.name / target.name
        program.parent.mkdir()
        try:
            with (
                zipfile.ZipFile(archive) as opened,
                opened.open(release.product) as packed,
                program.open("wb") as file,
            ):
                shutil.copyfileobj(packed, file)
        except (KeyError, zipfile.BadZipFile) as error:
            raise LocalCloudError(f"{url} holds no {release.product}: {error}") from error
        program.chmod(0o755)
        put(program.parent, target.parent)
    return target


def put(made: Path, target: Path) -> None:
    """Give a finished folder its place, unless another process has just done so."""
    try:
        made.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def download(url: str, target: Path) -> str:
    """Write what the address holds into a file; its SHA-256. Raises LocalCloudError."""
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer, target.open("wb") as file:  # noqa: S310
            expected = answer.headers.get("Content-Length")
            while chunk := answer.read(1 << 20):
                digest.update(chunk)
                file.write(chunk)
            received = file.tell()
    except urllib.error.HTTPError as error:
        raise LocalCloudError(f"{url} cannot be had: {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise LocalCloudError(f"{url} cannot be had: {reason or type(error).__name__}") from error
    if expected is not None and received != int(expected):
        raise LocalCloudError(f"{url} broke off after {received} of {expected} bytes")
    return digest.hexdigest()
