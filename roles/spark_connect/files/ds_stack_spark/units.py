"""systemd, and whether something listens."""

from __future__ import annotations

import socket
import subprocess
import time

from .errors import ConnectError

CONNECT = "ds-stack-spark-connect.service"
PROXY = "ds-stack-spark-proxy.service"
IDLE = "ds-stack-spark-idle.service"


def systemctl(*arguments: str) -> None:
    """Have systemd do something. Raises ConnectError."""
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConnectError(f"systemctl {' '.join(arguments)} failed: {done.stderr.strip()}")


def is_active(unit: str) -> bool:
    """Return whether a unit runs, or is about to."""
    done = subprocess.run(["systemctl", "is-active", unit], capture_output=True, text=True, check=False)
    return done.stdout.strip() in ("active", "activating", "reloading")


def listens(port: int) -> bool:
    """Return whether something on this node takes connections at a port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


def wait_for(unit: str, port: int, seconds: float, pause: float = 0.5) -> None:
    """Wait until a unit listens at its port. Raises ConnectError when it has ended, or takes longer."""
    end = time.monotonic() + seconds
    while not listens(port):
        if not is_active(unit):
            raise ConnectError(f"{unit} has ended: see `journalctl -u {unit}`.")
        if time.monotonic() >= end:
            raise ConnectError(
                f"{unit} does not listen on port {port} after {seconds:.0f} seconds: "
                f"see `journalctl -u {unit}`."
            )
        time.sleep(pause)
