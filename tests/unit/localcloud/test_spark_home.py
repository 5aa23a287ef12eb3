"""Spark as the nodes of a cluster have it, from an archive of PyPI's form."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from localcloud import spark_home
from localcloud.errors import LocalCloudError
from localcloud.mirror.wheels import Pin

FILES = {
    "deps/bin/spark-submit": "program",
    "deps/sbin/start.sh": "script",
    "deps/jars/spark-core.jar": "classes",
    "lib/pyspark.zip": "python",
    "pyspark/__init__.py": "left where it is",
    "setup.py": "left where it is",
}


@pytest.fixture
def archive() -> bytes:
    """What pip downloads."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        for name, text in FILES.items():
            member = tarfile.TarInfo(f"pyspark-4.0.2/{name}")
            member.size, member.mode = len(text), 0o755
            tar.addfile(member, io.BytesIO(text.encode()))
    return written.getvalue()


class Pip:
    """Downloads the archive."""

    def __init__(self, archive: bytes) -> None:
        self.archive, self.runs = archive, 0

    def __call__(self, *command: str) -> str:
        """Put it where it is wanted."""
        self.runs += 1
        folder = next(one for one in command if one.startswith("--dest=")).removeprefix("--dest=")
        Path(folder, "pyspark-4.0.2.tar.gz").write_bytes(self.archive)
        return ""


@pytest.fixture
def pip(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> Pip:
    runner = Pip(archive)
    monkeypatch.setattr(spark_home, "run", runner)
    monkeypatch.setattr(spark_home, "PIN", Pin("pyspark", "4.0.2", hashlib.sha256(archive).hexdigest()))
    return runner


def test_it_is_laid_out_once(pip: Pip, tmp_path: Path) -> None:
    said: list[str] = []
    home = spark_home.ensure(tmp_path, said.append)
    assert spark_home.ensure(tmp_path, said.append) == home == tmp_path / "spark/pyspark-4.0.2"
    assert {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()} == {
        "bin/spark-submit",
        "sbin/start.sh",
        "jars/spark-core.jar",
        "python/lib/pyspark.zip",
    }
    assert oct(home.stat().st_mode & 0o777) == "0o755"
    assert (pip.runs, said) == (1, ["downloading Spark 4.0.2 (434 MB)"])
    assert {path.name for path in home.parent.iterdir()} == {".lock", "pyspark-4.0.2"}


@pytest.mark.parametrize("archive", [b"", b"another file"])
def test_another_file_than_the_pinned_one(
    archive: bytes, pip: Pip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_home, "PIN", Pin("pyspark", "4.0.2", "0" * 64))
    with pytest.raises(LocalCloudError, match="another file than pyspark"):
        spark_home.ensure(tmp_path, lambda _: None)
    assert {path.name for path in (tmp_path / "spark").iterdir()} == {".lock"}
