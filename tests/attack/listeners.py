"""What listens inside of a machine of a molecule scenario, and who reaches it."""

from __future__ import annotations

import re
import selectors
import socket
from collections.abc import Iterable

from testinfra.host import Host

from tests.attack import tables

LINE = re.compile(
    r'(?P<protocol>tcp|udp)\s.*? (?P<address>\S+):(?P<port>\d+) +\S+ +users:\(\("(?P<program>[^"]+)'
)
AT_ONCE, SECONDS = 400, 2.0
NODE = ("node", "MainThread")
"""Names that Node.js has, in which the hub's proxy runs."""
SERVERS = range(21000, 26000)
"""Ports of users' servers of JupyterHub."""


def reached(address: str, ports: Iterable[int]) -> set[int]:
    """Return the TCP ports at which somebody answers."""
    found, left = set(), list(ports)
    while left:
        some, left = left[:AT_ONCE], left[AT_ONCE:]
        asking = {}
        with selectors.DefaultSelector() as waits:
            for port in some:
                asking[port] = socket.socket()
                asking[port].setblocking(False)
                asking[port].connect_ex((address, port))
                waits.register(asking[port], selectors.EVENT_WRITE, port)
            while waits.get_map() and (ready := waits.select(SECONDS)):
                for key, _events in ready:
                    if asking[key.data].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                        found.add(key.data)
                    waits.unregister(key.fileobj)
            for one in asking.values():
                one.close()
    return found


def shown(host: Host, user: str) -> None:
    """Hold to the page what listens, and what a scan from outside and a user from inside reach."""
    lines = host.check_output("ss -Hltnup").splitlines()
    listening = [found for line in lines if (found := LINE.match(line))]
    assert len(listening) == len(lines)
    network = str(next(one for one in host.interface("eth0").addresses if ":" not in one))
    outside = reached(network, range(1, 65536))
    assert outside <= {int(one["port"]) for one in listening}, "what does not listen answers"
    seen = {}
    for one in listening:
        port, address = int(one["port"]), one["address"].strip("[]")
        program = "the hub's proxy" if one["program"] in NODE else one["program"]
        what = f"{program}, {one['protocol']} {port}"
        if port in SERVERS:
            what = "a user's server of JupyterHub, tcp 20000 and the uid"
        to = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
        inside = host.run(f"runuser -u {user} -- timeout 3 bash -c '</dev/tcp/{to}/{port}'").rc == 0
        came = ("yes" if port in outside else "no", "yes" if inside else "no")
        row = f"{what}, on {address if to == address else 'all addresses'}"
        seen[row] = dict(zip(tables.PORTS[1:], came, strict=True))
    tables.hold(tables.PORTS, seen)
