"""The life of a stack, from its first site.yml to the last trace of it, as its users see it.

The tests build on each other in the order of the file: each is a chapter.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.clients import jupyterhub, rstudio
from tests.e2e.conftest import ROOT, Stack, client
from tests.e2e.outage import watched
from tests.e2e.visits import address_of, hub_of, rstudio_of, run_cell, signed_in
from tests.first_hour import browser
from tests.first_hour.session import change_password, do_after, do_all

pytestmark = pytest.mark.e2e

CALLER = "100.64.113.1/32"
NOTE = "homes outlive machines"
PATIENCE = 1 if os.environ.get("DS_STACK_SOAK") else 3
"""How many times as long everything may take beside other tests as on a machine that does nothing else."""
OUTAGE_SECONDS = 60 * PATIENCE
BAKE_SECONDS = {"Write down what is in the image": 5, "Sign in and compute as a user": 30}
"""What the receipt and the self-test may add to a bake, by the names of their tasks."""
OWN = "Sesame-8-opened-wide"
"""A password that a user chooses."""
NOTHING = dict.fromkeys(("image", "network", "homes", "users", "settings", "machine"), "nothing")


def is_open(address: str, port: int) -> bool:
    """Return whether a TCP connection from here is taken."""
    try:
        socket.create_connection((address, port), timeout=3).close()
    except OSError:
        return False
    return True


def test_a_name_is_enough_and_nothing_is_open(stack: Stack) -> None:
    played = stack.play("site")
    assert "e2e is ready." in played.text
    assert "AWS-StartPortForwardingSession" in played.text
    machine = stack.machine()
    assert machine["MetadataOptions"]["HttpTokens"] == "required"
    assert not is_open(machine["PublicIpAddress"], 8000)
    assert not is_open(machine["PublicIpAddress"], 8787)


def test_the_seconds_of_receipt_and_self_test(
    stack: Stack, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """As the log of the bake has them. The report tells the figures."""
    (log,) = (stack.dir / "packer/log").glob("*.log")
    for task, limit in BAKE_SECONDS.items():
        times = re.search(
            rf"^(\S+) [^\n]*TASK \[\S+ : {task}\].*?^(\S+) [^\n]*TASK \[",
            log.read_text(),
            re.DOTALL | re.MULTILINE,
        )
        assert times, task
        began, ended = (datetime.strptime(time, "%H:%M:%S") for time in times.groups())
        seconds = (ended - began).seconds  # also over midnight
        record_testsuite_property(f"seconds: {task}", seconds)
        assert seconds <= limit * PATIENCE, task


def test_a_second_run_changes_nothing(stack: Stack) -> None:
    image = stack.left()["image"]
    assert stack.play("site").changed == 0
    assert stack.left()["image"] == image


def test_check_mode_finds_nothing_to_do(stack: Stack) -> None:
    checked = stack.check("site")
    assert checked.changed == 0
    assert checked.planned == NOTHING
    assert "\n+++ " not in checked.text
    # It plans where Terraform is at home: a copy would have to be initialized, which takes seconds a root.
    assert "initializing" not in checked.text


def test_users_and_networks_come_without_a_bake(stack: Stack) -> None:
    before = stack.machine()
    stack.variables |= {
        "ds_stack_users": [{"name": "alice"}, {"name": "bob"}],
        "ds_stack_allowed_cidrs": [CALLER],
    }
    played = stack.play("site")
    after = stack.machine()
    assert (after["InstanceId"], after["ImageId"]) == (before["InstanceId"], before["ImageId"])
    assert f"https://{after['PublicIpAddress']}:8000" in played.text
    assert f"https://{after['PublicIpAddress']}:8787" in played.text
    for password in stack.passwords().values():
        assert password not in played.text


def test_a_user_signs_in_and_runs_python(stack: Stack, tmp_path: Path) -> None:
    with signed_in(stack, tmp_path) as hub:
        assert run_cell(hub, "print(6 * 7)") == "42"
        assert run_cell(hub, "import os; print(os.getcwd())") == "/data/home/alice"
        run_cell(hub, f"open('note.txt', 'w').write('{NOTE}')")
        assert run_cell(hub, "print(open('note.txt').read())") == NOTE


def test_a_wrong_password_does_not_get_in(stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(jupyterhub.SignInRefusedError):
        hub_of(stack, tmp_path).sign_in("alice", stack.passwords()["bob"])


def test_the_same_user_signs_in_to_rstudio(stack: Stack, tmp_path: Path) -> None:
    browser = rstudio_of(stack, tmp_path)
    with pytest.raises(rstudio.SignInRefusedError):
        browser.sign_in("alice", stack.passwords()["bob"])
    assert not browser.is_signed_in()
    browser.sign_in("alice", stack.passwords()["alice"])
    assert browser.is_signed_in()


def test_a_notebook_in_r_has_the_python_of_one_in_python(stack: Stack, tmp_path: Path) -> None:
    """R reads the home that Python wrote to, and computes with pandas through reticulate.

    By lists: the reticulate of Debian 12's R knows NumPy 1 only, and leaves NumPy 2's arrays as they are.
    """
    in_python = "import sys, pandas; print(sys.executable, pandas.__version__)"
    in_r = """
pandas <- reticulate::import("pandas")
cat(reticulate::py_config()$python, pandas$`__version__`)
stopifnot(pandas$Series(c(20, 22))$add(1)$tolist() == c(21, 23))
"""
    with signed_in(stack, tmp_path) as hub:
        assert run_cell(hub, "cat(6 * 7, readLines('note.txt', warn = FALSE))", "ir") == f"42 {NOTE}"
        # R may warn before.
        assert run_cell(hub, in_r, "ir").splitlines()[-1] == run_cell(hub, in_python)


def test_a_notebook_cannot_reach_the_machines_credentials(stack: Stack, tmp_path: Path) -> None:
    ask = """
import urllib.request
request = urllib.request.Request(
    "http://169.254.169.254/latest/api/token", method="PUT",
    headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
try:
    print(urllib.request.urlopen(request, timeout=3).status)
except OSError as error:
    print("refused:", error)
"""
    with signed_in(stack, tmp_path) as hub:
        assert run_cell(hub, ask).startswith("refused:")


def test_the_first_hour(stack: Stack, tmp_path: Path) -> None:
    """All that docs/first_hour.md lists, by the user who is signed in."""
    with signed_in(stack, tmp_path) as hub:
        outcomes = list(do_all(hub, stack.passwords()["alice"]))
    assert [one for one in outcomes if one.problem] == []


def test_the_first_hour_in_a_browser(stack: Stack, tmp_path: Path) -> None:
    """In a headless Chromium; its pictures stay in tests/output. `make soak` leaves it alone for a while."""
    pictures = ROOT / "tests/output/pictures"
    url, _certificate = address_of(stack, 8000, tmp_path)
    idle = 600 if os.environ.get("DS_STACK_SOAK") else 0
    outcomes = list(browser.do_all(url, "alice", stack.passwords()["alice"], pictures, idle))
    hub = hub_of(stack, tmp_path)
    hub.sign_in("alice", stack.passwords()["alice"])
    hub.stop_server()
    assert [one for one in outcomes if one.problem] == []


def test_a_closed_network_closes_the_ports(stack: Stack) -> None:
    stack.play("network", ds_stack_allowed_cidrs=["198.51.100.0/24"])
    assert not is_open(stack.machine()["PublicIpAddress"], 8000)
    stack.play("network")
    assert is_open(stack.machine()["PublicIpAddress"], 8000)


@pytest.mark.soak
def test_check_mode_shows_just_what_is_changed(stack: Stack) -> None:
    settings = f"to write, for the machine to read: /ds-stack/{stack.name}/machine/config"
    cases: list[tuple[dict[str, Any], dict[str, str]]] = [
        (
            {
                "ds_stack_allowed_cidrs": [CALLER, "198.51.100.0/24"],
                "ds_stack_users": [{"name": name} for name in ("alice", "bob", "carol")],
                "ds_stack_instance_type": "t3.xlarge",
            },
            {
                "network": "2 to add",
                "users": "1 to change",
                "settings": settings,
                "machine": "1 to change",
            },
        ),
        (
            {"ds_stack_image_variables": {"jupyterhub_memory_limit": "3G"}},
            {
                "image": "1 to bake",
                "machine": "1 snapshot of the homes to make, 1 to add, 1 to replace, 1 to destroy",
            },
        ),
    ]
    for changed, expected in cases:
        checked = stack.check("site", **changed)
        assert checked.planned == {**NOTHING, **expected}
    assert "because: provisioner_variables.jupyterhub_memory_limit" in checked.text


def test_the_machine_is_stopped_and_started(stack: Stack) -> None:
    assert stack.check("stop").changed == 1
    assert stack.play("stop").changed == 1
    assert stack.machine()["State"]["Name"] == "stopped"
    assert f"{stack.name}: stopped\n" in stack.play("status").text
    started = stack.play("start")
    address = stack.machine()["PublicIpAddress"]
    assert f"https://{address}:8000" in started.text
    status = stack.play("status")
    assert f"{stack.name}: ready\n" in status.text
    assert f"https://{address}:8000" in status.text
    assert "baked today" in status.text
    assert status.changed == 0


def test_a_removed_user_is_out_of_both(stack: Stack, tmp_path: Path) -> None:
    password = stack.passwords()["bob"]
    browser = rstudio_of(stack, tmp_path)
    browser.sign_in("bob", password)
    stack.variables["ds_stack_users"] = [{"name": "alice"}]
    stack.play("instance")
    assert not browser.is_signed_in()
    with pytest.raises(rstudio.SignInRefusedError):
        browser.sign_in("bob", password)
    with pytest.raises(jupyterhub.SignInRefusedError):
        hub_of(stack, tmp_path).sign_in("bob", password)


def test_changed_role_variables_make_a_new_machine_with_the_old_homes(stack: Stack, tmp_path: Path) -> None:
    before, passwords = stack.machine(), stack.passwords()
    # With less in it than the first image, which takes less time and can be told from outside.
    stack.variables["ds_stack_preset"] = "minimal"
    stack.variables["ds_stack_environments"] = [{"name": "small", "specs": ["python>=3.11,<3.15", "pip"]}]
    stack.variables["ds_stack_image_variables"] = {
        "jupyterhub_memory_limit": "3G",
        "jupyterhub_kernel_environment_specs": ["python>=3.11,<3.15", "pip", "ipykernel"],
        "r_packages": ["reticulate"],
    }
    with signed_in(stack, tmp_path) as hub:
        change_password(hub, passwords["alice"], OWN)
    with watched(stack.addresses) as outage:
        stack.play("site")
    after = stack.machine()
    assert after["InstanceId"] != before["InstanceId"]
    assert after["ImageId"] != before["ImageId"]
    print(f"\nfrom the last answer of the old machine to the first of the new one: {outage.longest():.1f} s")
    assert stack.passwords() == passwords
    (copy,) = (stack.dir / "receipts").glob(f"*_{after['ImageId']}.json")
    digest = (
        "import hashlib; print(hashlib.sha256(open('/etc/ds-stack/receipt.json', 'rb').read()).hexdigest())"
    )
    with signed_in(stack, tmp_path, password=OWN) as hub:
        change_password(hub, OWN, passwords["alice"])
        assert run_cell(hub, digest) == hashlib.sha256(copy.read_bytes()).hexdigest()
        assert run_cell(hub, "print(open('note.txt').read())") == NOTE
        assert run_cell(hub, "import importlib.util; print(importlib.util.find_spec('pandas'))") == "None"
        assert run_cell(hub, "cat(requireNamespace('dplyr', quietly = TRUE), 6 * 7)", "ir") == "FALSE 42"
        # The named environment is a kernel, and can be chosen in R.
        prefix = "/opt/conda/envs/small"
        kernels = hub.server("GET", "api/kernelspecs").json()["kernelspecs"]
        (small,) = (name for name, one in kernels.items() if one["spec"]["display_name"].endswith("(small)"))
        assert run_cell(hub, "import sys; print(sys.prefix)", small) == prefix
        choose = "reticulate::use_condaenv('small'); cat(reticulate::py_config()$python)"
        assert run_cell(hub, choose, "ir").splitlines()[-1] == f"{prefix}/bin/python"
        assert [one for one in do_after(hub) if one.problem] == []
    assert 0 < outage.longest() <= OUTAGE_SECONDS


def test_the_image_holds_no_secret(stack: Stack) -> None:
    machine = stack.machine()
    data = client("ec2").describe_instance_attribute(InstanceId=machine["InstanceId"], Attribute="userData")
    assert not data["UserData"].get("Value")
    state = "".join(path.read_text() for path in _state_files(stack))
    assert machine["InstanceId"] in state
    for password in stack.passwords().values():
        assert password not in state


def _state_files(stack: Stack) -> list[Path]:
    return [path for path in stack.dir.rglob("*") if path.is_file() and path.stat().st_size < 10**7]


def test_check_mode_lists_what_would_be_destroyed(stack: Stack) -> None:
    planned = stack.check("destroy").planned
    assert planned["machine"] == "5 to destroy"
    assert planned["network"].endswith(" to destroy")
    # The configuration and the status; what is of users lives as long as their homes.
    assert planned["parameters"] == "2 to remove"
    assert planned["homes"].startswith("nothing: they are kept")
    assert planned["images"].startswith("nothing: they are kept")


def test_destroy_keeps_the_volume_and_the_images(stack: Stack, tmp_path: Path) -> None:
    passwords = stack.passwords()
    with signed_in(stack, tmp_path) as hub:
        change_password(hub, passwords["alice"], OWN)
        run_cell(hub, "import os; open('uid.txt', 'w').write(str(os.getuid()))")
    stack.play("destroy", ds_stack_replace="now")  # alice was at work a moment ago
    left = stack.left()
    assert left.keys() <= {"volume", "image", "snapshot", "parameter", "role"}
    assert [role.endswith("-backups") for role in left["role"]] == [True]
    assert stack.passwords() == passwords
    assert len(left["volume"]) == 1
    assert len(left["image"]) == 2


def test_the_homes_are_found_again_from_another_folder(stack: Stack, tmp_path: Path) -> None:
    """By a colleague with the team's file, to whom the name alone tells what there is."""
    there, passwords = stack.left(), stack.passwords()
    (volume,) = there["volume"]
    looked = Stack(stack.name, _empty(tmp_path / "looks")).play("status").text
    assert f"{stack.name}: no machine\n" in looked
    assert f"  Homes        {volume}, " in looked
    stack.variables["ds_stack_users"] = [{"name": "alice"}, {"name": "bob"}]
    colleague = Stack(stack.name, _empty(tmp_path / "makes"), stack.variables)
    # The lock lies with the team's file. Who has not got it makes no other image by oversight.
    nowhere = f"{colleague.folder}/ds_stack.lock.yml"
    refused, _ = (run := colleague.begin("site", ds_stack_lock_file=nowhere)).communicate()
    assert run.returncode == 2
    assert f"Nothing was baked. There is no {nowhere}, and e2e-" in " ".join(refused.split())
    colleague.play("site")
    assert volume in stack.left()["volume"]
    assert stack.left()["image"] == there["image"]
    assert stack.passwords() == passwords, "also bob's, who was not named for a while"
    with pytest.raises(jupyterhub.SignInRefusedError):
        hub_of(stack, tmp_path).sign_in("alice", passwords["alice"])
    with signed_in(stack, tmp_path, password=OWN) as hub:
        assert run_cell(hub, "print(open('note.txt').read())") == NOTE
        uids = "import os; print(os.getuid(), os.stat('note.txt').st_uid, open('uid.txt').read())"
        assert len({*run_cell(hub, uids).split()}) == 1


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_user_who_fills_the_volume_keeps_nobody_else_from_work(stack: Stack, tmp_path: Path) -> None:
    fill = """
import os
size, end = 1 << 40, 0
with open("all.bin", "wb") as file:
    while size:
        try:
            os.posix_fallocate(file.fileno(), end, size)
            end += size
        except OSError:
            size //= 2
print(os.statvfs(".").f_bavail)
"""
    with signed_in(stack, tmp_path, password=OWN) as hub:
        assert run_cell(hub, fill) == "0"
    with signed_in(stack, tmp_path, "bob") as hub:
        assert run_cell(hub, "print(6 * 7)") == "42"
    end = time.monotonic() + 120
    while stack.reported()["state"] == "ready":
        assert time.monotonic() < end
        time.sleep(2)
    looking = stack.begin("status")
    said, _ = looking.communicate()
    assert looking.returncode == 2
    assert f"{stack.name}: not well\n" in said
    told = " ".join(said.split())
    assert f"{stack.name} is not well. " in told
    assert "data volume: /data is full: 0 MiB are left for users" in told
    with signed_in(stack, tmp_path, password=OWN) as hub:
        run_cell(hub, "import os; os.remove('all.bin')")


def test_destroy_leaves_nothing_but_a_final_snapshot(stack: Stack, tmp_path: Path) -> None:
    everything: dict[str, Any] = {"ds_stack_destroy_data": True, "ds_stack_destroy_images": True}
    said = stack.play("destroy", ds_stack_replace="now", **everything).text
    left = stack.left()
    assert left.keys() == {"snapshot"}
    (made,) = client("ec2").describe_snapshots(SnapshotIds=left["snapshot"])["Snapshots"]
    assert made["State"] == "completed"
    assert {"Key": "ds-stack:purpose", "Value": "final"} in made["Tags"]
    found = said.partition("What the account still has of it, why, and what to do:\n")[2]
    assert re.findall(r"^  (\S.{16}) (\S+)$", found, re.MULTILINE) == [
        ("snapshot         ", made["SnapshotId"])
    ]
    client("ec2").delete_snapshot(SnapshotId=made["SnapshotId"])
    audited = Stack(stack.name, _empty(tmp_path / "looks")).play("audit").text
    assert f"There is nothing of {stack.name} in " in audited
