"""Sessions of R: who gets one, what it is started with, and how many one user may ask for at a time."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "roles/rstudio_server/files"))

from ds_stack_r import helper, launch
from ds_stack_r.request import Request, load

PEER = helper.Peer(os.getpid(), os.getuid())
ADA = pwd.struct_passwd(("ada", "x", 2001, 2001, "", "/data/home/ada", "/bin/bash"))


GROUPS = {"staff": (50, []), "ds-users": (990, ["ada"])}


def one(uid: int, name: str, gid: int = 0) -> pwd.struct_passwd:
    """An account, in a group of its own unless another is its first."""
    return pwd.struct_passwd((name, "x", uid, gid or uid, "", f"/home/{name}", "/bin/bash"))


@pytest.fixture(autouse=True)
def groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """The groups of the machine, and who is in them."""
    monkeypatch.setattr(
        helper.grp, "getgrnam", lambda name: helper.grp.struct_group((name, "x", *GROUPS[name]))
    )
    others = lambda name: [gid for gid, members in GROUPS.values() if name in members]  # noqa: E731
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid, *others(name)])


def test_a_group_may_be_somebodys_first() -> None:
    assert helper.is_person(one(2003, "grace", gid=990), "ds-users")


@pytest.mark.parametrize(
    ("uid", "name", "person"), [(2001, "ada", True), (998, "rstudio-server", False), (0, "root", False)]
)
def test_who_has_limits(uid: int, name: str, person: bool) -> None:
    assert helper.is_person(one(uid, name), "staff, ds-users") is person


@pytest.mark.parametrize(("uid", "name"), [(2002, "eve"), (1000, "admin"), (65534, "nobody")])
def test_who_gets_no_session(uid: int, name: str) -> None:
    with pytest.raises(helper.RefusedError, match=f"{name} is not among those"):
        helper.is_person(one(uid, name), "staff, ds-users")


def test_a_request_comes_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODD", "a\nb \udcff")
    request = Request.own(["-u", "ada", "a\nb"])
    data = request.dump()
    assert data.count(b"\n") == 1
    again = load(data)
    assert (again.arguments, again.environment) == (request.arguments, request.environment)
    assert "ODD" not in repr(request)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"arguments": []}', b'{"more": 1}'])
def test_what_is_no_request(data: bytes) -> None:
    with pytest.raises((ValueError, TypeError)):
        load(data)


def test_the_users_environment_is_in_no_property_of_a_unit() -> None:
    command = helper.session("rstudio-2001-7.service", ADA, Path("/run/ds-stack-r/one"), "/begin")
    assert not [word for word in command if word.startswith("--setenv")]
    assert {"--uid=ada", "--slice=user-2001.slice", "--property=PAMName=ds-stack-r"} <= set(command)
    assert command[-1] == "/begin"


def test_another_process_with_the_number_of_who_asked_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(helper, "FOLDER", tmp_path)
    monkeypatch.setattr(helper, "run", lambda command: pytest.fail(f"ran {command}"))
    with pytest.raises(helper.RefusedError, match="another user's"):
        helper.start(helper.Peer(1, 2001), ADA, b"{}", "/begin")


def test_a_request_is_gone_once_it_has_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(helper, "FOLDER", tmp_path)

    def refuse(_command: object) -> str:
        assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600]
        raise helper.RefusedError("no")

    monkeypatch.setattr(helper, "run", refuse)
    with pytest.raises(helper.RefusedError):
        helper.start(PEER, ADA, b"secret", "/begin")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A helper that starts nothing."""
    monkeypatch.setattr(helper, "is_person", lambda *_who: True)
    monkeypatch.setattr(helper, "start", lambda *_what: 4711)
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):  # the end of the test
                helper.Helper("g", "/begin").serve(listening)

        threading.Thread(target=serve, daemon=True).start()
        yield path
        listening.shutdown(socket.SHUT_RDWR)


def test_who_asks_gets_the_session(listens: str) -> None:
    assert launch.ask(Request.own([]), listens) == {"pid": 4711}


@pytest.mark.parametrize("name", ["rstudio-server", "mallory"])
def test_a_long_request_is_answered_too(listens: str, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Of who gets no session by the helper."""

    def decide(*_who: object) -> bool:
        if name == "mallory":
            raise helper.RefusedError("no")
        return False

    monkeypatch.setattr(helper, "is_person", decide)
    monkeypatch.setenv("LONG", "x" * 100_000)
    answers = [launch.ask(Request.own(["x" * 1_000_000]), listens) for _ in range(5)]
    assert answers == [{"error": "no"} if name == "mallory" else {"as_it_is": True}] * 5


def test_what_is_no_request_is_told_in_a_line(listens: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody writes lines of their own into root's journal."""
    with socket.socket(socket.AF_UNIX) as asks:
        asks.connect(listens)
        asks.sendall(b'{"x\\nroot: all is well \\udcff": 1}\n')
        assert b"unexpected keyword argument" in asks.recv(4096)
    (line,) = capsys.readouterr().err.splitlines()
    assert "root: all is well" in line


def test_one_user_asks_a_few_times_at_once(listens: str) -> None:
    held = [socket.socket(socket.AF_UNIX) for _ in range(helper.MOST_EACH)]
    for one in held:
        one.connect(listens)
    with socket.socket(socket.AF_UNIX) as more:
        more.connect(listens)
        more.settimeout(helper.REQUEST_SECONDS / 2)
        assert more.recv(1) == b""  # closed at once
    for one in held:
        one.close()
    end = time.monotonic() + 5
    answer: dict[str, object] = {}
    while not answer:  # until there is room again
        assert time.monotonic() < end
        with contextlib.suppress(OSError):
            answer = launch.ask(Request.own([]), listens)
    assert answer == {"pid": 4711}


def test_the_launcher_stays_as_long_as_the_session() -> None:
    session = os.posix_spawn("/bin/sleep", ["sleep", "0.2"], {})
    begin = time.monotonic()
    launch.stay(session)
    assert time.monotonic() - begin > 0.1
    os.waitpid(session, 0)
    launch.stay(session)  # of what has ended already it does not wait
