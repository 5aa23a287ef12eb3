"""Whether anybody uses the server.

A server of Spark Connect is an application of YARN for as long as it runs, and EMR ends no cluster that has
one. It is in use while a client is connected (nginx closes a connection on which nothing is asked for any
more) and while Spark has a job: one may go on without its client, as streams do.
"""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass

ESTABLISHED, LISTENING = "01", "0A"


def connections(tables: str, port: int) -> int:
    """Return how many connections a port has. ``tables``: the text of /proc/net/tcp and tcp6."""
    return len(_local(tables, port, ESTABLISHED))


def pages(tables: str, port: int) -> str | None:
    """Return the address of Spark's own pages, or None: they may be on one address of the node alone."""
    for found in _local(tables, port, LISTENING):
        # The last four bytes, in this processor's order; before them an IPv4 address has nothing of its own.
        address = ".".join(str(byte) for byte in reversed(bytes.fromhex(found[-8:])))
        everywhere = address == "0.0.0.0"  # noqa: S104 - where another listens
        return f"http://{'127.0.0.1' if everywhere else address}:{port}"
    return None


def _local(tables: str, port: int, state: str) -> list[str]:
    """Return the local addresses, in hexadecimal digits, of a port's sockets in a state."""
    lines = (line.split() for line in tables.splitlines())
    sockets = [fields for fields in lines if len(fields) > 3 and fields[3] == state]
    return [
        fields[1].rpartition(":")[0] for fields in sockets if int(fields[1].rpartition(":")[2], 16) == port
    ]


def running_jobs(url: str | None) -> int:
    """Return how many jobs Spark's own pages tell of; 0 where they do not answer."""
    if url is None:
        return 0
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(path: str) -> list[dict[str, str]]:
        with opener.open(f"{url}/api/v1/applications{path}", timeout=5) as answer:
            found: list[dict[str, str]] = json.loads(answer.read())
            return found

    try:
        return sum(len(get(f"/{one['id']}/jobs?status=running")) for one in get(""))
    except (OSError, ValueError, KeyError, TypeError):
        return 0


@dataclass
class Clock:
    """Since when nobody uses the server: the time that ``look`` was given last while somebody did."""

    seconds: float
    since: float

    def look(self, used: bool, now: float) -> bool:
        """Note whether it is used. Return whether it was not for long enough."""
        if used:
            self.since = now
        return now - self.since >= self.seconds
