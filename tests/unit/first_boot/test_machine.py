"""What touches the machine, as far as a folder and a port of this one can show it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from ds_stack_init import (
    certificate,
    files,
    guard,
    health,
    memory,
    process,
    processes,
    proxy,
    reporter,
    services,
    settings,
    shares,
)
from ds_stack_init.errors import InitError
from ds_stack_init.identity import Identity, discover, stands_by
from ds_stack_init.memory import Applied
from ds_stack_init.metadata import HEADER, Metadata
from ds_stack_init.settings import Service, Settings
from ds_stack_init.status import Check

IDENTITY = Identity("i-1", "ami-1", "eu-central-1", "demo", ("host.example",), ("198.51.100.7", "10.0.0.1"))
INSTANCE = {
    "tags/instance/ds-stack:name": "demo",
    "tags/instance/ds-stack:part": "instance",
    "instance-id": "i-1",
    "ami-id": "ami-1",
    "placement/region": "eu-central-1",
    "local-ipv4": "10.0.0.1",
}


class Web(BaseHTTPRequestHandler):
    """A metadata service that wants a token, and a few other pages."""

    pages: ClassVar[dict[str, str]] = {}
    failures: ClassVar[list[int]] = []

    def do_PUT(self) -> None:
        self._answer(200 if f"{HEADER}-ttl-seconds" in self.headers else 400, "token")

    def do_GET(self) -> None:
        if self.failures:
            self._answer(self.failures.pop(), "")
        elif self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "http://203.0.113.1/")
            self.end_headers()
        elif not self.path.startswith("/latest/"):
            self._answer(200 if self.path == "/" else 404, "")
        elif self.headers.get(HEADER) != "token":
            self._answer(401, "")
        else:
            page = self.pages.get(self.path.removeprefix("/latest/meta-data/"))
            self._answer(404 if page is None else 200, page or "")

    def _answer(self, code: int, text: str) -> None:
        self.send_response(code)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Web.pages, Web.failures = dict(INSTANCE), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    """Settings whose folders are in a folder of the test's."""
    (tmp_path / "data/state").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    found = settings.Settings(
        region=None,
        endpoint_url=None,
        metadata_url="",
        users_group="ds-users",
        first_uid=2000,
        data_mount=tmp_path / "data",
        services=(),
        state_folders=(),
        volume_seconds=0,
        services_seconds=0,
    )
    return replace(found, tls_folder=tmp_path / "etc/tls", proxy_folder=tmp_path / "etc/nginx")


# Identity


def test_metadata_comes_with_a_token(url: str) -> None:
    client = Metadata(url)
    assert client.get("instance-id") == "i-1"
    assert client.get("public-ipv4") is None


def test_metadata_is_asked_again(url: str) -> None:
    Web.failures.extend([503, 401])
    assert Metadata(url, pause=0).get("instance-id") == "i-1"


def test_metadata_never_goes_through_a_proxy(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert Metadata(url).get("instance-id") == "i-1"


def test_no_metadata_service() -> None:
    with pytest.raises(
        InitError, match=r"does not answer at http://127\.0\.0\.1:9/latest/api/token .*refused"
    ):
        Metadata("http://127.0.0.1:9", patience=0).get("instance-id")


def test_identity(url: str) -> None:
    assert discover(Metadata(url).get) == Identity(
        "i-1", "ami-1", "eu-central-1", "demo", addresses=("10.0.0.1",)
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"tags/instance/ds-stack:name": None},
        {"tags/instance/ds-stack:part": "bake"},
        {"tags/instance/ds-stack:part": None},
    ],
)
def test_machine_of_no_stack(changes: dict[str, str | None]) -> None:
    assert discover({**INSTANCE, **changes}.get) is None


@pytest.mark.parametrize(("active", "expected"), [(None, False), ("true", False), ("false", True)])
def test_whether_another_machine_has_the_homes(active: str | None, expected: bool) -> None:
    """A stack that was made before there were slots has no such tag."""
    assert stands_by({**INSTANCE, "tags/instance/ds-stack:active": active}.get) is expected


def test_identity_without_what_it_must_have() -> None:
    with pytest.raises(InitError, match="does not tell ami-id"):
        discover({**INSTANCE, "ami-id": None}.get)


# Processes


def test_output_and_exit_code() -> None:
    assert process.run("echo", "hello") == "hello\n"
    assert process.run_for_code("false", ok=(0, 1)) == (1, "")


def test_error_says_what_the_program_said() -> None:
    script = "import sys; sys.exit('no room\\nleft')"
    with pytest.raises(InitError, match="failed with exit code 1: no room left"):
        process.run(sys.executable, "-c", script)


def test_error_of_a_program_that_was_given_a_secret_says_nothing_of_it() -> None:
    script = "import sys; sys.exit('bad: ' + sys.stdin.read())"
    with pytest.raises(InitError, match="not shown") as caught:
        process.run(sys.executable, "-c", script, stdin="top-secret")
    assert "top-secret" not in str(caught.value)


def test_time_is_up() -> None:
    script = "import sys, time; print(sys.stdin.read(), flush=True); time.sleep(60)"
    with pytest.raises(InitError, match="did not end within 1 seconds") as caught:
        process.run(sys.executable, "-c", script, stdin="top-secret", seconds=1)
    assert "top-secret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_missing_program() -> None:
    with pytest.raises(InitError, match="no-such-program is missing"):
        process.run("no-such-program")


def test_processes_of_users(tmp_path: Path) -> None:
    for number, (state, uids) in {
        10: ("S (sleeping)", "2000\t2000\t2000\t2000"),
        11: ("R (running)", "0\t0\t0\t0"),
        12: ("S (sleeping)", "2000\t0\t0\t0"),  # has become root by sudo
        13: ("Z (zombie)", "2000\t2000\t2000\t2000"),
        14: ("X (dead)", "2000\t2000\t2000\t2000"),
        15: ("D (disk sleep)", "2001\t2001\t2001\t2001"),
        16: ("S (sleeping)", "20000\t20000\t20000\t20000"),
    }.items():
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "status").write_text(f"Name:\tx: y\nState:\t{state}\nUid:\t{uids}\n")
    (tmp_path / "17").mkdir()  # has just ended
    (tmp_path / "self").mkdir()
    found = processes.running([2000, 2001, 2002], tmp_path)
    assert {uid: sorted(one) for uid, one in found.items()} == {2000: [10, 12], 2001: [15]}
    assert os.getpid() in processes.running([os.getuid()])[os.getuid()]


# Each of its processes lives for a moment: whoever looks for them one by one is always too late.
FORK_LOOP = "exec perl -e 'while (1) { exit if fork }'"
UID = 59017  # nobody's on any machine


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(
    "script", [FORK_LOOP, "sleep 1000", "while :; do :; done", "trap '' TERM HUP; setsid sleep 1000"]
)
def test_processes_end_for_certain(script: str) -> None:
    # All of them have the pipe's other end, and it ends with the last of them, however short each one lives.
    command = ["/bin/sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, user=UID, group=UID, extra_groups=[]) as started:
        assert started.stdout
        assert not select.select([started.stdout], [], [], 0.5)[0]
        processes.end(UID)
        assert select.select([started.stdout], [], [], 5)[0]
        assert started.stdout.read() == b""
    assert processes.running([UID]) == {}


def test_what_cannot_be_ended_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_kill_all", lambda _: None)
    monkeypatch.setattr(processes, "running", lambda _: {UID: [12, 11]})
    with pytest.raises(InitError, match=rf"2 processes of uid {UID} cannot be ended \(11, 12\): reboot"):
        processes.end(UID, seconds=0)


@pytest.mark.parametrize("uid", [0, -1])
def test_nobody_ends_the_system(uid: int) -> None:
    with pytest.raises(InitError, match=f"processes of uid {uid} are the system's own"):
        processes.end(uid)


# Files


def test_write(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert files.write(path, "one", 0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    assert not files.write(path, "one", 0o600)
    assert files.write(path, "two", 0o600)
    assert files.write(path, "two", 0o644)
    assert files.read(path) == "two"
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208


def test_write_with_a_spare_makes_no_further_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert files.write(path, "one", 0o600, spare=True)
    before = {one.name: one.stat().st_ino for one in tmp_path.iterdir()}
    assert files.write(path, "two", 0o600, spare=True)
    after = {one.name: one.stat().st_ino for one in tmp_path.iterdir()}
    assert before.keys() == after.keys() == {"file", ".file.new"}
    assert after["file"] == before[".file.new"]
    assert files.read(path) == "two"


def test_link(tmp_path: Path) -> None:
    path = tmp_path / "active"
    path.write_text("a file that was there before")
    assert files.link(path, "plain")
    assert not files.link(path, "plain")
    assert files.link(path, "tls")
    assert str(path.readlink()) == "tls"


def test_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "FOLDER", tmp_path)
    assert memory.load() is None
    applied = Applied(3, "none", {"ada": 1}, ["IP:10.0.0.1"], "ready", 5.0)
    memory.save(applied)
    assert memory.load() == applied
    memory.forget_state()
    assert memory.load() == replace(applied, state=None)
    (tmp_path / memory.NAME).write_text("nonsense")
    assert memory.load() is None


# Certificate and proxy


def test_certificate_is_made_kept_and_made_anew(here: Settings) -> None:
    said: list[str] = []
    assert certificate.ensure(here, IDENTITY, said.append)
    path, key = here.tls_folder / "cert.pem", here.tls_folder / "key.pem"
    first = path.read_text()
    assert path.readlink() == here.state / "tls/cert.pem"
    assert key.resolve().stat().st_mode & 0o777 == 0o600
    names = process.run("openssl", "x509", "-in", str(path), "-noout", "-ext", "subjectAltName")
    assert certificate.parse_names(names) == {
        "DNS:host.example",
        "DNS:localhost",
        "IP:198.51.100.7",
        "IP:10.0.0.1",
        "IP:127.0.0.1",
    }
    assert not certificate.ensure(here, IDENTITY, said.append)
    assert path.read_text() == first
    assert certificate.ensure(here, replace(IDENTITY, addresses=("10.0.0.1",)), said.append)
    assert path.read_text() != first
    assert len(said) == 2


def test_certificate_near_its_end_is_made_anew(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "DAYS", 29)
    certificate.ensure(here, IDENTITY, print)
    monkeypatch.setattr(certificate, "DAYS", 825)
    assert certificate.ensure(here, IDENTITY, print)
    assert not certificate.ensure(here, IDENTITY, print)


@pytest.mark.parametrize("damage", ["cert.pem", "key.pem"])
def test_certificate_and_key_that_do_not_belong_together(here: Settings, damage: str) -> None:
    certificate.ensure(here, IDENTITY, print)
    other = replace(here, data_mount=here.data_mount / "other", tls_folder=here.tls_folder / "other")
    other.state.mkdir(parents=True)
    certificate.ensure(other, IDENTITY, print)
    (other.state / "tls" / damage).replace(here.state / "tls" / damage)
    assert certificate.ensure(here, IDENTITY, print)
    assert not certificate.ensure(here, IDENTITY, print)


@pytest.mark.parametrize(
    ("has", "lives_on", "fits"),
    [
        ({"DNS:a"}, True, True),
        ({"DNS:a"}, False, False),
        ({"DNS:a", "DNS:b"}, True, False),
        (set(), True, False),
    ],
)
def test_fitting_certificate(has: set[str], lives_on: bool, fits: bool) -> None:
    assert certificate.is_fitting(has, ["DNS:a"], lives_on) is fits


def test_proxy_is_told_only_of_changes(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, ...]] = []
    monkeypatch.setattr(proxy, "run", lambda *command: told.append(command))
    here.proxy_folder.mkdir()
    for tls in ("none", "none", "self_signed", "self_signed", "none"):
        proxy.configure(here, IDENTITY, tls, print)
    assert told == [("systemctl", "--no-block", "try-reload-or-restart", "nginx")] * 3
    assert str((here.proxy_folder / "active").readlink()) == "plain"


def test_image_without_the_proxy(here: Settings) -> None:
    proxy.configure(here, IDENTITY, "none", print)
    assert not here.proxy_folder.exists()


# Services


@pytest.fixture
def active(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "run", lambda *_, **__: "active\n")


@pytest.mark.parametrize(
    ("path", "ok", "detail"), [("/", True, "answers 200"), ("/moved", True, "302"), ("/no", False, "404")]
)
def test_answer(active: None, url: str, path: str, ok: bool, detail: str) -> None:
    found = services.check(Service("hub", url.replace("http", "{scheme}") + path), "http", Path())
    assert found.ok is ok
    assert detail in found.detail


def test_no_answer(active: None) -> None:
    found = services.check(Service("hub", "http://127.0.0.1:9/"), "http", Path())
    assert not found.ok
    assert "does not answer" in found.detail


def test_service_without_a_url(active: None) -> None:
    assert services.check(Service("hub"), "http", Path()) == Check("hub", True, "the unit is active")


def test_service_that_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "run", lambda *_, **__: "failed\n")
    assert services.check(Service("hub"), "http", Path()).detail == "the unit is failed"


def test_what_is_down_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"hub": "failed", "nginx": "inactive", "rstudio": "activating", "other": "active"}
    done: list[tuple[str, ...]] = []

    def run(*command: str, **_: object) -> str:
        done.append(command)
        return states[command[-1]] + "\n"

    monkeypatch.setattr(services, "run", run)
    said: list[str] = []
    services.keep(tuple(Service(name) for name in (*states, "nginx")), said.append)
    assert said == ["starting hub, which was failed", "starting nginx, which was inactive"]
    assert [command for command in done if "is-active" not in command] == [
        ("systemctl", "reset-failed", "hub"),
        ("systemctl", "--no-block", "start", "hub"),
        ("systemctl", "reset-failed", "nginx"),
        ("systemctl", "--no-block", "start", "nginx"),
    ]


def test_services_get_time_to_start() -> None:
    answers = iter([False, False, True])
    found = services.check_all(
        (Service("hub"),), lambda one: Check(one.name, next(answers), ""), seconds=60, pause=0
    )
    assert found == [Check("hub", True, "")]


def test_services_do_not_get_for_ever() -> None:
    found = services.check_all((Service("hub"),), lambda one: Check(one.name, False, "down"), 0)
    assert found == [Check("hub", False, "down")]


# Room

GIB = 1024**3
ROOMY = health.Usage(100 * GIB, 50 * GIB, 1_000_000, 500_000)


@pytest.mark.parametrize(
    ("usage", "ok", "detail"),
    [
        (ROOMY, True, "/data is 50% full"),
        (replace(ROOMY, free=0), False, "/data is full: 0 MiB are left for users"),
        (replace(ROOMY, free=255 * health.MIB), False, "/data is full: 255 MiB are left for users"),
        (replace(ROOMY, free=257 * health.MIB), True, "/data is 100% full"),
        (replace(ROOMY, size=GIB // 4, free=2 * health.MIB), False, "is full: 2 MiB are left for users"),
        (replace(ROOMY, size=GIB // 4, free=3 * health.MIB), True, "/data is 99% full"),
        (replace(ROOMY, free_inodes=0), False, "/data has no inodes: room for 0 more files is left"),
        (replace(ROOMY, inodes=0, free_inodes=0), True, "/data is 50% full"),
        (replace(ROOMY, size=0, free=0, inodes=0, free_inodes=0), True, "/data is 100% full"),
    ],
)
def test_room(usage: health.Usage, ok: bool, detail: str) -> None:
    found = health.judge("data volume", Path("/data"), usage)
    assert found.ok is ok
    assert detail in found.detail


def test_shares_are_by_owner_and_of_one_file_system(tmp_path: Path) -> None:
    mib = b"x" * health.MIB
    (tmp_path / "deep/er").mkdir(parents=True)
    for name, size in (("deep/er/one", 3), ("deep/two", 1), ("three", 2)):
        (tmp_path / name).write_bytes(mib * size)
    os.chown(tmp_path / "deep/two", 1234, 1234)
    (tmp_path / "again").hardlink_to(tmp_path / "three")
    (tmp_path / "hole").touch()
    os.truncate(tmp_path / "hole", 100 * health.MIB)
    (tmp_path / "link").symlink_to("/usr")
    found = shares.add_up(tmp_path)
    assert set(found) == {os.geteuid(), 1234}
    assert found[1234] // health.MIB == 1
    assert found[os.geteuid()] // health.MIB == 5


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, ""),
        ({1000: health.MIB - 1}, ""),
        ({1000: health.MIB}, "ada 1 MiB"),
        ({1000: 31 * GIB, 1001: 2 * GIB - 1, 1002: 2 * GIB}, "ada 31 GiB, uid 1002 2 GiB, grace 2047 MiB"),
        ({1000: 4 * GIB, 1001: 3 * GIB, 7: 2 * GIB, 8: GIB}, "ada 4 GiB, grace 3 GiB, uid 7 2 GiB"),
    ],
)
def test_who_has_most(found: dict[int, int], said: str) -> None:
    assert shares.largest(found, {1000: "ada", 1001: "grace"}) == said


def test_watch_tells_while_it_is_nearly_full(
    here: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, started = [replace(ROOMY, free=21 * GIB)], []
    monkeypatch.setattr(shares, "FOLDER", tmp_path)
    monkeypatch.setattr(health, "usage", lambda _path: room[-1])
    monkeypatch.setattr(shares, "run", lambda *command: started.append(command))
    monkeypatch.setattr(shares, "add_up", lambda _folder: {0: 50 * GIB})
    notice = tmp_path / shares.NOTICE

    def watched(free: int) -> str:
        room.append(replace(ROOMY, free=free * GIB))
        shares.watch(here)
        return notice.read_text() if notice.exists() else ""

    assert watched(21) == ""
    assert started == []
    assert watched(20).endswith(" is 80% full. Please remove what nobody needs any more.\n")
    assert started == [("systemctl", "--no-block", "start", "ds-stack-shares.service")]
    shares.measure(here)
    assert " is 83% full. Most of it have root 50 GiB." in watched(17)
    assert notice.stat().st_mode & 0o777 == 0o644
    assert len(started) == 1  # not again within the hour
    now = time.time()
    assert [shares.known(now + one) for one in (0, 3601, -100)] == [
        ("root 50 GiB", False),
        ("root 50 GiB", True),
        ("root 50 GiB", True),
    ]
    assert watched(30) == ""
    assert shares.known(now) == ("", True)


def test_room_here(tmp_path: Path) -> None:
    found = health.usage(tmp_path)
    assert 0 < found.free <= found.size


def test_room_on_a_disk_that_cannot_be_written() -> None:
    found = health.judge("data volume", Path("/data"), ROOMY, read_only=True)
    assert found == Check(
        "data volume", False, "/data is read-only after an error on it: reboot, which mends it"
    )


def test_volume_that_is_not_mounted(here: Settings) -> None:
    found = health.check(here)
    assert found[0] == Check("data volume", False, f"nothing is mounted at {here.data_mount}")
    assert found[1].name == "system disk"


# The guard


@pytest.mark.skipif(os.getuid() != 0, reason="only root can ask as another user")
def test_who_comes_through_where_there_is_no_guard(here: Settings, url: str) -> None:
    port = int(url.rpartition(":")[2])
    closed = replace(here, metadata_guard=True)
    ports = [f"uid {uid} reaches the ports of others" for uid in (2000, UID)]
    metadata = [f"uid {uid} reaches the metadata service" for uid in (guard.NOBODY, 2000, UID)]
    nobody, *processes = (f"uid {uid} sees the processes of others" for uid in (guard.NOBODY, 2000, UID))
    both = [*metadata, *ports, nobody, *processes]
    assert guard.leaks(closed, [UID, 2000], [("127.0.0.1", 9), ("127.0.0.1", port)]) == both
    assert guard.leaks(closed, [UID], [("127.0.0.1", 9), ("::1", 9)]) == [ports[1], nobody, processes[1]]
    assert guard.leaks(here, [2000], [("127.0.0.1", port)]) == [ports[0], nobody, processes[0]]
    assert guard.leaks(here, []) == [nobody]


@pytest.mark.parametrize(
    ("state", "found", "done"),
    [
        ("active", [], []),
        ("active", ["uid 2000 reaches it"], ["reload"]),
        ("inactive", [], ["start"]),
        ("failed", ["uid 65534 reaches it"], ["start"]),
    ],
)
def test_guard_is_loaded_where_it_is_missing(
    here: Settings, monkeypatch: pytest.MonkeyPatch, state: str, found: list[str], done: list[str]
) -> None:
    verbs: list[str] = []

    def run(_: str, verb: str, unit: str, **__: object) -> str:
        assert unit == "ds-stack-guard.service"
        verbs.append(verb)
        return state + "\n"

    monkeypatch.setattr(guard, "run", run)
    monkeypatch.setattr(guard, "leaks", lambda *_: found)
    said: list[str] = []
    assert guard.keep(here, [2000], said.append) is bool(found)
    assert verbs == ["is-active", *done]
    assert said == [f"{one}; the guard is loaded again" for one in found]


@pytest.mark.parametrize(
    ("found", "opened", "told"),
    [
        ([], None, Check("guard", True, "users are kept from each other")),
        ([], "T", Check("guard", True, "closed again; users came through it at T")),
        (["uid 7 reaches it", "uid 8"], "T", Check("guard", False, "uid 7 reaches it")),
    ],
)
def test_guard_as_it_is_told(
    here: Settings, monkeypatch: pytest.MonkeyPatch, found: list[str], opened: str | None, told: Check
) -> None:
    monkeypatch.setattr(guard, "leaks", lambda *_: found)
    assert guard.check(here, [], opened) == told


# Reports


def test_own_errors_are_told() -> None:
    assert reporter.explain(InitError("Attach the volume.")) == "Attach the volume."


def test_faults_are_told_by_kind_and_place_alone() -> None:
    try:
        raise ValueError("top-secret")
    except ValueError as error:
        told = reporter.explain(error)
    assert told.startswith("ds-stack-init has a fault: ValueError at test_machine.py:")
    assert "top-secret" not in told
