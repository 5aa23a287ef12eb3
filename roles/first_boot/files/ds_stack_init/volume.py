"""The data volume: found by its id, formatted only if it is blank, mounted and grown."""

from __future__ import annotations

import enum
import os
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import files, mounts
from .errors import InitError
from .process import run, run_for_code
from .settings import Settings

LABEL = "ds-data"
BY_ID = Path("/dev/disk/by-id")
MIB = 1024 * 1024
SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES = 1024, 1024
# Nobody but root gets the last blocks: what is root's can be written while users have filled the volume.
RESERVE_SHARE, RESERVE_BYTES, MOST_SHARE = 0.01, 256 * MIB, 0.05
# An error of the device stops all writing, before it spreads.
OPTIONS = "nodev,nosuid,errors=remount-ro"
# ext4 leaves a last block group unused that would be too small; volumes grow by GiB.
GROWN_BYTES = 64 * MIB
FSCK_MENDED = (0, 1)


class Action(enum.Enum):
    """What to do with a device before it can be mounted."""

    FORMAT = enum.auto()
    USE = enum.auto()


@dataclass(frozen=True)
class Content:
    """What is on a device.

    Attributes:
        signature: what blkid found, for example ``{"TYPE": "ext4", "LABEL": "ds-data"}``; empty for nothing.
        zero: whether its first and its last MiB hold nothing but zeros.
    """

    signature: Mapping[str, str]
    zero: bool


def candidates(volume_id: str) -> tuple[Path, ...]:
    """Return the names under which udev may show a volume, on an instance with NVMe (every current type)."""
    name = f"nvme-Amazon_Elastic_Block_Store_{volume_id.replace('-', '')}"
    return BY_ID / name, BY_ID / f"{name}_1", BY_ID / f"{name}-ns-1"


def decide(content: Content, device: str) -> Action:
    """Return what to do with a device. Raises InitError rather than risk what somebody has on it."""
    kind = content.signature.get("TYPE") or content.signature.get("PTTYPE")
    if not content.signature and content.zero:
        return Action.FORMAT
    if kind == "ext4" and content.signature.get("LABEL") == LABEL:
        return Action.USE
    if kind == "ext4":
        raise InitError(
            f"The data volume {device} has an ext4 file system that is not labelled {LABEL}. If it is the "
            f"one to use for the homes, run: e2label {device} {LABEL}"
        )
    found = f"holds {kind}" if kind else "is neither blank nor has a file system that is known"
    raise InitError(
        f"The data volume {device} {found}, and is left as it is. Attach a blank volume, or one that an "
        "earlier machine of a stack has used. If nothing on it is needed, wipe it: "
        f"blkdiscard --zeroout {device}"
    )


def parse_signature(output: str) -> dict[str, str]:
    """Return the keys and values that ``blkid -o export`` wrote."""
    pairs = (line.partition("=") for line in output.splitlines())
    return {key: value for key, equals, value in pairs if equals and key != "DEVNAME"}


def filesystem_bytes(superblock: bytes) -> int | None:
    """Return the size of an ext4 file system in bytes from its superblock, or None if it is none."""
    magic = struct.unpack_from("<H", superblock, 0x38)[0]
    if magic != 0xEF53:
        return None
    low, high = struct.unpack_from("<I", superblock, 0x4)[0], struct.unpack_from("<I", superblock, 0x150)[0]
    wide = struct.unpack_from("<I", superblock, 0x60)[0] & 0x80
    return int((low + (high << 32 if wide else 0)) * block_bytes(superblock))


def reserve(size: int) -> int:
    """Return how much of a file system of this many bytes is kept for root."""
    return int(min(max(size * RESERVE_SHARE, RESERVE_BYTES), size * MOST_SHARE))


def block_bytes(superblock: bytes) -> int:
    """Return the size of a block of an ext4 file system."""
    return 1024 << int(struct.unpack_from("<I", superblock, 0x18)[0])


def has_grown(device_bytes: int, used_bytes: int | None) -> bool:
    """Return whether a device is larger than the file system on it by more than rounding."""
    return used_bytes is not None and device_bytes - used_bytes >= GROWN_BYTES


def find(volume_id: str) -> Path | None:
    """Return a volume's device, or None while it is not attached."""
    return next((path.resolve() for path in candidates(volume_id) if path.is_block_device()), None)


def wait_for_device(volume_id: str, seconds: float, pause: float = 2.0) -> Path:
    """Return a volume's device. It is attached after the machine has begun to boot. Raises InitError."""
    end = time.monotonic() + seconds
    while True:
        device = find(volume_id)
        if device:
            return device
        if time.monotonic() >= end:
            raise InitError(
                f"The data volume {volume_id} did not show up within {seconds:.0f} seconds. Is it attached "
                "to this instance, and is the instance type one with NVMe (a current one)?"
            )
        time.sleep(pause)


def prepare(settings: Settings, volume_id: str, log: Callable[[str], None]) -> None:
    """Wait for the data volume, mount it, and let its file system fill it. Raises InitError."""
    device = wait_for_device(volume_id, settings.volume_seconds)
    mounted = mounts.current().get(str(settings.data_mount))
    if mounted is None:
        _mount(device, settings.data_mount, log)
    elif mounted.device != _number(device):
        raise InitError(f"{settings.data_mount} is taken by another file system than that of {volume_id}.")
    files.make_folder(settings.home, 0o755)
    files.make_folder(settings.state, 0o700)


def fill(settings: Settings, log: Callable[[str], None]) -> None:
    """Let the mounted file system fill a volume that has grown. Raises InitError where the kernel refuses."""
    mounted = mounts.current().get(str(settings.data_mount))
    if mounted is None or not has_grown(*_sizes(Path(mounted.source))):
        return
    run("resize2fs", mounted.source, seconds=900)
    log(f"the file system fills {mounted.source} again, which has grown")


def _mount(device: Path, place: Path, log: Callable[[str], None]) -> None:
    if decide(_inspect(device), str(device)) is Action.FORMAT:
        log(f"making a file system on the blank volume {device}")
        run("mkfs.ext4", "-q", "-L", LABEL, str(device), seconds=900)
    run("e2fsck", "-p", str(device), ok=FSCK_MENDED, seconds=3600)
    if has_grown(*_sizes(device)):
        run("e2fsck", "-f", "-p", str(device), ok=FSCK_MENDED, seconds=3600)
        run("resize2fs", str(device), seconds=900)
        log(f"the file system fills {device} again, which has grown")
    superblock = _superblock(device)
    blocks = reserve(filesystem_bytes(superblock) or 0) // block_bytes(superblock)
    run("tune2fs", "-r", str(blocks), str(device))
    files.make_folder(place, 0o755)
    run("mount", "-t", "ext4", "-o", OPTIONS, str(device), str(place))
    log(f"mounted {device} at {place}")


def _number(device: Path) -> str:
    number = device.stat().st_rdev
    return f"{os.major(number)}:{os.minor(number)}"


def _sizes(device: Path) -> tuple[int, int | None]:
    """Return the size in bytes of a device, and that of the file system on it."""
    with device.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
    return size, filesystem_bytes(_superblock(device))


def _superblock(device: Path) -> bytes:
    with device.open("rb") as file:
        file.seek(SUPERBLOCK_OFFSET)
        return file.read(SUPERBLOCK_BYTES)


def _inspect(device: Path) -> Content:
    """Look at a device without the caches of blkid and udev."""
    code, output = run_for_code("blkid", "--probe", "--output", "export", str(device), ok=(0, 2, 8))
    if code == 8:
        raise InitError(
            f"The data volume {device} has signatures of several file systems, and is left alone."
        )
    with device.open("rb") as file:
        ends = [file.read(MIB)]
        file.seek(-MIB, os.SEEK_END)
        ends.append(file.read(MIB))
    return Content(parse_signature(output), not any(any(end) for end in ends))
