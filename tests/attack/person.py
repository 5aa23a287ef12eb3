"""What one user tries against another and against the system, from wherever this is run as that user.

usage: python3 person.py FILE      writes to FILE what came through, as a JSON object of attack → yes or no.
                                   Against whom, is in facts.json beside this (see origins.py).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

SECONDS = 2.0
SYSTEMS_PORTS = (980, 981, 982, 987)
PROXIED_PORTS = (980, 987)
WEB_LOGS = ("/var/log/nginx/access.log", "/var/log/nginx/error.log")
SYSTEMS_FILES = (
    "/etc/shadow",
    "/etc/ds-stack/tls/key.pem",
    "/var/lib/jupyterhub/jupyterhub.sqlite",
    "/var/lib/rstudio-server/secure-cookie-key",
    "/run/jupyterhub/environment",
    "/run/ds-stack-r",
)


def connects(address: tuple[str, int]) -> bool:
    """Whether a connection comes about. Raises OSError."""
    with socket.create_connection(address, SECONDS):
        return True


def is_open(port: int) -> bool:
    """Whether a connection to a port of this machine comes about."""
    try:
        return connects(("127.0.0.1", port))
    except OSError:
        return False


def is_answered(address: tuple[str, int]) -> bool:
    """Whether a datagram is. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks:
        asks.settimeout(SECONDS)
        asks.sendto(b"x", address)
        return bool(asks.recv(1))


def is_readable(path: str) -> bool:
    """Whether a file is there, and open."""
    return os.access(path, os.R_OK)


def listens(ports: tuple[int, ...]) -> bool:
    """Whether any can be taken."""
    for port in ports:
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.2", port))
            except OSError:
                continue
            return True
    return False


def said(*command: str) -> bool:
    """Whether a program ends well and says something."""
    if not shutil.which(command[0]):
        return False
    done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    return done.returncode == 0 and bool(done.stdout.strip())


def is_told(process: int) -> bool:
    """Whether systemd, which is root, tells a process's command line."""
    systemd = "org.freedesktop.systemd1"
    manager = [systemd, "/org/freedesktop/systemd1", f"{systemd}.Manager"]
    call = ["busctl", "--", "call", *manager, "GetUnitProcesses", "s", "-.slice"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    return f' {process} "' in done.stdout


def is_outside_of_limits() -> bool:
    """Whether this runs in no slice of one user, nor in that of all jobs."""
    slices = (f"/user.slice/user-{os.getuid()}.slice/", "/user.slice/user-jobs.slice/")
    groups = Path("/proc/self/cgroup").read_text().splitlines()
    (of_systemd,) = (line for line in groups if ":name=systemd:" in line or line.startswith("0::/u"))
    return not any(one in of_systemd for one in slices)


def may_end(process: int) -> bool:
    """Whether a signal would come. Raises OSError."""
    os.kill(process, 0)
    return True


def takes_a_name(path: Path) -> bool:
    """Whether a file of a name that another one will want can be made. Raises OSError."""
    path.touch(exist_ok=True)
    path.unlink()
    return True


def fills(folder: str) -> bool:
    """Whether anything can be written on a file system: in a folder of one's own there, too."""
    device = Path(folder).stat().st_dev
    return any(os.access(one, os.W_OK) and Path(one).stat().st_dev == device for one, *_ in os.walk(folder))


def attempts(other: int, port: int) -> dict[str, Callable[[], bool]]:
    """Return what is tried. other: a process of another user's; port: on which it answers, by TCP and UDP."""
    process = Path(f"/proc/{other}")
    return {
        "get the machine's role in AWS, from the metadata service": lambda: connects(("169.254.169.254", 80)),
        "reach another's program by TCP": lambda: connects(("127.0.0.1", port)),
        "reach another's program by UDP": lambda: is_answered(("127.0.0.1", port)),
        "listen in the place of the hub, its proxy or RStudio": lambda: listens(SYSTEMS_PORTS),
        "come to the sites past nginx, from wherever one says": lambda: any(map(is_open, PROXIED_PORTS)),
        "see another's processes": process.exists,
        "read another's command line": lambda: bool((process / "cmdline").read_bytes()),
        "have systemd tell another's command line": lambda: is_told(other),
        "read another's environment": lambda: bool((process / "environ").read_bytes()),
        "end another's process": lambda: may_end(other),
        "see another's files in `/tmp`": Path("/tmp/of-another").exists,
        "read hashes of passwords, keys, and what is the hub's or RStudio's": lambda: any(
            map(is_readable, SYSTEMS_FILES)
        ),
        "read what others open in the browser": lambda: any(map(is_readable, WEB_LOGS)),
        "read what the system writes to the journal": lambda: said("journalctl", "-qn1", "_UID=0"),
        "become root by `sudo`": lambda: said("sudo", "-n", "id"),
        "be outside of the limits for users": is_outside_of_limits,
        "fill `/run`, where everything that starts writes": lambda: fills("/run"),
        "take a name in `/dev/shm` that another will want": lambda: takes_a_name(Path("/dev/shm/a-name")),
    }


def main(target: str) -> None:
    """Try all."""
    facts = json.loads(Path(__file__).with_name("facts.json").read_text())
    found = {}
    for attack, attempt in attempts(facts["process"], facts["port"]).items():
        try:
            found[attack] = bool(attempt())
        except OSError:
            found[attack] = False
    written = Path(target + ".new")
    written.write_text(json.dumps(found))
    written.replace(target)


if __name__ == "__main__":
    main(sys.argv[1])
