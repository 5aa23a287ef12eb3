"""The table of the documentation: what is shown, and where."""

from __future__ import annotations

from tests.first_hour.session import MORE
from tests.first_hour.things import PLACES, THINGS


def table() -> str:
    """Return it as Markdown."""
    rows = [(thing.what, PLACES[thing.where]) for thing in THINGS] + [
        (what, where) for what, where, _ in MORE
    ]
    lines = [f"| {number} | {what} | {where} |" for number, (what, where) in enumerate(rows, 1)]
    return "\n".join(["| | What people do | Where |", "| ---: | --- | --- |", *lines])
