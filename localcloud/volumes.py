"""EBS volumes and snapshots: sparse files, and loop devices while they are attached."""

import os
import threading
import time
from pathlib import Path

from localcloud.processes import run, succeeds


class VolumeStore:
    """The files behind volumes (``vol-….img``) and snapshots (``snap-….img``) in one folder."""

    def __init__(self, folder: Path) -> None:
        """Use this folder; it is made when it is missing."""
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()

    def _file(self, identifier: str) -> Path:
        return self._folder / f"{identifier}.img"

    def attach(self, volume: str, size_gib: int) -> str:
        """Return the loop device of a volume, making file and device when they are missing."""
        file = self._file(volume)
        with self._lock:
            if not file.exists():
                run("truncate", "--size", f"{size_gib}G", str(file))
            return self._loop(file) or run("losetup", "--find", "--show", str(file))

    def resize(self, volume: str, size_gib: int) -> None:
        """Enlarge a volume, also while it is attached."""
        file = self._file(volume)
        with self._lock:
            if file.exists():
                run("truncate", "--size", f"{size_gib}G", str(file))
                if loop := self._loop(file):
                    run("losetup", "--set-capacity", loop)

    def is_mounted(self, volume: str) -> bool:
        """Whether a file system on the volume is mounted anywhere, in whatever namespace."""
        loop = self._loop(self._file(volume))
        if not loop:
            return False
        try:
            os.close(os.open(loop, os.O_RDONLY | os.O_EXCL))
        except OSError:
            return True
        return False

    def wait_until_unmounted(self, volume: str, seconds: float) -> bool:
        """Wait until no file system on the volume is mounted; False when time is up."""
        end = time.monotonic() + seconds
        while self.is_mounted(volume):
            if time.monotonic() > end:
                return False
            time.sleep(0.5)
        return True

    def detach(self, volume: str) -> None:
        """Give the loop device back; a device that is still busy goes when its last user does."""
        with self._lock:
            if self._file(volume).exists() and (loop := self._loop(self._file(volume))):
                succeeds("losetup", "--detach", loop)

    def snapshot(self, volume: str, snapshot: str) -> None:
        """Copy a volume's content as it is now. A volume never attached has none, and needs none."""
        with self._lock:
            if self._file(volume).exists():
                self._copy(self._file(volume), self._file(snapshot))

    def restore(self, snapshot: str, volume: str, size_gib: int) -> None:
        """Fill a new volume with a snapshot's content."""
        with self._lock:
            if self._file(snapshot).exists():
                self._copy(self._file(snapshot), self._file(volume))
                run("truncate", "--size", f"{size_gib}G", str(self._file(volume)))

    def delete(self, identifier: str) -> None:
        """Remove a volume or snapshot; nothing happens when it has no file."""
        if self._file(identifier).exists():
            self.detach(identifier)
        self._file(identifier).unlink(missing_ok=True)

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        run("cp", "--sparse=always", "--reflink=auto", str(source), str(target))

    @staticmethod
    def _loop(file: Path) -> str | None:
        return run("losetup", "--associated", str(file), "--noheadings", "--output", "NAME").strip() or None


def loops_below(folder: Path) -> list[str]:
    """Loop devices whose file lies (or lay) in a folder."""
    listing = run("losetup", "--list", "--noheadings", "--raw", "--output", "NAME,BACK-FILE")
    found = []
    for line in listing.splitlines():
        name, _, file = line.partition(" ")
        if file.startswith(f"{folder}/"):
            found.append(name)
    return found
