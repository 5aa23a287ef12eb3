"""The kernels of environments: which are found, what they are called, and how they start."""

from __future__ import annotations

import json
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

SPECIFICATION = {
    "argv": ["/old/place/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
    "display_name": "Python 3 (ipykernel)",
    "language": "python",
}


@pytest.fixture
def environments(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("WORKON_HOME", raising=False)
    return import_module("ds_stack_server.environments")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "envs"
    folder.mkdir()
    return folder


def conda(prefix: Path, kernel: str = "python3") -> Path:
    """Make what looks like a conda environment with a kernel."""
    (prefix / "conda-meta").mkdir(parents=True)
    return with_kernel(prefix, kernel)


def virtual(prefix: Path, kernel: str = "python3") -> Path:
    """Make what looks like a virtual environment with a kernel."""
    prefix.mkdir(parents=True)
    (prefix / "pyvenv.cfg").write_text("")
    return with_kernel(prefix, kernel)


def with_kernel(prefix: Path, kernel: str) -> Path:
    folder = prefix / "share/jupyter/kernels" / kernel
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(SPECIFICATION))
    (prefix / "bin").mkdir()
    (prefix / "bin/python").write_text("")
    return prefix


def labels(environments: Any, home: Path, shared: Path, *hidden: Path) -> list[str]:
    found = environments.kernels(home, shared, frozenset(hidden))
    return sorted(environments.label(one.prefix) for one in found.values())


def test_none_is_no_error(environments: Any, home: Path, shared: Path) -> None:
    assert labels(environments, home, shared / "missing") == []


def test_they_are_found_where_people_have_them(
    environments: Any, home: Path, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conda(shared / "small")
    conda(home / ".conda/envs/own")
    conda(tmp_path / "elsewhere/noted")
    (home / ".conda/environments.txt").write_text(f"{tmp_path}/elsewhere/noted\n\n/gone\n")
    for place in (".venv", "plain", "project/.venv", "other/venv", ".virtualenvs/hour", ".venvs/day"):
        virtual(home / place)
    virtual(tmp_path / "work/on")
    monkeypatch.setenv("WORKON_HOME", str(tmp_path / "work"))
    assert labels(environments, home, shared) == sorted(
        ["small", "own", "noted", "home", "plain", "project", "other", "hour", "day", "on"]
    )


def test_hidden_ones_and_those_without_a_kernel_are_not(environments: Any, home: Path, shared: Path) -> None:
    (shared / "empty/conda-meta").mkdir(parents=True)
    hidden = conda(shared / "jupyterhub")
    (home / "link").symlink_to(hidden)
    assert labels(environments, home, shared, hidden.resolve()) == []


def test_one_environment_is_one_kernel_however_it_is_reached(
    environments: Any, home: Path, shared: Path
) -> None:
    own = conda(home / ".conda/envs/own")
    (home / ".conda/environments.txt").write_text(f"{own}\n{home}/link\n")
    (home / "link").symlink_to(own)
    assert labels(environments, home, shared) == ["own"]


def test_names_are_jupyters_and_each_its_own(environments: Any, home: Path, shared: Path) -> None:
    for folder in ("Größe und Maß", "a", "b"):
        virtual(home / folder / ".venv")
    conda(shared / "a")
    with_r = conda(shared / "both")
    (with_r / "share/jupyter/kernels/ir").mkdir()
    (with_r / "share/jupyter/kernels/ir/kernel.json").write_text(json.dumps(SPECIFICATION))
    names = list(environments.kernels(home, shared, frozenset()))
    assert len(names) == 6
    # What Jupyter takes: https://jupyter-client.readthedocs.io/en/stable/kernels.html
    assert all(
        name.isascii() and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-") for name in names
    )


def test_a_kernel_starts_in_its_environment(environments: Any, home: Path, shared: Path) -> None:
    prefix = virtual(home / "project/.venv")
    (one,) = environments.kernels(home, shared, frozenset()).values()
    found = environments.specification(one, {**SPECIFICATION, "env": {"MINE": "1"}})
    assert found["display_name"] == "Python 3 (project)"
    assert found["argv"][0] == str(prefix / "bin/python")  # wherever it was made
    assert found["env"] == {"PATH": f"{prefix}/bin:${{PATH}}", "VIRTUAL_ENV": str(prefix), "MINE": "1"}


def test_a_kernel_of_conda_starts_as_activated(environments: Any, home: Path, shared: Path) -> None:
    """The command is run: a script of activate.d is read, and arguments stay whole."""
    prefix = conda(shared / "small")
    (prefix / "bin/python").write_text('#!/bin/sh\necho "$FROM_SCRIPT|$CONDA_DEFAULT_ENV|$#|$1"\n')
    (prefix / "bin/python").chmod(0o755)
    (prefix / "etc/conda/activate.d").mkdir(parents=True)
    (prefix / "etc/conda/activate.d/one.sh").write_text("export FROM_SCRIPT=yes\n")
    (one,) = environments.kernels(home, shared, frozenset()).values()
    given = {**SPECIFICATION, "argv": ["python", "a b; echo no", "c"]}
    found = environments.specification(one, given)
    ran = subprocess.run(found["argv"], env=found["env"], capture_output=True, text=True, check=True)
    assert ran.stdout == "yes|small|2|a b; echo no\n"
