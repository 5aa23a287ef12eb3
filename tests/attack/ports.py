"""Who reaches whose port inside of a machine: run by root on it, prints a JSON object of way → reached.

usage: python3 ports.py UID OTHER_UID        two users of the machine, whose servers do not run
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 1.0
SERVERS_PORTS_FROM = 20000
WWW_DATA = 33


@contextmanager
def as_user(uid: int) -> Iterator[None]:
    """Open sockets as this user."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def tcp(listens: int, asks: int, address: str = "127.0.0.1", port: int = 0) -> bool:
    """Return whether the one who asks gets a connection to the one who listens."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with as_user(listens):
        server = socket.socket(family)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen()
    with as_user(asks):
        client = socket.socket(family)
        client.settimeout(SECONDS)
    try:
        client.connect(server.getsockname()[:2])
    except OSError:
        return False
    else:
        return True
    finally:
        client.close()
        server.close()


def after_a_refusal(listens: int, asks: int, knocks: int) -> bool:
    """Return whether one comes in from the very port from which somebody has just knocked in vain."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with as_user(knocks):
        knock = socket.socket()
        knock.bind(("127.0.0.1", 0))
        source = knock.getsockname()[1]
        knock.connect_ex(("127.0.0.1", port))
        knock.close()
    with as_user(listens):
        server = socket.create_server(("127.0.0.1", port))
    with as_user(asks):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind(("127.0.0.1", source))
        client.settimeout(SECONDS)
    try:
        return client.connect_ex(("127.0.0.1", port)) == 0
    finally:
        client.close()
        server.close()


def with_a_full_queue(listens: int, asks: int) -> bool:
    """Return whether one comes in when the listener answers with cookies, which belong to no socket."""
    with as_user(listens):
        server = socket.create_server(("127.0.0.1", 0), backlog=1)
    clients = []
    try:
        with as_user(asks):
            for _ in range(300):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(server.getsockname())
                clients.append(client)
        return any(_connected(client) for client in clients)
    finally:
        for client in clients:
            client.close()
        server.close()


def _connected(client: socket.socket) -> bool:
    try:
        client.getpeername()
    except OSError:
        return False
    return True


def udp(listens: int, asks: int) -> bool:
    """Return whether a datagram arrives."""
    with as_user(listens):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with as_user(asks):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server, client:
        server.bind(("127.0.0.1", 0))
        server.settimeout(SECONDS / 4)
        try:
            client.sendto(b"x", server.getsockname())
            return server.recv(1) == b"x"
        except OSError:
            return False


def main(user: int, other: int) -> None:
    """Try all, the forbidden and what must go on."""
    own = socket.gethostbyname(socket.gethostname())
    server = SERVERS_PORTS_FROM + user
    found = {
        "other's port": tcp(user, other),
        "other's port on ::1": tcp(user, other, "::1"),
        "other's port on another loopback address": tcp(user, other, "127.8.8.8"),
        "other's port on the machine's address": tcp(user, other, own),
        "nobody's port": tcp(65534, other),
        "from the port of the owner's refusal": after_a_refusal(user, other, knocks=user),
        "from the port of the system's refusal": after_a_refusal(user, other, knocks=0),
        "from many ports at once": with_a_full_queue(user, other),
        "other's datagrams": udp(user, other),
        "other's server": tcp(user, other, port=server),
        "other's server, as nginx": tcp(user, WWW_DATA, port=server),
        "hub's connection, in the server's place": tcp(other, 0, port=server),
        "own connection, with another in the server's place": tcp(other, user, port=server),
        "own server": tcp(user, user, port=server),
        "own server, as the hub": tcp(user, 0, port=server),
        "own port": tcp(user, user),
        "own port on ::1": tcp(user, user, "::1"),
        "own port on the machine's address": tcp(user, user, own),
        "system's port": tcp(0, user),
        "user's port, as the system": tcp(user, WWW_DATA),
    }
    print(json.dumps(found))


# The rest is forbidden.
ALLOWED = frozenset(
    {
        "own server",
        "own server, as the hub",
        "own port",
        "own port on ::1",
        "own port on the machine's address",
        "system's port",
        "user's port, as the system",
    }
)

if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
