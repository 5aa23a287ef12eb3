"""The tables of docs/security.md, each held by tests to what they have seen.

A test fails where the page says something else; with DS_STACK_WRITE_MATRIX in the environment it writes its
cells.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/security.md"
ATTACKS = ("What a user tries", "a notebook", "an R session", "SSH", "cron")
PORTS = ("What listens inside of the machine", "the network reaches it", "users of the machine reach it")
"""Heads of the tables."""

Rows = dict[str, dict[str, str]]


def _line(cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"  # type: ignore[call-overload]


def rows(head: tuple[str, ...]) -> Rows:
    """Return a table's rows: first cell → column → cell."""
    lines = PAGE.read_text(encoding="utf-8").split(_line(head) + "\n", 1)[1].splitlines()[1:]
    found: Rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        first, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        found[first] = dict(zip(head[1:], cells, strict=True))
    return found


def hold(head: tuple[str, ...], seen: Mapping[str, Mapping[str, str]]) -> None:
    """Hold what a test has seen, some rows and columns, to the table."""
    for first, cells in seen.items():
        print(_line([first, *(f"{column}: {cell}" for column, cell in cells.items())]))
    before = rows(head)
    after = {first: dict(cells) for first, cells in before.items()}
    for first, cells in seen.items():
        after.setdefault(first, dict.fromkeys(head[1:], "")).update(cells)
    if os.environ.get("DS_STACK_WRITE_MATRIX"):
        _write(head, before, after)
        before = after
    assert before == after, "docs/security.md is not current: set DS_STACK_WRITE_MATRIX=1 once"


def _write(head: tuple[str, ...], before: Rows, after: Rows) -> None:
    top = _line(head) + "\n" + _line("---" for _ in head) + "\n"
    old, new = (
        top + "".join(_line([first, *cells.values()]) + "\n" for first, cells in some.items())
        for some in (before, after)
    )
    text = PAGE.read_text(encoding="utf-8")
    assert old in text
    PAGE.write_text(text.replace(old, new), encoding="utf-8")
