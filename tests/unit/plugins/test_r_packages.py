"""The module r_packages against an R that plays recorded answers, and what is pure in _software/r."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.iac.ds_stack.plugins.module_utils._software.r import (
    RError,
    Wanted,
    clean_environment,
    noted_file,
    parse_answer,
    parse_wanted,
    telling_lines,
)
from ansible_collections.iac.ds_stack.plugins.modules import r_packages

# All answers below were recorded from R 4.2.2.
# All answers were recorded from R 4.2.2; its typographic quotes were made plain.
FIXTURES = Path(__file__).parent / "fixtures/r"
SITE = "/usr/local/lib/R/site-library"
REPOSITORY = "file:///srv/mirror/cran"
START = ['r\t"4.2.2"', f'library\t"{SITE}"', f'repository\t"{REPOSITORY}"']
JSONLITE = f'installed\t"jsonlite"\t"1.8.4"\t"{SITE}"'
LOADS = ['loading\t"jsonlite"', 'loads\t"jsonlite"']
IRKERNEL = f'installed\t"IRkernel"\t"1.3.2"\t"{SITE}"'
IRKERNEL_FAILS = (FIXTURES / "irkernel_fails.tsv").read_text().splitlines()
OFFER = ['offers\t"52"', 'available\t"jsonlite"\t"1.8.4"', 'available\t"cli"\t"3.6.0"']
UNREACHABLE = (FIXTURES / "unreachable.tsv").read_text().splitlines()
SOURCE_FAILED = (FIXTURES / "source_failed.txt").read_text()


@dataclass
class Machine:
    """A folder with a fake Rscript that answers as it is told."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def __post_init__(self) -> None:
        program = self.folder / "Rscript"
        program.write_text(f"#!{sys.executable} -IS\n" + (FIXTURES / "fake_rscript.py").read_text())
        program.chmod(0o755)

    def script(
        self,
        before: list[str],
        offer: list[str] | None = None,
        after: list[str] | None = None,
        output: str = "",
        files: Sequence[tuple[str, str, str]] = (),
    ) -> None:
        answers = {"look": before, "offer": offer or [], "look again": after or []}
        whole: dict[str, Any] = {name: [*START, *lines, "end"] for name, lines in answers.items()}
        (self.folder / "script.json").write_text(json.dumps({**whole, "output": output, "files": files}))

    def calls(self) -> list[dict[str, Any]]:
        lines = (self.folder / "calls.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def actions(self) -> list[str]:
        return [call["asked"][0].partition("=")[2] for call in self.calls()]

    def __call__(self, *name: str, check: bool = False, **parameters: Any) -> dict[str, Any]:
        arguments = {"name": list(name), "rscript": str(self.folder / "Rscript"), **parameters}
        with (
            patch_module_args({**arguments, "_ansible_check_mode": check, "_ansible_diff": True}),
            pytest.raises(SystemExit),
        ):
            r_packages.main()
        result: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        return result


@pytest.fixture
def machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Machine:
    return Machine(tmp_path, capsys)


def test_what_is_there_and_loads_is_left_alone(machine: Machine) -> None:
    machine.script([JSONLITE, *LOADS])
    result = machine("jsonlite>=1.8")
    assert not result["changed"]
    assert result["packages"] == [{"name": "jsonlite", "version": "1.8.4", "library": SITE}]
    assert machine.actions() == ["look"]


def test_what_is_missing_is_installed_and_then_loaded(machine: Machine) -> None:
    machine.script([], OFFER, [JSONLITE, *LOADS], output="* DONE (jsonlite)")
    result = machine("jsonlite", repository=REPOSITORY)
    assert result["changed"]
    assert result["installed"] == ["jsonlite 1.8.4"]
    assert result["diff"] == {"before": "", "after": "jsonlite 1.8.4\n"}
    assert "DONE" in result["output"]
    assert machine.actions() == ["look", "offer", "fetch", "install", "look"]


def test_only_what_is_missing_is_asked_for(machine: Machine) -> None:
    offer = ['offers\t"52"', 'available\t"cli"\t"3.6.0"']
    cli = f'installed\t"cli"\t"3.6.0"\t"{SITE}"'
    machine.script([JSONLITE, *LOADS], offer, [JSONLITE, cli, *LOADS, 'loading\t"cli"', 'loads\t"cli"'])
    assert machine("jsonlite", "cli")["installed"] == ["cli 3.6.0"]
    assert [line for line in machine.calls()[3]["asked"] if line.startswith("name=")] == ["name=cli"]


def test_a_package_that_is_too_old_is_updated(machine: Machine) -> None:
    old = JSONLITE.replace("1.8.4", "1.7-2")
    machine.script([old, *LOADS], OFFER, [JSONLITE, *LOADS])
    result = machine("jsonlite>=1.8")
    assert result["diff"] == {"before": "jsonlite 1.7-2\n", "after": "jsonlite 1.8.4\n"}


def test_check_mode_shows_also_what_the_package_needs(machine: Machine) -> None:
    machine.script([], OFFER)
    result = machine("jsonlite", check=True)
    assert result["changed"]
    assert result["installed"] == ["cli 3.6.0", "jsonlite 1.8.4"]
    assert machine.actions() == ["look", "offer"]


@pytest.mark.parametrize("check", [False, True])
def test_a_package_that_no_one_has_stops_everything(machine: Machine, check: bool) -> None:
    machine.script([], OFFER)
    result = machine("jsonlite", "nope", check=check, repository=REPOSITORY)
    assert result["failed"]
    assert result["msg"] == f"The repository {REPOSITORY} has no nope for R 4.2.2. Nothing was installed."
    assert "install" not in machine.actions()


def test_a_repository_with_an_older_one_only(machine: Machine) -> None:
    machine.script([], OFFER)
    assert "has jsonlite 1.8.4, wanted is >= 9" in machine("jsonlite>=9")["msg"]


def test_a_repository_that_cannot_be_reached(machine: Machine) -> None:
    machine.script([], UNREACHABLE)
    result = machine("jsonlite", repository="http://127.0.0.1:9/x")
    assert result["failed"]
    assert "cannot use the repository http://127.0.0.1:9/x" in result["msg"]
    assert "Couldn't connect to server" in result["msg"]


def test_a_missing_system_library_is_named(machine: Machine) -> None:
    offer = ['offers\t"52"', 'available\t"IRkernel"\t"1.3.2"']
    machine.script([], offer, [IRKERNEL, *IRKERNEL_FAILS])
    result = machine("IRkernel")
    assert result["failed"]
    assert "IRkernel does not load" in result["msg"]
    assert "libzmq.so.5: cannot open shared object file" in result["msg"]
    assert "Install the Debian or Ubuntu package that has that library" in result["msg"]


def test_an_installed_package_that_does_not_load_is_no_success(machine: Machine) -> None:
    machine.script([IRKERNEL, *IRKERNEL_FAILS])
    assert "IRkernel does not load" in machine("IRkernel")["msg"]


def test_an_installation_that_only_warned_is_a_failure_with_its_lines(machine: Machine) -> None:
    machine.script([], ['offers\t"1"', 'available\t"xml2"\t"1.3"'], [], output=SOURCE_FAILED)
    result = machine("xml2")
    assert result["failed"]
    assert result["msg"].startswith("xml2 was not installed\n")
    assert " * deb: libxml2-dev (Debian, Ubuntu, etc)" in result["msg"]
    assert "using staged installation" not in result["msg"]
    assert "using staged installation" in result["output"]


def test_a_package_that_kills_r(machine: Machine) -> None:
    machine.script([JSONLITE])
    lines = [*START, JSONLITE, 'loading\t"jsonlite"']
    (machine.folder / "script.json").write_text(json.dumps({"look": lines}))
    assert "jsonlite does not load: R itself ended" in machine("jsonlite")["msg"]


def test_an_r_that_does_not_start(machine: Machine) -> None:
    (machine.folder / "script.json").write_text(json.dumps({"output": "Error: cannot allocate memory"}))
    assert "cannot allocate memory" in machine("jsonlite")["msg"]


def test_no_r_yet(machine: Machine) -> None:
    checked = machine("jsonlite", check=True, rscript="/nowhere/Rscript")
    assert checked["changed"]
    failed = machine("jsonlite", rscript="/nowhere/Rscript")
    assert failed["failed"]
    assert "Install R first" in failed["msg"]


def test_a_password_of_the_repository_is_in_no_command_line_and_no_result(machine: Machine) -> None:
    machine.script([], [line.replace("http://", "http://ada:hunter2@") for line in UNREACHABLE])
    result = machine("jsonlite", repository="http://ada:hunter2@127.0.0.1:9/x")
    result.pop("invocation")
    assert "hunter2" not in json.dumps(result)
    for call in machine.calls():
        assert "hunter2" not in json.dumps([call["argv"], call["environment"]])


def test_r_sees_no_settings_of_the_caller() -> None:
    clean = clean_environment({"R_LIBS": "/x", "LD_LIBRARY_PATH": "/x", "HOME": "/root", "HTTPS_PROXY": "p"})
    assert clean["R_LIBS_USER"] == "NULL"
    assert {"R_LIBS", "LD_LIBRARY_PATH"}.isdisjoint(clean)
    assert {"HOME", "HTTPS_PROXY"} <= set(clean)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("dplyr", Wanted("dplyr")),
        ("data.table>=1.14", Wanted("data.table", "1.14")),
        (" nlme (>= 3.1-162) ", Wanted("nlme", "3.1-162")),
        ("R6 >= 2", Wanted("R6", "2")),
    ],
)
def test_packages_as_they_are_written(text: str, wanted: Wanted) -> None:
    assert Wanted.parse(text) == wanted


@pytest.mark.parametrize("text", ["", "dplyr==1.0", "dplyr>=", "a; rm -rf /", "git::x", "1st", "a\nname=b"])
def test_what_names_no_package(text: str) -> None:
    with pytest.raises(RError, match="names no R package"):
        Wanted.parse(text)


def test_a_package_twice() -> None:
    with pytest.raises(RError, match="dplyr is in the list twice"):
        parse_wanted(["dplyr", "dplyr>=1.0"])


@pytest.mark.parametrize(
    ("version", "minimum", "met"),
    [("1.10", "1.9", True), ("1.9", "1.10", False), ("3.1-162", "3.1.100", True), ("1.0", "1.0.0", False)],
)
def test_versions_in_rs_order(version: str, minimum: str, met: bool) -> None:
    assert Wanted("x", minimum).is_met_by(version) is met


def test_no_version_is_not_enough() -> None:
    assert not Wanted("x").is_met_by(None)


def test_words_with_what_unicode_takes_for_an_end_of_line() -> None:
    answer = parse_answer('loading\t"fs"\nfails\t"fs"\t"one\u2028two\u0085three\x0cfour"\nend\n')
    assert answer.failures == {"fs": "one\u2028two\u0085three\x0cfour"}
    assert answer.complete


def test_an_answer_that_breaks_off() -> None:
    answer = parse_answer('r\t"4.2.2"\nlibrary\t"/x')
    assert answer.r_version == "4.2.2"
    assert not answer.complete


def test_the_telling_lines_are_few_and_each_is_there_once() -> None:
    lines = telling_lines(
        "\n".join(["compiling"] * 5 + ["a.c:1: error: x"] * 3 + [f"ERROR: {n}" for n in range(90)])
    )
    assert len(lines) == 25
    assert lines[-1] == "ERROR: 89"
    assert telling_lines("a.c:1: error: x\n" * 3) == ["a.c:1: error: x"]


FILE = ("jsonlite", "1.8.4", "what the repository has")
DIGEST = sha256(FILE[2].encode()).hexdigest()


def installed_in(library: Path) -> str:
    (library / "jsonlite").mkdir(parents=True)
    return JSONLITE.replace(SITE, str(library))


def test_from_which_file_a_package_was_installed_is_noted_in_it(machine: Machine, tmp_path: Path) -> None:
    library = tmp_path / "library"
    machine.script([], OFFER, [installed_in(library), *LOADS], files=[FILE])
    result = machine("jsonlite", locked={"jsonlite": {"version": "1.8.4", "sha256": DIGEST}})
    assert result["files"] == {"jsonlite": {"version": "1.8.4", "sha256": DIGEST}}
    assert noted_file(library, "jsonlite") == DIGEST
    assert noted_file(library, "cli") is None


@pytest.mark.parametrize(
    ("locked", "offer", "said"),
    [
        ({"jsonlite": "1.8.3"}, OFFER, "has jsonlite 1.8.4, the lock says 1.8.3"),
        # also of what is only needed
        ({"cli": "3.5.0"}, OFFER, "has cli 3.6.0, the lock says 3.5.0"),
        ({"cli": "3.6.0"}, [*OFFER[:2], 'lacking\t"cli"'], "has no cli any more, the lock says 3.6.0"),
        (
            {"jsonlite": "1.8.4"},
            [*OFFER[:1], 'lacking\t"jsonlite"'],
            "has no jsonlite any more, the lock says 1.8.4",
        ),
        (
            {"jsonlite": "1.8.4"},
            OFFER,
            f"jsonlite_1.8.4.tar.gz has the SHA-256 {DIGEST}, the lock says {'0' * 64}",
        ),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_what_is_not_as_it_was_locked_is_not_installed(
    machine: Machine, locked: dict[str, str], offer: list[str], said: str, check: bool
) -> None:
    if check and "SHA-256" in said:
        return  # nothing is downloaded
    machine.script([], offer, files=[FILE])
    entries = {name: {"version": version, "sha256": "0" * 64} for name, version in locked.items()}
    result = machine("jsonlite", locked=entries, repository=REPOSITORY, check=check)
    assert result["msg"].startswith(f"The repository {REPOSITORY}: {said}. Nothing was installed.\n")
    assert 'ds_stack_relock": ["r"]' in result["msg"]
    assert "install" not in machine.actions()


def test_a_lock_that_is_none(machine: Machine) -> None:
    machine.script([])
    assert "its version and its sha256" in machine("jsonlite", locked={"jsonlite": "1.8.4"})["msg"]
