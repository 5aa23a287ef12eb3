"""The pinned wheels: read the lock, download them, verify them."""

import hashlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from localcloud.errors import LocalCloudError
from localcloud.mirror.target import PYTHON, WHEEL_PLATFORMS
from localcloud.processes import run

LOCK = Path(__file__).with_name("wheels.txt")
SOURCES = Path(__file__).with_name("sdists.txt")


@dataclass(frozen=True)
class Pin:
    """One line of the lock."""

    name: str  #: normalized
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


def parse_lock(text: str) -> list[Pin]:
    """The pins in the text of a lock. Raises ValueError for a line without version or hash."""
    pins = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\S+)==(\S+) --hash=sha256:([0-9a-f]{64})", line)
        if not match:
            raise ValueError(f"not a pin with a hash: {line!r}")
        pins.append(Pin(canonicalize_name(match[1]), match[2], match[3]))
    return pins


def platform_options() -> list[str]:
    """pip's options that make it choose wheels for the target, whatever Python runs it."""
    options = ["--only-binary=:all:", f"--python-version={PYTHON}", "--implementation=cp"]
    return options + [f"--platform={platform}" for platform in WHEEL_PLATFORMS]


def download(pins: Sequence[Pin], folder: Path) -> dict[str, Path]:
    """Have every pinned wheel in ``folder`` (downloading what is missing); normalized name → file.

    Raises LocalCloudError when pip cannot get one, or a file is not the pinned one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = _found(pins, folder)
    if missing := [pin for pin in pins if pin.name not in found]:
        requirements = folder / "missing.txt"
        requirements.write_text("".join(f"{pin}\n" for pin in missing), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--require-hashes", *platform_options()]
        run(*command, f"--dest={folder}", f"--requirement={requirements}")
        requirements.unlink()
        found = _found(pins, folder)
    if lost := sorted(pin.name for pin in pins if pin.name not in found):
        raise LocalCloudError(f"pip downloaded other files than pinned for: {', '.join(lost)}")
    return found


def build(pins: Sequence[Pin], folder: Path) -> dict[str, Path]:
    """Make the wheels of pinned source distributions in ``folder``; normalized name → file.

    For pure Python only, which any Python can build. Raises LocalCloudError when pip cannot get or build one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    requirements = folder / "sources.txt"
    requirements.write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes"]
    run(*command, f"--wheel-dir={folder}", f"--requirement={requirements}")
    return {parse_wheel_filename(path.name)[0]: path for path in sorted(folder.glob("*.whl"))}


def _found(pins: Sequence[Pin], folder: Path) -> dict[str, Path]:
    """The pinned wheels in a folder; a file that is not what was pinned does not count."""
    wanted = {(pin.name, Version(pin.version)): pin for pin in pins}
    found = {}
    for path in sorted(folder.glob("*.whl")):
        name, version, _, _ = parse_wheel_filename(path.name)
        pin = wanted.get((name, version))
        if pin is not None and sha256(path) == pin.sha256:
            found[pin.name] = path
    return found


def sha256(path: Path) -> str:
    """A file's checksum, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
