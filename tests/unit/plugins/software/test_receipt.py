"""Receipts: what is read of each source, what a machine's says, and how two of them differ."""

from __future__ import annotations

import json
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.iac.ds_stack.plugins.module_utils._software.conda import (
    Record,
    Request,
    write_record,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._software.r import Fetched, note_file
from ansible_collections.iac.ds_stack.plugins.module_utils._software.receipt import (
    Difference,
    ReceiptError,
    differences,
    dump,
    load,
    parse_apt,
    parse_conda,
    parse_dpkg,
    parse_r,
    says_the_same,
    text_of,
    tools,
)
from ansible_collections.iac.ds_stack.plugins.modules import machine_receipt, receipt_diff

DS, HUB, LIBRARY = "/opt/conda/envs/ds", "/opt/conda/envs/jupyterhub", "/usr/local/lib/R/site-library"

RECEIPT: dict[str, Any] = {
    "schema": 1,
    "made": "2026-11-27T09:30:00Z",
    "image": "demo-1",
    "collection": "0.1.0",
    "provenance": {},
    "system": {"name": "Debian GNU/Linux 12 (bookworm)", "architecture": "x86_64"},
    "tools": {"R": "4.2.2"},
    "os": {"apt": {"version": "2.6.2", "architecture": "amd64", "source": "apt 2.6.2"}},
    "conda": {DS: {"numpy": {"version": "2.3.4", "build": "py314_0", "md5": "ab"}}},
    "r": {LIBRARY: {"dplyr": {"version": "1.0.10", "source": "CRAN", "built": "4.2.1"}}},
    "kernels": {"ir": {"title": "R", "language": "R", "command": "R --slave", "source": "/k/ir"}},
}


def changed(*path: str, to: Any) -> dict[str, Any]:
    """Return the receipt with another value in one place."""
    receipt = deepcopy(RECEIPT)
    place = receipt
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return receipt


def test_dpkg_tells_what_is_installed_and_not_what_only_left_its_settings() -> None:
    # Recorded from Debian 12.
    text = (
        "installed\tlibc6:amd64\t2.36-9+deb12u10\tamd64\tglibc\t2.36-9+deb12u10\n"
        "installed\tbash\t5.2.15-2+b13\tamd64\tbash\t5.2.15-2\n"
        "config-files\told\t1.0\tall\told\t1.0\n"
    )
    assert parse_dpkg(text) == {
        "libc6:amd64": {
            "version": "2.36-9+deb12u10",
            "architecture": "amd64",
            "source": "glibc 2.36-9+deb12u10",
        },
        "bash": {"version": "5.2.15-2+b13", "architecture": "amd64", "source": "bash 5.2.15-2"},
    }
    assert parse_dpkg("") == {}


def test_apt_tells_the_files_of_what_it_can_fetch() -> None:
    """Also in two architectures; not what no archive has any more, or has in another version."""
    packages = {
        name: {"version": version, "architecture": architecture}
        for name, version, architecture in (
            ("bash", "5.2", "amd64"),
            ("libc6:amd64", "2.36", "amd64"),
            ("libc6:i386", "2.36", "i386"),
            ("gone", "1", "all"),
            ("older", "1", "all"),
        )
    }
    records = (
        ("gone", "1", "all", "Description: SHA256: is not\n SHA256: of this"),
        ("bash", "5.2", "amd64", "SHA256: b1\nDescription: one\n more: 2"),
        ("libc6", "2.36", "i386", "SHA256: c3"),
        ("libc6", "2.36", "amd64", "SHA256: c6"),
        ("older", "2", "all", "SHA256: 02"),
    )
    text = "\n\n".join(
        f"Package: {name}\nPriority: optional\nVersion: {version}\nArchitecture: {architecture}\n{rest}"
        for name, version, architecture, rest in records
    )
    assert parse_apt(text, packages) == {"bash": "b1", "libc6:amd64": "c6", "libc6:i386": "c3"}
    assert parse_apt("", packages) == parse_apt(text, {}) == {}


def test_r_tells_its_version_and_packages_whatever_a_profile_prints() -> None:
    text = (
        "Welcome\tto R\n"
        "receipt-r\t4.2.2\n"
        f"receipt-package\t{LIBRARY}\tdplyr\t1.0.10\tCRAN\t4.2.1\t\n"
        "receipt-package\t/usr/lib/R/library\tbase\t4.2.2\t\t4.2.2\tbase\n"
        f"receipt-package\t{LIBRARY}\tmine\t0.1\t\t4.2.2\t\n"
    )
    assert parse_r(text) == (
        "4.2.2",
        {
            LIBRARY: {
                "dplyr": {"version": "1.0.10", "source": "CRAN", "built": "4.2.1"},
                "mine": {"version": "0.1", "source": "unknown", "built": "4.2.2"},
            },
            "/usr/lib/R/library": {"base": {"version": "4.2.2", "source": "R", "built": "4.2.2"}},
        },
    )
    with pytest.raises(ReceiptError, match="It printed: nothing like it"):
        parse_r("nothing like it\n")


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://conda.example/a/noarch/x-1-0.conda", "https://conda.example/a/noarch/x-1-0.conda"),
        ("https://user:hush@conda.example/x.conda", "https://***@conda.example/x.conda"),
        ("https://conda.example/t/hush/x.conda", "https://conda.example/t/***/x.conda"),
        ("file:///srv/mirror/x.conda", "file:///srv/mirror/x.conda"),
    ],
)
def test_a_conda_package_has_its_source_without_secrets(url: str, source: str) -> None:
    name, known = parse_conda(
        {"name": "x", "version": "1", "build": "0", "url": url, "md5": "ab", "sha256": ""}
    )
    assert (name, known) == ("x", {"version": "1", "build": "0", "source": source, "md5": "ab"})


def test_tools_that_are_there_twice_tell_where() -> None:
    receipt = {
        "os": {"nginx": {"version": "1.22.1-9"}, "rstudio-server": {"version": "2026.07.0+139"}},
        "conda": {
            DS: {"python": {"version": "3.14.0"}},
            HUB: {"python": {"version": "3.13.1"}, "jupyterhub": {"version": "6.1.1"}},
        },
    }
    assert tools(receipt, {"/usr/bin/Rscript": "4.2.2"}) == {
        "R": "4.2.2",
        "nginx": "1.22.1-9",
        "RStudio Server": "2026.07.0+139",
        "JupyterHub": "6.1.1",
        f"Python @ {DS}": "3.14.0",
        f"Python @ {HUB}": "3.13.1",
    }
    both = tools({"os": {}, "conda": {}}, {"/usr/bin/Rscript": "4.2.2", "/opt/R/4.5.3/bin/Rscript": "4.5.3"})
    assert both == {"R @ /usr/bin/Rscript": "4.2.2", "R @ /opt/R/4.5.3/bin/Rscript": "4.5.3"}


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (RECEIPT, []),
        (changed("made", to="later"), []),
        (changed("image", to="demo-2"), []),
        (changed("provenance", to={"configuration": "0123"}), []),
        (changed("os", "apt", "version", to="2.6.3"), [Difference("os", "", "apt", "2.6.2", "2.6.3")]),
        (changed("os", to={}), [Difference("os", "", "apt", "2.6.2", "")]),
        (
            changed("conda", DS, "scipy", to={"version": "1.17.0"}),
            [Difference("conda", DS, "scipy", "", "1.17.0")],
        ),
        (
            changed("conda", DS, "numpy", "build", to="py314_1"),
            [Difference("conda", DS, "numpy", "2.3.4, build py314_0", "build py314_1")],
        ),
        (
            changed("conda", DS, "numpy", "md5", to="cd"),
            [Difference("conda", DS, "numpy", "2.3.4, md5 ab", "md5 cd")],
        ),
        (
            changed("conda", DS, "numpy", "sha256", to="ef"),
            [Difference("conda", DS, "numpy", "2.3.4, sha256 unknown", "sha256 ef")],
        ),
        (
            changed("r", LIBRARY, "dplyr", "source", to="RSPM"),
            [Difference("r", LIBRARY, "dplyr", "1.0.10, source CRAN", "source RSPM")],
        ),
        (changed("tools", "R", to="4.5.3"), [Difference("system", "", "R", "4.2.2", "4.5.3")]),
        (changed("kernels", to={}), [Difference("kernels", "", "ir", "R --slave", "")]),
        (
            changed("kernels", "ir", "command", to="R --quiet"),
            [Difference("kernels", "", "ir", "command R --slave", "command R --quiet")],
        ),
        (
            changed("system", "name", to="Ubuntu 24.04"),
            [Difference("system", "", "name", "Debian GNU/Linux 12 (bookworm)", "Ubuntu 24.04")],
        ),
    ],
)
def test_what_differs(after: dict[str, Any], expected: list[Difference]) -> None:
    assert differences(RECEIPT, after) == expected
    mirrored = [Difference(d.part, d.place, d.name, d.after, d.before) for d in expected]
    if all(not d.before or not d.after or "," not in d.before for d in expected):
        assert differences(after, RECEIPT) == mirrored


def test_the_text_has_a_head_for_each_place_and_a_line_for_each_package() -> None:
    after = changed("os", to={"apt": {"version": "2.6.3"}, "zsh": {"version": "5.9"}})
    after["r"] = {}
    assert text_of(differences(RECEIPT, after)) == (
        "OS: 1 added, 1 changed\n"
        "  ~ apt  2.6.2 → 2.6.3\n"
        "  + zsh  5.9\n"
        f"R ({LIBRARY}): 1 removed\n"
        "  - dplyr  1.0.10\n"
    )
    assert text_of([]) == "Nothing differs: the same packages in the same versions.\n"


def test_only_the_moment_does_not_count_for_writing_again() -> None:
    assert says_the_same(RECEIPT, changed("made", to="later"))
    assert not says_the_same(RECEIPT, changed("image", to="demo-2"))


def test_a_receipt_is_read_as_it_was_written() -> None:
    assert load(dump(RECEIPT), "x") == RECEIPT
    assert dump(load(dump(RECEIPT), "x")) == dump(RECEIPT)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "x is no receipt: it is no JSON."),
        ("[" * 5000, "x is no receipt: it is no JSON."),
        ("[]", "x is no receipt: it has no schema."),
        ('{"schema": "1"}', "x is no receipt: it has no schema."),
        ('{"schema": 2}', "x is a receipt of schema 2; this collection reads 1."),
        ('{"schema": 1}', "x is no whole receipt."),
        (json.dumps(changed("conda", to=[])), "x is no whole receipt."),
        (json.dumps(changed("os", "apt", to="2.6.2")), "x is no whole receipt."),
    ],
)
def test_what_is_no_receipt_is_told(text: str, says: str) -> None:
    with pytest.raises(ReceiptError) as caught:
        load(text, "x")
    assert str(caught.value).startswith(says)


class Machine:
    """A folder that stands in for a machine. dpkg and R are stand-ins that print what they are given."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
        self.folder, self._capsys = folder, capsys
        self.path = folder / "etc/receipt.json"
        self.program("dpkg-query", "installed\tapt\t2.6.2\tamd64\tapt\t2.6.2\n")
        self.program("apt-cache", "Package: apt\nVersion: 2.6.2\nArchitecture: amd64\nSHA256: 0a\n\n")
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        (folder / "os-release").write_text('# a comment\nPRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n')

    def program(self, name: str, output: str, code: int = 0) -> Path:
        path = self.folder / name
        path.write_text(f"#!{sys.executable}\nimport sys\nsys.stdout.write({output!r})\nsys.exit({code})\n")
        path.chmod(0o755)
        return path

    def json(self, name: str, value: Any) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value))

    def __call__(self, check: bool = False, **options: Any) -> dict[str, Any]:
        arguments = {
            "path": str(self.path),
            "conda_prefixes": [str(self.folder / "conda"), str(self.folder / "conda/envs/*")],
            "rscripts": [str(self.folder / "Rscript*")],
            "kernel_folders": [str(self.folder / "kernels")],
            "os_release": str(self.folder / "os-release"),
            **options,
            "_ansible_check_mode": check,
            "_ansible_diff": True,
        }
        with patch_module_args(arguments), pytest.raises(SystemExit):
            machine_receipt.main()
        result: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return result

    def receipt(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Machine:
    return Machine(tmp_path, monkeypatch, capsys)


def test_a_machine_without_conda_r_and_kernels_has_a_receipt(machine: Machine) -> None:
    assert machine()["counts"] == {"os": 1, "conda": 0, "r": 0, "kernels": 0}
    receipt = machine.receipt()
    assert receipt["system"]["name"] == "Debian GNU/Linux 12"
    assert (receipt["conda"], receipt["r"], receipt["kernels"], receipt["tools"]) == ({}, {}, {}, {})
    assert machine.path.stat().st_mode & 0o777 == 0o644


def test_all_that_is_there_is_written_once(machine: Machine) -> None:
    machine.json("conda/envs/ds/conda-meta/python-3.json", {"name": "python", "version": "3.14.0"})
    machine.json("conda/envs/empty/other.json", "{}")
    machine.json("kernels/ir/kernel.json", {"display_name": "R", "language": "R", "argv": ["R", "--slave"]})
    request = Request(("numpy", "python>=3"))
    write_record(machine.folder / "conda/envs/ds", Record(request, "0"))
    library = machine.folder / "l"
    (library / "dplyr").mkdir(parents=True)
    note_file(library, Fetched("dplyr", "1.0", "dplyr_1.0.tar.gz", "ab"))
    machine.program("Rscript", f"receipt-r\t4.2.2\nreceipt-package\t{library}\tdplyr\t1.0\tCRAN\t4.2\t\n")
    (machine.folder / "Rscript-too").symlink_to(machine.folder / "Rscript")
    assert machine(check=True)["changed"]
    assert not machine.path.exists()
    first = machine(image="demo-1", provenance={"configuration": "0123"})
    assert (first["changed"], first["tools"]) == (True, {"R": "4.2.2", "Python": "3.14.0"})
    receipt, text = machine.receipt(), machine.path.read_text()
    assert receipt["conda"] == {str(machine.folder / "conda/envs/ds"): {"python": {"version": "3.14.0"}}}
    dplyr = receipt["r"][str(library)]["dplyr"]
    assert (dplyr["version"], dplyr["sha256"]) == ("1.0", "ab")
    assert receipt["requests"] == {str(machine.folder / "conda/envs/ds"): ["numpy", "python>=3"]}
    assert receipt["kernels"]["ir"]["command"] == "R --slave"
    assert receipt["files"] == {"apt": "0a"}
    assert (receipt["image"], receipt["provenance"]) == ("demo-1", {"configuration": "0123"})
    assert not machine(image="demo-1", provenance={"configuration": "0123"})["changed"]
    assert machine.path.read_text() == text
    machine.program("dpkg-query", "installed\tapt\t2.6.3\tamd64\tapt\t2.6.3\n")
    again = machine(image="demo-1", provenance={"configuration": "0123"})
    assert again["changed"]
    assert again["diff"]["after"] == "OS: 1 changed\n  ~ apt  2.6.2 → 2.6.3\n"


@pytest.mark.parametrize("left", ["{", "no receipt", '{"schema": 1}'])
def test_a_broken_receipt_is_made_anew(machine: Machine, left: str) -> None:
    machine.json("etc/receipt.json", left)
    assert machine()["changed"]
    assert machine.receipt()["schema"] == 1


def test_what_cannot_be_read_stops_it_with_its_name(machine: Machine) -> None:
    machine.json("kernels/ir/kernel.json", "{")
    assert str(machine.folder / "kernels/ir/kernel.json") in machine()["msg"]
    machine.json("kernels/ir/kernel.json", "[]")
    assert machine()["msg"].endswith("kernel.json cannot be read: it holds no object.")
    machine.json("kernels/ir/kernel.json", "{}")
    machine.program("Rscript", "", code=3)
    assert "Rscript failed with code 3" in machine()["msg"]
    (machine.folder / "Rscript").unlink()
    assert machine(os_release="/nowhere")["msg"] == "/nowhere cannot be read: No such file or directory."
    assert not machine.path.exists()


def compare(capsys: pytest.CaptureFixture[str], before: Path, after: Path) -> dict[str, Any]:
    """Run receipt_diff in this process."""
    with (
        patch_module_args({"before": str(before), "after": str(after)}),
        pytest.raises(SystemExit),
    ):
        receipt_diff.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_two_files_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after, broken = (tmp_path / name for name in ("before", "after", "broken"))
    before.write_text(dump(RECEIPT))
    # As an editor may save it.
    after.write_text(dump(changed("os", "apt", "version", to="2.6.3")), encoding="utf-8-sig")
    broken.write_bytes(b"\xff")
    assert compare(capsys, before, before)["same"]
    result = compare(capsys, before, after)
    assert (result["same"], result["changed"]) == (False, False)
    assert result["differences"] == [{"part": "os", "name": "apt", "before": "2.6.2", "after": "2.6.3"}]
    assert result["text"] == "OS: 1 changed\n  ~ apt  2.6.2 → 2.6.3\n"
    gone = tmp_path / "gone"
    assert compare(capsys, before, gone)["msg"] == f"There is no receipt {gone}: No such file or directory."
    assert compare(capsys, broken, before)["msg"] == f"{broken} is no receipt: it is no text."
