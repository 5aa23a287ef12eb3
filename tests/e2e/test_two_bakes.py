"""Two bakes of one lock while every repository moves on between them, and a third without it (`make soak`).

The repositories are Debian's and the mirror's, with two packages of our own laid over each, as molecule's
scenario `image` makes them.
"""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from localcloud import base_image
from localcloud.addresses import HOST
from tests.e2e.conftest import ROOT, Stack, client, localcloud

pytestmark = pytest.mark.e2e

MAKER = ROOT / "molecule/image/files/repositories.py"
UNSIGNED = """
Acquire::AllowInsecureRepositories "true";
APT::Get::AllowUnauthenticated "true";
"""
DEBIAN = {
    "debian-security" if source.suite.endswith("-security") else "debian": source.uri
    for source in base_image.package_sources(base_image.DEBIAN_12)
}
"""Where this machine has each of the archives from."""


class Repositories(SimpleHTTPRequestHandler):
    """Ours by their files; the rest of an archive's day is Debian's of today."""

    def do_GET(self) -> None:
        """Answer with a file, or with where it is."""
        asked = re.fullmatch(r"/apt/([a-z-]+)/\w+/(.+)", self.path)
        if asked and not re.match("dists/bookworm-updates/|[a-z]+-os_", asked[2]):
            self.send_response(302)
            self.send_header("Location", f"{DEBIAN[asked[1]]}/{asked[2]}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Not into the tests' output."""


@pytest.fixture
def repositories(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Serve an empty folder to the machines: the folder and its address."""
    folder = tmp_path / "repositories"
    folder.mkdir()
    server = ThreadingHTTPServer((str(HOST), 0), partial(Repositories, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://{HOST}:{server.server_port}"
    server.shutdown()
    server.server_close()


def offer(folder: Path, version: str, day: str) -> None:
    """Make the repositories of a day, of R and Debian for ever and of conda with what was there."""
    subprocess.run([sys.executable, MAKER, folder, version, day], check=True)
    offline = Path(localcloud("mirror").stdout.split()[-1]) / "cran/src/contrib"
    contrib = folder / f"cran/{day}/src/contrib"
    with (contrib / "PACKAGES").open("a") as index:
        index.write("\n" + (offline / "PACKAGES").read_text())
    for package in offline.glob("*.tar.gz"):
        (contrib / package.name).symlink_to(package)


@contextmanager
def booted(image: str) -> Iterator[str]:
    """Boot an image by itself, and terminate the machine afterwards: its id."""
    ec2 = client("ec2")
    (machine,) = ec2.run_instances(ImageId=image, InstanceType="t3.medium", MinCount=1, MaxCount=1)[
        "Instances"
    ]
    try:
        ec2.get_waiter("instance_status_ok").wait(InstanceIds=[machine["InstanceId"]])
        yield machine["InstanceId"]
    finally:
        ec2.terminate_instances(InstanceIds=[machine["InstanceId"]])


def on(machine: str, *command: str, stdin: str = "") -> str:
    """Run a command on a machine and return what it says."""
    inside = ["podman", "exec", "--interactive", f"ds-stack-{machine}", *command]
    return subprocess.run(inside, input=stdin, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def company(cloud: None) -> str:
    """Make a base image whose apt takes packages that nobody has signed, and return its name."""
    ec2 = client("ec2")
    (debian,) = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian-12-amd64-*"]}])["Images"]
    with booted(debian["ImageId"]) as machine:
        on(machine, "tee", "/etc/apt/apt.conf.d/99-unsigned", stdin=UNSIGNED)
        image = ec2.create_image(InstanceId=machine, Name="company-debian-12")["ImageId"]
        ec2.get_waiter("image_available").wait(ImageIds=[image])
    return "company-debian-12"


def test_what_is_locked_is_the_same_in_every_bake(
    repositories: tuple[Path, str], company: str, tmp_path: Path
) -> None:
    folder, url = repositories
    home = tmp_path / "operator"
    home.mkdir()
    earlier, today = "2026-11-01", datetime.datetime.now(datetime.UTC).date().isoformat()
    small = {
        "conda_channels": ["conda-forge", f"{url}/conda"],
        "r_cran_url": url + "/cran/{{ '{{r_snapshot_date}}' }}",
        "jupyterhub_kernel_environment_specs": ["python>=3.11,<3.15", "pip", "ipykernel"],
        "r_packages": ["reticulate"],
    }
    owner = client("sts").get_caller_identity()["Account"]
    stack = Stack(
        "twice",
        home,
        {
            "ds_stack_lock_file": str(home / "ds_stack.lock.yml"),
            "ds_stack_base_image": {"owner": owner, "name": company, "ssh_username": "admin"},
            "ds_stack_components": ["jupyterhub"],
            "ds_stack_preset": "minimal",
            "ds_stack_apt_snapshot": url + "/apt/{archive}/{day}",
            "ds_stack_python_packages": ["lab"],
            "ds_stack_r_packages": ["labr"],
            "ds_stack_system_packages": ["lab-os"],
            "ds_stack_as_given": True,
        },
    )

    def bake(name: str, because: str, **extra: Any) -> Path:
        """Bake, boot what was baked, and return the receipt that it has."""
        played = stack.play("bake", **extra)
        (home.parent / f"{name}.log").write_text(played.text)
        assert re.search(rf"^  Because +{because}$", played.text, re.MULTILINE)
        (image,) = re.findall(r"^  Image +(ami-\w+), ", played.text, re.MULTILINE)
        with booted(image) as machine:
            receipt = home / f"{name}.json"
            receipt.write_text(on(machine, "cat", "/etc/ds-stack/receipt.json"))
        return receipt

    def differences(before: Path, after: Path) -> str:
        return stack.play("diff", ds_stack_receipts=[str(before), str(after)]).text

    offer(folder, "1.0", earlier)
    days = {"base_apt_day": earlier, "r_snapshot_date": earlier}
    first = bake("first", "no image with this content", ds_stack_image_variables={**small, **days})

    # From here on the lock alone says of which day they are.
    offer(folder, "2.0", today)
    second = bake("second", "ds_stack_rebake", ds_stack_image_variables=small, ds_stack_rebake=True)
    assert "Nothing differs" in differences(first, second)

    third = bake(
        "third",
        "ds_stack_relock all",
        ds_stack_image_variables={**small, "r_snapshot_date": today},
        ds_stack_relock=["all"],
    )
    text = differences(first, third)
    moved = re.findall(r"~ (\S+) +1\.0 → 2\.0", text)
    assert sorted(moved) == ["lab", "lab-os", "labr", "tool", "tool-os", "toolr"], text
