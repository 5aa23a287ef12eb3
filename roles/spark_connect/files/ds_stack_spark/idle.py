"""Whether anybody uses the server.

A server of Spark Connect is an application of YARN for as long as it runs, and EMR ends no cluster that has
one. It is in use while a client is connected (nginx closes a connection on which nothing is asked for any
more, or whose client has gone) and while Spark has jobs: they may go on without a client, as streams do.
"""

from __future__ import annotations

import http.client
import json
import urllib.request
from dataclasses import dataclass
from typing import Any

ESTABLISHED, LISTENING = "01", "0A"
#: So long Spark that does not answer is taken to be at the jobs that it had: it may have no time, or hang.
BELIEVED_SECONDS = 3600.0


@dataclass(frozen=True)
class Jobs:
    """How many of Spark's jobs run, and how many there have been: one may be over between two looks."""

    running: int = 0
    begun: int = 0


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


def jobs(url: str | None) -> Jobs | None:
    """Return what Spark's own pages tell of its jobs: none without pages, and None without an answer."""
    if url is None:
        return Jobs()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(path: str) -> list[dict[str, Any]]:
        with opener.open(f"{url}/api/v1/applications{path}", timeout=5) as answer:
            found: list[dict[str, Any]] = json.loads(answer.read())
            return found

    try:
        found = [job for one in get("") for job in get(f"/{one['id']}/jobs")]
        return Jobs(
            sum(job["status"] == "RUNNING" for job in found),
            max((int(job["jobId"]) + 1 for job in found), default=0),  # it keeps the last thousand
        )
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None


@dataclass
class Clock:
    """Since when nobody uses the server: the time that ``look`` was given last while somebody did.

    Attributes:
        seconds: for how long nobody may.
        jobs: what was told of them last, and ``told`` when.
    """

    seconds: float
    since: float
    jobs: Jobs = Jobs()
    told: float = 0

    def set(self, seconds: float, now: float) -> bool:
        """Have it be another time, which begins now. Return whether it is another one."""
        another = seconds != self.seconds
        if another:
            self.seconds, self.since = seconds, now
        return another

    def look(self, connected: bool, jobs: Jobs | None, now: float) -> bool:
        """Note whether it is used. Return whether it was not for long enough."""
        if jobs is None:
            working = bool(self.jobs.running) and now - self.told < BELIEVED_SECONDS
        else:
            working = bool(jobs.running) or jobs.begun != self.jobs.begun
            self.jobs, self.told = jobs, now
        if connected or working:
            self.since = now
        return now - self.since >= self.seconds
