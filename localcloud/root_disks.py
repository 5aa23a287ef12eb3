"""Root disks and images: overlay file systems over layers, which are plain folders.

A layer is written once and then only read. An image is a list of layers, the newest first; a root disk is a
folder of its own over the layers of its image. An image of a disk that nobody uses costs nothing: what was
written to the disk so far becomes a layer, and the disk goes on above it with an empty folder.
"""

import os
import re
import tempfile
from collections.abc import Callable, Set
from pathlib import Path

from localcloud.errors import LocalCloudError
from localcloud.processes import run, succeeds

#: The layer at the bottom of all images.
BASE = "base"
#: All layers' names must find room in the one page that the kernel takes for a mount's options.
MOST_LAYERS = 128
#: The same on every machine, whatever its kernel's defaults; an image must not depend on them.
OPTIONS = "redirect_dir=off,metacopy=off,index=off"

Layers = tuple[str, ...]


class RootDisks:
    """The layers and root disks of one account, side by side in one folder."""

    def __init__(self, folder: Path, base: Path) -> None:
        """Use this folder, which is made. ``base`` is the root folder of the base image."""
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True)  # nobody but root may come near the setuid programs inside
        (folder / BASE).symlink_to(base)

    def offer(self, name: str, root: Path) -> None:
        """Make a folder a layer of this name, for disks to stand on; nothing happens when it is one."""
        link = self._folder / name
        if not link.is_symlink():
            link.symlink_to(root)

    def disk(self, name: str, layers: Layers) -> "RootDisk":
        """The root disk of a new machine; nothing is made yet."""
        return RootDisk(self._folder, name, layers)

    def prune(self, used: Callable[[], Set[str]]) -> None:
        """Remove the layers of images that are not among those used.

        ``used`` is asked only after the layers were listed: one that appears meanwhile is not touched, and
        one that nobody uses now will never be used again.
        """
        present = [path for path in self._folder.iterdir() if path.name.startswith("ami-")]
        in_use = used()
        for layer in present:
            if layer.name not in in_use:
                remove_tree(layer)


class RootDisk:
    """The root disk of one machine. Methods are called one at a time.

    Attributes:
        layers: what lies below, the newest first.
    """

    def __init__(self, store: Path, name: str, layers: Layers) -> None:
        """See `RootDisks.disk`."""
        self.layers = layers
        self._store = store
        self._folder = store / name
        self._root = self._folder / "root"
        self._upper = self._folder / "upper"

    def mount(self) -> Path:
        """Return the folder in which the disk is mounted. Raises LocalCloudError, OSError."""
        if not self._upper.exists():
            self._make()
        if not self._root.is_mount():
            # Relative paths: they are short, and a colon or comma in the folder's own does no harm. The
            # newer way to mount takes 256 bytes at most.
            below, own = ":".join(self.layers), self._folder.name
            options = f"lowerdir={below},upperdir={own}/upper,workdir={own}/work,{OPTIONS}"
            run(
                "mount", "--types", "overlay", "--options", options, "overlay", str(self._root),
                cwd=self._store, env={**os.environ, "LIBMOUNT_FORCE_MOUNT2": "always"},
            )  # fmt: skip
        return self._root

    def _make(self) -> None:
        """Make the folders. A mounted overlay's root has the owner and mode of the topmost folder."""
        top = (self._store / self.layers[0]).stat()
        for part in (self._root, self._folder / "work", self._upper):
            part.mkdir(parents=True, exist_ok=True)
        os.chown(self._upper, top.st_uid, top.st_gid)
        self._upper.chmod(top.st_mode & 0o7777)

    def keep(self, layer: str) -> Layers:
        """Make an image of a disk that no machine uses now, whose newest layer has this name.

        Returns the image's layers. Raises LocalCloudError.
        """
        self._refuse_one_too_many()
        if self._root.is_mount():
            run("umount", str(self._root))
        # Said before it is there, so that `RootDisks.prune` never meets a layer that nobody uses yet.
        self.layers = (layer, *self.layers)
        self._upper.rename(self._store / layer)
        return self.layers

    def copy(self, layer: str) -> Layers:
        """Make an image of a disk whose machine runs, and holds still meanwhile.

        Returns the image's layers. Raises LocalCloudError.
        """
        self._refuse_one_too_many()
        try:
            run("cp", "--archive", str(self._upper), str(self._store / layer))
        except LocalCloudError:
            remove_tree(self._store / layer)
            raise
        return (layer, *self.layers)

    def _refuse_one_too_many(self) -> None:
        if len(self.layers) >= MOST_LAYERS:
            raise LocalCloudError(
                f"this disk stands on {MOST_LAYERS} images of images, and more cannot be mounted: "
                "make the image on a machine from an older one"
            )

    def remove(self) -> None:
        """Remove the disk, whatever state it is in."""
        unmount_below(self._folder)
        remove_tree(self._folder)


def remove_tree(folder: Path) -> None:
    """Remove a folder, if it is there, without going into what may be mounted in it."""
    run("rm", "--recursive", "--force", "--one-file-system", str(folder))


def mounts_below(folder: Path, table: str) -> list[str]:
    """Mount points in a folder, the innermost first, out of the text of a ``mountinfo``."""
    points = [re.sub(r"\\([0-7]{3})", _character, line.split()[4]) for line in table.splitlines()]
    return [point for point in reversed(points) if Path(point).is_relative_to(folder)]


def _character(octal: re.Match[str]) -> str:
    return chr(int(octal[1], 8))


def unmount_below(folder: Path) -> list[str]:
    """Unmount what is mounted in a folder, at once or with its last user. Returns the mount points."""
    points = mounts_below(folder, Path("/proc/self/mountinfo").read_text())
    for point in points:
        succeeds("umount", "--lazy", point)
    return points


def check(folder: Path) -> None:
    """Raise LocalCloudError when a folder's file system cannot hold root disks."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        base = Path(scratch) / "bottom"
        base.mkdir()
        disk = RootDisks(Path(scratch) / "disks", base).disk("trial", (BASE,))
        try:
            disk.mount()
        except LocalCloudError as error:
            raise LocalCloudError(
                f"No overlay file system can be mounted in {folder}: set DS_STACK_CACHE to a folder on ext4, "
                f"xfs or btrfs ({error})."
            ) from error
        finally:
            disk.remove()
