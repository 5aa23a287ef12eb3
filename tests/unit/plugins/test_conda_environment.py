"""The module conda_environment against a conda that plays recorded answers."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.iac.ds_stack.plugins.modules import conda_environment

FIXTURES = Path(__file__).parent / "fixtures/conda"
CHANNEL = "https://conda.example/conda-forge/noarch"
ALPHA = f"{CHANNEL}/alpha-1.1-0.conda#5347d9016da11412c919e7cedf891dae"
OLD_ALPHA = f"{CHANNEL}/alpha-1.0-0.conda#1347d9016da11412c919e7cedf891dae"
BETA = f"{CHANNEL}/beta-2.0-0.conda#60808599cb83c24dd94056f7766cef30"


def recorded(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text())


@dataclass
class Machine:
    """A folder with a fake conda and room for environments."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def __post_init__(self) -> None:
        (self.folder / "bin").mkdir()
        program = self.folder / "bin/conda"
        program.write_text(f"#!{sys.executable} -IS\n" + (FIXTURES / "fake_conda.py").read_text())
        program.chmod(0o755)
        self.script()

    @property
    def prefix(self) -> Path:
        return self.folder / "envs/ds"

    def script(self, solution: tuple[str, ...] = (ALPHA, BETA), **answers: Any) -> None:
        text = json.dumps(
            {
                "solution": solution,
                "answers": {name.replace("_dry", " --dry-run"): v for name, v in answers.items()},
            }
        )
        (self.folder / "bin/script.json").write_text(text)

    def lock(self, *lines: str) -> str:
        path = self.folder / "x.lock"
        path.write_text("\n".join(["@EXPLICIT", *lines]))
        return str(path)

    def calls(self) -> list[list[str]]:
        """How conda was called since the last look, without the looks at what is installed."""
        path = self.folder / "bin/calls.jsonl"
        if not path.exists():
            return []
        calls = [json.loads(line)["arguments"] for line in path.read_text().splitlines()]
        path.unlink()
        return [call for call in calls if call[0] != "list"]

    def commands(self) -> list[str]:
        return [f"{call[0]} --dry-run" if "--dry-run" in call else call[0] for call in self.calls()]

    def __call__(self, check: bool = False, **parameters: Any) -> dict[str, Any]:
        arguments = {"prefix": str(self.prefix), "conda": str(self.folder / "bin/conda"), **parameters}
        with (
            patch_module_args({**arguments, "_ansible_check_mode": check, "_ansible_diff": True}),
            pytest.raises(SystemExit),
        ):
            conda_environment.main()
        result: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        return result


@pytest.fixture
def machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Machine:
    return Machine(tmp_path, capsys)


def leftovers(machine: Machine) -> list[str]:
    return (
        sorted(path.name for path in machine.prefix.parent.glob("*"))
        if machine.prefix.parent.exists()
        else []
    )


def test_a_lock_makes_an_environment_once(machine: Machine) -> None:
    lock = machine.lock(ALPHA, BETA)
    first = machine(lock=lock)
    assert first["changed"]
    assert first["added"] == ["alpha-1.1-0", "beta-2.0-0"]
    assert first["explicit"] == [ALPHA, BETA]
    assert first["packages"][0] == {
        "name": "alpha",
        "version": "1.1",
        "build": "0",
        "channel": "https://conda.example/conda-forge",
    }
    assert first["diff"] == {"before": "", "after": "alpha-1.1-0\nbeta-2.0-0\n"}
    assert machine.commands() == ["create"]
    second = machine(lock=lock)
    assert not second["changed"]
    assert second["explicit"] == [ALPHA, BETA]
    assert machine.commands() == []
    assert leftovers(machine) == ["ds"]


def test_check_mode_with_a_lock_runs_nothing(machine: Machine) -> None:
    result = machine(check=True, lock=machine.lock(ALPHA))
    assert result["changed"]
    assert result["added"] == ["alpha-1.1-0"]
    assert machine.calls() == []
    assert leftovers(machine) == []


def test_an_explicit_install_may_answer_anything(machine: Machine) -> None:
    """What counts is its exit code, and the packages afterwards."""
    machine.script(create={"stdout": "Preparing transaction: done"})
    assert machine(lock=machine.lock(ALPHA))["explicit"] == [ALPHA]


def test_a_dry_run_without_an_answer_is_no_plan(machine: Machine) -> None:
    machine.script(create_dry={"stdout": "done"})
    result = machine(check=True, specs=["beta"])
    assert result["failed"]
    assert "does not answer 'conda create --dry-run --json' with JSON" in result["msg"]


def test_a_changed_lock_installs_and_removes_only_what_differs(machine: Machine) -> None:
    machine(lock=machine.lock(OLD_ALPHA, BETA))
    (machine.prefix / "share").mkdir()
    machine.calls()
    result = machine(lock=machine.lock(ALPHA))
    assert result["added"] == ["alpha-1.1-0"]
    assert result["removed"] == ["alpha-1.0-0", "beta-2.0-0"]
    assert result["explicit"] == [ALPHA]
    calls = machine.calls()
    assert [call[0] for call in calls] == ["install", "remove"]
    assert "beta" in calls[1]
    assert "alpha" not in calls[1]
    assert (machine.prefix / "share").exists()


def test_a_failed_create_leaves_nothing(machine: Machine) -> None:
    machine.script(create={"rc": 1, "json": recorded("checksum_mismatch"), "half": [ALPHA]})
    result = machine(lock=machine.lock(ALPHA, BETA))
    assert result["failed"]
    assert "nothing of it was left" in result["msg"]
    assert "actual md5: 5347d9016da11412c919e7cedf891dae" in result["msg"]
    assert result["exception_name"] == "CondaMultiError"
    assert "conda's own words" in result["stderr"]
    assert leftovers(machine) == []
    assert not any(path.name.startswith(".") for path in machine.prefix.parent.iterdir())


def test_a_success_that_is_none_is_found_out(machine: Machine) -> None:
    """Conda ends well; the packages are not those of the lock."""
    machine.script(create={"lies": True, "half": [ALPHA]})
    result = machine(lock=machine.lock(ALPHA, BETA))
    assert result["failed"]
    assert "packages differ from the lock: +beta-2.0-0" in result["msg"]
    assert leftovers(machine) == []


def test_a_conda_that_was_killed_says_so_without_json(machine: Machine) -> None:
    machine(lock=machine.lock(OLD_ALPHA))
    machine.script(install={"rc": 137, "stdout": "Killed"})
    result = machine(lock=machine.lock(ALPHA))
    assert result["failed"]
    assert result["rc"] == 137
    assert "its packages are as they were" in result["msg"]
    assert "conda's own words" in result["msg"]


def test_a_failed_update_says_what_changed(machine: Machine) -> None:
    machine(lock=machine.lock(OLD_ALPHA, BETA))
    machine.script(remove={"rc": 1, "json": recorded("unsatisfiable")})
    result = machine(lock=machine.lock(ALPHA))
    assert result["failed"]
    assert "was changed in part (+alpha-1.1-0, -alpha-1.0-0)" in result["msg"]


def test_a_killed_create_is_made_anew(machine: Machine) -> None:
    """The mark beside the prefix outlives the module."""
    machine(lock=machine.lock(ALPHA))
    (machine.prefix.parent / ".ds.ds-stack-incomplete").touch()
    machine.calls()
    result = machine(lock=machine.lock(ALPHA))
    assert result["changed"]
    assert machine.commands() == ["create"]
    assert not machine(lock=machine.lock(ALPHA))["changed"]


def test_a_folder_that_conda_did_not_make_is_refused(machine: Machine) -> None:
    machine.prefix.mkdir(parents=True)
    (machine.prefix / "thesis.txt").write_text("x")
    for result in (machine(lock=machine.lock(ALPHA)), machine(state="absent")):
        assert result["failed"]
        assert "is no conda environment" in result["msg"]
    assert (machine.prefix / "thesis.txt").exists()


def test_specs_are_solved_once(machine: Machine) -> None:
    first = machine(specs=["beta", "alpha"], channels=["conda-forge"])
    assert first["changed"]
    call = machine.calls()[0]
    assert call[call.index("--channel") :][:5] == [
        "--channel", "conda-forge", "--override-channels", "alpha", "beta",
    ]  # fmt: skip
    second = machine(specs=["alpha", "beta"], channels=["conda-forge"])
    assert not second["changed"]
    assert second["explicit"] == [ALPHA, BETA]
    assert machine.commands() == []


def test_another_request_is_solved_and_may_change_nothing(machine: Machine) -> None:
    machine(specs=["beta"])
    machine.calls()
    machine.script(install_dry={"json": recorded("nothing_to_do")})
    assert not machine(specs=["alpha", "beta"])["changed"]
    assert machine.commands() == ["install --dry-run"]
    assert not machine(specs=["alpha", "beta"])["changed"]
    assert machine.commands() == []


def test_packages_changed_behind_our_back_are_solved_again(machine: Machine) -> None:
    machine(specs=["beta"])
    (machine.prefix / "conda-meta/packages").write_text(BETA)
    machine.calls()
    plan = {"actions": {"LINK": [{"dist_name": "alpha-1.1-0"}]}, "success": True}
    machine.script(install_dry={"json": plan}, install={"json": plan})
    result = machine(specs=["beta"])
    assert result["changed"]
    assert result["added"] == ["alpha-1.1-0"]
    assert machine.commands() == ["install --dry-run", "install"]


def test_check_mode_with_specs_shows_the_plan_and_writes_nothing(machine: Machine) -> None:
    machine.script(create_dry={"json": recorded("create_dry_run")})
    result = machine(check=True, specs=["beta"])
    assert result["changed"]
    assert result["diff"]["after"] == "alpha-1.1-0\nbeta-2.0-0\n"
    assert machine.commands() == ["create --dry-run"]
    assert leftovers(machine) == []


def test_a_spec_that_is_no_longer_asked_for_is_warned_about(machine: Machine) -> None:
    machine(specs=["alpha", "beta"])
    machine.script(install_dry={"json": recorded("nothing_to_do")})
    result = machine(specs=["alpha"])
    assert "still installed and still honoured by conda: beta" in json.dumps(result["warnings"])


def test_a_package_that_does_not_exist(machine: Machine) -> None:
    machine.script(create={"rc": 1, "json": recorded("packages_not_found")})
    result = machine(specs=["nope", "alpha"])
    assert result["failed"]
    assert result["exception_name"] == "PackagesNotFoundError"
    assert "conda finds no package nope in file:///srv/chan" in result["msg"]
    assert leftovers(machine) == []


def test_no_solution_leaves_the_environment_as_it_was(machine: Machine) -> None:
    machine(specs=["beta"])
    machine.script(install_dry={"rc": 1, "json": recorded("unsatisfiable")})
    result = machine(specs=["gamma"])
    assert result["failed"]
    assert "is as it was" in result["msg"]
    assert "beta -> alpha" in result["msg"]
    assert "still honoured by conda: beta" in result["msg"]
    machine.calls()
    assert not machine(specs=["beta"])["changed"]
    assert machine.commands() == []


def test_absent_removes_and_then_has_nothing_to_do(machine: Machine) -> None:
    machine(lock=machine.lock(ALPHA))
    machine.calls()
    checked = machine(check=True, state="absent")
    assert checked["changed"]
    assert machine.prefix.exists()
    result = machine(state="absent")
    assert result["changed"]
    assert result["removed"] == ["alpha-1.1-0"]
    assert not machine.prefix.exists()
    assert not machine(state="absent")["changed"]


def test_a_link_to_an_environment(machine: Machine) -> None:
    """It is made where the link leads to, and absent leaves neither."""
    target, lock = machine.folder / "disk/ds", machine.lock(ALPHA)
    machine.prefix.parent.mkdir()
    machine.prefix.symlink_to(target)
    assert machine(lock=lock)["added"] == ["alpha-1.1-0"]
    assert (target / "conda-meta/history").exists()
    assert machine.prefix.is_symlink()
    assert not machine(prefix=f"{machine.prefix}/", lock=lock)["changed"]
    checked = machine(check=True, state="absent")
    assert (checked["changed"], checked["removed"]) == (True, ["alpha-1.1-0"])
    assert target.exists()
    result = machine(state="absent")
    assert (result["changed"], result["removed"]) == (True, ["alpha-1.1-0"])
    assert not target.exists()
    assert leftovers(machine) == []
    assert not machine(state="absent")["changed"]


def test_absent_of_an_environment_below_a_link(machine: Machine) -> None:
    (machine.folder / "disk").mkdir()
    (machine.folder / "envs").symlink_to("disk")
    machine(lock=machine.lock(ALPHA))
    assert machine(prefix=f"{machine.prefix}/", state="absent")["changed"]
    assert (machine.folder / "envs").is_symlink()
    assert list((machine.folder / "disk").iterdir()) == []


@pytest.mark.parametrize("target", ["nowhere", "ds", "empty"])
def test_absent_of_a_link_to_no_environment(machine: Machine, target: str) -> None:
    """To nothing, to itself, to somebody's empty folder: only the link goes."""
    (machine.folder / "envs/empty").mkdir(parents=True)
    machine.prefix.symlink_to(target)
    assert machine(check=True, state="absent")["changed"]
    assert machine.prefix.is_symlink()
    assert machine(state="absent")["changed"]
    assert leftovers(machine) == ["empty"]
    assert not machine(state="absent")["changed"]


def test_absent_of_a_link_to_somebodys_folder_is_refused(machine: Machine) -> None:
    thesis = machine.folder / "home/thesis.txt"
    thesis.parent.mkdir()
    thesis.touch()
    machine.prefix.parent.mkdir()
    machine.prefix.symlink_to(thesis.parent)
    result = machine(state="absent")
    assert result["failed"]
    assert "is no conda environment" in result["msg"]
    assert thesis.exists()
    assert machine.prefix.is_symlink()


def test_a_link_to_the_base_environment_stays(machine: Machine) -> None:
    (machine.folder / "conda-meta").mkdir()
    (machine.folder / "conda-meta/history").touch()
    machine.prefix.parent.mkdir()
    machine.prefix.symlink_to(machine.folder)
    assert "base environment" in machine(state="absent")["msg"]
    assert machine.prefix.is_symlink()


def test_a_link_to_half_an_environment(machine: Machine) -> None:
    target = machine.folder / "disk/ds"
    target.mkdir(parents=True)
    (target / "half").touch()
    (machine.folder / "disk/.ds.ds-stack-incomplete").touch()
    machine.prefix.parent.mkdir()
    machine.prefix.symlink_to(target)
    assert machine(lock=machine.lock(ALPHA))["changed"]
    assert not (target / "half").exists()
    (machine.folder / "disk/.ds.ds-stack-incomplete").touch()
    assert machine(state="absent")["changed"]
    assert list((machine.folder / "disk").iterdir()) == []


@pytest.mark.parametrize(
    "write",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: f"# caf\u00e9\u2028 \u0085\n\n  {text}\n\n# end".encode(),
    ],
    ids=["byte order mark", "CRLF", "comments and blank lines"],
)
def test_locks_as_editors_write_them(machine: Machine, write: Callable[[str], bytes]) -> None:
    lock = Path(machine.lock(ALPHA, BETA))
    lock.write_bytes(write(lock.read_text()))
    assert machine(lock=str(lock))["added"] == ["alpha-1.1-0", "beta-2.0-0"]


@pytest.mark.parametrize(
    ("encoding", "line"), [("utf-16", 1), ("utf-16-le", 1), ("utf-32", 1), ("latin-1", 3), ("cp1252", 3)]
)
@pytest.mark.parametrize("check", [True, False])
def test_locks_in_another_encoding(machine: Machine, encoding: str, line: int, check: bool) -> None:
    lock = Path(machine.lock(ALPHA, "# caf\u00e9", BETA))
    lock.write_bytes(lock.read_text().encode(encoding))
    result = machine(check=check, lock=str(lock))
    assert result["failed"]
    assert result["msg"].startswith(f"{lock}, line {line} is no text in UTF-8. Save the lock in UTF-8")
    assert machine.commands() == []
    assert not machine.prefix.exists()


def test_a_damaged_record_is_no_record(machine: Machine) -> None:
    machine(specs=["alpha"])
    (machine.prefix / "conda-meta/ds_stack_request").write_bytes(b"\xff\xfe")
    machine.script(install_dry={"json": recorded("nothing_to_do")})
    assert not machine(specs=["alpha"]).get("failed")


def test_the_base_environment_is_never_removed(machine: Machine) -> None:
    (machine.folder / "conda-meta").mkdir()
    (machine.folder / "conda-meta/history").touch()
    result = machine(prefix=str(machine.folder), state="absent")
    assert result["failed"]
    assert "base environment" in result["msg"]
    assert machine.folder.exists()


@pytest.mark.parametrize(
    "remove", [lambda m: shutil.rmtree(m.folder / "bin"), lambda m: (m.folder / "x.lock").unlink()]
)
def test_check_mode_before_conda_or_the_lock_are_there(
    machine: Machine, remove: Callable[[Machine], None]
) -> None:
    lock = machine.lock(ALPHA)
    remove(machine)
    checked = machine(check=True, lock=lock)
    assert checked["changed"]
    assert "is not there yet" in json.dumps(checked["warnings"])
    failed = machine(lock=lock)
    assert failed["failed"]
    assert "is not there yet" in failed["msg"]


def test_conda_sees_no_variable_of_the_caller(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDA_CHANNELS", "evil")
    monkeypatch.setenv("PYTHONPATH", "/evil")
    machine(lock=machine.lock(ALPHA))
    seen = json.loads((machine.folder / "bin/calls.jsonl").read_text().splitlines()[0])["environment"]
    assert "CONDA_CHANNELS" not in seen
    assert "PYTHONPATH" not in seen


def test_a_password_in_a_url_is_in_no_result(machine: Machine) -> None:
    secret = ALPHA.replace("https://", "https://ada:hunter2@")
    machine.script(
        create={"rc": 1, "json": {"message": f"HTTP 403 for {secret}", "exception_name": "CondaHTTPError"}}
    )
    result = machine(lock=machine.lock(secret))
    assert result["failed"]
    result.pop("invocation")
    assert "hunter2" not in json.dumps(result)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"prefix": "", "state": "absent"}, "prefix: '' is no absolute path."),
        ({"prefix": "envs/ds", "specs": ["a"]}, "prefix: 'envs/ds' is no absolute path."),
        ({"lock": ""}, "lock: it is empty."),
    ],
)
def test_parameters_that_name_nothing(machine: Machine, parameters: dict[str, Any], told: str) -> None:
    assert machine(**parameters)["msg"].startswith(told)


@pytest.mark.parametrize(
    "parameters", [{}, {"lock": "/x", "specs": ["a"]}, {"specs": ["a"], "state": "elsewhere"}]
)
def test_wrong_parameters_are_refused(machine: Machine, parameters: dict[str, Any]) -> None:
    assert machine(**parameters)["failed"]


NEW_ALPHA = f"{CHANNEL}/alpha-1.2-0.conda#7347d9016da11412c919e7cedf891dae"
CHANGED_ALPHA = f"{CHANNEL}/alpha-1.1-0.conda#0347d9016da11412c919e7cedf891dae"


def locked(*lines: str, specs: tuple[str, ...] = ("alpha",)) -> dict[str, list[str]]:
    return {"specs": list(specs), "packages": list(lines)}


def pins(machine: Machine) -> list[str]:
    lines = (machine.folder / "bin/calls.jsonl").read_text().splitlines()
    calls = [json.loads(line) for line in lines]
    (found,) = {
        call["environment"]["CONDA_PINNED_PACKAGES"] for call in calls if call["arguments"][0] == "create"
    }
    return str(found).split("&")


def test_locked_specs_are_not_solved_again(machine: Machine) -> None:
    machine.script(solution=(NEW_ALPHA,))
    result = machine(specs=["alpha"], locked=locked(ALPHA, BETA))
    assert result["explicit"] == [ALPHA, BETA]
    (call,) = machine.calls()
    assert call[0] == "create"
    assert "--file" in call
    # As if it had been solved: the same request is met, and asked nothing of.
    assert not machine(specs=["alpha"])["changed"]
    assert not machine(specs=["alpha"], locked=locked(ALPHA, BETA))["changed"]
    assert machine.commands() == []


def test_other_specs_are_solved_with_what_is_locked(machine: Machine) -> None:
    result = machine(specs=["alpha", "beta"], locked=locked(ALPHA))
    assert result["explicit"] == [ALPHA, BETA]
    assert pins(machine) == ["alpha=1.1=0"]
    assert not machine(specs=["alpha", "beta"], locked=locked(ALPHA))["changed"]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (NEW_ALPHA, "alpha would be alpha-1.2-0.conda, the lock says alpha-1.1-0.conda."),
        (
            CHANGED_ALPHA,
            f"alpha-1.1-0.conda has the MD5 {CHANGED_ALPHA[-32:]}, the lock says {ALPHA[-32:]}.",
        ),
    ],
)
def test_what_would_move_a_locked_package_is_refused(machine: Machine, found: str, said: str) -> None:
    machine.script(solution=(found, BETA))
    result = machine(specs=["alpha", "beta"], locked=locked(ALPHA))
    assert said in result["msg"]
    assert 'ds_stack_relock": ["conda"]' in result["msg"]
    assert leftovers(machine) == []


def test_a_locked_package_that_cannot_be_had_is_told_with_the_way_out(machine: Machine) -> None:
    gone = {"rc": 1, "json": {"message": "HTTP 404 NOT FOUND for url <https://conda.example/alpha>"}}
    machine.script(create=gone)
    result = machine(specs=["alpha"], locked=locked(ALPHA))
    assert "HTTP 404 NOT FOUND for url <https://conda.example/alpha>" in result["msg"]
    assert 'ds_stack_relock": ["conda"]' in result["msg"]
    assert "locked.packages, line 2 has no MD5" in machine(specs=["alpha"], locked=locked("alpha"))["msg"]
