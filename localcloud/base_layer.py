"""The base image as a folder: the layer below all root disks, kept in the cache by its content's digest."""

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from localcloud import base_image
from localcloud.base_image import BUILT_LABEL, REPOSITORY
from localcloud.paths import cache_root
from localcloud.podman import podman
from localcloud.processes import run
from localcloud.root_disks import remove_tree


@dataclass(frozen=True)
class BaseLayer:
    """The base image, unpacked.

    Attributes:
        digest: of the content.
        built: when the image was built, in seconds since 1970.
        root: the folder.
    """

    digest: str
    built: int
    root: Path

    def hold(self) -> None:
        """Keep the folder from being forgotten as long as this process lives."""
        fcntl.flock(os.open(self.root, os.O_RDONLY), fcntl.LOCK_SH)


def ensure(log: Callable[[str], None]) -> BaseLayer:
    """Return the layer, making the image and unpacking it first where they are missing.

    Raises LocalCloudError as `base_image.ensure` does.
    """
    image = base_image.ensure(log)
    folder = cache_root() / "localcloud" / "base-layers"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # the setuid programs inside are root's alone
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        digest, built = _inspect(image)
        root = folder / _name(digest)
        if not root.exists():
            log("Unpacking the base image")
            _unpack(image, root)
            _forget_others(folder)
    return BaseLayer(digest, int(built), root)


def _inspect(image: str) -> list[str]:
    form = f'{{{{index .RootFS.Layers 0}}}} {{{{index .Labels "{BUILT_LABEL}"}}}}'
    return podman("image", "inspect", "--format", form, image).split()


def _name(digest: str) -> str:
    return digest.removeprefix("sha256:")[:16]


def _unpack(image: str, root: Path) -> None:
    """Copy an image's content, whatever podman keeps it in. The folder appears only when it is complete."""
    unfinished = root.with_suffix(".unfinished")
    remove_tree(unfinished)
    mounted = podman("image", "mount", image)
    try:
        run("cp", "--archive", mounted, str(unfinished))
    finally:
        podman("image", "unmount", image)
    unfinished.rename(root)


def _forget_others(folder: Path) -> None:
    """Remove the layers of images that podman has no more, but for that of a running account."""
    images = podman("images", "--format", "{{.ID}}", REPOSITORY).split()
    kept = {_name(_inspect(image)[0]) for image in images}
    for other in folder.iterdir():
        if other.is_dir() and other.name not in kept and not _held(other):
            remove_tree(other)


def _held(root: Path) -> bool:
    """Whether an account runs on a layer; see `BaseLayer.hold`."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
