"""What this machine must have before an account is started. Each refusal is one line with what to do."""

import os
import shutil
import socket
from pathlib import Path

from localcloud.addresses import API_PORT, MIRROR_PORT
from localcloud.errors import LocalCloudError
from localcloud.tools.programs import Program, dotted, look_at, minimum, overlay_for

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
        raise LocalCloudError(_missing("terraform"))
    packages = sorted({COMMANDS[command] for command in missing} - {""})
    if packages:
        raise LocalCloudError(
            f"{', '.join(missing)} missing: apt-get install {' '.join(packages)} (make setup does)."
        )
    if not Path("/dev/loop-control").exists():
        raise LocalCloudError("There are no loop devices (/dev/loop-control): load the kernel module loop.")


def packer() -> tuple[Program, Path | None]:
    """The Packer of this machine, and what must be laid over the product's template for it.

    Raises LocalCloudError when there is none, or one that can be used with nothing that we have.
    """
    path = shutil.which("packer")
    if not path:
        raise LocalCloudError(_missing("packer"))
    found = look_at("packer", Path(path))
    try:
        return found, overlay_for(found)
    except LocalCloudError as error:
        raise LocalCloudError(f"{error}: put another on PATH (make setup does).") from error


def _missing(name: str) -> str:
    needed = f"{name.capitalize()} {dotted(minimum(name))} or later"
    return f"{name} is missing: put {needed} on PATH (make setup does)."


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
