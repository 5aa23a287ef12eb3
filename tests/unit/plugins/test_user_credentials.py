"""What decides about users' passwords."""

from __future__ import annotations

import json

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import credentials
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.credentials import Action, Published, plan
from passlib.hash import sha512_crypt


def published(version: int = 1, rotation: int = 1) -> Published:
    return Published("$6$hash", rotation, version)


@pytest.mark.parametrize(
    ("operator", "machine", "rotate", "action"),
    [
        pytest.param({}, {}, [], Action.ISSUE, id="new user"),
        pytest.param({"ada": 1}, {"ada": published(1)}, [], Action.KEEP, id="nothing to do"),
        pytest.param({"ada": 1}, {"ada": published(1)}, ["ada"], Action.ISSUE, id="rotation"),
        pytest.param({"ada": 2}, {"ada": published(1)}, [], Action.PUBLISH, id="interrupted, or set by hand"),
        pytest.param({"ada": 1}, {}, [], Action.PUBLISH, id="interrupted at the first time"),
        pytest.param({"ada": 1}, {"ada": None}, [], Action.PUBLISH, id="damaged"),
        pytest.param({}, {"ada": published(1)}, [], Action.ISSUE, id="password was removed"),
    ],
)
def test_action(
    operator: dict[str, int], machine: dict[str, Published | None], rotate: list[str], action: Action
) -> None:
    assert plan(["ada"], rotate, True, operator, machine).actions == {"ada": action}


def test_lists() -> None:
    found = plan(
        ["new", "kept", "turned", "half", "new"],
        ["turned"],
        True,
        {"kept": 1, "turned": 1, "half": 2, "gone": 1},
        {"kept": published(), "turned": published(), "half": published(), "hash_only": published()},
    )
    assert found.created == ("new",)
    assert found.rotated == ("turned",)
    assert found.republished == ("half",)
    assert found.removed == ("gone", "hash_only")
    assert found.changes


def test_without_purge_nobody_is_removed() -> None:
    found = plan([], [], False, {"gone": 1}, {"gone": published()})
    assert found.removed == ()
    assert not found.changes


def test_rotations_count_up() -> None:
    assert credentials.next_rotation(None) == 1
    assert credentials.next_rotation(published(rotation=3)) == 4


def test_password_is_long_and_can_be_read_aloud() -> None:
    passwords = {credentials.generate_password() for _ in range(200)}
    assert len(passwords) == 200
    assert {len(password) for password in passwords} == {24}
    assert not set("".join(passwords)) & set("lIO01")


def test_hash_is_of_the_password_and_slow() -> None:
    found = credentials.hash_password("correct horse")
    assert found.startswith("$6$rounds=500000$")
    assert sha512_crypt.verify("correct horse", found)
    assert credentials.hash_password("correct horse", rounds=5000) != credentials.hash_password(
        "correct horse", rounds=5000
    )


def test_document_goes_there_and_back() -> None:
    one = published(version=3, rotation=2)
    assert credentials.parse_published(credentials.document(one)) == one
    assert set(json.loads(credentials.document(one))) == {"hash", "rotation", "operator_version"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "3",
        "{}",
        "[" * 4096,
        '{"hash": "x", "rotation": "y"}',
        '{"hash": "x", "rotation": Infinity}',
    ],
)
def test_damaged_document_is_none(text: str) -> None:
    assert credentials.parse_published(text) is None


def test_hash_does_not_show() -> None:
    assert "$6$" not in repr(published())
