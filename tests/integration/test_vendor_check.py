"""make vendor-check: a server of this machine is in the vendors' place; programs, playbooks are stand-ins."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from localcloud.tools import vendor
from tests.integration.vendors import Vendor, serve
from tests.vendor import check
from tests.vendor.files import EXPRESSION, ROLES, ROOT, all_files


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    """A server that has all files, with content of their own, and both programs; these are pinned."""
    found = Vendor()
    pinned = []
    for file in all_files():
        content = f"This is {file.url}.".encode()
        found.files[urlsplit(file.url).path] = content
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        pinned.append(dataclasses.replace(file, checksum=digest if file.checksum else ""))
    monkeypatch.setattr(check, "all_files", lambda: pinned)
    for release in (vendor.PACKER, vendor.TERRAFORM):
        monkeypatch.setattr(vendor, release.product.upper(), found.publish(release.product, release.version))
    running = serve(found)
    yield found
    running.shutdown()
    running.server_close()


def checked(server: Vendor) -> int:
    urls = [vendor.RELEASES, *(file.url for file in all_files())]
    hosts = {f"https://{urlsplit(url).netloc}" for url in urls}
    return check.main([f"--instead={host}={server.url}" for host in hosts])


def test_every_download_of_the_roles_is_asked_for() -> None:
    asked = set(re.findall(r"\b\w+_url\b", EXPRESSION))
    downloads = {
        name
        for tasks in ROLES.glob("*/tasks/*.yml")
        for name in re.findall(r"get_url:\s+url: \"\{\{ (\w+) \}\}", tasks.read_text())
    }
    assert downloads
    assert downloads <= asked
    assert all(file.checksum for file in all_files() if file.url.endswith((".deb", ".sh")))
    assert {file.url.partition("://")[0] for file in all_files()} == {"https"}


def test_all_is_there(server: Vendor, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(server) == 0
    said = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok ") for line in said), said
    names = [line.removeprefix("ok").strip() for line in said]
    assert names[: len(all_files())] == [file.name for file in all_files()]
    roots = ("cluster", "data", "instance", "network")
    assert names[len(all_files()) :] == [
        f"Packer {vendor.PACKER.version}",
        "packer init: the newest plugins that the template takes",
        "packer validate: the template",
        f"Terraform {vendor.TERRAFORM.version}",
        *(
            text
            for root in roots
            for text in (
                f"terraform init: the newest provider that {root} takes",
                f"terraform validate: {root}",
            )
        ),
    ]


def test_each_that_is_wrong_is_told_and_the_others_are_looked_at(
    server: Vendor, capsys: pytest.CaptureFixture[str]
) -> None:
    miniforge, rstudio, cran = (
        next(file for file in all_files() if file.name.startswith(name))
        for name in ("Mini", "RStudio", "CRAN")
    )
    server.files[urlsplit(miniforge.url).path] = b"something else"
    del server.files[urlsplit(rstudio.url).path]
    del server.files[urlsplit(cran.url).path]
    assert checked(server) == 1
    told = capsys.readouterr()
    failed = {line.split(":")[0] for line in told.out.splitlines() if not line.startswith("ok ")}
    assert failed == {f"failed {file.name}" for file in (miniforge, rstudio, cran)}
    other = hashlib.sha256(b"something else").hexdigest()
    assert re.search(rf"^failed {miniforge.name}: \S+ has sha256:{other}, and not sha256:", told.out, re.M)
    assert re.search(rf"^failed {re.escape(rstudio.name)}: \S+ cannot be had: 404 Not Found$", told.out, re.M)
    assert told.err.startswith("\n3 of these failed: ")


def test_a_program_that_fails_is_told_in_its_words(
    server: Vendor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = "#!/bin/sh\ncase $1 in init) echo no plugin here >&2; exit 3;; esac\n"
    monkeypatch.setattr(vendor, "PACKER", server.publish("packer", "9.9.9", script))
    assert checked(server) == 1
    said = capsys.readouterr().out
    assert "failed packer init: the newest plugins that the template takes: no plugin here\n" in said
    assert "ok     packer validate: the template\n" in said


def test_a_file_that_is_no_archive_is_told(server: Vendor, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = (
        path
        for path in server.files
        if path.endswith(f"terraform_{vendor.TERRAFORM.version}_linux_amd64.zip")
    )
    server.files[path] = b"no archive"
    assert checked(server) == 1
    said = capsys.readouterr().out
    assert re.search(rf"^failed Terraform {vendor.TERRAFORM.version}: \S+ is not the pinned file", said, re.M)
    assert "terraform init" not in said


def test_an_address_without_another_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        check.main(["--instead", "https://example.org"])
    assert "--instead takes two addresses with = between them" in capsys.readouterr().err


def test_nothing_is_left(server: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert checked(server) == 0
    assert list(tmp_path.iterdir()) == []


PLAYER = """#!/bin/sh
echo "$*" >> "$CALLS"
echo "PLAY [$1]"
case $1 in
  *.site) echo "localhost : ok=9 changed=$CHANGED failed=0" ;;
  *.status) echo; printf 'vendor-check: %s\\n' "$STATUS"; echo ;;
esac
case " $FAILS " in *" $1 "*) exit 2 ;; esac
"""


def account(
    folder: Path, *options: str, fails: str = "", changed: int = 0, status: str = "ready"
) -> tuple[str, list[str], int]:
    """Run the check of an account with a stand-in for ansible-playbook; what it said, played, returned."""
    (folder / "bin").mkdir()
    player = folder / "bin/ansible-playbook"
    player.write_text(PLAYER)
    player.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{folder}/bin:{os.environ['PATH']}",
        "TMPDIR": str(folder),
        "CALLS": str(folder / "calls"),
        "CHANGED": str(changed),
        "STATUS": status,
        "FAILS": fails,
    }
    command = [sys.executable, "-m", "tests.vendor.account", *options]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    calls = (folder / "calls").read_text().splitlines() if (folder / "calls").exists() else []
    return done.stdout + done.stderr, calls, done.returncode


def played(calls: list[str]) -> list[str]:
    return [call.split()[0].removeprefix("iac.ds_stack.") for call in calls]


def test_nothing_is_made_without_a_yes(tmp_path: Path) -> None:
    said, calls, code = account(tmp_path)
    assert (calls, code) == ([], 1)
    assert said.index("under 1 USD") < said.index("Nothing was made.")


def test_a_stack_is_made_looked_at_and_destroyed(tmp_path: Path) -> None:
    said, calls, code = account(tmp_path, "--yes")
    assert code == 0, said
    assert played(calls) == ["site", "site", "status", "destroy"]
    given = json.loads(calls[-1].partition(" -e ")[2])
    assert given["ds_stack_destroy_data"] is given["ds_stack_destroy_images"] is True
    assert (given["ds_stack_name"], given["ds_stack_replace"]) == ("vendor-check", "now")
    assert said.endswith("ok: made, unchanged by a second run, ready, destroyed\n")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"fails": "iac.ds_stack.site"}, "iac.ds_stack.site failed"),
        ({"fails": "iac.ds_stack.status"}, "iac.ds_stack.status failed"),
        ({"changed": 2}, "a second site.yml changed something"),
        ({"status": "running"}, "status.yml does not say that it is ready"),
    ],
)
def test_whatever_is_wrong_it_is_destroyed(tmp_path: Path, options: dict[str, str], problem: str) -> None:
    said, calls, code = account(tmp_path, "--yes", **options)  # type: ignore[arg-type]
    assert code == 1
    assert played(calls)[-1] == "destroy"
    assert said.endswith(f"failed: {problem}\n")


def test_what_could_not_be_destroyed_is_told_with_the_command(tmp_path: Path) -> None:
    said, _, code = account(tmp_path, "--yes", fails="iac.ds_stack.destroy")
    assert code == 1
    (folder,) = tmp_path.glob("vendor-check-*")
    assert f"It is not destroyed. Run in {folder}:" in said
    assert '"ds_stack_destroy_data": true' in said
