"""The command that installs a user's packages again: what it finds, and what it asks R and pip for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "roles/base/files/ds-reinstall"
LIBRARY = "R/x86_64-pc-linux-gnu-library"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine with R 4.5 and Python 3.13, whose R and Python only write down what they are asked."""
    for made in (f"skel/{LIBRARY}/4.5", "skel/.local/lib/python3.13/site-packages", "home", "bin"):
        (tmp_path / made).mkdir(parents=True)
    program = tmp_path / "ds-reinstall"
    program.write_text(PROGRAM.read_text().replace("/etc/skel", str(tmp_path / "skel")))
    (tmp_path / "bin/Rscript").write_text('#!/bin/sh\nfor one; do :; done; echo "R: $one"\n')
    listing = r"printf 'pandas==2.2\nown @ file:///x\n'"
    (tmp_path / "bin/python").write_text(
        f'#!/bin/sh\ncase "$3" in list) {listing} ;; *) shift 3; echo "pip: $*" ;; esac\n'
    )
    for command in (program, *(tmp_path / "bin").iterdir()):
        command.chmod(0o755)
    return tmp_path


def run(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(machine / "home"), "PATH": f"{machine}/bin:{os.environ['PATH']}"}
    return subprocess.run(
        [machine / "ds-reinstall", *arguments], env=environment, capture_output=True, text=True, check=False
    )


def put(machine: Path, *folders: str) -> None:
    for folder in folders:
        (machine / "home" / folder / "package").mkdir(parents=True)


def test_a_fresh_home_hears_nothing(machine: Path) -> None:
    (machine / f"home/{LIBRARY}/4.5").mkdir(parents=True)
    assert run(machine, "--hint").stdout == run(machine).stdout == ""


def test_what_was_there_is_named_and_installed_again(machine: Path) -> None:
    put(machine, f"{LIBRARY}/4.9", f"{LIBRARY}/4.10", ".local/lib/python3.9/site-packages")
    put(machine, ".local/lib/python3.11/site-packages")
    said = run(machine, "--hint").stdout
    # By their numbers: 4.10 came after 4.9.
    assert f"{machine}/home/{LIBRARY}/4.10\n" in said
    assert "/python3.11/site-packages\n" in said
    assert "/4.9\n" not in said and "python3.9" not in said
    assert run(machine).stdout.splitlines() == [f"R: {machine}/home/{LIBRARY}/4.10", "pip: --user pandas own"]


def test_whoever_has_begun_with_the_new_one_hears_nothing(machine: Path) -> None:
    put(machine, f"{LIBRARY}/4.4", f"{LIBRARY}/4.5")
    assert run(machine, "--hint").stdout == ""


def test_without_r_or_python_there_is_nothing_to_do(machine: Path) -> None:
    put(machine, f"{LIBRARY}/4.4")
    (machine / f"skel/{LIBRARY}/4.5").rmdir()
    assert (run(machine).stdout, run(machine).returncode) == ("", 0)


def test_a_home_with_spaces(machine: Path) -> None:
    (machine / "home").rename(machine / "a home")
    (machine / "home").symlink_to(machine / "a home")
    put(machine, f"{LIBRARY}/4.4")
    environment = {"HOME": str(machine / "a home"), "PATH": f"{machine}/bin:{os.environ['PATH']}"}
    ran = subprocess.run(
        [machine / "ds-reinstall"], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout == f"R: {machine}/a home/{LIBRARY}/4.4\n"


@pytest.mark.parametrize(("word", "code"), [("please", 64), ("--help", 0), ("-h", 0)])
def test_another_word_is_answered_by_the_usage(machine: Path, word: str, code: int) -> None:
    ran = run(machine, word)
    assert ran.returncode == code
    assert (ran.stderr if code else ran.stdout).startswith("usage: ds-reinstall ")
