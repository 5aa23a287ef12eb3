"""Files that are read and written by this collection's modules alone, and programs that they find."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._run.attempt import Attempt, AttemptFile, fields_of
from ansible_collections.iac.ds_stack.plugins.module_utils._run.files import (
    read_json,
    write_private,
    write_private_json,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._run.outcome import Finished
from ansible_collections.iac.ds_stack.plugins.module_utils._run.programs import find_program


def test_private_files_are_private_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "values.json"
    path.touch(0o666)
    (tmp_path / "values.json.partial").write_text("left by a killed run")
    (tmp_path / "values.json.partial").chmod(0o666)
    write_private_json(path, {"b": "é", "a": None})
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text()) == {"a": None, "b": "é"}
    assert not (tmp_path / "values.json.partial").exists()


def test_a_private_file_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "others").write_text("of others")
    (tmp_path / "link").symlink_to("others")
    (tmp_path / "link.partial").symlink_to("others")
    write_private(tmp_path / "link", b"mine")
    assert (tmp_path / "others").read_text() == "of others"
    assert (tmp_path / "link").read_bytes() == b"mine"
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("text", [None, "", "half a fi", "\udcff", "[1, 2]", '{"other": 1}', "null"])
def test_what_is_no_record_is_none(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "record"
    if text is not None:
        path.write_bytes(os.fsencode(text))
    assert fields_of(Attempt, path) is None
    assert read_json(tmp_path / "nothing") is None


@dataclass(frozen=True, kw_only=True)
class Apply(Attempt):
    """One of some tool."""

    operation: str


def test_an_attempt_is_remembered_until_it_is_reported(tmp_path: Path) -> None:
    file = AttemptFile(tmp_path / "attempt.json", Apply)
    assert file.read() is None
    told: list[bool] = []

    def unreported(finished: Finished, module_is_dead: bool) -> str | None:
        told.append(module_is_dead)
        return f"ended with {finished.returncode}" if module_is_dead else None

    callbacks = file.callbacks(Apply(log_path="/log", operation="destroy"), unreported)
    assert callbacks.started is not None
    assert callbacks.ended is not None
    callbacks.started(os.getpid())
    begun = file.read()
    assert begun is not None
    assert (begun.operation, begun.pid, begun.outcome) == ("destroy", os.getpid(), None)
    assert begun.still_runs()
    callbacks.ended(Finished(1), False)
    assert file.read() == begun
    callbacks.ended(Finished(0), True)
    ended = file.read()
    assert ended is not None
    assert (ended.outcome, ended.succeeded, ended.log_path) == ("ended with 0", True, "/log")
    assert not ended.still_runs()
    assert told == [False, True]
    file.reported()
    file.reported()
    assert file.read() is None


@pytest.mark.fault(23)
@pytest.mark.parametrize(
    "name", ["./tool", "tools/tool", "~/tool", "tools/../tool", "to_deep/../tool", "link"]
)
def test_a_program_by_its_path(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked for here and runs elsewhere; a link keeps its name."""
    (tmp_path / "to").mkdir()
    (tmp_path / "tools" / "deep").mkdir(parents=True)
    (tmp_path / "to_deep").symlink_to("tools/deep")
    for place in ("tool", "tools/tool"):
        (tmp_path / place).touch(0o755)
    (tmp_path / "link").symlink_to("tool")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", ".")
    found = find_program(name)
    assert found is not None
    assert Path(found).is_absolute()
    assert Path(found).name == Path(name).name
    assert Path(found).samefile(Path(name).expanduser())


@pytest.mark.parametrize("name", ["no-such-tool", "./folder", "./plain"])
def test_what_is_no_program(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "plain").touch(0o644)
    monkeypatch.chdir(tmp_path)
    assert find_program(name) is None
