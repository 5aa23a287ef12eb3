"""The table of things.yml: what people do, where, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

PYTHON, R, TERMINAL = "python", "r", "terminal"
PLACES = {PYTHON: "a notebook, Python", R: "a notebook, R", TERMINAL: "a terminal"}
PATH = r"\S+/\.local/bin:/opt/ds-stack/bin:/usr/local/bin:/usr/bin:/bin:\S+/ds/bin:\S+/condabin"


@dataclass(frozen=True)
class Thing:
    """One thing that people do.

    Attributes:
        what: for the documentation.
        where: in what it is done.
        code: what is typed.
        comes: a regular expression for all that it prints, without white space around it.
        seconds: that it may take.
    """

    what: str
    where: str
    code: str
    comes: str
    seconds: float = 60


def load(name: str) -> tuple[Thing, ...]:
    """Return a table."""
    rows = yaml.safe_load(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    return tuple(Thing(**{**row, "comes": row["comes"].replace("{path}", PATH)}) for row in rows)


THINGS = load("things.yml")
AFTER = load("after.yml")
"""What must still be so when the machine was replaced."""
