"""The guard of role base, which keeps users from the metadata service and each other, as users see it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Collection

from .errors import InitError
from .process import run
from .settings import Settings
from .status import Check

NAME = "guard"
UNIT = "ds-stack-guard.service"
# Whatever address this program itself asks: these are what the guard closes, on every instance.
ADDRESSES = (("169.254.169.254", 80), ("fd00:ec2::254", 80))
NOBODY = 65534
SECONDS, SECONDS_EACH = 10, 3
# Prints who reaches what. The rules go by the uid that opens a socket. Inside, a connection is there at once
# or never: all users ask for one with nobody at the same time.
PROBE = """
import os, socket, sys, time
uids = [int(uid) for uid in sys.argv[1].split(",")]
for uid in uids:
    os.seteuid(uid)
    for address in sys.argv[2:]:
        host, port = address.rsplit(" ", 1)
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.settimeout(1)
            try:
                probe.connect((host, int(port)))
            except OSError:
                continue
            print(f"uid {uid} reaches the metadata service")
            break
    os.seteuid(0)
os.seteuid(uids[0])
listening = socket.create_server(("127.0.0.1", 0), backlog=len(uids))
os.seteuid(0)
asking = {}
for uid in uids[1:]:
    os.seteuid(uid)
    asking[uid] = socket.socket()
    asking[uid].setblocking(False)
    asking[uid].connect_ex(listening.getsockname())
    os.seteuid(0)
time.sleep(0.2)
for uid, probe in asking.items():
    try:
        probe.getpeername()
    except OSError:
        continue
    print(f"uid {uid} reaches the ports of others")
for uid in uids:
    os.seteuid(uid)
    if os.path.exists("/proc/1"):
        print(f"uid {uid} sees the processes of others")
    os.seteuid(0)
"""


def leaks(
    settings: Settings, uids: Collection[int], addresses: Collection[tuple[str, int]] = ADDRESSES
) -> list[str]:
    """Return what these uids, and nobody's, reach that is closed to them. Raises InitError."""
    who = ",".join(str(uid) for uid in [NOBODY, *sorted(uids)])
    seconds = SECONDS + SECONDS_EACH * len(uids)
    where = [f"{host} {port}" for host, port in addresses] if settings.metadata_guard else []
    command = [sys.executable, "-I", "-c", PROBE, who, *where]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise InitError(f"Whether users come through the guard cannot be seen: {error}.") from error
    return done.stdout.splitlines()


def keep(settings: Settings, uids: Collection[int], log: Callable[[str], None]) -> bool:
    """Load the guard's rules again where they are missing. Return whether they were. Raises InitError."""
    found = leaks(settings, uids)
    active = run("systemctl", "is-active", UNIT, ok=range(256)).strip() == "active"
    if active and not found:
        return False
    # Reloaded where it can be: a restart would take the services with it.
    run("systemctl", "reload" if active else "start", UNIT)
    if found:
        log(f"{found[0]}; the guard is loaded again")
    return bool(found)


def check(settings: Settings, uids: Collection[int], opened: str | None) -> Check:
    """Look at the guard; ``opened`` tells when it was found open since the boot."""
    found = leaks(settings, uids)
    if found:
        return Check(NAME, False, found[0])
    if opened:
        return Check(NAME, True, f"closed again; users came through it at {opened}")
    return Check(NAME, True, "users are kept from each other")
