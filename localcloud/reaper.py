"""Remove everything that an account made on this machine, whether it ended well or was killed.

The nftables tables need no care: they belong to the server's socket and go with it.
"""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from localcloud.api import IMAGE_REPOSITORY
from localcloud.host_network import NETWORK_PREFIX, remove_host_addresses
from localcloud.paths import LABEL, PREFIX
from localcloud.podman import labelled, podman
from localcloud.processes import run, succeeds
from localcloud.volumes import loops_below

_INSTANCE = re.compile(rf"{PREFIX}i-[0-9a-f]+")


def reap(folders: Iterable[Path]) -> list[str]:
    """Remove what is left of accounts with these run folders; returns what was there, for the message.

    Must not be called while an account runs. Containers of others (molecule's bear our label, too, by
    their image) are known by their names and left alone.
    """
    found = []
    for name in labelled("container"):
        if _INSTANCE.fullmatch(name):
            podman("rm", "--force", "--time", "0", name)
            found.append(f"container {name}")
    for name in labelled("network"):
        if name.startswith(NETWORK_PREFIX):
            podman("network", "rm", name)
            found.append(f"network {name}")
    for image in podman("images", "--format", "{{.Repository}}:{{.Tag}}", IMAGE_REPOSITORY).split():
        podman("rmi", "--force", image)
        found.append(f"image {image}")
    succeeds("podman", "image", "prune", "--force", "--filter", f"label={LABEL}")
    for folder in folders:
        for loop in loops_below(folder):
            run("losetup", "--detach", loop)
            found.append(f"loop device {loop}")
        if folder.exists():
            shutil.rmtree(folder)
            found.append(f"folder {folder}")
    remove_host_addresses()
    return found
