"""What this machine must have before an account is started. Each refusal is one line with what to do."""

import os
import shutil
import socket
from pathlib import Path

from localcloud.addresses import API_PORT, MIRROR_PORT
from localcloud.errors import LocalCloudError

#: Command → Debian package.
COMMANDS = {
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "losetup": "util-linux",
    "nft": "nftables",
    "nsenter": "util-linux",
    "podman": "podman",
    "runc": "runc",
    "ss": "iproute2",
    "terraform": "",
}


def check_root() -> None:
    """Raise LocalCloudError for anybody but root."""
    if os.geteuid() != 0:
        raise LocalCloudError("The local cloud needs root (containers with systemd, loop devices, nftables).")


def check_tools() -> None:
    """Raise LocalCloudError with the first thing that this machine lacks."""
    missing = [command for command in COMMANDS if not shutil.which(command)]
    if missing == ["terraform"]:
        raise LocalCloudError("terraform is missing: install Terraform 1.10 or later and put it on PATH.")
    packages = sorted({COMMANDS[command] for command in missing} - {""})
    if packages:
        raise LocalCloudError(
            f"{', '.join(missing)} missing: apt-get install {' '.join(packages)} (make setup does)."
        )
    if not Path("/dev/loop-control").exists():
        raise LocalCloudError("There are no loop devices (/dev/loop-control): load the kernel module loop.")


def check_ports() -> None:
    """Raise LocalCloudError when somebody else listens where we shall. Reap a killed account first."""
    for port in (API_PORT, MIRROR_PORT):
        if not _free(port):
            raise LocalCloudError(f"Port {port} is in use by another program: stop that first (ss -ltnp).")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 (a test that nobody listens, on whatever address)
        except OSError:
            return False
    return True
