"""The module text_files, on a folder of the test's."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.iac.ds_stack.plugins.modules import text_files


class Runner:
    """Runs the module in this process."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(
        self, files: dict[str, Any], purge: tuple[str, ...] = (), mode: str = "0644", check: bool = False
    ) -> dict[str, Any]:
        arguments = {
            "files": [
                {"path": str(self.folder / name), "content": content, "mode": mode}
                for name, content in files.items()
            ],
            "purge": [str(self.folder / pattern) for pattern in purge],
            "_ansible_check_mode": check,
            "_ansible_diff": True,
        }
        with patch_module_args(arguments), pytest.raises(SystemExit):
            text_files.main()
        result: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return result

    def names(self, paths: list[str]) -> list[str]:
        return [str(Path(path).relative_to(self.folder)) for path in paths]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Runner:
    return Runner(tmp_path, capsys)


def permissions(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_files_are_written_once(run: Runner) -> None:
    result = run({"a.conf": "one\n", "deep/down/b.conf": "zwölf\n"})
    assert result["changed"]
    assert run.names(result["written"]) == ["a.conf", "deep/down/b.conf"]
    assert (run.folder / "deep/down/b.conf").read_text(encoding="utf-8") == "zwölf\n"
    assert not run({"a.conf": "one\n", "deep/down/b.conf": "zwölf\n"})["changed"]


@pytest.mark.parametrize(
    ("there", "wanted", "changed"),
    [
        (b"a\r\nb\r\n", "a\nb\n", True),
        (b"a\r\nb\r\n", "a\r\nb\r\n", False),
        (b"a\nb\n", "a\r\nb\r", True),
        (b"a\xff\n", "a\n", True),
        (b"\xef\xbb\xbfa", "\ufeffa", False),
        (b"a\0\xc2\x85\xe2\x80\xa8", "a\0\u0085\u2028", False),
    ],
)
def test_a_file_is_what_its_bytes_are(run: Runner, there: bytes, wanted: str, changed: bool) -> None:
    (run.folder / "a").write_bytes(there)
    (run.folder / "a").chmod(0o644)
    for check in (True, False):
        result = run({"a": wanted}, check=check)
        assert result["changed"] is changed
        json.dumps(result, ensure_ascii=False).encode()  # Ansible refuses what is no UTF-8
    assert (run.folder / "a").read_bytes() == wanted.encode()
    assert not run({"a": wanted})["changed"]


def test_links_and_what_is_no_text_are_removed(run: Runner) -> None:
    folder = run.folder / "folder"
    folder.mkdir()
    (folder / "kept").write_text("x")
    (run.folder / "link").symlink_to(folder)
    (run.folder / "old").write_bytes(b"\xff")
    result = run({}, purge=("*",))
    assert run.names(result["removed"]) == ["link", "old"]
    json.dumps(result, ensure_ascii=False).encode()
    assert [path.name for path in run.folder.rglob("*")] == ["folder", "kept"]


def test_what_was_written_before_a_failure_is_told(run: Runner) -> None:
    (run.folder / "b").mkdir()
    result = run({"a": "x", "b": "y"})
    assert (result["failed"], result["changed"], result["msg"]) == (
        True,
        True,
        f"{run.folder}/b: Is a directory",
    )


def test_only_what_differs_is_written(run: Runner) -> None:
    run({"a": "one", "b": "two"})
    before = (run.folder / "a").stat().st_ino
    result = run({"a": "one", "b": "three"})
    assert run.names(result["written"]) == ["b"]
    assert (run.folder / "a").stat().st_ino == before
    assert [(one["before"], one["after"]) for one in result["diff"]] == [("two", "three")]


@pytest.mark.parametrize("umask", [0o002, 0o077])
def test_permissions(run: Runner, umask: int) -> None:
    old = os.umask(umask)
    try:
        run({"bin/script": "#!/bin/sh\n"}, mode="0755")
        assert permissions(run.folder / "bin") == 0o755
        assert permissions(run.folder / "bin/script") == 0o755
        assert not run({"bin/script": "#!/bin/sh\n"}, mode="0755")["changed"]
        result = run({"bin/script": "#!/bin/sh\n"}, mode="0600")
    finally:
        os.umask(old)
    assert run.names(result["written"]) == ["bin/script"]
    assert permissions(run.folder / "bin/script") == 0o600


def test_purge(run: Runner) -> None:
    run({"x/kept.py": "", "x/old.py": "", "x/other.txt": ""})
    (run.folder / "x/folder.py").mkdir()
    (run.folder / "x/link.py").symlink_to(run.folder / "x/other.txt")
    result = run({"x/kept.py": "", "x/new.py": ""}, purge=("x/*.py",))
    assert run.names(result["removed"]) == ["x/link.py", "x/old.py"]
    assert run.names(result["written"]) == ["x/new.py"]
    assert sorted(path.name for path in (run.folder / "x").iterdir()) == [
        "folder.py",
        "kept.py",
        "new.py",
        "other.txt",
    ]


def test_check_mode_changes_nothing(run: Runner) -> None:
    run({"a": "one", "old": ""})
    result = run({"a": "two", "new/b": ""}, purge=("*",), mode="0600", check=True)
    assert run.names(result["written"]) == ["a", "new/b"]
    assert run.names(result["removed"]) == ["old"]
    assert (run.folder / "a").read_text() == "one"
    assert permissions(run.folder / "a") == 0o644
    assert not (run.folder / "new").exists()


def test_error_names_the_place(run: Runner) -> None:
    run({"a": "one"})
    result = run({"a/b": "two"})
    assert result["failed"]
    assert str(run.folder / "a") in result["msg"]


def test_paths_that_say_too_little(
    run: Runner, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.folder)
    (run.folder / "mine.conf").touch()
    wrong = {"path": "a.conf", "content": "one"}
    arguments = {"files": [wrong], "purge": ["*.conf", ""]}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        text_files.main()
    result = json.loads(capsys.readouterr().out)
    told = "'a.conf' is no absolute path. '*.conf' is no absolute path. '' is no absolute path."
    assert (result["failed"], result["msg"]) == (True, told)
    assert [path.name for path in run.folder.iterdir()] == ["mine.conf"]


@pytest.mark.parametrize("other", ["a.conf", "./a.conf", "sub/../a.conf", "link/a.conf"])
def test_a_file_that_is_named_twice(run: Runner, capsys: pytest.CaptureFixture[str], other: str) -> None:
    (run.folder / "sub").mkdir()
    (run.folder / "link").symlink_to(".")
    files = [{"path": f"{run.folder}/{name}", "content": name} for name in ("a.conf", other)]
    with patch_module_args({"files": files}), pytest.raises(SystemExit):
        text_files.main()
    assert json.loads(capsys.readouterr().out)["msg"] == f"{run.folder}/a.conf is there twice. Remove one."
    assert not (run.folder / "a.conf").exists()


@pytest.mark.parametrize("pattern", ["link/*.conf", "real/../real/*.conf"])
def test_purge_by_another_path_keeps_what_is_wanted(run: Runner, pattern: str) -> None:
    run({"real/a.conf": "one", "real/old.conf": "old"})
    (run.folder / "link").symlink_to("real")
    result = run({"real/a.conf": "one"}, purge=(pattern,))
    assert (result["written"], len(result["removed"])) == ([], 1)
    assert [path.name for path in (run.folder / "real").iterdir()] == ["a.conf"]
