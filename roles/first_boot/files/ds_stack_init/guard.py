"""The guard of the metadata service (role base): whether users are kept out, seen as they would see it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Collection

from .errors import InitError
from .process import run
from .status import Check

NAME = "metadata guard"
UNIT = "ds-stack-metadata-guard.service"
# Whatever address this program itself asks: these are what the guard closes, on every instance.
ADDRESSES = (("169.254.169.254", 80), ("fd00:ec2::254", 80))
NOBODY = 65534
SECONDS, SECONDS_EACH = 10, 3
# Prints the uids as whom a connection comes about. The rules go by the uid that opens the socket.
PROBE = """
import os, socket, sys
for uid in map(int, sys.argv[1].split(",")):
    os.seteuid(uid)
    for address in sys.argv[2:]:
        host, port = address.rsplit(" ", 1)
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.settimeout(1)
            try:
                probe.connect((host, int(port)))
            except OSError:
                continue
            print(uid)
            break
    os.seteuid(0)
"""


def open_for(uids: Collection[int], addresses: Collection[tuple[str, int]] = ADDRESSES) -> list[int]:
    """Return those of these uids, and of nobody's, that reach the metadata service. Raises InitError."""
    who = ",".join(str(uid) for uid in [NOBODY, *sorted(uids)])
    seconds = SECONDS + SECONDS_EACH * len(uids)
    where = [f"{host} {port}" for host, port in addresses]
    command = [sys.executable, "-I", "-c", PROBE, who, *where]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise InitError(f"Whether users reach the metadata service cannot be seen: {error}.") from error
    return [int(uid) for uid in done.stdout.split()]


def keep(uids: Collection[int], log: Callable[[str], None]) -> bool:
    """Load the guard's rules again where they are missing. Return whether they were. Raises InitError."""
    reached = open_for(uids)
    active = run("systemctl", "is-active", UNIT, ok=range(256)).strip() == "active"
    if active and not reached:
        return False
    # Reloaded where it can be: a restart would take the services with it.
    run("systemctl", "reload" if active else "start", UNIT)
    if reached:
        log(f"users reached the metadata service (uid {reached[0]}); its guard is loaded again")
    return bool(reached)


def check(uids: Collection[int], opened: str | None) -> Check:
    """Look at the guard; ``opened`` tells when it was found open since the boot."""
    reached = open_for(uids)
    if reached:
        return Check(NAME, False, f"uid {reached[0]} reaches the metadata service")
    if opened:
        return Check(NAME, True, f"closed again; users reached the metadata service at {opened}")
    return Check(NAME, True, "the metadata service is closed to users")
