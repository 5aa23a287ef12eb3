"""JupyterHub as its users have it: through nginx, by the form, to a cell's answer."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from testinfra.host import Host

from tests.attack import listeners, origins, ports
from tests.clients.jupyterhub import Hub, HubError, SignInRefusedError

DATABASE = "/var/lib/jupyterhub/jupyterhub.sqlite"
PASSWORD = "open-Sesame-7"  # noqa: S105 (the one of prepare.yml)
UNIT = "jupyter-alice-singleuser"
SERVERS_FOLDER = "/run/jupyter/alice"


@pytest.fixture(scope="module")
def address(host: Host) -> str:
    """The machine's address."""
    return str(next(a for a in host.interface("eth0").addresses if ":" not in a))


@pytest.fixture(scope="module")
def certificate(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The machine's self-signed certificate, the only one that the clients here trust."""
    path = tmp_path_factory.mktemp("tls") / "cert.pem"
    path.write_text(host.file("/etc/ds-stack/tls/cert.pem").content_string)
    return path


@pytest.fixture
def browser(address: str, certificate: Path) -> Hub:
    """A browser that has not signed in."""
    hub = Hub(f"https://{address}:8000", ca_file=certificate)
    hub.wait_until_ready()
    return hub


@pytest.fixture(scope="module")
def alice(address: str, certificate: Path) -> Iterator[Hub]:
    """alice's browser, signed in, her server running."""
    hub = Hub(f"https://{address}:8000", ca_file=certificate)
    hub.wait_until_ready()
    hub.sign_in("alice", PASSWORD)
    hub.start_server()
    yield hub
    hub.stop_server()


def show(host: Host, unit: str, *properties: str) -> dict[str, str]:
    """The named properties of a unit, as systemd prints them."""
    text = host.check_output(f"systemctl show {unit} --property={','.join(properties)}")
    return dict(line.split("=", 1) for line in text.splitlines())


# Signing in


def test_wrong_password_is_refused_slowly(browser: Hub) -> None:
    """And as slowly where there is no such account."""
    for user in ("alice", "nobody-here"):
        started = time.monotonic()
        with pytest.raises(SignInRefusedError, match="Invalid username or password"):
            browser.sign_in(user, "wrong")
        assert 2 < time.monotonic() - started < 8


def test_others_sign_in_while_somebody_guesses(host: Host, address: str, certificate: Path) -> None:
    """200 wrong passwords in a minute come from where alice is, and from where dave is whose they are for."""
    url = f"https://{address}:8000"
    host.check_output(f"useradd --groups ds-users dave && echo dave:{PASSWORD} | chpasswd")
    daves, alices = (Hub(url, ca_file=certificate) for _ in range(2))
    daves.wait_until_ready()
    daves.sign_in("dave", PASSWORD)
    daves.request("GET", "/hub/logout")
    took = {}
    with ThreadPoolExecutor(20) as pool:
        began = time.monotonic()
        guesses = [pool.submit(_guess, url, certificate, "dave", 10) for _ in range(20)]
        for name, browser in (("dave", daves), ("alice", alices)):
            started = time.monotonic()
            browser.sign_in(name, PASSWORD)
            took[name] = round(time.monotonic() - started, 1)
        refused = [one for guess in guesses for one in guess.result()]
        seconds = time.monotonic() - began
    log = host.check_output("journalctl --unit jupyterhub --output cat")
    host.check_output("userdel dave")
    print(f"200 wrong passwords in {seconds:.0f} s; signing in meanwhile took {took} s")
    assert seconds < 90
    assert max(took.values()) < 10
    assert (len(refused), sum("HTTP 429" in one for one in refused)) == (200, 190)
    assert log.count("sign-in refused: 'dave' from") == 10


def _guess(address: str, certificate: Path, user: str, times: int) -> list[str]:
    """Try wrong passwords, and return how they were refused."""
    hub, refused = Hub(address, ca_file=certificate), []
    for _ in range(times):
        with pytest.raises(HubError) as error:
            hub.sign_in(user, "wrong")
        refused.append(str(error.value))
    return refused


def test_class_signs_in_at_once(host: Host, address: str, certificate: Path) -> None:
    """25 from one place."""
    names = [f"pupil{number}" for number in range(25)]
    lines = "".join(f"{name}:{PASSWORD}\\n" for name in names)
    host.check_output(
        f"for u in {' '.join(names)}; do useradd --groups ds-users $u; done; printf '{lines}' | chpasswd"
    )
    try:
        started = time.monotonic()
        with ThreadPoolExecutor(25) as pool:
            hubs = [Hub(f"https://{address}:8000", ca_file=certificate) for _ in names]
            list(pool.map(lambda hub, name: hub.sign_in(name, PASSWORD), hubs, names))
        print(f"25 sign-ins took {time.monotonic() - started:.1f} s")
    finally:
        host.check_output(f"for u in {' '.join(names)}; do userdel $u; done")


def test_user_outside_the_group_is_refused(browser: Hub) -> None:
    with pytest.raises(SignInRefusedError):
        browser.sign_in("mallory", PASSWORD)


def test_root_is_refused(browser: Hub) -> None:
    with pytest.raises(SignInRefusedError):
        browser.sign_in("root", PASSWORD)


def test_expired_account_is_refused(browser: Hub) -> None:
    """So does the machine lock out a user who was removed."""
    with pytest.raises(SignInRefusedError):
        browser.sign_in("eve", PASSWORD)


def test_removed_user_is_out_though_signed_in(host: Host, browser: Hub) -> None:
    browser.sign_in("bob", PASSWORD)
    host.check_output("usermod --expiredate 1970-01-02 bob")
    try:
        with pytest.raises(HubError, match=r"HTTP 403.*may not sign in any more"):
            browser.start_server()
        assert host.run("systemctl is-active jupyter-bob-singleuser").stdout.strip() == "inactive"
    finally:
        host.check_output("usermod --expiredate '' bob")


def test_clients_address_is_known_behind_the_proxy(host: Host, browser: Hub) -> None:
    with pytest.raises(SignInRefusedError):
        browser.sign_in("mallory", PASSWORD)
    gateway = host.check_output("ip route show default").split()[2]
    log = host.check_output("journalctl --unit jupyterhub --output cat --lines 20")
    assert f"403 POST /hub/login?next=%2Fhub%2Fhome (@{gateway})" in log


def test_only_admins_see_the_admin_page(browser: Hub, alice: Hub) -> None:
    browser.sign_in("bob", PASSWORD)
    assert browser.request("GET", "/hub/admin").status == 403
    assert alice.request("GET", "/hub/admin").status == 200


def test_session_cookies_are_only_for_https(alice: Hub) -> None:
    """All but the XSRF token, which pages' scripts must read and which is worth nothing alone."""
    assert {cookie.name for cookie in alice.cookies if not cookie.secure} == {"_xsrf"}


# Computing


def test_cell_runs_in_the_users_python(alice: Hub) -> None:
    cell = alice.run_cell("import os, sys; print(6 * 7, sys.prefix, os.getcwd())")
    assert (cell.status, cell.output) == ("ok", "42 /opt/conda/envs/ds /home/alice\n")


def test_default_kernel_is_the_only_python(alice: Hub) -> None:
    assert alice.kernels()[0] == "python3"
    assert alice.request("GET", "/user/alice/kernelspecs/python3/logo-64x64.png").status == 200


def test_packages_of_the_environment_load(alice: Hub) -> None:
    cell = alice.run_cell("import pandas, sklearn, matplotlib.pyplot; print(pandas.Series([1, 2]).sum())")
    assert (cell.error, cell.output) == ("", "3\n")


def test_failing_cell_says_why(alice: Hub) -> None:
    assert alice.run_cell("1 / 0").error == "ZeroDivisionError: division by zero"


def test_shell_commands_of_a_cell_use_the_users_python(alice: Hub) -> None:
    assert alice.run_cell("!command -v python pip").output.split() == [
        "/opt/ds-stack/bin/python",
        "/opt/ds-stack/bin/pip",
    ]


def test_user_environment_arrives_literally(alice: Hub) -> None:
    assert alice.run_cell("import os; print(os.environ['GREETING'])").output == 'say "hello" for $5\n'


# Limits and walls


@pytest.mark.usefixtures("alice")
def test_server_has_its_limits(host: Host) -> None:
    found = show(host, UNIT, "MemoryMax", "CPUQuotaPerSecUSec", "PrivateTmp", "OOMPolicy")
    memory = int(host.check_output("getconf _PHYS_PAGES")) * int(host.check_output("getconf PAGE_SIZE"))
    assert abs(int(found.pop("MemoryMax")) - memory // 2) <= 4096
    assert found == {
        "CPUQuotaPerSecUSec": "1.500000s",
        "PrivateTmp": "yes",
        "OOMPolicy": "continue",
    }


@pytest.mark.usefixtures("alice")
def test_server_is_among_its_users_sessions(host: Host) -> None:
    """In the slice of that user, whose limits count for all of them; and stays when others of them end."""
    slice_ = f"user-{host.check_output('id -u alice')}.slice"
    server = show(host, UNIT, "Slice", "MainPID")
    assert server["Slice"] == slice_
    assert show(host, slice_, "Slice") == {"Slice": "user.slice"}
    host.check_output("systemd-run --unit passing --uid alice --property PAMName=login sleep 60")
    host.check_output("sleep 1; loginctl terminate-user alice; sleep 1")
    assert show(host, UNIT, "Slice", "MainPID") == server


def test_tmp_is_the_servers_own(host: Host, alice: Hub) -> None:
    mark = "/tmp/mark-of-alice"  # noqa: S108 (whose /tmp it lands in is the question)
    assert alice.run_cell(f"open({mark!r}, 'w').close()").status == "ok"
    assert not host.file(mark).exists


def test_nobody_becomes_root_from_a_notebook(alice: Hub) -> None:
    assert "uid=0" not in alice.run_cell("!id; sudo -n id; su --command id < /dev/null").output


def test_kernels_do_not_listen_on_ports(host: Host, alice: Hub) -> None:
    """On the loopback address everybody on the machine could read what they print."""
    with alice.kernel() as kernel:
        assert alice.run_in(kernel, "print(1)").output == "1\n"
        listening = host.check_output("ss -Hltnp")
        assert "ipykernel" not in listening
        # The server's own, and one by which the kernel takes what programs print that it has started.
        ports = re.findall(r'127\.0\.0\.1:(\d+)(?<!:981) .*"python', listening)
        assert len(ports) <= 2
        for port in ports:
            ask = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
            assert host.run(f'python3 -c "{ask}"').rc == 0
            assert host.run(f'runuser -u bob -- python3 -c "{ask}"').rc == 1
        assert host.file(f"{SERVERS_FOLDER}/kernel-{kernel}-ipc-1").is_socket
        assert host.run(f"su bob --shell /bin/sh --command 'ls {SERVERS_FOLDER}'").rc != 0


@pytest.mark.parametrize(
    "path",
    [
        "/etc/jupyterhub/jupyterhub_config.py",
        "/var/lib/jupyterhub/jupyterhub.sqlite",
        "/var/lib/jupyterhub/cookie_secret",
    ],
)
def test_hubs_files_are_roots(alice: Hub, path: str) -> None:
    assert "PermissionError" in alice.run_cell(f"open({path!r})").error


@pytest.mark.parametrize("environment", ["jupyterhub", "ds"])
def test_environments_are_roots(alice: Hub, environment: str) -> None:
    assert "PermissionError" in alice.run_cell(f"open('/opt/conda/envs/{environment}/x', 'w')").error


def test_only_nginx_listens_to_the_network(host: Host) -> None:
    sockets = {line.split()[3] for line in host.check_output("ss -Hltn").splitlines()}
    assert {s for s in sockets if not s.startswith(("127.", "[::1]"))} - {"0.0.0.0:22", "[::]:22"} == {
        "0.0.0.0:8000"
    }
    assert {"127.0.0.1:980", "127.0.0.1:981", "127.0.0.1:982"} <= sockets


def test_no_user_listens_in_the_hubs_place(host: Host, alice: Hub) -> None:
    """Not while it runs, and not while it is stopped, when nginx would show whatever answers there."""
    listen = "import socket; socket.socket().bind(('127.0.0.1', {}))"
    for port in (980, 981, 982):
        assert "PermissionError" in alice.run_cell(listen.format(port)).error
        tried = host.run(f'runuser -u bob -- python3 -c "{listen.format(port)}"')
        assert "PermissionError" in tried.stderr


def test_users_reach_nothing_of_each_other(host: Host) -> None:
    """Users who have no server. What is tried works while there is no guard."""
    uids = "1998 1999"
    assert reached(host, uids) == ports.ALLOWED
    host.check_output("nft delete table inet ds_stack_guard")
    try:
        everything = reached(host, uids)
    finally:
        host.check_output("systemctl reload ds-stack-guard")
    assert len(everything) == 20
    assert reached(host, uids) == ports.ALLOWED


def test_users_see_no_processes_of_each_other(host: Host, alice: Hub) -> None:
    """Neither command lines nor that there are any. Sessions of logind's are as before."""
    host.check_output("systemd-run --unit secretive --uid bob sleep 12345.678")
    try:
        assert "12345.678" in host.check_output("ps -e -o args")
        assert "12345.678" in host.check_output("su --login bob --command 'ps -e -o args'")
        seen = alice.run_cell("!ps -e -o user= | sort -u; cat /proc/1/cmdline; ls -d /proc/1").output
        assert seen.split()[0] == "alice"
        assert seen.count("No such file or directory") == 2
        assert host.run("su --login alice --command 'ps -e -o user= | sort -u'").stdout.split() == ["alice"]
        session = host.check_output("su --login alice --command 'systemctl --user is-system-running --wait'")
        assert session == "running"
    finally:
        host.check_output("systemctl stop secretive")


def test_what_a_user_tries_from_a_notebook(host: Host, alice: Hub) -> None:
    with origins.attacked(host, "bob"):
        found = origins.tried(host, "/home/alice", lambda what: alice.run_cell(f"!{what}"))
    origins.shown("a notebook", found)


@pytest.mark.usefixtures("alice")
def test_what_listens(host: Host) -> None:
    listeners.shown(host, "bob")


def reached(host: Host, uids: str) -> set[str]:
    """The ways that somebody came through."""
    program = Path(ports.__file__).read_bytes()
    found = host.run(f"echo {base64.b64encode(program).decode()} | base64 -d | python3 - {uids}")
    assert found.rc == 0, found.stderr
    return {way for way, came in json.loads(found.stdout).items() if came}


def test_hub_follows_no_link_of_a_user(host: Host, browser: Hub) -> None:
    """In the folder of the server's unit, which is the user's and may still be there from before."""
    folder = "/run/jupyter/bob"
    host.check_output(f"echo untouched > /root/victim && install -d -o bob -m 700 {folder}")
    host.check_output(f"runuser -u bob -- ln -s /root/victim {folder}/jupyter-bob-singleuser.env")
    browser.sign_in("bob", PASSWORD)
    browser.start_server()
    try:
        assert browser.run_cell("6 * 7").output == "42"
        assert host.file("/root/victim").content_string == "untouched\n"
        assert host.file("/run/jupyterhub/environment").mode == 0o700
    finally:
        browser.stop_server()
        host.run(f"rm -r {folder} /root/victim")


def test_server_is_on_its_users_port(host: Host, alice: Hub) -> None:
    """Which a neighbour can neither reach nor, after the server has gone, answer on."""
    uid = int(host.check_output("id -u alice"))
    mine = f"http://127.0.0.1:{20000 + uid}/user/alice/api"
    assert '"version"' in alice.run_cell(f"!curl --silent {mine}").output
    assert host.run(f"runuser -u bob -- curl --silent --max-time 2 {mine}").rc == 7
    assert host.run(f"runuser -u www-data -- curl --silent --max-time 2 {mine}").rc == 7
    assert host.check_output(f"curl --silent {mine}")


def test_no_other_site_frames_the_pages(host: Host) -> None:
    curl = "curl --silent --insecure --dump-header - --output /dev/null https://127.0.0.1:8000"
    for path in ("/hub/login", "/hub/static/nothing", "/user/alice/lab"):
        assert "content-security-policy: frame-ancestors 'self'" in host.run(f"{curl}{path}").stdout.lower()


# Going on


def test_first_server_starts_where_nothing_can_be_written(host: Host, browser: Hub) -> None:
    """A home as it is made on a volume that others have filled: made by root, and not a byte is left."""
    home = "/home/carol"
    host.check_output(f"useradd --groups ds-users --home-dir {home} --no-create-home carol")
    host.check_output(f"echo carol:{PASSWORD} | chpasswd && cp -r /etc/skel /opt/carol && mkdir {home}")
    host.check_output(f"mount -t tmpfs -o size=1M tmpfs {home} && cp -r /opt/carol/. {home}")
    host.check_output(f"chown -R carol: {home}")
    try:
        assert "No space left" in host.run(f"dd if=/dev/zero of={home}/all bs=1k").stderr
        browser.sign_in("carol", PASSWORD)
        browser.start_server()
        assert browser.run_cell("6 * 7").output == "42"
        browser.stop_server()
    finally:
        host.run(f"umount --lazy {home}; userdel carol; rm -r {home} /opt/carol")


def test_busy_kernel_is_activity(host: Host, alice: Hub) -> None:
    """A long cell that prints nothing must not look idle, to the culler or to whoever asks who is at work."""
    told = "/run/jupyter/alice/at-work.json"
    with alice.kernel() as kernel:
        alice.run_in(kernel, "import time")
        quiet = _last_activity(alice)
        with pytest.raises(HubError):
            alice.run_in(kernel, "time.sleep(6)", timeout=3)
        assert datetime.now(timezone.utc) - _last_activity(alice) < timedelta(seconds=1)
        assert _last_activity(alice) - quiet > timedelta(seconds=2)
        assert json.loads(host.file(told).content_string)["doing"] == ["kernel python3"]
        assert host.file(told).user == "alice"
        process = show(host, UNIT, "MainPID")["MainPID"]
        assert "\0JUPYTERHUB_ACTIVITY_INTERVAL=60\0" in host.file(f"/proc/{process}/environ").content_string
    _last_activity(alice)
    assert json.loads(host.file(told).content_string)["doing"] == []


def _last_activity(hub: Hub) -> datetime:
    """What the user's server tells the hub."""
    status = hub.request("GET", f"/user/{hub.user}/api/status").json()
    return datetime.fromisoformat(status["last_activity"])


def test_culler_works_with_its_own_narrow_role(host: Host) -> None:
    log = host.check_output("journalctl --unit jupyterhub --output cat")
    assert "200 GET /hub/api/users?state=[secret] (idle-culler@127.0.0.1)" in log
    assert "--timeout=28800" in log


def test_servers_go_on_while_the_hub_restarts(host: Host, alice: Hub) -> None:
    with alice.kernel() as kernel:
        alice.run_in(kernel, "result_of_hours = 6 * 7")
        server = show(host, UNIT, "MainPID")
        host.check_output("systemctl restart jupyterhub")
        alice.wait_until_ready()
        alice.start_server()
        assert show(host, UNIT, "MainPID") == server
        assert alice.run_in(kernel, "print(result_of_hours)").output == "42\n"


def test_out_of_the_way_while_it_is_stopped(host: Host, browser: Hub) -> None:
    host.check_output("systemctl stop jupyterhub")
    answer = browser.request("GET", "/")
    host.check_output("systemctl start jupyterhub")
    assert (answer.status, "JupyterHub is starting" in answer.text) == (503, True)
    browser.wait_until_ready()


@pytest.fixture
def newer_database(host: Host, browser: Hub) -> Iterator[None]:
    """That of a newer hub, of an image that the machine no longer has; afterwards the one of before."""
    upgrade = f"import sqlite3; c = sqlite3.connect('{DATABASE}'); "
    upgrade += "c.execute('update alembic_version set version_num = ?', ['f00d']); c.commit()"
    host.check_output("systemctl stop jupyterhub")
    host.check_output(f"cp --preserve {DATABASE} {DATABASE}-kept")
    host.check_output("python3 -c %s", upgrade)
    host.check_output("systemctl start jupyterhub")
    yield
    host.check_output("systemctl stop jupyterhub")
    host.check_output(f"mv {DATABASE}-kept {DATABASE}")
    host.check_output("systemctl start jupyterhub")
    browser.wait_until_ready()


@pytest.mark.usefixtures("newer_database")
def test_a_newer_hubs_database_is_put_aside(host: Host, address: str, certificate: Path) -> None:
    somebody = Hub(f"https://{address}:8000", ca_file=certificate)
    somebody.wait_until_ready()
    assert host.check_output(f"stat --format %a:%U {DATABASE}.20*") == "600:root"
    somebody.sign_in("bob", PASSWORD)


def test_tls_can_be_switched_off_and_on(host: Host, address: str, browser: Hub) -> None:
    plain = Hub(f"http://{address}:8000")
    host.check_output("ln -sfn plain /etc/nginx/ds-stack/active && systemctl reload nginx")
    try:
        plain.wait_until_ready()
        plain.sign_in("bob", PASSWORD)
        plain.start_server()
        assert plain.run_cell("6 * 7").output == "42"
        plain.stop_server()
    finally:
        host.check_output("ln -sfn tls /etc/nginx/ds-stack/active && systemctl reload nginx")
    browser.wait_until_ready()


def test_login_shell_finds_conda_and_jupyter_kernels(host: Host) -> None:
    specs = host.check_output(
        "su --login alice --command '/opt/conda/envs/jupyterhub/bin/jupyter kernelspec list --json'"
    )
    assert "python3" in json.loads(specs)["kernelspecs"]
