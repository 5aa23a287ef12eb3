"""The tables of docs/security.md."""

from __future__ import annotations

from tests.attack import person, tables


def test_every_attack_is_tried_from_everywhere() -> None:
    table = tables.rows(tables.ATTACKS)
    assert table.keys() == person.attempts(1, 1).keys()
    assert {cell for cells in table.values() for cell in cells.values()} == {"refused", "**comes through**"}


def test_every_row_of_what_listens_is_whole() -> None:
    cells = {cell for cells in tables.rows(tables.PORTS).values() for cell in cells.values()}
    assert cells == {"yes", "no"}
