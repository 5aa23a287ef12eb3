"""The CRAN repository of the offline mirror."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
from pathlib import Path

import pytest

from localcloud.errors import LocalCloudError
from localcloud.mirror import cran

DESCRIPTION = """\
Package: {name}
Version: 1.2-3
Title: A title
Description: Goes on
        for two lines: with a colon.
Depends: R (>= 3.5)
Imports: {imports}
License: MIT
Built: R 4.2.2; ; 2023-01-01; unix
"""


def installed(folder: Path, name: str, imports: str = "utils") -> Path:
    package = folder / name
    (package / "R").mkdir(parents=True)
    (package / "DESCRIPTION").write_text(DESCRIPTION.format(name=name, imports=imports))
    (package / "R" / name).write_text("code")
    return package


@pytest.fixture
def contrib(tmp_path: Path) -> Path:
    folder = tmp_path / "src/contrib"
    folder.mkdir(parents=True)
    return folder


def test_a_description_with_lines_that_go_on() -> None:
    fields = cran.parse_description(DESCRIPTION.format(name="a", imports="b"))
    assert fields["Description"] == "Goes on for two lines: with a colon."
    assert fields["Version"] == "1.2-3"


def test_two_runs_pack_the_same_bytes(tmp_path: Path, contrib: Path) -> None:
    package = installed(tmp_path, "a")
    first = cran.pack(package, contrib).path.read_bytes()
    os.utime(package / "DESCRIPTION", (1, 1))
    assert cran.pack(package, contrib).path.read_bytes() == first


def test_what_lies_elsewhere_is_packed_in_its_links_place(tmp_path: Path, contrib: Path) -> None:
    package = installed(tmp_path, "a")
    (tmp_path / "share/fonts").mkdir(parents=True)
    (tmp_path / "share/jquery.js").write_text("script")
    (tmp_path / "share/fonts/one.woff").write_text("font")
    for name, target in (("jquery.js", "jquery.js"), ("fonts", "fonts"), ("nowhere", "missing")):
        (package / name).symlink_to(Path("../share", target))
    with tarfile.open(cran.pack(package, contrib).path) as archive:
        members = {one.name: one for one in archive.getmembers()}
    assert members["a/jquery.js"].isfile() and members["a/fonts/one.woff"].isfile()
    assert members["a/fonts"].isdir()
    assert "a/nowhere" not in members


def test_an_archive_as_r_takes_it(tmp_path: Path, contrib: Path) -> None:
    packed = cran.pack(installed(tmp_path, "a"), contrib)
    assert packed.path.name == "a_1.2-3.tar.gz"
    with tarfile.open(packed.path) as archive:
        assert archive.getnames() == ["a", "a/DESCRIPTION", "a/R", "a/R/a"]


def test_what_was_never_built_is_refused(tmp_path: Path, contrib: Path) -> None:
    package = installed(tmp_path, "a")
    (package / "DESCRIPTION").write_text("Package: a\nVersion: 1\n")
    with pytest.raises(LocalCloudError, match="a is no built R package"):
        cran.pack(package, contrib)


def test_the_index_has_dependencies_and_the_md5(tmp_path: Path, contrib: Path) -> None:
    packages = [cran.pack(installed(tmp_path, name, "utils, a (>= 1.0)"), contrib) for name in ("b", "a")]
    cran.write_index(packages, contrib)
    text = (contrib / "PACKAGES").read_text()
    entries = [cran.parse_description(entry) for entry in text.split("\n\n")]
    assert [entry["Package"] for entry in entries] == ["a", "b"]
    assert entries[1]["Imports"] == "utils, a (>= 1.0)"
    assert entries[1]["MD5sum"] == hashlib.md5(packages[0].path.read_bytes()).hexdigest()  # noqa: S324
    assert gzip.decompress((contrib / "PACKAGES.gz").read_bytes()).decode() == text


def test_an_import_that_is_not_there_is_named(tmp_path: Path, contrib: Path) -> None:
    package = cran.pack(installed(tmp_path, "a", "methods, rlang (>= 1.0), cli"), contrib)
    with pytest.raises(LocalCloudError, match=r"cli \(for a\), rlang \(for a\)"):
        cran.check_complete([package])


def test_the_list_of_packages_names_each_once() -> None:
    names = [line for line in cran.LIST.read_text().splitlines() if not line.startswith("#")]
    assert len(names) == len(set(names)) > 40
    assert {"irkernel", "reticulate", "jsonlite"} <= set(names)
