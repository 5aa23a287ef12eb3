"""What goes wrong on a machine in use: who is told what, who is stopped by it, and what mends itself.

After test_first_boot.py, on the same machine. Nothing boots it but what says so: the timer's work is enough.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from machines import FOLDER, FOREIGN_VOLUME, Machine, Operator
from passlib.hash import sha512_crypt

from tests.faults.matrix import shown

GUARD = "ds-stack-guard"
CAP_SYS_RESOURCE = 24
# Each of its processes lives for a moment: whoever looks for them one by one is always too late.
FORK_LOOP = "perl -e 'while (1) { exit if fork }'"


def checks(status: dict[str, Any]) -> dict[str, str]:
    """What is wrong: name → how it shows."""
    return {one["name"]: one["detail"] for one in status["checks"] if not one["ok"]}


def eventually(look: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end
        time.sleep(0.5)


@pytest.fixture(autouse=True)
def well(machine: Machine, operator: Operator) -> None:
    """Every test begins with a machine that is well, with alice and bob, whatever the one before has left."""
    machine.run("rm -rf /data/home/*/all-* /data/home/alice/many")
    refresh(machine, operator, ["alice", "bob"])


def refresh(machine: Machine, operator: Operator, users: list[str]) -> dict[str, Any]:
    """Let these be the users, and return what the machine says a minute later, which is ready."""
    version = operator.configure(users)
    machine.refresh()
    status: dict[str, Any] = operator.wait_until_ready(version)["status"]
    return status


def reaches_metadata(machine: Machine, user: str) -> bool:
    command = "curl --silent --output /dev/null --max-time 5 http://169.254.169.254/"
    return machine.host.run(f"runuser -u {user} -- {command}").rc == 0


# The minute's state


def test_status_is_the_minutes(machine: Machine, operator: Operator) -> None:
    before = operator.status()
    time.sleep(1.1)
    machine.refresh()
    after = operator.status()
    assert after["time"] > before["time"]
    # A disk's detail is how full it is, which moves from minute to minute.
    moves = ("time", "checks")
    assert {**after, **dict.fromkeys(moves)} == {**before, **dict.fromkeys(moves)}
    assert [(one["name"], one["ok"]) for one in after["checks"]] == [
        ("hub", True),
        ("nginx", True),
        ("data volume", True),
        ("system disk", True),
        ("guard", True),
    ]


def test_who_is_at_work(machine: Machine, operator: Operator) -> None:
    """Whose process computes, outside of a server of JupyterHub, and whose server tells so."""
    machine.run("systemd-run --unit=works --uid=alice perl -e 'while (1) {}'")
    machine.run("systemd-run --unit=waits --uid=bob sleep 1000")
    told = "/run/jupyter/bob"
    doing = '{"doing": ["kernel ir"], "last": 0}'
    machine.run(f"mkdir -p {told} && echo '{doing}' >{told}/at-work.json && chown -R bob {told}")
    time.sleep(2)
    try:
        machine.refresh()
        at_work = operator.status()["at_work"]
    finally:
        machine.run(f"systemctl stop works waits; rm -r {told}")
    assert at_work == [{"name": "alice", "doing": "perl"}, {"name": "bob", "doing": "kernel ir"}]
    machine.refresh()
    assert operator.status()["at_work"] == []


# Services


def test_service_that_was_stopped_is_started(machine: Machine, operator: Operator) -> None:
    for name in ("hub", "nginx"):
        machine.run(f"systemctl stop {name}")
    machine.refresh()
    assert operator.status()["state"] == "ready"
    assert machine.host.service("hub").is_running
    assert "starting nginx, which was inactive" in machine.journal()


def test_killed_service_comes_back_by_itself(machine: Machine) -> None:
    for name in ("hub", "nginx"):
        machine.run(f"systemctl kill --signal KILL {name}")
    for name in ("hub", "nginx"):
        eventually(lambda name=name: machine.host.service(name).is_running, 20)


def _told(machine: Machine, operator: Operator) -> str | None:
    """What is wrong with the hub as the status of a moment ago has it."""
    machine.host.run("ds-stack-init check")
    status = operator.status()
    return checks(status).get("hub") if status["state"] == "failed" else None


def test_service_outlasts_who_holds_its_port(machine: Machine, operator: Operator) -> None:
    """For longer than any limit of starts; it is told meanwhile, and needs nobody afterwards."""
    machine.run("systemctl stop hub")
    machine.run("systemd-run --unit thief --uid alice python3 -m http.server --bind 127.0.0.1 18000")
    try:
        eventually(lambda: ":18000" in machine.run("ss -Hltn"), 10)
        machine.host.run("timeout 5 systemctl start hub")
        time.sleep(22)
        assert int(machine.run("systemctl show hub --property NRestarts --value")) >= 2
        # While it tries again, it counts as running for a moment.
        eventually(lambda: _told(machine, operator) == "the unit is activating", 20)
        read, left = operator.told()
    finally:
        machine.run("systemctl stop thief")
    eventually(lambda: machine.host.service("hub").is_running, 15)
    shown(
        "a user's process holds a service's port while it starts",
        stack="demo",
        read=read,
        left=left,
        then="has nothing to mend: the service is started again and again, until it runs",
    )


# The guard


@pytest.mark.parametrize(
    "opening",
    [
        "nft flush ruleset",
        "nft delete table inet ds_stack_guard",
        "nft flush chain inet ds_stack_guard output",
        "nft insert rule inet ds_stack_guard output meta skuid alice accept",
    ],
)
def test_guard_is_restored_and_told(machine: Machine, operator: Operator, opening: str) -> None:
    hub = machine.run("systemctl show hub --property MainPID")
    assert not reaches_metadata(machine, "alice")
    machine.run(opening)
    assert reaches_metadata(machine, "alice")
    machine.host.run("ds-stack-init check")
    assert checks(operator.status())["guard"].endswith(" reaches the metadata service")
    machine.refresh()
    assert not reaches_metadata(machine, "alice")
    status = operator.status()
    assert status["state"] == "ready"
    detail = next(one["detail"] for one in status["checks"] if one["name"] == "guard")
    assert re.fullmatch(r"closed again; users came through it at [-0-9]+T[:0-9]+Z", detail)
    assert "the guard is loaded again" in machine.journal()
    assert machine.run("systemctl show hub --property MainPID") == hub


@pytest.mark.parametrize(
    ("opening", "told"),
    [
        ("nft flush chain inet ds_stack_guard answers", " reaches the ports of others"),
        ("mount -o remount,hidepid=0 /proc", " sees the processes of others"),
        ("mount -o remount,hidepid=noaccess /proc", " sees the processes of others"),
    ],
)
def test_guard_between_users_is_restored_and_told(
    machine: Machine, operator: Operator, opening: str, told: str
) -> None:
    machine.run(opening)
    machine.host.run("ds-stack-init check")
    assert checks(operator.status())["guard"].endswith(told)
    machine.refresh()
    machine.host.run("ds-stack-init check")
    assert "guard" not in checks(operator.status())


def test_nothing_serves_without_the_guard(machine: Machine, operator: Operator) -> None:
    machine.run("mv /etc/ds-stack/guard.nft /root/")
    machine.run(f"systemctl stop {GUARD}")
    assert not machine.host.service("hub").is_running
    assert not machine.host.service("nginx").is_running
    machine.refresh()
    assert not machine.host.service("hub").is_running
    read, left = operator.told()
    found = checks(operator.status())
    assert found["hub"] == "the unit is inactive"
    assert found["guard"].endswith(" reaches the metadata service")
    machine.run("mv /root/guard.nft /etc/ds-stack/")
    machine.refresh()
    assert operator.status()["state"] == "ready"
    assert machine.host.service("hub").is_running
    assert not reaches_metadata(machine, "bob")
    shown(
        "the guard of the metadata service is gone, with its file",
        stack="demo",
        read=read,
        left=left,
        then="has nothing to mend: within a minute of the file's return all of it runs again",
    )


# Users


def start_fork_loop(machine: Machine) -> None:
    """Start one of bob's. All its processes hold the lock, which tells whether one of them is left."""
    machine.run("touch /run/fork-loop && chown bob /run/fork-loop")
    machine.run(
        f"systemd-run --collect --uid bob --property KillMode=none flock --no-fork /run/fork-loop {FORK_LOOP}"
    )
    eventually(lambda: fork_loop_runs(machine), 5)


def fork_loop_runs(machine: Machine) -> bool:
    return machine.host.run("flock --nonblock /run/fork-loop true").rc != 0


def test_removed_users_fork_loop_ends(machine: Machine, operator: Operator) -> None:
    machine.run("loginctl enable-linger bob || true")
    start_fork_loop(machine)
    refresh(machine, operator, ["alice"])
    assert not fork_loop_runs(machine)
    assert machine.run("ps -o pid= -u bob || true") == ""


def test_removed_user_is_looked_for_again(machine: Machine, operator: Operator) -> None:
    refresh(machine, operator, ["alice"])
    machine.run("systemd-run --collect --uid bob sleep 1000")
    start_fork_loop(machine)
    machine.host.run("ds-stack-init check")
    assert re.fullmatch(r"still runs \d processes", checks(operator.status())["removed user bob"])
    machine.refresh()
    assert not fork_loop_runs(machine)
    assert machine.run("ps -o pid= -u bob || true") == ""
    assert operator.status()["state"] == "ready"


def test_error_about_one_user_stops_nobody_else(machine: Machine, operator: Operator) -> None:
    """A name of the system's, and a home of somebody else's, beside all that can be done for the others."""
    machine.run("useradd --system taken && mkdir -p /data/home/dora && chown root /data/home/dora")
    version = operator.configure(["taken", "alice", "dora", "erin"], rotate=["alice"])
    machine.refresh()
    status = operator.status()
    assert status["state"] == "failed"
    found = checks(status)
    assert found["user taken"].startswith("The image itself has an account 'taken'")
    assert found["user dora"].startswith("The home of 'dora' belongs to uid 0, and the user has uid 20")
    assert set(found) == {"user taken", "user dora"}
    read, left = operator.told()
    assert machine.shadow("bob").startswith("!")
    assert machine.host.user("erin").home == "/data/home/erin"
    assert machine.host.file("/data/home/erin/.bashrc").user == "erin"
    assert sha512_crypt.verify(operator.password("alice"), machine.shadow("alice"))
    machine.run("userdel taken; rm -rf /data/home/dora")
    machine.refresh()
    assert operator.wait_until_ready(version)["ready"]
    assert machine.host.file("/data/home/dora/.bashrc").user == "dora"
    shown(
        "two of the users cannot be made: one has a name of the system's, one a home that is somebody else's",
        stack="demo",
        read=re.sub(r"\b20\d\d\b", "…", read),
        left=f"{left}; new users, new passwords and removals of all the others are done",
        then="has nothing to mend: within a minute of the causes' end these two are there",
    )


@pytest.mark.parametrize(
    "damage", ["printf '\\377\\000'", 'echo \'{"schema": 1, "users": {"bob": 7}}\'', "true"]
)
def test_damaged_registry_stops_nobody(machine: Machine, operator: Operator, damage: str) -> None:
    machine.run("echo alice:Mine-alone-7 | chpasswd")
    mine, uid = machine.shadow("alice"), machine.host.user("alice").uid
    machine.run(f"{damage} > /data/state/users.json")
    version = operator.configure(["alice", "frida"])
    machine.refresh()
    assert operator.wait_until_ready(version)["ready"]
    assert machine.shadow("bob").startswith("!")
    assert (machine.shadow("alice"), machine.host.user("alice").uid) == (mine, uid)
    assert sha512_crypt.verify(operator.password("frida"), machine.shadow("frida"))
    known = json.loads(machine.run("cat /data/state/users.json"))["users"]
    assert {"alice", "bob", "frida"} <= set(known)
    assert known["alice"]["password"] == mine


def test_no_inodes_stop_nobody_else(machine: Machine, operator: Operator) -> None:
    fill = "import itertools\nfor n in itertools.count(): open(f'/data/home/alice/many/{n}', 'w').close()"
    machine.run("runuser -u alice mkdir /data/home/alice/many")
    machine.host.run(f'runuser -u alice -- python3 -c "{fill}"')
    assert machine.run("stat --file-system --format %d /data") == "0"
    operator.configure(["alice", "greta"], rotate=["alice"])
    machine.refresh()
    read, left = operator.told()
    found = checks(operator.status())
    assert found["data volume"] == "/data has no inodes: room for 0 more files is left"
    assert found["user greta"].startswith("The home of greta cannot be made: No space left on device")
    assert machine.shadow("bob").startswith("!")
    issued = machine.shadow("alice")
    assert sha512_crypt.verify(operator.password("alice"), issued)
    assert json.loads(machine.run("cat /data/state/users.json"))["users"]["alice"]["password"] == issued
    machine.run("rm -r /data/home/alice/many")
    machine.refresh()
    assert operator.status()["state"] == "ready"
    assert machine.host.file("/data/home/greta/.bashrc").user == "greta"
    shown(
        "a user makes files until there is no inode left, and a new user has no home yet",
        stack="demo",
        read=read,
        left=f"{left}; removals and new passwords are done, and kept",
        then="has nothing to mend: within a minute of the files' end the new user has a home",
    )


# The volume


def test_full_volume_is_told_and_leaves_room_for_root(machine: Machine, operator: Operator) -> None:
    for size in ("1M", "1k"):
        machine.host.run(f"runuser -u alice -- dd if=/dev/zero of=/data/home/alice/all-{size} bs={size}")
    assert (
        machine.host.run("runuser -u bob -- dd if=/dev/zero of=/data/home/bob/all-4k bs=4k count=1").rc != 0
    )
    machine.run("systemctl stop hub")
    machine.run("echo bob:Mine-own-77 | chpasswd")
    machine.refresh()
    status = operator.status()
    assert checks(status)["data volume"].startswith("/data is full: 0 MiB are left for users")
    # The service has started and written to its state, as has this program.
    assert machine.host.service("hub").is_running
    known = json.loads(machine.run("cat /data/state/users.json"))["users"]
    assert known["bob"]["password"] == machine.shadow("bob")
    machine.run("dd if=/dev/zero of=/data/state/hub/database bs=1M count=8 conv=fsync")
    # And with the next minute, who has most of it.
    machine.run("systemctl start ds-stack-shares")
    machine.refresh()
    read, left = operator.told()
    assert re.search(r"are left for users: alice \d+ [MG]iB", read)
    notice = machine.run("su --login bob --command 'bash -i -l -c true' </dev/null")
    assert re.search(r"^/data is 100% full\. Most of it have alice \d+ [MG]iB\b", notice, re.MULTILINE)
    machine.run("rm /data/home/*/all-* /data/state/hub/database")
    machine.refresh()
    assert operator.status()["state"] == "ready"
    assert not machine.host.file("/run/ds-stack/notice").exists
    shown(
        "a user fills the data volume",
        stack="demo",
        read=re.sub(r"(?<=alice )\d+ [MG]iB", "… MiB", read),
        left=f"{left}; room for the services' own state",
        then="has nothing to mend: within a minute of the files' end the machine is ready",
    )


BACK = {"volume_id": FOREIGN_VOLUME, "user": "alice", "folder": "restored-2026-11-28-03-00"}


def restored(machine: Machine, operator: Operator) -> dict[str, Any]:
    """Let the minutes pass until it is over; what the machine says of it."""
    for _minute in range(5):
        machine.refresh()  # which also waits for the copy that it has begun
        found: dict[str, Any] = operator.status()["restore"]
        if found["state"] in ("done", "failed"):
            return found
    raise AssertionError(found)


def test_home_of_a_snapshot_beside_the_living_one(machine: Machine, operator: Operator) -> None:
    """On a second volume, which is the data volume as it was: the same label and UUID, and not unmounted."""
    assert operator.status()["restore"] is None
    home = "/data/home/alice"
    back = f"{home}/{BACK['folder']}"
    machine.run(f"install -d -o alice -g alice -m 750 {home}/paper && echo then >{home}/paper/notes")
    machine.run(f"ln -sf /etc/shadow {home}/paper/link && chown -h alice:alice {home}/paper/* && sync")
    # Past what the kernel remembers of either disk.
    copy = "dd if=/dev/nvme1n1 of=/dev/nvme2n1 bs=4M iflag=direct oflag=direct"
    machine.run(f"fsfreeze --freeze /data; {copy}; fsfreeze --unfreeze /data")
    machine.run(f"echo now >{home}/paper/notes")
    files = f"find /data/home -path {back} -prune -o -type f -printf '%p %m %u %s %T@ %C@;'"
    before = machine.run(files)
    # Killed in the middle, it is begun again by the next minute; what was mounted is so no more.
    version = operator.configure(["alice", "bob"], restore_home=BACK)
    machine.run(
        "mv /usr/bin/cp /usr/bin/cp.real; printf '#!/bin/sh\\nsleep 1357' >/usr/bin/cp; chmod 755 /usr/bin/cp"
    )
    try:
        machine.run("systemctl start ds-stack-init-refresh.service")
        eventually(lambda: machine.host.run("pgrep --full 'sleep 1357'").rc == 0, 20)
        assert machine.host.run("findmnt /run/ds-stack/restore").rc != 0  # for nobody but the unit
        assert operator.wait_until_ready(version)["status"]["restore"]["state"] == "copying"
        machine.run("systemctl kill --signal KILL ds-stack-restore")
    finally:
        machine.run("mv /usr/bin/cp.real /usr/bin/cp")
    assert restored(machine, operator) == {
        "volume_id": FOREIGN_VOLUME,
        "user": "alice",
        "state": "done",
        "message": f"It is in {back}.",
    }
    assert machine.run(files) == before
    assert machine.run(f"cat {back}/paper/notes {home}/paper/notes").split() == ["then", "now"]
    modes = machine.run(f"stat --format '%a %U' {back} {back}/paper {back}/paper/notes {back}/paper/link")
    assert modes.splitlines() == ["700 alice", "750 alice", "644 alice", "777 alice"]
    # The volume is free to be taken off, and the living one is where it was.
    assert machine.host.run("mount -o ro /dev/nvme2n1 /mnt && umount /mnt && e2fsck -fn /dev/nvme2n1").rc == 0
    assert machine.run("findmnt -no SOURCE /data") == "/dev/nvme1n1"
    # Once more: what is there is not touched.
    refresh(machine, operator, ["alice", "bob"])
    assert operator.status()["restore"] is None
    operator.configure(["alice", "bob"], restore_home=BACK)
    found = restored(machine, operator)
    assert found["message"] == f"{back} is there already, and stays as it is: rename it, or remove it."
    assert not machine.host.file("/data/state/restore.unfinished").exists
    machine.run(f"rm -r {back} {home}/paper")


def _loop_device() -> str:
    command = ["losetup", "--associated", FOLDER / "data.img", "--noheadings", "--output", "NAME"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_volume_grows_within_a_minute(machine: Machine, operator: Operator) -> None:
    image = FOLDER / "data.img"
    larger = image.stat().st_size + 512 * 1024 * 1024
    with image.open("r+b") as file:
        file.truncate(larger)
    subprocess.run(["losetup", "--set-capacity", _loop_device()], check=True)
    machine.refresh()
    status = operator.status()
    assert status["state"] == "ready"
    details = {one["name"]: one["detail"] for one in status["checks"]}
    # Not every computer that runs these tests has the right to let a mounted file system grow.
    if int(machine.run("awk '/CapBnd/ {print $2}' /proc/1/status"), 16) >> CAP_SYS_RESOURCE & 1:
        assert "data volume's size" not in details
    else:
        assert details["data volume's size"].endswith("its file system will fill it from the next boot on")
        machine.reboot()
        assert operator.wait_until_ready(1)["ready"]
    assert int(machine.run("findmnt -bno SIZE /data")) > larger * 0.9
    assert "the file system fills /dev/nvme1n1 again" in machine.journal()


def test_error_of_the_volume_stops_writing_and_a_boot_mends_it(machine: Machine, operator: Operator) -> None:
    name = Path(_loop_device()).name
    Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("1")
    machine.refresh()
    read, left = operator.told()
    assert checks(operator.status())["data volume"] == (
        "/data is read-only after an error on it: reboot, which mends it"
    )
    assert machine.host.run("touch /data/state/x").rc != 0
    machine.reboot()
    assert operator.wait_until_ready(1)["ready"]
    assert "errors=remount-ro" in machine.run("findmnt -no OPTIONS /data")
    shown(
        "an error of the data volume's file system",
        stack="demo",
        read=read,
        left=f"{left}; nothing is written to the volume any more",
        then="has nothing to mend: a reboot does",
    )
