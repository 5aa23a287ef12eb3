"""What molecule calls docker: podman is asked once for a machine's first process, and for a new one again."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

DOCKER = Path(__file__).resolve().parents[2] / "molecule/shared/bin/docker"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A podman whose machine's first process is this test, and which notes what it is asked."""
    for name, text in (
        ("podman", f'echo "$1 $3" >> {tmp_path}/asked; cat {tmp_path}/pid'),
        ("nsenter", 'echo "entered $2: $*"'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "pid").write_text(f"{os.getpid()}\n")
    return tmp_path


def enter(folder: Path, machine: str = "web", option: str = "-i") -> str:
    """Run a command in the machine; what it printed."""
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "MOLECULE_EPHEMERAL_DIRECTORY": str(folder)}
    command = [str(DOCKER), "exec", option, machine, "hostname"]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def asked(folder: Path) -> list[str]:
    """What podman was asked so far."""
    return (folder / "asked").read_text().splitlines()


def test_podman_is_asked_once_for_each_machine(folder: Path) -> None:
    for machine in ("web", "web", "other", "web"):
        said = enter(folder, machine)
        assert said.startswith(f"entered {os.getpid()}: ")
        assert said.endswith(" hostname\n")
    assert len(asked(folder)) == 2


@pytest.mark.parametrize(
    "noted",
    [
        pytest.param("1 7\n", id="the number is another's now"),
        pytest.param("4194999 7\n", id="nothing has it"),
        pytest.param("\n", id="half written"),
    ],
)
def test_a_machine_that_was_started_anew_is_asked_for(folder: Path, noted: str) -> None:
    (folder / "web.pid").write_text(noted)
    for _ in range(2):
        assert enter(folder).startswith(f"entered {os.getpid()}: ")
    assert len(asked(folder)) == 1


def test_other_options_are_podmans(folder: Path) -> None:
    assert "entered" not in enter(folder, option="--user=alice")
    assert asked(folder) == ["exec web"]


def test_what_does_not_run_is_podmans_to_refuse(folder: Path) -> None:
    (folder / "pid").write_text("0\n")
    assert "entered" not in enter(folder)
    assert asked(folder) == ["inspect {{.State.Pid}}", "exec web"]
    assert not (folder / "web.pid").exists()
