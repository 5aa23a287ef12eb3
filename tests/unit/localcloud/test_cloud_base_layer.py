"""Which unpacked base images are forgotten. podman is not asked; test_localcloud.py unpacks a true one."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud import base_layer
from localcloud.base_layer import BaseLayer


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache, and a podman whose only base image has a layer whose digest begins with 16 times ``a``."""

    def podman(*arguments: str) -> str:
        if arguments[:2] == ("image", "mount"):
            return str(tmp_path / "mounted")
        return "an-image" if arguments[0] == "images" else f"sha256:{'a' * 16}{'0' * 48} 1700000000"

    (tmp_path / "mounted/etc").mkdir(parents=True)
    (tmp_path / "mounted/etc/hostname").write_text("base\n")
    monkeypatch.setenv("DS_STACK_CACHE", str(tmp_path))
    monkeypatch.setattr(base_layer, "podman", podman)
    monkeypatch.setattr(base_layer.base_image, "ensure", lambda _: "an-image")
    layers = tmp_path / "localcloud/base-layers"
    for name in ("b" * 16, "c" * 16, "d" * 16 + ".unfinished"):
        (layers / name).mkdir(parents=True)
    return layers


def test_it_is_unpacked_once_and_other_images_layers_are_forgotten(cache: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        layer = base_layer.ensure(said.append)
    assert layer == BaseLayer(f"sha256:{'a' * 16}{'0' * 48}", 1700000000, cache / ("a" * 16))
    assert (layer.root / "etc/hostname").read_text() == "base\n"
    assert said == ["Unpacking the base image"]
    assert [path.name for path in cache.iterdir() if path.is_dir()] == ["a" * 16]


def test_the_layer_below_a_running_account_is_not_forgotten(cache: Path) -> None:
    BaseLayer("sha256:b", 0, cache / ("b" * 16)).hold()
    base_layer.ensure(print)
    assert sorted(path.name for path in cache.iterdir() if path.is_dir()) == ["a" * 16, "b" * 16]
