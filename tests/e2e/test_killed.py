"""A local cloud that is killed in the middle of a bake. The story after it runs on the one started anew."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import RUN, Stack, client, localcloud

pytestmark = pytest.mark.e2e


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.0f} s"
        time.sleep(0.5)


def said(*command: str) -> str:
    """Return what a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def remains() -> dict[str, list[str]]:
    """Return what a local cloud has on this machine: instances, their networks and disks, and addresses."""
    instances = said("podman", "ps", "--all", "--format", "{{.Names}}").split()
    networks = said("podman", "network", "ls", "--format", "{{.Name}}").split()
    return {
        "instances": [name for name in instances if name.startswith("ds-stack-i-")],
        "networks": [name for name in networks if name.startswith("ds-stack-")],
        "disks": [line for line in said("losetup", "--all").splitlines() if "localcloud" in line],
        "mounts": [line for line in Path("/proc/mounts").read_text().splitlines() if str(RUN) in line],
        "tables": [line for line in said("nft", "list", "tables").splitlines() if "ds" in line],
        "routes": [line for line in said("ip", "route").splitlines() if line.startswith("100.64.113.")],
    }


def bakes() -> bool:
    """Return whether a bake's instance runs."""
    state = [{"Name": "instance-state-name", "Values": ["running"]}]
    return bool(client("ec2").describe_instances(Filters=state)["Reservations"])


def test_what_a_killed_cloud_left_is_gone_after_the_next_start(cloud: None, tmp_path: Path) -> None:
    before = remains()
    bake = Stack("killed", tmp_path).begin("bake")
    try:
        until(bakes, 120)
        assert remains()["instances"]
        os.kill(int((RUN / "pid").read_text()), signal.SIGKILL)
    finally:
        bake.send_signal(signal.SIGINT)
        bake.wait(60)
    localcloud("start")
    after = remains()
    assert after["instances"] == after["disks"] == after["mounts"] == []
    # The account's own gateway and tables are there again; a VPC's network only if something runs in it.
    for kind in ("networks", "tables", "routes"):
        assert set(after[kind]) <= set(before[kind]), kind
    assert not bakes()
