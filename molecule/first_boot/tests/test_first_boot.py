"""A machine's life: boots, users who come and go, a new image, the wrong volume. In this order."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from machines import FOREIGN_VOLUME, Machine, Operator
from passlib.hash import sha512_crypt

PROGRAM = "ds-stack-init"
WRITTEN = "/etc/passwd /etc/shadow /etc/group /data/state/users.json /data/state/tls/cert.pem /run/ds-stack"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SSH key of alice's."""
    path = tmp_path_factory.mktemp("ssh") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def ssh(machine: Machine, key: Path, user: str) -> int:
    options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    command = ["ssh", *options, "-i", str(key), f"{user}@{machine.address}", "test $(id -un) = " + user]
    return subprocess.run(command, capture_output=True, check=False).returncode


def users(key: Path) -> list[str | dict[str, object]]:
    """alice, with her key, and bob; both have more keys than one parameter could hold with all the rest."""
    long = [f"ssh-rsa {'A' * 740} laptop-{number}" for number in range(4)]
    mine = key.with_suffix(".pub").read_text().strip()
    return [{"name": "alice", "ssh_keys": [*long, mine]}, {"name": "bob", "ssh_keys": long}]


def test_machine_that_bakes_is_left_alone(machine: Machine) -> None:
    machine.metadata(**{"tags/instance/ds-stack:part": "bake"})
    machine.reboot()
    assert "nothing to do" in machine.run("journalctl -u ds-stack-init")
    assert not machine.host.file("/data").exists
    machine.metadata()


def test_first_boot(machine: Machine, operator: Operator, key: Path) -> None:
    version = operator.configure(users(key))
    machine.reboot()
    result = operator.wait_until_ready(version)
    assert [(one["name"], one["ok"]) for one in result["status"]["checks"]] == [
        ("hub", True),
        ("nginx", True),
        ("data volume", True),
        ("system disk", True),
        ("guard", True),
    ]
    assert result["status"]["image_id"] == "ami-0123456789abcdef0"
    assert result["status"]["boot_id"] == machine.run("cat /proc/sys/kernel/random/boot_id")


def test_volume(machine: Machine) -> None:
    assert machine.run("findmnt -no SOURCE,FSTYPE /data").split() == ["/dev/nvme1n1", "ext4"]
    assert machine.run("blkid -p -s LABEL -o value /dev/nvme1n1") == "ds-data"
    state = machine.host.file("/data/state")
    assert (state.user, state.mode) == ("root", 0o700)
    assert "/data/state/hub" not in machine.run("ls -a /data")
    assert machine.run("findmnt -no FSROOT /var/lib/hub") == "/state/hub"


def test_users(machine: Machine, operator: Operator) -> None:
    for user, uid in (("alice", 2000), ("bob", 2001)):
        found = machine.host.user(user)
        assert (found.uid, found.gid, found.home) == (uid, uid, f"/data/home/{user}")
        assert "ds-users" in found.groups
        home = machine.host.file(f"/data/home/{user}")
        assert (home.user, home.group, home.mode) == (user, user, 0o700)
        assert machine.host.file(f"/data/home/{user}/.bashrc").user == user
        assert sha512_crypt.verify(operator.password(user), machine.shadow(user))
    assert machine.host.file("/data/state/users.json").mode == 0o600


def test_ssh_key(machine: Machine, key: Path) -> None:
    assert ssh(machine, key, "alice") == 0
    assert ssh(machine, key, "bob") != 0
    assert machine.run("grep -c ssh-rsa /etc/ds-stack/authorized_keys/bob") == "4"


def test_who_signed_in_is_kept_on_the_volume(machine: Machine, key: Path) -> None:
    """And who was refused; not what users say who have not."""
    machine.run("runuser -u alice -- logger -p authpriv.info 'Accepted publickey for root from 192.0.2.1'")
    machine.run("logger -p authpriv.info -t sudo 'said by root'")
    for _ in range(2):
        machine.refresh()
    log = machine.host.file("/data/state/sign-ins.log")
    lines = log.content_string.splitlines()
    assert (log.user, log.mode) == ("root", 0o600)
    assert len([line for line in lines if "Accepted publickey for alice from" in line]) == 1
    assert len([line for line in lines if "closed by authenticating user bob" in line]) == 1
    assert len([line for line in lines if line.endswith("said by root")]) == 1
    assert not [line for line in lines if "192.0.2.1" in line]
    assert ssh(machine, key, "alice") == 0  # seconds before the machine stops
    machine.reboot()
    lines = machine.host.file("/data/state/sign-ins.log").content_string.splitlines()
    assert len([line for line in lines if "Accepted publickey for alice from" in line]) == 2


def test_sshd_takes_no_password(machine: Machine) -> None:
    """Whatever the base image has set in a file that comes later."""
    machine.run("echo 'PasswordAuthentication yes' > /etc/ssh/sshd_config.d/50-cloud-init.conf")
    options = machine.run("sshd -T").splitlines()
    machine.run("rm /etc/ssh/sshd_config.d/50-cloud-init.conf")
    assert {"passwordauthentication no", "kbdinteractiveauthentication no"} <= set(options)


def test_another_key_is_there_when_the_machine_is_ready(
    machine: Machine, operator: Operator, key: Path
) -> None:
    alice = users(key)[0]
    assert isinstance(alice, dict)
    version = operator.configure([alice, {"name": "bob", "ssh_keys": alice["ssh_keys"]}])
    machine.refresh()
    assert operator.wait_until_ready(version)["ready"]
    assert ssh(machine, key, "bob") == 0
    version = operator.configure(users(key))
    machine.refresh()
    assert operator.wait_until_ready(version)["ready"]
    assert ssh(machine, key, "bob") != 0


def test_service_started_after_the_users_were_made(machine: Machine) -> None:
    assert machine.run("cat /data/state/hub/started").splitlines()[-1].endswith(":alice,bob")


def test_proxy_speaks_tls_with_the_machines_certificate(machine: Machine) -> None:
    certificate = machine.run("cat /etc/ds-stack/tls/cert.pem")
    assert machine.host.file("/etc/ds-stack/tls/cert.pem").linked_to == "/data/state/tls/cert.pem"
    assert machine.host.file("/data/state/tls/key.pem").mode == 0o600
    context = ssl.create_default_context(cadata=certificate)
    context.check_hostname = False  # the certificate is for the address that EC2 would have given
    with urllib.request.urlopen(f"https://{machine.address}:8000/", context=context) as answer:
        assert answer.status == 200
    names = machine.run("openssl x509 -in /etc/ds-stack/tls/cert.pem -noout -ext subjectAltName")
    assert "IP Address:10.77.0.10" in names


def test_refresh_without_news_changes_nothing(machine: Machine) -> None:
    look = f"stat --format '%n %i %y %z' {WRITTEN}"
    before, said = machine.run(look), machine.run("journalctl -u ds-stack-init-refresh")
    machine.refresh()
    assert machine.run(look) == before
    assert machine.run("journalctl -u ds-stack-init-refresh") == said


def test_reboot_keeps_everything(machine: Machine, operator: Operator) -> None:
    look = "cat /etc/passwd /etc/shadow /data/state/users.json /data/state/tls/cert.pem"
    before = machine.run(look)
    machine.reboot()
    assert operator.wait_until_ready(1)["ready"]
    assert machine.run(look) == before


def test_changed_password_survives_a_new_image(machine: Machine, operator: Operator) -> None:
    machine.run("echo alice:Mine-alone-9 | chpasswd")
    machine.refresh()
    machine.run("echo bob:Mine-too-99 | chpasswd")  # seconds before the machine goes
    mine = machine.shadow("alice"), machine.shadow("bob")
    machine.run("echo precious > /data/home/alice/file && chown alice: /data/home/alice/file")
    # The new image has an account of its own where a new user's uid would be.
    machine.run("useradd --uid 2002 --no-create-home inbetween")
    machine.become_new_image()
    assert operator.wait_until_ready(1)["ready"]
    assert (machine.shadow("alice"), machine.shadow("bob")) == mine
    assert machine.host.user("alice").uid == 2000
    assert machine.host.file("/data/home/alice/file").user == "alice"
    assert "making the account of alice" in machine.run("journalctl -u ds-stack-init")


def test_rotation_sets_the_password_once(machine: Machine, operator: Operator, key: Path) -> None:
    version = operator.configure(users(key), rotate=["alice"])
    machine.refresh()
    operator.wait_until_ready(version)
    assert sha512_crypt.verify(operator.password("alice"), machine.shadow("alice"))
    machine.run("echo alice:Mine-again-9 | chpasswd")
    mine = machine.shadow("alice")
    machine.refresh_in_full()
    assert machine.shadow("alice") == mine


def test_removed_user_is_out_at_once(machine: Machine, operator: Operator, key: Path) -> None:
    machine.run("systemd-run --uid=alice sleep 1000")
    version = operator.configure(["bob"])
    machine.refresh()
    operator.wait_until_ready(version)
    assert machine.host.run("pgrep -u alice").stdout == ""
    assert ssh(machine, key, "alice") != 0
    assert machine.shadow("alice").startswith("!")
    assert machine.host.user("alice").shell == "/usr/sbin/nologin"
    assert "ds-users" not in machine.host.user("alice").groups
    assert machine.host.user("alice").expiration_date is not None
    assert machine.run("cat /data/home/alice/file") == "precious"
    assert machine.host.user("bob").shell == "/bin/bash"


def test_user_comes_back(machine: Machine, operator: Operator, key: Path) -> None:
    version = operator.configure([*users(key), "carol"])
    machine.refresh()
    operator.wait_until_ready(version)
    assert sha512_crypt.verify(operator.password("alice"), machine.shadow("alice"))
    assert ssh(machine, key, "alice") == 0
    assert machine.host.user("alice").uid == 2000
    # 2002 is taken on this image.
    assert machine.host.user("carol").uid == 2003


def test_tls_can_be_switched_off(machine: Machine, operator: Operator, key: Path) -> None:
    version = operator.configure(users(key), tls="none")
    machine.refresh()
    operator.wait_until_ready(version)
    with urllib.request.urlopen(f"http://{machine.address}:8000/") as answer:
        assert answer.status == 200


def test_new_address_gets_a_new_certificate(machine: Machine, operator: Operator, key: Path) -> None:
    version = operator.configure(users(key))
    machine.refresh()
    operator.wait_until_ready(version)
    machine.metadata(**{"public-ipv4": "198.51.100.7"})
    machine.refresh()
    names = machine.run("openssl x509 -in /etc/ds-stack/tls/cert.pem -noout -ext subjectAltName")
    assert "IP Address:198.51.100.7" in names


def test_missing_service_is_told(machine: Machine, operator: Operator) -> None:
    machine.run("systemctl stop hub")
    machine.host.run(f"{PROGRAM} check")
    status = operator.status()
    assert status["state"] == "failed"
    assert status["checks"][0] == {"name": "hub", "ok": False, "detail": "the unit is inactive"}
    machine.run("systemctl start hub")
    machine.refresh()
    assert operator.status()["state"] == "ready"


def test_stop_is_told(machine: Machine, operator: Operator) -> None:
    machine.run("systemctl stop ds-stack-init")
    assert operator.status()["state"] == "stopped"


def test_volume_with_something_on_it_is_refused(machine: Machine, operator: Operator, key: Path) -> None:
    device = "/dev/nvme2n1"
    contents = {
        f"printf x | dd of={device} bs=1 seek=70000 conv=notrunc": "is neither blank nor",
        f"mkswap {device}": "holds swap",
        f"mkfs.ext4 -q -L other {device}": "not labelled ds-data",
    }
    operator.configure(users(key), volume=FOREIGN_VOLUME)
    for number, (make, told) in enumerate(contents.items()):
        machine.run(make)
        before = machine.run(f"sha256sum {device}")
        if number == 0:
            machine.reboot()
        else:
            machine.refresh()  # what has failed is tried again
        status = operator.status()
        assert status["state"] == "failed"
        assert told in status["message"]
        assert machine.run(f"sha256sum {device}") == before
        assert not machine.host.service("hub").is_running
        assert not machine.host.service("nginx").is_running


def test_one_that_stands_by_waits_for_its_turn(machine: Machine, operator: Operator, key: Path) -> None:
    """Also longer than for a volume that should be there; then it goes by the configuration of the time."""
    machine.metadata(**{"tags/instance/ds-stack:active": "false"})
    operator.configure(users(key), volume="vol-00000000")
    machine.run("systemctl start --no-block ds-stack-init-refresh.service")
    assert operator.wait_until_it_stands_by()["status"]["state"] == "waiting"
    time.sleep(5)
    assert operator.status()["state"] == "waiting"
    version = operator.configure(users(key))
    machine.metadata()
    assert operator.wait_until_ready(version)["ready"]
    assert machine.host.service("hub").is_running


def test_missing_volume_is_told(machine: Machine, operator: Operator, key: Path) -> None:
    operator.configure(users(key), volume="vol-00000000")
    machine.refresh()
    status = operator.status()
    assert status["state"] == "failed"
    assert "vol-00000000 did not show up within 3 seconds" in status["message"]


def test_machine_mends_itself_once_the_cause_is_gone(machine: Machine, operator: Operator, key: Path) -> None:
    version = operator.configure(users(key))
    machine.refresh()
    assert operator.wait_until_ready(version)["ready"]
    assert machine.host.service("hub").is_running


def test_nothing_secret_is_logged(machine: Machine, operator: Operator) -> None:
    registry = json.loads(machine.run("cat /data/state/users.json"))["users"]
    secrets = [operator.password(user) for user in ("alice", "bob")] + [
        one["password"] for one in registry.values()
    ]
    said = machine.journal() + json.dumps(operator.status())
    assert "set the passwords of alice, bob" in said
    assert not [secret for secret in secrets if secret in said]
