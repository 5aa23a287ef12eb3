"""Remove everything that an account made on this machine, whether it ended well or was killed.

The nftables tables need no care: they belong to the server's socket and go with it.
"""

import contextlib
import os
import re
import signal
from collections.abc import Iterable
from pathlib import Path

from localcloud.host_network import NETWORK_PREFIX, remove_host_addresses, remove_network
from localcloud.paths import CONTAINERS_CONF, PREFIX
from localcloud.podman import labelled, podman
from localcloud.processes import run
from localcloud.root_disks import remove_tree, unmount_below
from localcloud.volumes import loops_below

_INSTANCE = re.compile(rf"{PREFIX}i-[0-9a-f]+")


def reap(folders: Iterable[Path], server: int | None) -> list[str]:
    """Remove what is left of accounts with these run folders; returns what was there, for the message.

    Args:
        folders: run folders.
        server: process id of the server that ran last, if known; what it had started is ended first.

    Must not be called while an account runs. Containers of others (molecule's bear our label, too, by
    their image) are known by their names and left alone.
    """
    found = [f"process {end(process)}" for process in orphans(server)] if server else []
    for name in labelled("container"):
        if _INSTANCE.fullmatch(name):
            podman("rm", "--force", "--time", "0", name)
            found.append(f"container {name}")
    for name in labelled("network"):
        if name.startswith(NETWORK_PREFIX):
            remove_network(name)
            found.append(f"network {name}")
    for folder in folders:
        found += [f"mount {point}" for point in unmount_below(folder)]
        for loop in loops_below(folder):
            run("losetup", "--detach", loop)
            found.append(f"loop device {loop}")
        if folder.exists():
            remove_tree(folder)
            found.append(f"folder {folder}")
    remove_host_addresses()
    return found


def orphans(server: int, proc: Path = Path("/proc")) -> list[int]:
    """Processes that a dead server had started and that still run, such as the copy of a root disk.

    They are known by its session and by the setting that it gives them; the id alone may be another's.
    """
    mark = f"CONTAINERS_CONF={CONTAINERS_CONF}".encode()
    found = []
    for folder in proc.glob("[0-9]*"):
        try:
            # After the name, which is in parentheses: state, parent, group, session.
            session = (folder / "stat").read_text().rpartition(")")[2].split()[3]
            if int(session) == server and mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:  # it has just ended
            continue
    return sorted(found)


def end(process: int) -> int:
    """Kill a process; nothing happens when it is gone. Returns its id."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    return process
