"""The range of ansible-core that is promised is the one that is tested, from its oldest to its newest."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import ansible.release
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/under-newest-ansible"
REQUIREMENTS = ROOT / "tests/newest-ansible-requirements.txt"
TOOLS = ("bash", "cmp", "cp", "dirname", "env", "flock", "mkdir", "rm")

PYTHON = """#!/bin/sh
case "$*" in
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip "*) echo "installs: $*" ;;
esac
"""


def minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


@pytest.mark.fault(19)
def test_the_promised_range_is_the_tested_one() -> None:
    oldest = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["requires_ansible"]
    newest = re.search(r"^ansible-core==(.+)$", REQUIREMENTS.read_text(), re.MULTILINE)
    assert newest
    assert oldest == f">={minor(ansible.release.__version__)}.0", "the checkout has the oldest"
    readme = (ROOT / "README.md").read_text()
    assert f"{minor(oldest.strip('>='))} and {minor(newest[1])} are tested" in readme
    for role in (ROOT / "roles").glob("*/meta/main.yml"):
        least = yaml.safe_load(role.read_text())["galaxy_info"]["min_ansible_version"]
        assert f">={least}.0" == oldest, role


class Machine:
    """A machine with few programs, and a checkout that has nothing but the script."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("bin", "checkout/scripts", "checkout/tests", "pyenv"):
            (folder / name).mkdir(parents=True)
        for tool in TOOLS:
            (folder / "bin" / tool).symlink_to(str(shutil.which(tool)))
        shutil.copy(SCRIPT, folder / "checkout/scripts")
        shutil.copy(REQUIREMENTS, folder / "checkout/tests")

    def add(self, path: str, text: str) -> None:
        """Put a program on it."""
        program = self.folder / path
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / "checkout/scripts/under-newest-ansible", "bash", "-c", command],
            env={"PATH": str(self.folder / "bin"), "PYENV_ROOT": str(self.folder / "pyenv"), "HOME": "/none"},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


OLD = "#!/bin/sh\nexit 1\n"
"""A Python that is too old, or what pyenv puts on PATH in the place of one that was not chosen."""


@pytest.mark.fault(19)
def test_a_machine_without_a_new_python_fails_and_says_so(machine: Machine) -> None:
    machine.add("bin/python3", OLD)
    ran = machine.run("echo ran")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "The newest Ansible needs Python 3.12 or 3.13, and this machine has neither" in ran.stderr


@pytest.mark.parametrize(
    "place", ["bin/python3.13", "bin/python3.12", "bin/python3", "pyenv/versions/3.12.1/bin/python"]
)
def test_the_environment_is_made_once_for_its_requirements(machine: Machine, place: str) -> None:
    machine.add("bin/python3.13", OLD)
    machine.add("bin/python3", OLD)
    machine.add(place, PYTHON.replace("mkdir", str(shutil.which("mkdir"))).replace("cp ", "/bin/cp "))
    venv = machine.folder / "checkout/.cache/tools/newest-ansible"
    first, second = machine.run("echo $DS_STACK_TEST_ANSIBLE"), machine.run("echo again")
    assert first.returncode == second.returncode == 0, first.stderr
    installs, told = first.stdout.splitlines()
    assert installs.startswith("installs: -m pip install") and "newest-ansible-requirements.txt" in installs
    assert told == str(venv / "bin")
    assert second.stdout == "again\n"
    requirements = machine.folder / "checkout/tests/newest-ansible-requirements.txt"
    requirements.write_text("ansible==99\n")
    assert "installs: " in machine.run("true").stdout
    assert sorted(path.name for path in venv.iterdir()) == ["bin", "installed.txt"]
