"""The attacks of `person.py` on a machine of a molecule scenario: the one against whom, and from where."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from testinfra.host import Host

from tests.attack import person, tables

FOLDER = "/usr/local/share/attack"
PORT = 15151
SECONDS = 90
"""Cron begins a job at the full minute."""
ANSWER = f"""
import socket, threading
tcp, udp = socket.create_server(("127.0.0.1", {PORT})), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", {PORT}))
while True:
    udp.sendto(b"x", udp.recvfrom(1)[1])
"""


@contextmanager
def attacked(host: Host, other: str) -> Iterator[None]:
    """A machine with a metadata service, and another user with a program that answers and a file in /tmp."""
    answers = base64.b64encode(ANSWER.encode()).decode()
    program = base64.b64encode(Path(person.__file__).read_bytes()).decode()
    units = "attacked-user attacked-metadata"
    run = "systemd-run --quiet --collect --unit"
    host.check_output("ip address replace 169.254.169.254/32 dev lo")
    host.check_output(f"{run} attacked-metadata python3 -m http.server --bind 169.254.169.254 80")
    host.check_output(
        f"{run} attacked-user --uid {other} python3 -c 'import base64; exec(base64.b64decode(\"{answers}\"))'"
    )
    host.check_output(f"su {other} --command 'touch /tmp/of-another; chmod 644 /tmp/of-another'")
    process = host.check_output("systemctl show --property=MainPID --value attacked-user")
    facts = json.dumps({"process": int(process), "port": PORT})
    host.check_output(
        f"mkdir -p {FOLDER} && cd {FOLDER}"
        f" && echo {program} | base64 -d >person.py && echo '{facts}' >facts.json"
    )
    wait_for(lambda: host.run(f"ss -Hltn | grep -c ':{PORT}\\|:80 '").stdout.strip() == "2")
    try:
        yield
    finally:
        host.check_output(f"systemctl stop {units}; ip address del 169.254.169.254/32 dev lo")
        host.check_output(f"su {other} --command 'rm /tmp/of-another'; rm -r {FOLDER}")


def wait_for(look: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + SECONDS
    while not look():
        assert time.monotonic() < end
        time.sleep(0.5)


def tried(host: Host, home: str, begin: Callable[[str], object]) -> dict[str, bool]:
    """Have a command run somewhere as a user, and return which attacks came through from there."""
    result = f"{home}/attacks.json"
    begin(f"python3 {FOLDER}/person.py {result}")
    wait_for(lambda: host.file(result).exists)
    found = dict(json.loads(host.file(result).content_string))
    host.check_output(f"rm {result}")
    return found


def shown(origin: str, found: dict[str, bool]) -> None:
    """Hold the origin's column of the page to what came through."""
    words = {False: "refused", True: "**comes through**"}
    tables.hold(tables.ATTACKS, {attack: {origin: words[came]} for attack, came in found.items()})
