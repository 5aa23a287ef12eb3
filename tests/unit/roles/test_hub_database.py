"""The hub's database, looked at before the hub starts: what an older hub or nobody can use is put aside."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

KNOWN = {"4621fec11365", "833da8570507"}


@pytest.fixture
def module() -> Any:
    return import_module("ds_stack_hub.database")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """One with a revision and a thousand rows."""
    path = tmp_path / "jupyterhub.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table alembic_version (version_num text)")
        connection.execute("insert into alembic_version values ('833da8570507')")
        connection.execute("create table users (name text)")
        connection.executemany("insert into users values (?)", [(f"user-{one}" * 20,) for one in range(1000)])
    return path


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_what_the_hub_knows_stays(module: Any, database: Path) -> None:
    assert module.objection(database, KNOWN) == ""


@pytest.mark.parametrize("statement", ["drop table alembic_version", "delete from alembic_version"])
def test_what_has_no_revision_yet_is_the_hubs_affair(module: Any, database: Path, statement: str) -> None:
    change(database, statement)
    assert module.objection(database, KNOWN) == ""


def test_there_may_be_none(module: Any, tmp_path: Path) -> None:
    assert module.objection(tmp_path / "none.sqlite", KNOWN) == ""
    assert not (tmp_path / "none.sqlite").exists()


def test_a_newer_hubs_is_refused(module: Any, database: Path) -> None:
    change(database, "update alembic_version set version_num = 'f00d'")
    assert module.objection(database, KNOWN) == "is a newer JupyterHub's (revision f00d)"


def test_a_damaged_one_is_refused(module: Any, database: Path) -> None:
    content = database.read_bytes()
    for damaged in (b"no database" * 100, content[: len(content) // 2], content[:4096] + b"\xff" * 8192):
        database.write_bytes(damaged)
        assert module.objection(database, KNOWN).startswith("is damaged (")


def test_it_is_put_aside_as_it_is(
    module: Any, database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "known", lambda: {"4621fec11365"})
    content = database.read_bytes()
    module.main(database)
    (aside,) = database.parent.iterdir()
    assert re.fullmatch(r"jupyterhub\.sqlite\.\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d", aside.name)
    assert aside.read_bytes() == content
    assert str(aside) in capsys.readouterr().out
