"""Writing conda packages and the channel's index, and turning wheels into packages."""

import hashlib
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from localcloud.mirror import conda_package, index, wheel_package
from localcloud.mirror.conda_package import Recipe
from localcloud.mirror.target import EPOCH, PLACEHOLDER, SITE_PACKAGES
from localcloud.mirror.wheel_package import Wheel

RECIPE = Recipe(
    name="thing",
    version="1.0",
    build="0",
    depends=["python >=3.9"],
    license="MIT",
    summary="A thing",
    home="https://thing.example",
    source="PyPI wheel thing.whl",
)


def members(package: Path, kind: str) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """The payload (kind pkg) or the metadata (kind info) of a package."""
    with zipfile.ZipFile(package) as archive:
        data = zstd.decompress(archive.read(f"{kind}-{package.stem}.tar.zst"))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        result = {}
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            result[member.name] = (member, file.read() if file else b"")
        return result


def info(package: Path, name: str) -> Any:
    return json.loads(members(package, "info")[f"info/{name}.json"][1])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/run").write_text(f"#!{PLACEHOLDER}/bin/python\n")
    (folder / "bin/run").chmod(0o700)
    (folder / "bin/link").symlink_to("run")
    (folder / "data").write_bytes(b"\0")
    return folder


def test_a_package_is_the_same_whenever_and_by_whomever_it_is_made(tree: Path, tmp_path: Path) -> None:
    first = conda_package.write(RECIPE, tree, tmp_path / "a")
    for file in (tree / "data", tree / "bin/run"):
        os.utime(file, (1, 1))
    (tree / "data").chmod(0o600)
    second = conda_package.write(RECIPE, tree, tmp_path / "b")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.record == second.record


def test_payload_has_neither_owner_nor_time_nor_umask(tree: Path, tmp_path: Path) -> None:
    payload = members(conda_package.write(RECIPE, tree, tmp_path).path, "pkg")
    assert list(payload) == ["bin/link", "bin/run", "data"]
    assert {(m.uid, m.gid, m.uname, m.mtime) for m, _ in payload.values()} == {(0, 0, "root", EPOCH)}
    assert payload["bin/run"][0].mode == 0o755
    assert payload["data"][0].mode == 0o644
    assert payload["bin/link"][0].linkname == "run"


def test_paths_mark_what_conda_must_relocate(tree: Path, tmp_path: Path) -> None:
    paths = {p["_path"]: p for p in info(conda_package.write(RECIPE, tree, tmp_path).path, "paths")["paths"]}
    assert paths["bin/run"]["prefix_placeholder"] == PLACEHOLDER
    assert paths["bin/run"]["file_mode"] == "text"
    assert "prefix_placeholder" not in paths["data"]
    assert paths["data"]["sha256"] == hashlib.sha256(b"\0").hexdigest()
    assert paths["bin/link"]["path_type"] == "softlink"
    assert "prefix_placeholder" not in paths["bin/link"]


def test_a_package_says_that_it_is_repacked(tree: Path, tmp_path: Path) -> None:
    about = info(conda_package.write(RECIPE, tree, tmp_path).path, "about")
    assert "PyPI wheel thing.whl, repacked for the offline mirror" in about["description"]


def test_extract_is_the_reverse_of_write(tree: Path, tmp_path: Path) -> None:
    conda_package.extract(conda_package.write(RECIPE, tree, tmp_path).path, tmp_path / "out")
    assert (tmp_path / "out/data").read_bytes() == b"\0"
    assert os.access(tmp_path / "out/bin/run", os.X_OK)
    assert (tmp_path / "out/bin/link").readlink() == Path("run")


def test_the_index_does_not_depend_on_the_order(tree: Path, tmp_path: Path) -> None:
    channel = tmp_path / "channel"
    other = Recipe(**{**vars(RECIPE), "name": "other", "noarch": "generic"})
    packages = [conda_package.write(recipe, tree, channel) for recipe in (RECIPE, other)]
    index.write(channel, packages)
    first = {sub: (channel / sub / "repodata.json").read_bytes() for sub in ("linux-64", "noarch")}
    index.write(channel, reversed(packages))
    assert first == {sub: (channel / sub / "repodata.json").read_bytes() for sub in ("linux-64", "noarch")}

    record = json.loads(first["linux-64"])["packages.conda"]["thing-1.0-0.conda"]
    file = (channel / "linux-64/thing-1.0-0.conda").read_bytes()
    assert record["md5"] == hashlib.md5(file, usedforsecurity=False).hexdigest()
    assert (record["sha256"], record["size"]) == (hashlib.sha256(file).hexdigest(), len(file))
    assert record["depends"] == ["python >=3.9"]
    assert list(json.loads(first["noarch"])["packages.conda"]) == ["other-1.0-0.conda"]


def make_wheel(folder: Path, pure: bool) -> Wheel:
    tag = "py3-none-any" if pure else "cp311-cp311-manylinux_2_28_x86_64"
    path = folder / f"a_thing-1.0-{tag}.whl"
    files = {
        "a_thing/__init__.py": "",
        "a_thing-1.0.dist-info/METADATA": "Name: A-Thing\nVersion: 1.0\nSummary: Größe\n",
        "a_thing-1.0.dist-info/WHEEL": f"Root-Is-Purelib: {str(pure).lower()}\nTag: {tag}\n",
        "a_thing-1.0.dist-info/entry_points.txt": "[console_scripts]\nathing = a_thing.cli:main.run\n",
        "a_thing-1.0.dist-info/RECORD": "",
        "a_thing-1.0.data/scripts/old-script": "#!python\nprint()\n",
        "a_thing-1.0.data/data/share/jupyter/x.json": "{}",
        "a_thing-1.0.data/purelib/late.py": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return Wheel.read(path)


def test_a_pure_wheel_is_laid_out_for_conda_to_place(tmp_path: Path) -> None:
    wheel, tree = make_wheel(tmp_path, pure=True), tmp_path / "tree"
    wheel_package.unpack(wheel, tree)
    assert {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()} == {
        "python-scripts/old-script",
        "share/jupyter/x.json",
        "site-packages/a_thing/__init__.py",
        "site-packages/late.py",
        *(
            f"site-packages/a_thing-1.0.dist-info/{name}"
            for name in ("METADATA", "WHEEL", "entry_points.txt")
        ),
        "site-packages/a_thing-1.0.dist-info/INSTALLER",
    }
    assert (tree / "python-scripts/old-script").read_text().startswith(f"#!{PLACEHOLDER}/bin/python\n")
    recipe = wheel_package.recipe(wheel, {})
    assert (recipe.name, recipe.subdir, recipe.summary) == ("a-thing", "noarch", "Größe")
    assert recipe.entry_points == ["athing = a_thing.cli:main.run"]


def test_a_compiled_wheel_has_its_final_places_and_its_commands(tmp_path: Path) -> None:
    wheel, tree = make_wheel(tmp_path, pure=False), tmp_path / "tree"
    wheel_package.unpack(wheel, tree)
    assert (tree / SITE_PACKAGES / "a_thing/__init__.py").exists()
    command = (tree / "bin/athing").read_text()
    assert "from a_thing.cli import main\n" in command
    assert "sys.exit(main.run())" in command
    assert os.access(tree / "bin/athing", os.X_OK)
    assert os.access(tree / "bin/old-script", os.X_OK)
    recipe = wheel_package.recipe(wheel, {})
    assert (recipe.subdir, recipe.entry_points) == ("linux-64", [])
    assert recipe.depends == ["python >=3.11,<3.12.0a0"]
