"""Another image while people work, one that does not work, and the ways back (`make soak`).

The tests build on each other in the order of the file, on a small stack of its own: each is a chapter.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from localcloud.addresses import API_PORT, HOST
from tests.clients.jupyterhub import HubError
from tests.clients.terminal import terminal
from tests.e2e.conftest import Stack, client
from tests.e2e.visits import run_cell, signed_in
from tests.first_hour.session import change_password

pytestmark = pytest.mark.e2e

OWN = "Sesame-8-opened-wide"
"""A password that alice chooses."""
BREAKS = """
import os
if os.path.ismount("/data"):
    raise RuntimeError("this hub does not start where there are homes")
"""
"""A configuration of the hub's that no bake finds fault with."""
SMALL = {"jupyterhub_kernel_environment_specs": ["python>=3.11,<3.15", "pip", "ipykernel"]}
WORK_SECONDS = 600


@pytest.fixture(scope="module")
def stack(cloud: None, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Return a stack of a hub alone, for two users, that is not made yet."""
    return Stack(
        "replacing",
        tmp_path_factory.mktemp("operator"),
        {
            "ds_stack_components": ["jupyterhub"],
            "ds_stack_preset": "minimal",
            "ds_stack_image_variables": SMALL,
            "ds_stack_users": [{"name": "alice"}, {"name": "bob"}],
            "ds_stack_allowed_cidrs": [f"{HOST}/32"],
        },
    )


@contextmanager
def faulty(**fault: Any) -> Iterator[None]:
    """Have the account refuse something meanwhile, as localcloud/faults.py has it."""
    fault_call("POST", {"times": 99, **fault})
    try:
        yield
    finally:
        fault_call("DELETE", {})


def fault_call(method: str, fault: dict[str, Any]) -> None:
    connection = http.client.HTTPConnection(str(HOST), API_PORT, timeout=5)
    connection.request(method, "/_localcloud/fault", json.dumps(fault))
    assert connection.getresponse().status == 204
    connection.close()


def refused(stack: Stack, playbook: str, **extra: Any) -> str:
    """Run a playbook that must fail, and return what it said, on one line."""
    run = stack.begin(playbook, **extra)
    said, _ = run.communicate()
    assert run.returncode == 2, said[-6000:]
    return " ".join(said.split())


@contextmanager
def at_work(stack: Stack, folder: Path) -> Iterator[None]:
    """Have alice compute in a terminal and bob in a notebook, until both leave."""
    with (
        signed_in(stack, folder, password=OWN) as alice,
        signed_in(stack, folder, "bob") as bob,
        terminal(alice) as shell,
        bob.kernel() as kernel,
    ):
        shell.type(f"sleep {WORK_SECONDS}\n")
        with suppress(HubError):  # the kernel goes on after the page was closed
            bob.run_in(kernel, f"import time; time.sleep({WORK_SECONDS})", timeout=5)
        wait_until(lambda: {"alice", "bob"} <= {one["name"] for one in stack.reported()["at_work"]})
        yield


def wait_until(holds: Any, seconds: float = 180) -> None:
    """Wait for what the machine says once a minute."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(1)


def test_a_stack_with_two_users(stack: Stack, tmp_path: Path) -> None:
    stack.play("site")
    with signed_in(stack, tmp_path) as alice:
        change_password(alice, stack.passwords()["alice"], OWN)
        run_cell(alice, "open('note.txt', 'w').write('mine')")


def test_two_at_work_hold_another_image_back_until_they_leave(stack: Stack, tmp_path: Path) -> None:
    before = stack.machine()["InstanceId"]
    stack.variables["ds_stack_python_packages"] = ["openpyxl"]
    with at_work(stack, tmp_path):
        said = refused(stack, "site")
        assert re.search(r"Nothing was done\. .*alice .*bob ", said), said[-3000:]
        assert "-e ds_stack_replace=when_idle" in said
        assert stack.machine()["InstanceId"] == before
        waiting = stack.begin("site", ds_stack_replace="when_idle")
        time.sleep(60)
        assert waiting.poll() is None, waiting.communicate()[0][-3000:]
        assert stack.machine()["InstanceId"] == before
    said, _ = waiting.communicate()
    assert waiting.returncode == 0, said[-6000:]
    assert stack.machine()["InstanceId"] != before
    with signed_in(stack, tmp_path, password=OWN) as alice:
        assert run_cell(alice, "print(open('note.txt').read())") == "mine"
        assert run_cell(alice, "import openpyxl; print(6 * 7)") == "42"


def test_without_capacity_the_old_machine_serves_on(stack: Stack, tmp_path: Path) -> None:
    before = stack.machine()["InstanceId"]
    with faulty(action="RunInstances", code="InsufficientInstanceCapacity", status=400):
        said = refused(stack, "rollback", ds_stack_replace="now")
    assert f"The machine {before} was not replaced, and serves on as before" in said, said[-3000:]
    assert stack.machine()["InstanceId"] == before
    with signed_in(stack, tmp_path, password=OWN) as alice:
        assert run_cell(alice, "print(open('note.txt').read())") == "mine"


def test_back_by_hand_to_the_image_before(stack: Stack, tmp_path: Path) -> None:
    before = stack.machine()
    stack.play("rollback", ds_stack_replace="now")
    after = stack.machine()
    assert after["InstanceId"] != before["InstanceId"]
    assert after["ImageId"] != before["ImageId"]
    with signed_in(stack, tmp_path, password=OWN) as alice:
        assert run_cell(alice, "print(open('note.txt').read())") == "mine"
        find = "import importlib.util; print(importlib.util.find_spec('openpyxl'))"
        assert run_cell(alice, find) == "None"
    with signed_in(stack, tmp_path, "bob") as bob:
        assert run_cell(bob, "print(6 * 7)") == "42"


def test_back_by_itself_from_an_image_whose_hub_does_not_start(stack: Stack, tmp_path: Path) -> None:
    before, images = stack.machine(), set(stack.left()["image"])
    stack.variables["ds_stack_image_variables"] = {**SMALL, "jupyterhub_extra_config": BREAKS}
    said = refused(stack, "site", ds_stack_replace="now")
    assert (
        f"The new machine has not become ready, and the old one, {before['InstanceId']}, has the homes again"
        in said
    )
    assert "and is ready. What was wrong: " in said, said[-3000:]
    (made,) = set(stack.left()["image"]) - images
    assert f"The image {made} is tagged as failed, and the next bake makes another." in said
    assert stack.machine()["InstanceId"] == before["InstanceId"]
    with signed_in(stack, tmp_path, password=OWN) as alice:
        assert run_cell(alice, "print(open('note.txt').read())") == "mine"
    planned = stack.play("site", "--check", ds_stack_replace="now").planned
    assert planned["image"] != "nothing", "the one that has failed would be taken again"


def test_a_home_beside_the_living_one_and_then_all_of_them(stack: Stack, tmp_path: Path) -> None:
    ec2 = client("ec2")
    with signed_in(stack, tmp_path, password=OWN) as alice:
        run_cell(alice, "open('note.txt', 'w').write('spoilt')")
    found = ec2.describe_snapshots(Filters=stack.filters(), OwnerIds=["self"])["Snapshots"]
    snapshot = max(found, key=lambda one: one["StartTime"])["SnapshotId"]
    stack.play("restore", ds_stack_snapshot=snapshot, ds_stack_restore_home="alice")
    read = "from pathlib import Path; print(*[one.read_text() for one in sorted(Path().glob('**/note.txt'))])"
    with signed_in(stack, tmp_path, password=OWN) as alice:
        assert run_cell(alice, read) == "spoilt mine"
    volumes = set(stack.left()["volume"])
    stack.play("restore", ds_stack_snapshot=snapshot, ds_stack_replace="now")
    with signed_in(stack, tmp_path, password=OWN) as alice:
        assert run_cell(alice, read) == "mine"
    assert volumes < set(stack.left()["volume"]), "the homes that were there are kept"


def test_at_the_end_nothing_of_it_costs(stack: Stack) -> None:
    stack.play("destroy", ds_stack_replace="now", ds_stack_destroy_data=True, ds_stack_destroy_images=True)
    assert not {"instance", "image", "vpc", "role"} & set(stack.left())
