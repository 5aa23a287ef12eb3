"""Signing in to the hub: who is bounded, and who is not."""

from __future__ import annotations

import asyncio
import time
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

PLACE, ELSEWHERE, FORWARDED = "198.51.100.7", "192.0.2.8", "127.0.0.1"


class Browser:
    """What the hub gives an authenticator of a request; keeps the cookies that it gets."""

    def __init__(self, place: str = PLACE, protocol: str = "https") -> None:
        """Come from this place."""
        peer = SimpleNamespace(getpeername=lambda: ("127.0.0.1", 40000))
        connection = SimpleNamespace(stream=SimpleNamespace(socket=peer))
        self.request = SimpleNamespace(remote_ip=place, protocol=protocol, connection=connection)
        self.hub = SimpleNamespace(base_url="/hub/")
        self.cookies: dict[str, str] = {}
        self.options: dict[str, Any] = {}

    def get_secure_cookie(self, name: str, **_options: Any) -> bytes | None:
        """Return a signed cookie's value."""
        return self.cookies[name].encode() if name in self.cookies else None

    def set_secure_cookie(self, name: str, value: str, **options: Any) -> None:
        """Keep a cookie."""
        self.cookies[name], self.options = value, options


@pytest.fixture
def sign_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = import_module("ds_stack_hub.sign_in")
    monkeypatch.setattr(module, "DELAY_SECONDS", 0.01)
    return module


@pytest.fixture
def hub(sign_in: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An authenticator whose users are alice and bob, with the password right; others, too, have one."""
    looked: list[str] = []

    async def look(_self: Any, _handler: Any, data: dict[str, str]) -> str | None:
        looked.append(data["username"])
        await asyncio.sleep(0)
        return data["username"] if data["password"] == "right" else None

    def allowed(account: str) -> bool:
        if "\0" in account:
            raise ValueError
        return {"alice": True, "bob": True, "mallory": False}[account]

    monkeypatch.setattr(sign_in.PAMAuthenticator, "authenticate", look, raising=False)
    said: list[str] = []
    authenticator = sign_in.Accounts()
    authenticator.tries = sign_in.Tries()
    authenticator.check_allowed = allowed
    authenticator.log = SimpleNamespace(info=lambda text, *values: said.append(text % values))
    authenticator.looked, authenticator.said = looked, said
    return authenticator


def attempt(hub: Any, account: str, password: str, browser: Browser | None = None) -> Any:
    """Try to sign in, and return the account, None, or the status of a refusal."""
    data = {"username": account, "password": password}
    try:
        return asyncio.run(hub.authenticate(browser or Browser(), data))
    except Exception as error:
        return error.args[0]


def test_right_password(hub: Any) -> None:
    assert attempt(hub, "alice", "right") == "alice"
    assert hub.said == ["sign-in accepted: 'alice' from 198.51.100.7"]


def test_wrong_passwords_are_looked_at_ten_times(hub: Any) -> None:
    assert [attempt(hub, "alice", "wrong") for _ in range(13)] == [None] * 10 + [429] * 3
    assert attempt(hub, "alice", "right") == 429
    assert hub.looked == ["alice"] * 10
    assert hub.said == ["sign-in refused: 'alice' from 198.51.100.7"] * 10


@pytest.mark.parametrize("place", [PLACE, FORWARDED])
def test_nobody_else_is_kept_out(hub: Any, place: str) -> None:
    """Neither another account from the same place, nor the account itself from another one."""
    for _ in range(20):
        attempt(hub, "alice", "wrong", Browser(place))
    assert attempt(hub, "bob", "right", Browser(place)) == "bob"
    assert attempt(hub, "alice", "right", Browser(ELSEWHERE)) == "alice"


def test_known_browser_comes_in_from_where_others_guess(hub: Any) -> None:
    mine = Browser()
    assert attempt(hub, "alice", "right", mine) == "alice"
    for _ in range(20):
        attempt(hub, "alice", "wrong")
    assert attempt(hub, "alice", "right") == 429
    assert attempt(hub, "alice", "right", mine) == "alice"
    assert (mine.options["httponly"], mine.options["secure"], mine.options["path"]) == (True, True, "/hub/")


def test_own_browser_is_no_way_to_guess_others_passwords(hub: Any) -> None:
    mine = Browser()
    attempt(hub, "bob", "right", mine)
    assert [attempt(hub, "alice", "wrong", mine) for _ in range(11)][-1] == 429
    assert [attempt(hub, "bob", "wrong", mine) for _ in range(11)][-1] == 429


def test_class_signs_in_at_once_from_one_place(hub: Any) -> None:
    async def all_of_them() -> list[Any]:
        data = [{"username": name, "password": "right"} for name in ("alice", "bob") * 5]
        return await asyncio.gather(*(hub.authenticate(Browser(), one) for one in data))

    assert asyncio.run(all_of_them()) == ["alice", "bob"] * 5


def test_tries_at_once_are_as_many_as_one_by_one(hub: Any) -> None:
    async def flood() -> list[Any]:
        data = {"username": "alice", "password": "wrong"}
        tries = (hub.authenticate(Browser(), data) for _ in range(50))
        return await asyncio.gather(*tries, return_exceptions=True)

    assert asyncio.run(flood()).count(None) == 10
    assert hub.looked == ["alice"] * 10


@pytest.mark.parametrize(
    "account", ["nobody-here", "mallory", "", "a\0b", "x\nsign-in accepted: 'root' from here"]
)
def test_passwords_of_others_are_not_looked_at(hub: Any, account: str) -> None:
    """Whether there is such an account cannot be told from the answers."""
    assert [attempt(hub, account, "right") for _ in range(11)] == [None] * 10 + [429]
    assert hub.looked == []
    assert all("\n" not in line and "\0" not in line for line in hub.said)


def test_refusals_take_as_long_whatever_they_are_for(
    sign_in: Any, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "DELAY_SECONDS", 0.1)
    for account in ("alice", "nobody-here", *["bob"] * 11):
        began = time.monotonic()
        attempt(hub, account, "wrong")
        assert 0.1 <= time.monotonic() - began < 1


def test_tries_are_forgotten(sign_in: Any) -> None:
    now = [0.0]
    tries = sign_in.Tries(lambda: now[0])
    assert [bool(tries.begin("alice", PLACE)) for _ in range(11)] == [True] * 10 + [False]
    now[0] = sign_in.SECONDS
    assert tries.begin("alice", PLACE)
    tries.succeeded("alice", PLACE)
    assert [bool(tries.begin("alice", PLACE)) for _ in range(11)] == [True] * 10 + [False]


def test_not_more_is_remembered_than_there_is_room_for(sign_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "MOST_TRIES", 3)
    tries = sign_in.Tries()
    for number in range(5):
        assert tries.begin(f"user{number}", PLACE)
    assert len(tries._tries) == 3


@pytest.mark.parametrize(
    ("port", "uid", "came"), [("9C40", 0, "alice"), ("9C40", 1002, 403), ("9C41", 1002, "alice")]
)
def test_nobody_comes_past_the_proxies(
    hub: Any, monkeypatch: pytest.MonkeyPatch, port: str, uid: int, came: object
) -> None:
    """A user's program could say that it asks for whatever address it likes."""
    line = f"0: 0100007F:{port} 0100007F:03D5 01 00000000:00000000 00:00000000 00000000 {uid} 0 7 1"
    table = SimpleNamespace(
        read_text=lambda encoding: f"  sl  local_address rem_address ({encoding})\n{line}\n"
    )
    monkeypatch.setattr(import_module("ds_stack_hub.sign_in"), "CONNECTIONS", table)
    assert attempt(hub, "alice", "right") == came
