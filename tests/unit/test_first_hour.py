"""The table of the first hour: in the documentation as it is done, and long enough."""

from __future__ import annotations

from pathlib import Path

from tests.first_hour.browser import ALL
from tests.first_hour.session import MORE
from tests.first_hour.table import table
from tests.first_hour.things import THINGS

ROOT = Path(__file__).resolve().parents[2]


def test_the_documentation_has_the_table() -> None:
    """``python -m tests.first_hour table`` prints it."""
    assert table() in (ROOT / "docs/first_hour.md").read_text()


def test_there_are_sixty_things_and_none_twice() -> None:
    names = [thing.what for thing in THINGS] + [what for what, _where, _act in MORE] + list(ALL)
    assert len(names) >= 60
    assert len(set(names)) == len(names)
