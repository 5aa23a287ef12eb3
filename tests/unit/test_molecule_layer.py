"""The name of the image that a scenario keeps for others: another one for whatever would be in it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the program, in a small checkout, with a base image, a mirror and no kept image."""
    spec = importlib.util.spec_from_file_location("layer", ROOT / "molecule/shared/layer.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for file in ("roles/r/tasks/main.yml", "plugins/modules/r_packages.py", "molecule/r/prepare.yml"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("---\n")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "podman", lambda *_: "sha256:base")
    monkeypatch.setattr(module.mirror, "ensure", lambda *_: Path("/mirror/0123"))
    monkeypatch.setattr(module, "image_exists", lambda _: False)
    return module


@pytest.mark.parametrize(
    "file",
    ["roles/r/tasks/main.yml", "plugins/modules/r_packages.py", "molecule/r/prepare.yml", "roles/new.yml"],
)
def test_what_shapes_the_machine_changes_the_name(layer: ModuleType, tmp_path: Path, file: str) -> None:
    before = layer.name("r")
    assert before == layer.name("r")
    assert before.startswith("localhost/ds-stack-molecule-r:")
    (tmp_path / file).write_text("--- # changed\n")
    assert layer.name("r") != before


def test_another_base_image_or_mirror_changes_it(layer: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {layer.name("r")}
    monkeypatch.setattr(layer, "podman", lambda *_: "sha256:other")
    names.add(layer.name("r"))
    monkeypatch.setattr(layer.mirror, "ensure", lambda *_: Path("/mirror/4567"))
    names.add(layer.name("r"))
    assert len(names) == 3


def test_what_does_not_shape_it_leaves_the_name(layer: ModuleType, tmp_path: Path) -> None:
    before = layer.name("r")
    for file in ("plugins/modules/__pycache__/r_packages.pyc", "molecule/conda/verify.yml", "README.md"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("changed")
    assert layer.name("r") == before


def test_without_it_a_machine_begins_with_the_base_image(
    layer: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    layer.main("begin", "r")
    assert capsys.readouterr().out.strip() == layer.TAG
    layer.main("keep", "r")
    assert capsys.readouterr().out.strip() == layer.name("r")
    monkeypatch.setattr(layer, "image_exists", lambda name: name == layer.name("r"))
    layer.main("begin", "r")
    assert capsys.readouterr().out.strip() == layer.name("r")
