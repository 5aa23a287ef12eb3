"""How long nobody answers at the hub's port, while one machine replaces another."""

from __future__ import annotations

import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

PAUSE_SECONDS = 0.5


class Outage:
    """When a sign-in page was answered, by whichever machine."""

    def __init__(self) -> None:
        self.answered: list[float] = []

    def longest(self) -> float:
        """Return the longest time between two answers, in seconds."""
        return max((after - before for before, after in pairwise(self.answered)), default=0.0)


def _answers(address: str) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        page = f"https://{address}:8000/hub/login"
        with urllib.request.urlopen(page, timeout=2, context=context) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def watched(addresses: Callable[[], list[str]]) -> Iterator[Outage]:
    """Ask the machines for their sign-in page, again and again in the meantime."""
    over, found = threading.Event(), Outage()

    def ask() -> None:
        while not over.wait(PAUSE_SECONDS):
            if any(_answers(address) for address in addresses()):
                found.answered.append(time.monotonic())

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
