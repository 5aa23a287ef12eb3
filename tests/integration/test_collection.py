"""The collection as ansible-galaxy builds and installs it."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IN_BAKES = {"image", "node_image"}
"""Packer runs them, on machines that are baked."""
PLAYBOOKS = sorted({path.stem for path in (ROOT / "playbooks").glob("*.yml")} - IN_BAKES)
TOP_LEVEL = {
    "FILES.json",
    "LICENSE",
    "MANIFEST.json",
    "README.md",
    "changelogs",
    "docs",
    "examples",
    "meta",
    "packer",
    "playbooks",
    "plugins",
    "requirements.txt",
    "roles",
    "site.yml",
    "terraform",
    "tests",
}


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the collection."""
    folder = tmp_path_factory.mktemp("build")
    command = ["ansible-galaxy", "collection", "build", "--output-path", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("iac-ds_stack-*.tar.gz"))


def test_the_tarball_holds_the_product_and_nothing_else(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = archive.getnames()
    assert {name.split("/")[0] for name in names} == TOP_LEVEL
    assert {name for name in names if name.startswith("tests/")} == {
        "tests/sanity",
        "tests/sanity/ignore-2.21.txt",
    }
    assert not [name for name in names if "__pycache__" in name or ".terraform" in name or "tfstate" in name]


def test_the_playbooks_run_from_an_installed_collection(tarball: Path, tmp_path: Path) -> None:
    settings = tmp_path / "ansible.cfg"
    settings.touch()  # an empty one, so that the checkout's does not count
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(tmp_path), "ANSIBLE_CONFIG": str(settings)}
    install = ["ansible-galaxy", "collection", "install", "--no-deps", "--offline", str(tarball)]
    subprocess.run(install, check=True, capture_output=True, cwd=tmp_path, env=environment)
    for playbook in PLAYBOOKS:
        played = subprocess.run(
            [
                "ansible-playbook",
                f"iac.ds_stack.{playbook}",
                "-e",
                json.dumps({"ds_stack_name": "demo", "ds_stack_vpc_cidr": "10.0.0.1"}),
            ],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert played.returncode == 2
        assert "ds_stack_vpc_cidr: '10.0.0.1' has no prefix length." in played.stdout + played.stderr
        assert not (tmp_path / ".ds_stack").exists()
