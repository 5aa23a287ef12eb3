"""The stand-in for RStudio Server, and the client that signs in to it and to the real one."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.mirror import rstudio
from localcloud.mirror.rstudio_server.standin import accounts, config, pages
from localcloud.mirror.rstudio_server.standin.application import Application, Request
from localcloud.mirror.rstudio_server.standin.cookies import Signer, load_key
from localcloud.mirror.rstudio_server.standin.rsa import Key
from localcloud.mirror.rstudio_server.standin.server import make_server
from localcloud.mirror.workshop import Workshop
from tests.clients.rstudio import RStudio, RStudioError, SignInRefusedError, encrypt

PASSWORD = "pass:wörd|\n with 'all'"


@pytest.fixture(scope="module")
def key() -> Key:
    return Key.generate()


@pytest.fixture
def application(key: Key) -> Application:
    def may_sign_in(user: str, password: str) -> bool:
        return (user, password) == ("ada", PASSWORD)

    return Application(dict(config.DEFAULTS), key, Signer(b"key"), may_sign_in, lambda user: user == "ada")


@pytest.fixture
def url(application: Application) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, application)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_user_signs_in(url: str) -> None:
    browser = RStudio(url)
    assert not browser.is_signed_in()
    assert "Signed in as ada" in browser.sign_in("ada", PASSWORD).body
    assert browser.is_signed_in()
    assert not RStudio(url).is_signed_in()


@pytest.mark.parametrize(("user", "password"), [("ada", "wrong"), ("ada", ""), ("eve", PASSWORD), ("", "")])
def test_nobody_else_does(url: str, user: str, password: str) -> None:
    browser = RStudio(url)
    with pytest.raises(SignInRefusedError, match="does not let"):
        browser.sign_in(user, password)
    assert not browser.is_signed_in()


def test_who_is_not_allowed_any_more_has_to_sign_in_again(application: Application) -> None:
    cookie = {"user-id": application.signer.make("eve")}
    answer = application.answer(Request("GET", "/", cookie))
    assert (answer.status, answer.location) == (302, "/auth-sign-in?appUri=%2F")


def test_a_page_without_the_form_is_not_rstudio(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "sign_in", lambda *_: "<form name='other'></form>")
    with pytest.raises(RStudioError, match="has no sign-in form"):
        RStudio(url).sign_in("ada", PASSWORD)


def test_every_page_says_that_it_is_a_stand_in(url: str) -> None:
    browser = RStudio(url)
    assert "Stand-in for RStudio Server" in browser.get("/").body
    assert "Stand-in for RStudio Server" in browser.sign_in("ada", PASSWORD).body


def test_the_key_is_given_in_hexadecimal(url: str) -> None:
    assert re.fullmatch(r"10001:[0-9a-f]{512}", RStudio(url).get("/auth-public-key").body)


def test_only_what_was_encrypted_with_the_key_is_read(key: Key) -> None:
    assert key.decrypt(encrypt("ada\n" + PASSWORD, key.public)) == "ada\n" + PASSWORD
    other = Key.generate(1024)
    for text in ("", "AAAA", "not base64", encrypt("ada\nx", other.public), "/" * 344):
        assert key.decrypt(text) is None


def test_without_the_token_of_the_page_nobody_signs_in(application: Application, key: Key) -> None:
    form = f"v={encrypt('ada' + chr(10) + PASSWORD, key.public)}".replace("+", "%2B")
    for cookies, body in (({}, form), ({"rs-csrf-token": "x"}, form), ({}, form + "&rs-csrf-token=")):
        assert application.answer(Request("POST", "/auth-do-sign-in", cookies, body)).status == 400
    answer = application.answer(
        Request("POST", "/auth-do-sign-in", {"rs-csrf-token": "x"}, form + "&rs-csrf-token=x")
    )
    assert (answer.status, answer.location) == (302, "/")


def test_a_sign_in_never_leads_to_another_server(application: Application, key: Key) -> None:
    form = f"v={encrypt('ada' + chr(10) + PASSWORD, key.public)}&rs-csrf-token=x&appUri=".replace("+", "%2B")
    for uri in ("//evil.example/", "/%5C%5Cevil.example", "https://evil.example"):
        answer = application.answer(Request("POST", "/auth-do-sign-in", {"rs-csrf-token": "x"}, form + uri))
        assert answer.location is not None
        assert re.match(r"/[^/\\]", answer.location)


def test_cookies_are_secure_behind_tls_only(application: Application) -> None:
    for secure in (True, False):
        cookie = application.answer(Request("GET", "/auth-sign-in", secure=secure)).cookie or ""
        assert ("Secure" in cookie) is secure
        assert "HttpOnly" in cookie


def test_a_cookie_cannot_be_forged_and_ends() -> None:
    signer = Signer(b"key")
    value = signer.make("ada")
    assert signer.read(value) == "ada"
    assert Signer(b"another machine's key").read(value) is None
    assert signer.read(value.replace("ada", "eve")) is None
    assert Signer(b"key", minutes=-1).read(Signer(b"key", minutes=-1).make("ada")) is None
    for junk in (None, "", "ada", "|", "||", "ada|9999999999|"):
        assert signer.read(junk) is None


def test_the_cookie_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "lib/secure-cookie-key"
    assert load_key(path) == load_key(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_configuration_over_the_defaults() -> None:
    options = config.parse("# comment\nwww-port = 18787\nauth-required-user-group=ds-users # group\n")
    assert options["www-port"] == "18787"
    assert options["auth-required-user-group"] == "ds-users"
    assert options["www-address"] == "0.0.0.0"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("www-prot=1", "unrecognised option 'www-prot' in /etc/rstudio/rserver.conf"),
        ("www-port", "line 1 is not option=value"),
        ("www-port=http", r"the argument \('http'\) for option '--www-port' is invalid"),
    ],
)
def test_a_configuration_that_the_real_server_refuses(text: str, says: str) -> None:
    with pytest.raises(config.ConfigError, match=says):
        config.parse(text)


def test_the_command_line_is_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rserver.conf"
    path.write_text("www-port=1\n")
    assert config.read(["--www-port=2", "--test-config"], path)["www-port"] == "2"
    assert config.read([], tmp_path / "none")["www-port"] == "8787"


def test_system_accounts_and_strangers_to_the_group_are_not_let_in() -> None:
    options = dict(config.DEFAULTS)
    assert not accounts.is_allowed("root", options)
    assert not accounts.is_allowed("no-such-user", options)
    anyone = {**options, "auth-minimum-user-id": "0"}
    assert accounts.is_allowed("root", anyone)
    assert accounts.is_allowed("root", {**anyone, "auth-required-user-group": "no-such-group,root"})
    assert not accounts.is_allowed("root", {**anyone, "auth-required-user-group": "no-such-group"})


def package(folder: Path) -> tuple[Path, dict[str, object]]:
    for name in ("tree", "scratch"):
        (folder / name).mkdir(parents=True)
    workshop = Workshop(folder / "tree", folder / "scratch", folder / "downloads", {}, print)
    entry: dict[str, object] = rstudio.build(workshop)["rstudio_server"]
    return folder / "tree" / str(entry["path"]), entry


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="the program dpkg-deb is missing")
def test_the_package_is_the_same_every_time_and_calls_itself_a_stand_in(tmp_path: Path) -> None:
    first, entry = package(tmp_path / "a")
    assert package(tmp_path / "b")[1] == entry
    shown = subprocess.run(
        ["dpkg-deb", "--info", str(first)], capture_output=True, text=True, check=True
    ).stdout
    assert f"Version: {entry['version']}" in shown
    assert "stand-in for RStudio Server, not the real product" in shown
    listed = subprocess.run(
        ["dpkg-deb", "--contents", str(first)], capture_output=True, text=True, check=True
    )
    modes = {line.split()[-1]: line.split()[0] for line in listed.stdout.splitlines()}
    assert modes["./usr/lib/rstudio-server/bin/rserver"] == "-rwxr-xr-x"
    assert modes["./usr/lib/rstudio-server/standin/rsa.py"] == "-rw-r--r--"
