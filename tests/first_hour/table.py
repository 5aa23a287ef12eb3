"""The table of the documentation: what is shown, and where."""

from __future__ import annotations

from tests.first_hour.browser import ALL, WHERE
from tests.first_hour.session import MORE
from tests.first_hour.things import AFTER, PLACES, THINGS


def table() -> str:
    """Return it as Markdown."""
    rows = [(thing.what, PLACES[thing.where]) for thing in THINGS] + [
        (what, where) for what, where, _ in MORE
    ]
    rows += [(what, WHERE) for what in ALL]
    after = [(thing.what, "the machine that came after") for thing in AFTER]
    lines = [f"| {number} | {what} | {where} |" for number, (what, where) in enumerate(rows + after, 1)]
    return "\n".join(["| | What people do | Where |", "| ---: | --- | --- |", *lines])
