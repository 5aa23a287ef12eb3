"""Whether anybody uses the server.

A server of Spark Connect is an application of YARN for as long as it runs, and EMR ends no cluster that has
one. It is in use while a client is connected (nginx closes a connection on which nothing is asked for any
more) and while Spark has a job: one may go on without its client, as streams do.
"""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass

ESTABLISHED = "01"


def connections(table: str, port: int) -> int:
    """Return how many connections a port has, from the text of /proc/net/tcp or tcp6."""
    found = 0
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields[3] == ESTABLISHED and int(fields[1].rpartition(":")[2], 16) == port:
            found += 1
    return found


def running_jobs(url: str) -> int:
    """Return how many jobs Spark's own pages tell of; 0 where they do not answer."""
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
