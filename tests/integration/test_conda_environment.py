"""The module conda_environment with a true conda and a true channel: those of the offline mirror.

Needs root, podman and a Debian package server, as building the mirror does.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from hashlib import md5, sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.iac.ds_stack.plugins.modules import conda_environment

from localcloud import mirror
from localcloud.paths import cache_root

PACKAGE = "attrs"  # small, for every Python


@dataclass(frozen=True)
class Machine:
    """A folder with an installed conda and its own package cache, and the channel that it uses."""

    folder: Path
    channel: str

    @property
    def conda(self) -> Path:
        return self.folder / "conda/bin/conda"

    @property
    def envs(self) -> Path:
        return self.folder / "conda/envs"

    def run(self, name: str, check: bool = False, **parameters: Any) -> dict[str, Any]:
        """Run the module in this process, for the environment of that name."""
        arguments = {"prefix": str(self.envs / name), "conda": str(self.conda), **parameters}
        output = io.StringIO()
        with (
            patch_module_args({**arguments, "_ansible_check_mode": check, "_ansible_diff": True}),
            redirect_stdout(output),
            pytest.raises(SystemExit),
        ):
            conda_environment.main()
        result: dict[str, Any] = json.loads(output.getvalue())
        return result

    def python(self, name: str, code: str) -> str:
        """Run code in an environment's Python."""
        program = self.envs / name / "bin/python"
        return subprocess.run(
            [program, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()

    def lock(self, *lines: str) -> str:
        path = self.folder / "the.lock"
        path.write_text("\n".join(["@EXPLICIT", *lines, ""]))
        return str(path)


class Quiet(SimpleHTTPRequestHandler):
    """A web server's answers, without its log."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def offline_mirror() -> Path:
    """The mirror's folder."""
    return mirror.ensure(cache_root() / "localcloud", lambda line: print(line, file=sys.stderr))


@pytest.fixture(scope="module")
def machine(offline_mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    variables = mirror.role_variables(json.loads((offline_mirror / "manifest.json").read_text()), "x:")
    installer = offline_mirror / str(variables["conda_installer_url"]).removeprefix("x:/")
    subprocess.run(["sh", installer, "-b", "-p", folder / "conda"], check=True, capture_output=True)
    channel = (offline_mirror / "conda/conda-forge").as_uri()
    (folder / "conda/.condarc").write_text(f"channels: [{channel}]\nsolver: {variables['conda_solver']}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))  # conda keeps a list of environments there
        yield Machine(folder, channel)


@pytest.fixture(scope="module")
def solved(machine: Machine) -> dict[str, Any]:
    """The result of the first run, which makes an environment from specs."""
    return machine.run("solved", specs=["python", PACKAGE], channels=[machine.channel])


@pytest.fixture(scope="module")
def web(offline_mirror: Path) -> Iterator[str]:
    """The mirror's address on a web server."""
    handler = partial(Quiet, directory=str(offline_mirror))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def line_of(result: dict[str, Any], name: str) -> str:
    """A package's line in a result's explicit list."""
    return next(line for line in result["explicit"] if f"/{name}-" in line)


def test_specs_make_a_working_environment_once(machine: Machine, solved: dict[str, Any]) -> None:
    assert solved["changed"], solved
    assert {"python", PACKAGE} <= {package["name"] for package in solved["packages"]}
    assert {package["channel"] for package in solved["packages"]} == {machine.channel}
    assert machine.python("solved", f"import {PACKAGE}, sys; print(sys.prefix)") == str(
        machine.envs / "solved"
    )
    again = machine.run("solved", specs=[PACKAGE, "python"], channels=[machine.channel])
    assert not again["changed"]
    assert again["explicit"] == solved["explicit"]


def test_a_looser_request_changes_nothing(machine: Machine, solved: dict[str, Any]) -> None:
    result = machine.run("solved", specs=["python>=3", PACKAGE], channels=[machine.channel])
    assert not result["changed"], result
    assert result["explicit"] == solved["explicit"]


def test_check_mode_solves_and_writes_nothing(machine: Machine) -> None:
    result = machine.run("checked", check=True, specs=["python"], channels=[machine.channel])
    assert result["changed"]
    assert any(label.startswith("python-3.") for label in result["added"])
    assert not (machine.envs / "checked").exists()


def test_a_lock_makes_the_same_environment_again(machine: Machine, solved: dict[str, Any]) -> None:
    lock = machine.lock(*solved["explicit"])
    result = machine.run("locked", lock=lock)
    assert result["changed"], result
    assert result["explicit"] == solved["explicit"]
    assert not machine.run("locked", lock=lock)["changed"]
    assert machine.python("locked", f"import {PACKAGE}; print(1)") == "1"


def test_what_a_lock_no_longer_names_is_removed_and_nothing_else(
    machine: Machine, solved: dict[str, Any]
) -> None:
    machine.run("locked", lock=machine.lock(*solved["explicit"]))
    mine = machine.envs / "locked/share/mine"
    mine.parent.mkdir(exist_ok=True)
    mine.touch()
    attrs = line_of(solved, PACKAGE)
    result = machine.run("locked", lock=machine.lock(*(line for line in solved["explicit"] if line != attrs)))
    assert result["changed"], result
    assert [label.rsplit("-", 2)[0] for label in result["removed"]] == [PACKAGE]
    assert mine.exists()
    back = machine.run("locked", lock=machine.lock(*solved["explicit"]))
    assert back["explicit"] == solved["explicit"]


def test_a_wrong_md5_of_a_file_is_found_though_conda_does_not(
    machine: Machine, solved: dict[str, Any]
) -> None:
    attrs = line_of(solved, PACKAGE)
    lock = machine.lock(*(line for line in solved["explicit"] if line != attrs), attrs[:-32] + "0" * 32)
    result = machine.run("wrong", lock=lock)
    assert result["failed"]
    assert f"the lock says {'0' * 32}" in result["msg"]
    assert not (machine.envs / "wrong").exists()


def test_a_wrong_md5_of_a_download_leaves_nothing(
    machine: Machine, solved: dict[str, Any], offline_mirror: Path, web: str
) -> None:
    lines = [line.replace(offline_mirror.as_uri(), web) for line in solved["explicit"]]
    attrs = next(line for line in lines if f"/{PACKAGE}-" in line)
    lock = machine.lock(*(line for line in lines if line != attrs), attrs[:-32] + "0" * 32)
    result = machine.run("wrong", lock=lock)
    assert result["failed"]
    assert "expected md5: " + "0" * 32 in result["msg"]
    assert "nothing of it was left" in result["msg"]
    assert list(machine.envs.glob("*wrong*")) + list(machine.envs.glob(".*wrong*")) == []


def test_the_same_packages_from_a_web_server_are_the_same(
    machine: Machine, solved: dict[str, Any], offline_mirror: Path, web: str
) -> None:
    lines = [line.replace(offline_mirror.as_uri(), web) for line in solved["explicit"]]
    assert not machine.run("solved", lock=machine.lock(*lines))["changed"]


def test_a_package_that_does_not_exist_is_named(machine: Machine) -> None:
    result = machine.run("none", specs=["python", "no-such-package"], channels=[machine.channel])
    assert result["failed"]
    assert result["exception_name"] == "PackagesNotFoundError"
    assert f"conda finds no package no-such-package in {machine.channel}" in result["msg"]
    assert not (machine.envs / "none").exists()


def test_absent_removes_it_whole(machine: Machine, solved: dict[str, Any]) -> None:
    machine.run("gone", lock=machine.lock(*solved["explicit"]))
    (machine.envs / "gone/mine").touch()
    assert machine.run("gone", state="absent")["changed"]
    assert not (machine.envs / "gone").exists()
    assert not machine.run("gone", state="absent")["changed"]


def test_the_base_environment_stays(machine: Machine) -> None:
    result = machine.run("unused", prefix=str(machine.folder / "conda"), state="absent")
    assert result["failed"]
    assert machine.conda.exists()


class Channel:
    """A small channel of our own: what it offers can be other files from one run to the next."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "channel"
        self.platform = self.folder / "noarch"
        self.platform.mkdir(parents=True)
        self.offer({})

    def offer(self, packages: dict[str, str], depends: dict[str, list[str]] | None = None) -> None:
        """Offer one version of each package, in place of all that was there."""
        for file in self.platform.iterdir():
            file.unlink()
        index = {
            name: self._make(name, number, (depends or {}).get(name, [])) for name, number in packages.items()
        }
        repodata = {"info": {"subdir": "noarch"}, "packages": dict(index.values()), "packages.conda": {}}
        (self.platform / "repodata.json").write_text(json.dumps(repodata))

    def file(self, name: str) -> Path:
        (found,) = self.platform.glob(f"{name}-*.tar.bz2")
        return found

    def _make(self, name: str, version: str, depends: list[str]) -> tuple[str, dict[str, Any]]:
        record = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": depends}
        record |= {"noarch": "generic", "subdir": "noarch"}
        place = f"share/{name}"
        content = version.encode()
        paths = [
            {
                "_path": place,
                "path_type": "hardlink",
                "sha256": sha256(content).hexdigest(),
                "size_in_bytes": len(content),
            }
        ]
        parts = {
            "info/index.json": json.dumps(record),
            "info/files": f"{place}\n",
            "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}),
            place: version,
        }
        path = self.platform / f"{name}-{version}-0.tar.bz2"
        with tarfile.open(path, "w:bz2") as archive:
            for member, text in parts.items():
                info = tarfile.TarInfo(member)
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
        data = path.read_bytes()
        sums = {"md5": md5(data, usedforsecurity=False).hexdigest(), "sha256": sha256(data).hexdigest()}
        return path.name, {**record, **sums, "size": len(data)}


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    return Channel(tmp_path)


def files(result: dict[str, Any]) -> list[str]:
    """The packages of a result, as their files are called."""
    assert "explicit" in result, result
    return [
        line.rpartition("/")[2].partition("#")[0].removesuffix("-0.tar.bz2") for line in result["explicit"]
    ]


def forget(machine: Machine) -> None:
    """Forget what conda has downloaded, as on a new machine."""
    shutil.rmtree(machine.folder / "conda/pkgs", ignore_errors=True)


def test_what_is_locked_stays_where_the_channel_offers_more(
    machine: Machine, channel: Channel, tmp_path: Path
) -> None:
    url = [channel.folder.as_uri()]
    channel.offer({"lab": "1.0", "tool": "1.0"}, {"lab": ["tool"]})
    first = machine.run("lab", specs=["lab"], channels=url)
    locked = {"specs": ["lab"], "packages": first["explicit"]}
    kept = tmp_path / "kept"
    shutil.copytree(channel.platform, kept)

    channel.offer({"lab": "2.0", "tool": "2.0", "extra": "1.0"}, {"lab": ["tool"], "extra": ["tool"]})
    for old in kept.glob("*.tar.bz2"):
        shutil.copy(old, channel.platform)
    repodata, older = (
        json.loads((place / "repodata.json").read_text()) for place in (channel.platform, kept)
    )
    repodata["packages"] |= older["packages"]
    (channel.platform / "repodata.json").write_text(json.dumps(repodata))

    assert files(machine.run("without", specs=["lab"], channels=url)) == ["lab-2.0", "tool-2.0"]
    assert files(machine.run("with", specs=["lab"], channels=url, locked=locked)) == ["lab-1.0", "tool-1.0"]
    # Other requests move nothing of it either: what is new comes to it, what nothing needs any more goes.
    more = machine.run("more", specs=["lab", "extra"], channels=url, locked=locked)
    assert files(more) == ["extra-1.0", "lab-1.0", "tool-1.0"]
    assert files(machine.run("less", specs=["tool"], channels=url, locked=locked)) == ["tool-1.0"]
    refused = machine.run("refused", specs=["lab>=2"], channels=url, locked=locked)
    assert 'ds_stack_relock": ["conda"]' in refused["msg"]
    assert not (machine.envs / "refused").exists()


@pytest.mark.parametrize("specs", [["lab"], ["lab", "tool"]], ids=["as locked", "others"])
@pytest.mark.parametrize("by", ["file", "http"])
def test_a_locked_package_that_is_another_or_gone_stops_it(
    machine: Machine, channel: Channel, by: str, specs: list[str]
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(channel.folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    url = channel.folder.as_uri() if by == "file" else f"http://127.0.0.1:{server.server_port}"
    channel.offer({"lab": "1.0", "tool": "1.0"})
    first = machine.run("first", specs=["lab"], channels=[url])
    locked = {"specs": ["lab"], "packages": first["explicit"]}
    name, md5_of_lock = first["explicit"][0].rpartition("/")[2].split("#")

    forget(machine)
    channel.offer({"lab": "1.0", "tool": "1.0"}, {"lab": ["tool"]})
    changed = machine.run("changed", specs=specs, channels=[url], locked=locked)
    assert name in changed["msg"]
    assert md5_of_lock in changed["msg"]

    forget(machine)
    channel.offer({"lab": "2.0", "tool": "1.0"})
    gone = machine.run("gone", specs=specs, channels=[url], locked=locked)
    assert "lab" in gone["msg"]
    assert "1.0" in gone["msg"]
    assert {'ds_stack_relock": ["conda"]' in one["msg"] for one in (changed, gone)} == {True}
    assert not list(machine.envs.glob("*changed*")) + list(machine.envs.glob("*gone*"))
    machine.run("first", state="absent")
    server.shutdown()
    server.server_close()
