"""The account's files, its lock, the refusals before it starts, and what the reaper touches."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml

from localcloud import account_files, cli, daemon, preflight, reaper
from localcloud.errors import LocalCloudError
from localcloud.paths import CONTAINERS_CONF, RunDir


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    folder = tmp_path / "run"
    folder.mkdir()
    return RunDir(folder)


def test_the_product_is_told_by_ordinary_settings(run: RunDir) -> None:
    operator = account_files.Operator.new()
    downloads = {"conda_installer_url": "http://x"}
    account_files.write(run, operator, Path("/mirror"), "136693071363", downloads, overlay=Path("/overlay"))
    variables = yaml.safe_load(run.vars.read_text())
    assert variables["ds_stack_region"] == "us-east-1"
    assert variables["ds_stack_base_image"] == {
        "owner": "136693071363",
        "name": "debian-12-amd64-*",
        "ssh_username": "admin",
    }
    assert variables["ds_stack_downloads"] == {
        "conda_installer_url": "http://x",
        "base_ssm_agent": False,
        "first_boot_aws_endpoint_url": "http://100.64.113.1:5600",
    }
    assert variables["ds_stack_dir"] == f"{run.stacks}/{{{{ ds_stack_name }}}}"
    assert variables["ds_stack_lock_file"].startswith(str(run.path))
    assert variables["ds_stack_packer_overlay"] == "/overlay"
    assert operator.secret_access_key not in run.vars.read_text()
    assert '"/mirror"' in run.terraform_rc.read_text()


def test_the_environment_is_the_owners_and_can_be_read_back(run: RunDir) -> None:
    operator = account_files.Operator.new()
    account_files.write(run, operator, None, "1", {}, overlay=None)
    assert stat.S_IMODE(run.env.stat().st_mode) == 0o600
    assert account_files.read_operator(run) == operator
    lines = run.env.read_text().splitlines()
    assert "AWS_ENDPOINT_URL=http://100.64.113.1:5600" in lines
    assert f"TF_CLI_CONFIG_FILE={run.terraform_rc}" in lines
    assert "ds_stack_packer_overlay" not in yaml.safe_load(run.vars.read_text())


def test_every_account_has_a_key_of_its_own() -> None:
    first, second = account_files.Operator.new(), account_files.Operator.new()
    assert first != second
    assert len(first.access_key_id) == 20


@pytest.mark.parametrize(
    ("uid", "missing", "words"),
    [
        (1000, set(), "needs root"),
        (0, {"podman", "nft"}, "podman, nft missing|nft, podman missing"),
        (0, {"podman"}, "apt-get install podman"),
        (0, {"terraform"}, "Terraform 1.10"),
    ],
)
def test_what_the_machine_lacks_is_one_line(
    monkeypatch: pytest.MonkeyPatch, uid: int, missing: set[str], words: str
) -> None:
    monkeypatch.setattr(preflight.os, "geteuid", lambda: uid)
    monkeypatch.setattr(preflight.shutil, "which", lambda name: None if name in missing else f"/bin/{name}")
    with pytest.raises(LocalCloudError, match=words) as caught:
        preflight.check_root()
        preflight.check_tools()
    assert "\n" not in str(caught.value)


def test_a_port_in_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_free", lambda port: port != 5601)
    with pytest.raises(LocalCloudError, match="Port 5601 is in use"):
        preflight.check_ports()


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> daemon.Lock:
    """The machine's lock in a folder of the test's, held by another account."""
    monkeypatch.setattr(daemon, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(daemon.preflight, "check_root", lambda: None)
    monkeypatch.setattr(daemon.preflight, "check_tools", lambda: None)
    other = daemon.Lock()
    assert other.take()
    other.write(RunDir(Path("/elsewhere/run")), 4711)
    return other


def test_there_is_one_account_a_machine(lock: daemon.Lock, run: RunDir) -> None:
    with pytest.raises(LocalCloudError, match=r"Another local cloud runs .*pid 4711, folder /elsewhere/run"):
        daemon.start(run, wanted_downloads="vendor", log=print)


def test_anothers_account_is_not_stopped(lock: daemon.Lock, run: RunDir) -> None:
    with pytest.raises(LocalCloudError, match=r"another's \(pid 4711"):
        daemon.stop(run, log=print)


def test_start_finds_its_own_account_running(
    lock: daemon.Lock, run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock.write(run, 4711)
    monkeypatch.setattr(daemon, "status", lambda: {"pid": 4711, "instances": []})
    said: list[str] = []
    daemon.start(run, wanted_downloads="vendor", log=said.append)
    assert said == ["The local cloud already runs."]


def test_the_reaper_leaves_other_peoples_containers_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = {
        "container": ["ds-stack-i-0123456789abcdef0", "ds-stack-molecule-conda", "ds-stack-image-builder"],
        "network": ["ds-stack-vpc-10-77-0-0-16", "ds-stack-net"],
    }
    done: list[tuple[str, ...]] = []

    def podman(*arguments: str) -> str:
        done.append(arguments)
        return ""

    monkeypatch.setattr(reaper, "labelled", names.__getitem__)
    monkeypatch.setattr(reaper, "podman", podman)
    monkeypatch.setattr(reaper, "remove_network", lambda name: podman("network", "rm", name))
    monkeypatch.setattr(reaper, "unmount_below", lambda _: [])
    monkeypatch.setattr(reaper, "remove_host_addresses", lambda: None)
    monkeypatch.setattr(reaper, "loops_below", lambda _: [])
    folder = tmp_path / "run"
    folder.mkdir()
    found = reaper.reap([folder], None)
    assert found == [
        "container ds-stack-i-0123456789abcdef0",
        "network ds-stack-vpc-10-77-0-0-16",
        f"folder {folder}",
    ]
    assert not folder.exists()
    assert [call[-1] for call in done if "rm" in call] == [
        "ds-stack-i-0123456789abcdef0",
        "ds-stack-vpc-10-77-0-0-16",
    ]


def test_only_what_the_dead_server_started_is_ended(tmp_path: Path) -> None:
    def process(number: int, session: int, environment: str) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "stat").write_text(f"{number} (a (b) c) S 1 {session} {session} 0 -1")
        (folder / "environ").write_bytes(environment.encode())

    ours = f"HOME=/root\0CONTAINERS_CONF={CONTAINERS_CONF}\0"
    process(100, 4711, ours)
    process(101, 4711, "HOME=/root\0")  # the number was given to somebody else's session
    process(102, 4712, ours)
    (tmp_path / "103").mkdir()  # gone meanwhile
    assert reaper.orphans(4711, tmp_path) == [100]


def test_status_without_an_account(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(daemon, "status", lambda: None)
    assert cli.main(["status"]) == 3
    assert capsys.readouterr().out == "No local cloud runs.\n"


def test_an_error_is_one_line_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> None:
        raise LocalCloudError("It does not work: do this.")

    monkeypatch.setattr(daemon, "stop", stop)
    assert cli.main(["stop"]) == 1
    assert capsys.readouterr().err == "localcloud: It does not work: do this.\n"
