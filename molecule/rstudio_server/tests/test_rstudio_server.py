"""RStudio Server as its users have it, through nginx, and as systemd runs it.

The offline mirror has a stand-in for the package: what is proved here is the role's configuration, the unit,
PAM, the group and the form, not the IDE.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.host import Host

from tests.attack import listeners, origins
from tests.clients.rstudio import RStudio, SignInRefusedError

MACHINE = "ds-stack-molecule-rstudio"
PASSWORD = "open-Sesame-7"  # noqa: S105 (the one of prepare.yml)
UNIT = "rstudio-server"


@pytest.fixture(scope="module")
def certificate(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The machine's self-signed certificate, the only one that the clients here trust."""
    path = tmp_path_factory.mktemp("tls") / "cert.pem"
    path.write_text(host.file("/etc/ds-stack/tls/cert.pem").content_string)
    return path


@pytest.fixture
def browser(host: Host, certificate: Path) -> RStudio:
    """A browser that has not signed in."""
    address = next(address for address in host.interface("eth0").addresses if ":" not in address)
    return RStudio(f"https://{address}:8787", ca_file=certificate)


def show(host: Host, unit: str, name: str) -> str:
    """A property of a unit, as systemd prints it."""
    return str(host.check_output(f"systemctl show {unit} --property={name} --value"))


def role(**variables: object) -> subprocess.CompletedProcess[str]:
    """Run the role again with other variables."""
    mirror = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "mirror.yml")
    command = ["ansible-playbook", f"--inventory={MACHINE},", "--connection=community.docker.docker"]
    command += [f"--extra-vars=@{mirror}", f"--extra-vars={json.dumps(variables)}"]
    scenario = Path(__file__).parents[1]
    path = f"{scenario.parent / 'shared/bin'}{os.pathsep}{os.environ['PATH']}"  # as .config/molecule has it
    settings = {**os.environ, "PATH": path, "ANSIBLE_PIPELINING": "true"}
    playbook = str(scenario / "again.yml")
    return subprocess.run([*command, playbook], env=settings, capture_output=True, text=True, check=False)


def test_a_member_of_the_group_signs_in(browser: RStudio) -> None:
    assert "alice" in browser.sign_in("alice", PASSWORD).body
    assert browser.is_signed_in()
    assert all(cookie.secure for cookie in browser.cookies)


@pytest.mark.parametrize(
    ("user", "password"), [("alice", "wrong"), ("mallory", PASSWORD), ("root", ""), ("nobody-at-all", "x")]
)
def test_nobody_else_does(browser: RStudio, user: str, password: str) -> None:
    with pytest.raises(SignInRefusedError):
        browser.sign_in(user, password)
    assert not browser.is_signed_in()


def test_who_signs_in_or_is_refused_is_told(host: Host, browser: RStudio) -> None:
    """Who, by PAM; from where and how it ended, by nginx."""
    with pytest.raises(SignInRefusedError):
        browser.sign_in("alice", "wrong")
    browser.sign_in("alice", PASSWORD)
    told = host.check_output("journalctl --quiet --output=cat SYSLOG_FACILITY=10")
    gateway = host.check_output("ip route show default").split()[2]
    assert re.search(r'pam_succeed_if\(rstudio:account\): requirement .* was met by user "alice"', told)
    assert re.search(r"pam_unix\(rstudio:auth\): authentication failure;.* user=alice", told)
    refused, accepted = re.findall(rf"password for rstudio from {gateway}: (\d+ .*)", told)[-2:]
    assert refused != accepted
    assert PASSWORD not in told


def test_who_leaves_the_group_is_out_though_signed_in(host: Host, browser: RStudio) -> None:
    """So does the machine lock out a user who was removed."""
    browser.sign_in("alice", PASSWORD)
    host.check_output("gpasswd --delete alice ds-users")
    try:
        assert not browser.is_signed_in()
        with pytest.raises(SignInRefusedError):
            browser.sign_in("alice", PASSWORD)
    finally:
        host.check_output("gpasswd --add alice ds-users")


def test_only_nginx_is_reachable_from_outside(host: Host) -> None:
    assert host.socket("tcp://127.0.0.1:987").is_listening
    assert host.socket("tcp://0.0.0.0:8787").is_listening
    assert not host.socket("tcp://0.0.0.0:987").is_listening


def test_no_user_listens_in_the_servers_place(host: Host) -> None:
    listen = "import socket; socket.socket().bind(('127.0.0.1', 987))"
    assert "PermissionError" in host.run(f'runuser -u alice -- python3 -c "{listen}"').stderr


def test_a_taken_port_puts_the_server_out_for_its_time_alone(host: Host) -> None:
    host.check_output(f"systemctl stop {UNIT}")
    host.check_output("systemd-run --collect --unit thief python3 -m http.server --bind 127.0.0.1 987")
    try:
        wait_for(lambda: host.socket("tcp://127.0.0.1:987").is_listening, 10)
        host.run(f"timeout 5 systemctl start {UNIT}")
        wait_for(lambda: int(show(host, UNIT, "NRestarts")) > 2, 40)
        assert show(host, UNIT, "ActiveState") == "activating"
    finally:
        host.check_output("systemctl stop thief")
    wait_for(lambda: host.service(UNIT).is_running, 20)


def wait_for(look: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end
        time.sleep(0.5)


def processes(host: Host, name: str, user: str) -> list[int]:
    """Return the user's processes of this name."""
    return [int(pid) for pid in host.run(f"pgrep --uid {user} {name}").stdout.split()]


@pytest.fixture(scope="module", autouse=True)
def sessions(host: Host) -> None:
    """The package of the stand-in has no sessions where the real one has them."""
    host.check_output("install /usr/lib/rstudio-server/standin/rsession /usr/lib/rstudio-server/bin/rsession")


def session_of(host: Host, browser: RStudio, user: str) -> int:
    """Sign in and return the process of the session that runs then."""
    browser.sign_in(user, PASSWORD)
    browser.get("/")
    wait_for(lambda: bool(processes(host, "rsession", user)), 20)
    (pid,) = processes(host, "rsession", user)
    return pid


def units(host: Host, pid: int) -> str:
    """Return where systemd has a process."""
    found = host.check_output(f"sed -n 's/^[0-9]*:name=systemd://p; s/^0:://p' /proc/{pid}/cgroup")
    return str(found).splitlines()[0]


def test_a_session_has_its_users_limits(host: Host, browser: RStudio) -> None:
    """With the user's sessions of SSH and server of JupyterHub, and what started it for the server too."""
    pid = session_of(host, browser, "alice")
    uid = host.user("alice").uid
    (waits,) = processes(host, "ds-stack-r-laun", "alice")
    assert f"/user.slice/user-{uid}.slice/rstudio-{uid}-{waits}.service" in units(host, pid)
    assert f"/user.slice/user-{uid}.slice/rstudio-{uid}-{waits}.scope" in units(host, waits)
    assert show(host, f"user-{uid}.slice", "MemoryMax") == str(3 * 1024**3)
    assert show(host, f"user-{uid}.slice", "TasksMax") == "4000"
    assert show(host, f"rstudio-{uid}-{waits}.service", "OOMPolicy") == "continue"


def test_a_session_has_its_users_temporary_files(host: Host, browser: RStudio) -> None:
    """The same as in SSH, cron and su."""
    pid = session_of(host, browser, "alice")
    host.check_output("su alice --command 'echo hers >/tmp/of-su'")
    assert host.check_output(f"nsenter --mount --target {pid} cat /tmp/of-su") == "hers"
    assert not host.file("/tmp/of-su").exists  # noqa: S108


def test_a_session_has_what_the_server_gave_and_nobody_sees_it(host: Host, browser: RStudio) -> None:
    pid = session_of(host, browser, "alice")
    command, variables = (
        host.check_output(f"tr '\\0' ' ' </proc/{pid}/{what}") for what in ("cmdline", "environ")
    )
    assert command.split()[-3:] == ["/usr/lib/rstudio-server/bin/rsession", "-u", "alice"]
    secret = re.search(r"MONITOR_SHARED_SECRET=(\w+) ", variables)
    assert secret
    uid = host.user("alice").uid
    assert secret[1] not in host.check_output(f"systemctl show 'rstudio-{uid}-*'")
    assert host.check_output(f"readlink /proc/{pid}/cwd") == "/home/alice"
    assert host.check_output("ls /run/ds-stack-r") == ""


def test_a_session_outlives_its_server_and_ends_when_told(host: Host, browser: RStudio) -> None:
    pid = session_of(host, browser, "alice")
    host.check_output(f"systemctl restart {UNIT}")
    browser.wait_until_ready()
    assert session_of(host, browser, "alice") == pid
    (waits,) = processes(host, "ds-stack-r-laun", "alice")
    host.check_output(f"kill {waits}")  # as the server would
    wait_for(
        lambda: not processes(host, "rsession", "alice") + processes(host, "ds-stack-r-laun", "alice"), 10
    )


LAUNCH = "/usr/local/lib/ds-stack/ds-stack-r-launch"


def test_who_may_not_use_it_gets_no_session(host: Host) -> None:
    refused = host.run(f"runuser -u mallory -- {LAUNCH} -c true")
    assert (refused.rc, "not among those who may use RStudio" in refused.stderr) == (1, True)
    host.check_output("usermod --expiredate 1 alice")
    try:
        assert host.run(f"runuser -u alice -- {LAUNCH} -c true").rc == 1
    finally:
        host.check_output("usermod --expiredate '' alice")
    assert host.check_output(f"runuser -u rstudio-server -- {LAUNCH} -c 'echo the system'") == "the system"


def test_without_the_helper_there_is_no_session(host: Host) -> None:
    host.check_output("systemctl stop ds-stack-r.socket ds-stack-r.service")
    try:
        refused = host.run(f"runuser -u alice -- {LAUNCH} -c true")
        assert (refused.rc, "ds-stack-r.service" in refused.stderr) == (1, True)
    finally:
        host.check_output(f"systemctl start ds-stack-r.socket {UNIT}")


def test_nobody_keeps_others_from_their_sessions(host: Host) -> None:
    """By connections that ask for nothing."""
    hold = "import socket, time; held = [socket.socket(1) for _ in range(50)]"
    hold += "; [one.connect('/run/ds-stack-r.socket') for one in held]; time.sleep(60)"
    host.check_output(f'systemd-run --unit held --uid mallory python3 -c "{hold}"')
    try:
        begun = host.run(f"runuser -u alice -- {LAUNCH} -c 'touch /tmp/begun'")
        assert begun.rc == 0, begun.stderr
        wait_for(lambda: host.run("su alice --command 'rm /tmp/begun'").rc == 0, 10)
    finally:
        host.check_output("systemctl stop held")


def test_what_a_user_tries_from_r_ssh_and_cron(host: Host) -> None:
    """Some of it comes through where the guard is not."""
    host.check_output(
        "install -d -o alice -m 700 /home/alice/.ssh && ssh-keygen -q -N '' -f /root/alices"
        " && install -o alice -m 600 /root/alices.pub /home/alice/.ssh/authorized_keys"
    )
    ssh = "ssh -i /root/alices -o StrictHostKeyChecking=no alice@127.0.0.1"
    begin = {
        "an R session": lambda what: host.check_output(f"runuser -u alice -- {LAUNCH} -c '{what}'"),
        "SSH": lambda what: host.check_output(f"{ssh} {what}"),
        "cron": lambda what: host.check_output(f"echo '* * * * * {what}' | crontab -u alice -"),
    }
    host.check_output("systemctl restart cron")  # as in an image, with its settings
    with origins.attacked(host, "bob"):
        found = {origin: origins.tried(host, "/home/alice", how) for origin, how in begin.items()}
        host.check_output("crontab -u alice -r; systemctl stop ds-stack-guard")
        unguarded = origins.tried(host, "/home/alice", begin["SSH"])
        host.check_output("systemctl start ds-stack-guard")
    for origin, came in found.items():
        origins.shown(origin, came)
    assert {attack for attack, came in unguarded.items() if came and not found["SSH"][attack]} == {
        "get the machine's role in AWS, from the metadata service",
        "reach another's program by TCP",
        "reach another's program by UDP",
        "come to the sites past nginx, from wherever one says",
        "see another's processes",
        "read another's command line",
    }


def test_what_listens(host: Host) -> None:
    listeners.shown(host, "alice")


def test_the_server_is_among_what_users_run(host: Host) -> None:
    assert show(host, UNIT, "Slice") == "user-rstudio.slice"
    assert show(host, UNIT, "ControlGroup").endswith("/user.slice/user-rstudio.slice/rstudio-server.service")
    assert show(host, UNIT, "OOMPolicy") == "continue"
    assert show(host, "user-rstudio.slice", "MemoryMax") == str(2 * 1024**3)


def test_the_packages_unit_is_as_it_came(host: Host) -> None:
    assert host.service(UNIT).is_running
    assert host.service(UNIT).is_enabled
    fragment = show(host, UNIT, "FragmentPath")
    assert host.run(f"cmp {fragment} /usr/lib/rstudio-server/extras/systemd/rstudio-server.service").rc == 0
    assert show(host, UNIT, "DropInPaths") == "/etc/systemd/system/rstudio-server.service.d/ds-stack.conf"


def test_the_configuration_was_there_before_the_first_start(host: Host) -> None:
    """The first start of the package's installation would have been on all addresses otherwise."""
    configured = host.file("/etc/rstudio/rserver.conf").mtime
    key_made = host.file("/var/lib/rstudio-server/secure-cookie-key").mtime
    assert configured < key_made


def test_the_server_finds_r(host: Host) -> None:
    assert (
        host.run("/usr/lib/rstudio-server/bin/rserver --verify-installation=1 --server-daemonize=0").rc == 0
    )


def test_who_was_signed_in_stays_so_over_a_restart(host: Host, browser: RStudio) -> None:
    browser.sign_in("alice", PASSWORD)
    host.check_output(f"systemctl restart {UNIT}")
    browser.wait_until_ready()
    assert browser.is_signed_in()


def test_a_configuration_that_the_server_refuses_leaves_the_running_one_alone(host: Host) -> None:
    before = show(host, UNIT, "MainPID")
    done = role(rstudio_server_config={"www-prot": 1})
    assert done.returncode != 0, done.stdout
    assert "unrecognised option 'www-prot'" in done.stdout + done.stderr
    assert show(host, UNIT, "MainPID") == before
    assert host.service(UNIT).is_running


def test_a_wrong_checksum_ends_the_play(host: Host) -> None:
    done = role(rstudio_server_version="1.0", rstudio_server_checksum=f"sha256:{'0' * 64}")
    assert done.returncode != 0
    assert "did not match" in done.stdout + done.stderr
    assert host.service(UNIT).is_running


def test_an_image_gets_no_key_and_no_running_server(host: Host) -> None:
    """The last test: it leaves the server stopped, and sessions as the package has them."""
    assert "rsession-path" in host.file("/etc/rstudio/rserver.conf").content_string
    assert role(rstudio_server_service_state="stopped", rstudio_server_own_sessions=False).returncode == 0
    assert "rsession-path" not in host.file("/etc/rstudio/rserver.conf").content_string
    assert "ds-stack-r.socket" not in show(host, UNIT, "Requires")
    assert not host.service(UNIT).is_running
    assert host.service(UNIT).is_enabled
    assert not host.file("/var/lib/rstudio-server/secure-cookie-key").exists
