"""What keeps the compiled code of modules that Ansible sends: the code of the source, wherever it lies."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

COMPILED = Path(__file__).resolve().parents[1] / "compiled"
SOURCE = "def fail():\n    raise ValueError({said!r})\n"


def traceback_of(archive: Path, said: str, folder: Path | str) -> str:
    """What Python says of the error of a module in an archive that is made for it."""
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("sent.py", SOURCE.format(said=said))
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(archive)!r}); import sent; sent.fail()"],
        env={
            **os.environ,
            "PYTHONPATH": str(COMPILED),
            "DS_STACK_TEST_COMPILED": str(folder),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr


def test_what_is_kept_is_used_and_says_where_it_is_now(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("first.zip", "second.zip"):
        said = traceback_of(tmp_path / name, "one", kept)
        assert f"{name}/sent.py" in said
        assert "ValueError: one" in said
        assert len(list(kept.iterdir())) == 1
    assert "ValueError: another" in traceback_of(tmp_path / "second.zip", "another", kept)
    assert len(list(kept.iterdir())) == 2


@pytest.mark.parametrize("content", [b"", b"no code", b"\xe3"])
def test_what_is_broken_is_compiled_again(tmp_path: Path, content: bytes) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    traceback_of(tmp_path / "sent.zip", "one", kept)
    (file,) = kept.iterdir()
    file.write_bytes(content)
    assert "ValueError: one" in traceback_of(tmp_path / "sent.zip", "one", kept)
    assert (file.stat().st_size > 20) and list(kept.iterdir()) == [file]


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    assert "ValueError: one" in traceback_of(tmp_path / "sent.zip", "one", "")
    assert "ValueError: one" in traceback_of(tmp_path / "sent.zip", "one", tmp_path / "missing")
    assert not (tmp_path / "missing").exists()
