"""Who is at work, from processes and from what servers tell."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ds_stack_init import memory, presence, userdb, work
from ds_stack_init.accounts import Account
from ds_stack_init.settings import Settings
from ds_stack_init.status import Person
from ds_stack_init.work import Look, Process

NAMES = {2000: "ada", 2001: "grace"}
QUIET = Process(pid=10, uid=2000, name="bash", began=0.0, used=0.1, foreground=False)


def people(found: list[Process], working: list[Process] | None = None, **others: Any) -> dict[str, str]:
    given = {"told": {}, "keeping": set(), **others}
    who = presence.people(NAMES, found, found if working is None else working, **given)
    return {one.name: one.doing for one in who}


@pytest.mark.parametrize(
    ("found", "working", "others", "expected"),
    [
        pytest.param([QUIET], [], {}, {}, id="a shell that waits"),
        pytest.param([replace(QUIET, name="rsession")], None, {}, {"ada": "R session"}, id="R computes"),
        pytest.param([replace(QUIET, name="rsession")], [], {}, {}, id="R waits"),
        pytest.param([replace(QUIET, name="sshd")], [], {}, {"ada": "SSH"}, id="SSH"),
        pytest.param([replace(QUIET, name="sshd-session")], None, {}, {"ada": "SSH"}, id="newer SSH, once"),
        pytest.param(
            [replace(QUIET, name="vim"), replace(QUIET, uid=2001, name="make")],
            None,
            {"told": {2001: ["kernel ir", "make"]}, "keeping": {2000}},
            {"ada": "vim, ds-keep", "grace": "kernel ir, make"},
            id="both, from both sides",
        ),
        pytest.param(
            [replace(QUIET, name=f"job{one}") for one in range(9)],
            None,
            {},
            {"ada": "job0, job1, job2, job3 and more"},
            id="many",
        ),
        pytest.param(
            [], None, {"told": {2000: ["ds-keep"]}, "keeping": {2000}}, {"ada": "ds-keep"}, id="once"
        ),
    ],
)
def test_people(
    found: list[Process], working: list[Process] | None, others: dict[str, Any], expected: dict[str, str]
) -> None:
    assert people(found, working, **others) == expected


def tell(run: Path, unit: str, text: str, age: float = 0.0) -> Path:
    path = run / unit / "at-work.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.mark.parametrize(
    ("text", "age", "expected"),
    [
        ({"doing": ["kernel ir"], "last": 0}, 0, ["kernel ir"]),
        ({"doing": [], "last": -10}, 0, ["a notebook a moment ago"]),
        ({"doing": [], "last": -1000}, 0, []),
        ({"doing": ["kernel ir"], "last": 0}, 400, None),
        ({"last": 0}, 0, None),
        ({"doing": 7, "last": 0}, 0, None),
        ("nonsense", 0, None),
    ],
)
def test_what_a_server_tells(tmp_path: Path, text: Any, age: float, expected: list[str] | None) -> None:
    now = time.time()
    if isinstance(text, dict):
        text = json.dumps({**text, "last": now + text["last"]})
    tell(tmp_path, "jupyter/ada", text, age)
    found = presence.servers({os.getuid(): None}, now, tmp_path)
    assert found.get(os.getuid()) == expected


def test_what_nobody_of_the_stack_tells_does_not_count(tmp_path: Path) -> None:
    tell(tmp_path, "jupyter/ada", '{"doing": ["kernel ir"], "last": 0}')
    assert presence.servers({os.getuid() + 1: None}, time.time(), tmp_path) == {}


def test_a_users_pipe_or_link_is_neither_waited_for_nor_followed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / work.KEEP).parent.mkdir(parents=True)
    os.mkfifo(home / work.KEEP)
    assert not work.kept(home, 0.0)
    (home / work.KEEP).unlink()
    (tmp_path / "later").write_text("9e9")
    (home / work.KEEP).symlink_to(tmp_path / "later")
    assert not work.kept(home, 0.0)
    (tmp_path / "later").rename(home / work.KEEP)
    assert work.kept(home, 0.0)


def test_a_process_works_when_it_used_the_processor_since_the_last_look() -> None:
    first = Look()
    assert first.working([replace(QUIET, began=0.0, used=60.0)], now=1000.0) != []
    later = Look(first.seen)  # another run of the program
    assert later.working([replace(QUIET, began=0.0, used=60.1)], now=1060.0) == []
    assert Look(later.seen).working([replace(QUIET, began=0.0, used=70.0)], now=1120.0) != []
    assert later.working([replace(QUIET, name="python3", used=60.1, foreground=True)], now=1180.0) != []


def test_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has worked since it began, and is no server of JupyterHub."""
    here = Settings(None, None, "", "ds-users", os.getuid(), tmp_path, (), (), 0, 0)
    account = Account(os.getuid(), "/bin/sh", "!", False, str(tmp_path))
    monkeypatch.setattr(userdb, "read_accounts", lambda: {"ada": account})
    monkeypatch.setattr(memory, "FOLDER", tmp_path)
    monkeypatch.setattr(presence, "RUN", tmp_path)
    sum(range(30_000_000))
    (found,) = presence.look(here)
    assert found.name == "ada"
    assert presence.look(replace(here, first_uid=os.getuid() + 1)) == []
    assert (tmp_path / presence.SEEN).stat().st_mode & 0o777 == 0o600
    assert Person("ada", found.doing) == found
