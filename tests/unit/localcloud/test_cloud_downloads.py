"""The choice between the vendors' downloads and the offline mirror, and what people are told of it."""

from __future__ import annotations

import http.server
import re
import threading
import urllib.parse
from pathlib import Path

import pytest
import yaml

from localcloud import cli, daemon, downloads
from localcloud.downloads import VENDORS, Downloads
from localcloud.errors import LocalCloudError
from localcloud.notes import notes
from localcloud.paths import RunDir

ROOT = Path(__file__).resolve().parents[3]


def silent(*vendors: str) -> Downloads:
    """Choose by itself, where these vendors do not answer."""
    return downloads.choose("auto", lambda url: url not in {VENDORS[vendor] for vendor in vendors})


def test_the_vendors_are_taken_where_all_of_them_answer() -> None:
    assert silent() == Downloads(offline=False, reason="since all of them answer")


@pytest.mark.parametrize("vendor", VENDORS)
def test_one_that_does_not_answer_is_enough_for_the_mirror(vendor: str) -> None:
    assert silent(vendor) == Downloads(offline=True, reason=f"since there is no answer from {vendor}")


@pytest.mark.parametrize(("wanted", "offline"), [("vendor", False), ("offline", True)])
def test_what_is_wanted_is_not_looked_for(wanted: str, offline: bool) -> None:
    def nobody_asks(url: str) -> bool:
        raise AssertionError(url)

    assert downloads.choose(wanted, nobody_asks) == Downloads(offline, "as you asked")


def test_another_word_is_refused() -> None:
    with pytest.raises(LocalCloudError, match=r"MIRROR is 'vendors'.*auto, vendor, offline"):
        downloads.choose("vendors")


def test_it_is_the_roles_servers_that_are_looked_for() -> None:
    """Those in the roles' defaults, but for Posit's builds of R: Debian 12 has its own."""
    texts = [
        path.read_text()
        for role in ("conda", "r", "rstudio_server")
        for folder in ("defaults", "vars")
        for path in (ROOT / f"roles/{role}/{folder}").glob("*.yml")
    ]
    values = [str(value) for text in texts for value in (yaml.safe_load(text) or {}).values()]
    hosts = {host for value in values for host in re.findall(r"https://([\w.]+)", value)}
    assert {urllib.parse.urlsplit(url).hostname for url in VENDORS.values()} == hosts - {"cdn.posit.co"}


@pytest.mark.parametrize("status", [200, 403, 404])
def test_any_answer_is_one(status: int) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    assert downloads.answers(address)
    thread.join()
    server.server_close()
    assert not downloads.answers(address)


@pytest.mark.parametrize(
    ("environment", "arguments", "wanted"),
    [
        (None, [], "auto"),
        ("", [], "auto"),
        ("vendor", [], "vendor"),
        ("vendor", ["--downloads=offline"], "offline"),
    ],
)
def test_the_environment_says_it_unless_the_command_does(
    monkeypatch: pytest.MonkeyPatch, environment: str | None, arguments: list[str], wanted: str
) -> None:
    monkeypatch.delenv(downloads.VARIABLE, raising=False)
    if environment is not None:
        monkeypatch.setenv(downloads.VARIABLE, environment)
    asked: list[str] = []
    monkeypatch.setattr(daemon, "start", lambda _run, wanted, _log: asked.append(wanted))
    assert cli.main(["start", *arguments]) == 0
    assert asked == [wanted]


def test_the_notes_name_the_stand_in_where_there_is_one() -> None:
    assert "RStudio Server: a stand-in" in notes({"rstudio_server": {"stand_in": True}})
    assert "RStudio" not in notes({"rstudio_server": {}})
    assert "RStudio" not in notes(None)
    assert "the vendors' own" in notes(None)


def test_the_notes_are_those_of_the_account_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDir(tmp_path)
    monkeypatch.setattr(RunDir, "default", classmethod(lambda _: run))
    assert cli.main(["notes"]) == 1
    assert "No local cloud runs here" in capsys.readouterr().err
    run.notes.write_text("What is real.\n")
    assert cli.main(["notes"]) == 0
    assert capsys.readouterr().out == "What is real.\n"
