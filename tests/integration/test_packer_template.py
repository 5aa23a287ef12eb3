"""The product's own Packer template, and the fingerprint of what it bakes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._packer import fingerprint as fp

from tests.integration.packer_bakes import PACKER, REGION, REPOSITORY

pytest_plugins = ["tests.integration.packer_bakes"]
pytestmark = pytest.mark.usefixtures("needs_packer")

OWN_VARIABLES = {
    "image_name": "demo-20261123-204512",
    "region": REGION,
    "base_image_id": "ami-00000001",
    "provisioner_variables_file": "/tmp/none.json",
    "instance_type": "t3.medium",
    "ssh_username": "admin",
    "root_device_name": "/dev/xvda",
    "root_volume_size": 10,
    "source_cidrs": ["100.64.113.1/32"],
}

#: What Packer 1.6.6 does not know.
NEWER_ARGUMENTS = ("imds_support", "temporary_security_group_source_public_ip", "temporary_key_pair_type")


def validate(folder: Path, **variables: Any) -> subprocess.CompletedProcess[str]:
    (folder / "v.pkrvars.json").write_text(json.dumps({**OWN_VARIABLES, **variables}))
    environment = {**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "CHECKPOINT_DISABLE": "1"}
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"
    return subprocess.run(
        [PACKER, "validate", "-var-file=v.pkrvars.json", "."],
        cwd=folder,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def is_of_today() -> bool:
    """Whether the Packer at hand is one that the template is for."""
    said = subprocess.run([PACKER, "version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"v(\d+)\.(\d+)", said)
    assert match, said
    return (int(match[1]), int(match[2])) >= (1, 11)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"subnet_id": "subnet-1"},
        {"subnet_id": "subnet-1", "session_manager_profile": "ssm", "source_cidrs": []},
    ],
    ids=["public", "subnet", "private"],
)
def test_the_template_is_valid_but_for_what_is_newer(tmp_path: Path, variables: dict[str, Any]) -> None:
    shutil.copytree(REPOSITORY / "packer", tmp_path, dirs_exist_ok=True)
    if not is_of_today():
        take_out_what_is_newer(tmp_path)
    result = validate(tmp_path, **variables)
    assert result.returncode == 0, result.stdout + result.stderr


def take_out_what_is_newer(folder: Path) -> None:
    (folder / "plugins.pkr.hcl").unlink()
    source = (folder / "source.pkr.hcl").read_text()
    for name in NEWER_ARGUMENTS:
        assert name in source
    head, _block, tail = source.partition("  metadata_options {")
    lines = (head + tail.partition("  }\n")[2]).splitlines()
    kept = [line for line in lines if line.strip().partition(" ")[0] not in NEWER_ARGUMENTS]
    (folder / "source.pkr.hcl").write_text("\n".join(kept) + "\n")


@pytest.mark.fault(25)
def test_how_long_packer_waits_is_not_the_environments_to_say() -> None:
    """The plugin takes AWS_MAX_ATTEMPTS where the template is silent."""
    polling = (
        (REPOSITORY / "packer/source.pkr.hcl").read_text().partition("aws_polling {")[2].partition("}")[0]
    )
    numbers = {name: int(number) for name, number in re.findall(r"(\w+)\s*= (\d+)", polling)}
    assert numbers["delay_seconds"] * numbers["max_attempts"] == 7200


def test_the_local_clouds_overlay_makes_it_valid_for_this_packer(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "packer", tmp_path, dirs_exist_ok=True)
    shutil.copytree(REPOSITORY / "localcloud/packer", tmp_path, dirs_exist_ok=True)
    result = validate(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("folder", ["packer", "localcloud/packer"])
def test_the_templates_are_formatted(folder: str) -> None:
    assert subprocess.run([PACKER, "fmt", "-check", REPOSITORY / folder], check=False).returncode == 0


def test_the_fingerprint_is_equal_from_a_checkout_and_from_the_tarball(tmp_path: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    checkout = tmp_path / "checkout"
    before = os.umask(0o002)
    try:
        for name in filter(None, tracked):
            source = REPOSITORY / name
            if source.is_file():  # another's removal may not be committed yet
                (checkout / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, checkout / name)
                (checkout / name).chmod(0o775 if os.access(source, os.X_OK) else 0o664)
    finally:
        os.umask(before)
    (checkout / "roles/first_boot/tasks/__pycache__").mkdir(parents=True, exist_ok=True)
    (checkout / "roles/first_boot/tasks/__pycache__/x.pyc").touch()
    galaxy = str(Path(sys.executable).with_name("ansible-galaxy"))
    subprocess.run([galaxy, "collection", "build", "--output-path", tmp_path], cwd=checkout, check=True)
    (tarball,) = tmp_path.glob("*.tar.gz")
    where = ["-p", str(tmp_path / "installed")]
    install = [galaxy, "collection", "install", "--no-deps", "--offline", *where, str(tarball)]
    subprocess.run(install, cwd=tmp_path, umask=0o077, check=True)
    installed = tmp_path / "installed/ansible_collections/iac/ds_stack"
    assert (checkout / "galaxy.yml").stat().st_mode != (installed / "MANIFEST.json").stat().st_mode
    for name in ("packer", "playbooks", "plugins", "roles", "terraform"):
        assert fp.digests(fp.entries(checkout / name)) == fp.digests(fp.entries(installed / name)), name
