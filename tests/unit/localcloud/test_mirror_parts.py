"""The table of parts: keys, building once, broken builds, what the roles are told."""

import ast
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from localcloud.errors import LocalCloudError
from localcloud.mirror import installer, parts
from localcloud.mirror.parts import Part
from localcloud.mirror.table import PARTS
from localcloud.mirror.variables import role_variables
from localcloud.mirror.workshop import Workshop


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(name)
    return folder


def part(
    name: str, build: Callable[[Workshop], dict[str, Any]] | None = None, needs: tuple[str, ...] = ()
) -> Part:
    def write(workshop: Workshop) -> dict[str, Any]:
        workshop.log(f"build {name}")
        (workshop.scratch / "rubbish").touch()
        (workshop.tree / "shared").mkdir()
        (workshop.tree / "shared" / name).write_text(name)
        return {name: [f"{other}: {sorted(made.manifest)}" for other, made in workshop.needed.items()]}

    return Part(name, build or write, (f"{name}.txt",), needs)


def ignore(_line: str) -> None:
    pass


def test_a_mirror_is_its_parts_laid_over_each_other(tmp_path: Path, sources: Path) -> None:
    mirror = parts.ensure([part("a"), part("b", needs=("a",))], tmp_path / "root", ignore, sources)
    assert {str(p.relative_to(mirror)) for p in mirror.rglob("*")} == {
        "manifest.json",
        "shared",
        "shared/a",
        "shared/b",
    }
    assert "\"a: ['a']\"" in (mirror / "manifest.json").read_text()
    assert mirror.stat().st_mode & 0o777 == 0o755


def test_nothing_is_built_twice(tmp_path: Path, sources: Path) -> None:
    lines: list[str] = []
    table = [part("a"), part("b")]
    first = parts.ensure(table, tmp_path / "root", lines.append, sources)
    assert parts.ensure(table, tmp_path / "root", lines.append, sources) == first
    assert [line for line in lines if line.startswith("build ")] == ["build a", "build b"]


def test_only_the_changed_part_and_what_needs_it_are_built_again(tmp_path: Path, sources: Path) -> None:
    table = [part("a"), part("b")]
    first = parts.ensure(table, tmp_path / "root", ignore, sources)
    (sources / "b.txt").write_text("changed")
    lines: list[str] = []
    second = parts.ensure(table, tmp_path / "root", lines.append, sources)
    assert second != first
    assert [line for line in lines if line.startswith("build ")] == ["build b"]

    dependent = part("b", needs=("a",))
    before = parts.key(dependent, {"a": parts.key(table[0], {}, sources)}, sources)
    (sources / "a.txt").write_text("changed")
    assert parts.key(dependent, {"a": parts.key(table[0], {}, sources)}, sources) != before


def test_a_broken_build_leaves_nothing_that_looks_finished(tmp_path: Path, sources: Path) -> None:
    def broken(workshop: Workshop) -> dict[str, Any]:
        (workshop.tree / "half").touch()
        raise LocalCloudError("the index cannot be reached")

    root = tmp_path / "root"
    with pytest.raises(
        LocalCloudError, match=r"part b .*the index cannot be reached\n.*run the command again"
    ):
        parts.ensure([part("a"), part("b", broken)], root, ignore, sources)
    assert [path.name[:2] for path in (root / "parts").iterdir()] == ["a-"]
    assert [path.name for path in root.iterdir() if path.is_dir()] == ["parts"]

    lines: list[str] = []
    parts.ensure([part("a"), part("b")], root, lines.append, sources)
    assert [line for line in lines if line.startswith("build ")] == ["build b"]


def test_old_mirrors_do_not_pile_up(tmp_path: Path, sources: Path) -> None:
    mirrors = []
    for number in range(5):
        (sources / "a.txt").write_text(str(number))
        mirrors.append(parts.ensure([part("a"), part("b")], tmp_path / "root", ignore, sources))
        os.utime(mirrors[-1], (number, number))
    assert [mirror.exists() for mirror in mirrors] == [False, False, True, True, True]
    kept = sorted(path.name[:2] for path in (tmp_path / "root/parts").iterdir())
    assert kept == ["a-", "a-", "a-", "b-"]


def test_bytecode_is_no_input(sources: Path) -> None:
    entry = replace(part("a"), inputs=("**/*",))
    before = parts.key(entry, {}, sources)
    (sources / "__pycache__").mkdir()
    (sources / "__pycache__/a.cpython-311.pyc").touch()
    assert parts.key(entry, {}, sources) == before


def test_what_a_killed_build_left_is_removed(tmp_path: Path, sources: Path) -> None:
    left = [
        tmp_path / "root" / f"{parts.TEMPORARY}x/tree",
        tmp_path / "root/parts" / f"{parts.TEMPORARY}y/tree",
    ]
    for folder in left:
        folder.mkdir(parents=True)
    parts.ensure([part("a")], tmp_path / "root", ignore, sources)
    assert not any(folder.parent.exists() for folder in left)


def test_an_input_that_does_not_exist_is_an_error(sources: Path) -> None:
    with pytest.raises(ValueError, match=r"no input matches gone\.py"):
        parts.key(replace(part("a"), inputs=("gone.py",)), {}, sources)


def imports(file: Path) -> set[str]:
    """The modules of the mirror that a file imports, as file names."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "localcloud.mirror":
            found |= {f"{alias.name}.py" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("localcloud.mirror."):
            found.add(f"{str(node.module).rpartition('.')[2]}.py")
    return found


@pytest.mark.parametrize("entry", PARTS, ids=lambda entry: entry.name)
def test_the_key_covers_all_code_that_builds_the_part(entry: Part) -> None:
    by_name = {other.name: other for other in PARTS}
    covered = {name for other in (entry, *(by_name[name] for name in entry.needs)) for name in other.inputs}
    queue, used = [f"{entry.build.__module__.rpartition('.')[2]}.py"], set()
    while queue:
        name = queue.pop()
        if name not in used:
            used.add(name)
            queue += imports(parts.SOURCES / name)
    assert used <= covered


def test_parts_come_after_what_they_need() -> None:
    names = [entry.name for entry in PARTS]
    assert all(names.index(needed) < names.index(entry.name) for entry in PARTS for needed in entry.needs)
    assert all(parts.key(entry, dict.fromkeys(names, "")) for entry in PARTS)


def test_the_installers_packages_come_after_what_they_depend_on() -> None:
    packages: dict[str, dict[str, Any]] = {
        "conda": {"depends": ["python >=3.11", "requests"]},
        "requests": {"depends": ["python", "idna >=2"]},
        "idna": {"depends": ["python"]},
        "python": {"depends": ["__glibc >=2.36"]},
        "unrelated": {"depends": []},
    }
    assert installer.closure(["conda", "python"], packages) == ["python", "idna", "requests", "conda"]


@pytest.mark.parametrize("base", ["http://mirror.example:5601", "http://mirror.example:5601/"])
def test_role_variables_for_conda(base: str) -> None:
    manifest = {
        "conda_channel": "conda/conda-forge",
        "miniforge": {"path": "miniforge/M.sh", "sha256": "ab", "version": "1-0"},
        "cran": {"path": "cran"},
        "rstudio_server": {"path": "rstudio-server/r.deb", "sha256": "cd", "version": "1"},
    }
    variables = role_variables(manifest, base)
    assert {name: value for name, value in variables.items() if name.startswith("conda_")} == {
        "conda_installer_url": "http://mirror.example:5601/miniforge/M.sh",
        "conda_installer_checksum": "sha256:ab",
        "conda_channel_alias": "http://mirror.example:5601/conda",
        "conda_channels": ["conda-forge"],
        "conda_solver": "classic",
    }
