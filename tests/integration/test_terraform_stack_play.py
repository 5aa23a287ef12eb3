"""terraform_stack in a play: progress, secrets in what Ansible prints, and every way to interrupt it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._process import (
    DirectoryLock,
    DirectoryLocked,
    read_holder,
)

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
SECRET = "correct-horse-battery"

TALKS = """
variable "password" {
  type      = string
  sensitive = true
}
resource "terraform_data" "first" {
  input = var.password
}
resource "terraform_data" "second" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" {
    command = "echo hello; sleep 1.5"
  }
}
output "leak" {
  value = nonsensitive(var.password)
}
"""

SLOW = """
resource "terraform_data" "quick" {}
resource "terraform_data" "slow" {
  depends_on = [terraform_data.quick]
  provisioner "local-exec" {
    command = "sleep 60"
  }
}
"""


class Play:
    """A playbook with one task, and the lines it prints with the time of each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source"
        self.work_dir = folder / "work"
        self.temporary = folder / "tmp"
        self.source.mkdir()
        self.temporary.mkdir()
        self.lines: list[tuple[float, str]] = []

    def start(
        self, config: str, *args: str, keywords: str = "", in_terminal: bool = False, **options: object
    ) -> subprocess.Popen[str]:
        (self.source / "main.tf").write_text(config)
        options = {"source": str(self.source), "work_dir": str(self.work_dir), **options}
        playbook = self.folder / "play.yml"
        playbook.write_text(
            "- hosts: localhost\n  gather_facts: false\n  tasks:\n"
            f"    - iac.ds_stack.terraform_stack: {json.dumps(options)}\n{keywords}"
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        environment |= {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "TMPDIR": str(self.temporary),
        }
        self.lines = []
        command = [str(Path(sys.executable).with_name("ansible-playbook")), str(playbook), *args]
        if in_terminal:
            return subprocess.Popen(command, cwd=ROOT, env=environment, text=True)
        play = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=[play], daemon=True).start()
        return play

    def _read(self, play: subprocess.Popen[str]) -> None:
        assert play.stdout is not None
        for line in play.stdout:
            self.lines.append((time.monotonic(), line.rstrip("\n")))

    @property
    def output(self) -> str:
        return "\n".join(line for _, line in self.lines)

    def when(self, text: str) -> float:
        return next(moment for moment, line in self.lines if text in line)

    def resources(self) -> list[str]:
        state = json.loads((self.work_dir / "terraform.tfstate").read_text())
        return sorted(item["name"] for item in state["resources"])

    @property
    def lock(self) -> Path:
        return self.work_dir / ".terraform_stack/lock"

    def is_quiet(self) -> bool:
        """No process of the run is left: neither terraform nor what holds the lock."""
        found = subprocess.run(["pgrep", "-f", str(self.work_dir)], capture_output=True, check=False)
        try:
            with DirectoryLock(self.lock, "test"):
                return found.returncode == 1
        except DirectoryLocked:
            return False

    def secrets_left(self) -> list[str]:
        private = self.work_dir / ".terraform_stack"
        return [name for name in ("plan.tfplan", "sensitive.tfvars.json") if (private / name).exists()]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return Play(tmp_path)


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.05)


@pytest.mark.fault(7)
@pytest.mark.fault(11)
def test_progress_is_shown_while_terraform_runs_and_no_secret_even_with_vvv(play: Play) -> None:
    assert play.start(TALKS, "-vvv", "--diff", sensitive_variables={"password": SECRET}).wait(60) == 0
    wait_for(lambda: "PLAY RECAP" in play.output, "the end of the output")
    first, second = "terraform_data.first: created after 0 s (1/2)", "terraform_data.second: created after "
    assert play.when(second) - play.when(first) > 1, "the lines came as things happened"
    assert "terraform_data.second (local-exec): hello" in play.output
    assert "(2/2)" in play.output
    assert play.when("changed: [localhost]") >= play.when(second)
    assert "terraform_data.first (create)" in play.output, "diff mode"
    assert SECRET not in play.output
    assert "\x1b" not in play.output


@pytest.mark.fault(13)
@pytest.mark.parametrize(
    ("number", "reasons"),
    [
        # Ctrl-C and a polite kill: Ansible passes them on to the module and does not wait for it.
        (signal.SIGINT, ["SIGINT", "the play ended or the task timed out"]),
        (signal.SIGTERM, ["SIGTERM", "the play ended or the task timed out"]),
        # The terminal is lost, or the play is killed: nothing is passed on.
        (signal.SIGHUP, ["the play ended or the task timed out"]),
        (signal.SIGKILL, ["the play ended or the task timed out"]),
    ],
)
def test_an_interrupted_play_leaves_a_saved_state_and_the_next_run_says_so(
    play: Play, number: int, reasons: list[str]
) -> None:
    process = play.start(SLOW)
    wait_for(lambda: "sleep 60" in play.output, "the slow resource")
    os.killpg(process.pid, number)
    began = time.monotonic()
    process.wait(30)
    assert time.monotonic() - began < 10, "the play is over at once"
    wait_for(play.is_quiet, "the end of terraform", 15)
    assert play.resources() == ["quick", "slow"]
    assert not (play.work_dir / ".terraform.tfstate.lock.info").exists()
    assert play.secrets_left() == []

    assert play.start(SLOW.replace("sleep 60", "true")).wait(60) == 0
    wait_for(lambda: "PLAY RECAP" in play.output, "the end of the output")
    assert "The last apply here, of " in play.output
    assert any(f"was interrupted ({reason}) after" in play.output for reason in reasons)
    assert not (play.work_dir / ".terraform_stack/run.json").exists(), "once is enough"


@pytest.mark.fault(13)
def test_a_task_timeout_stops_terraform_before_the_task_fails(play: Play) -> None:
    process = play.start(SLOW, keywords="      timeout: 10\n")
    assert process.wait(60) == 2
    wait_for(lambda: "PLAY RECAP" in play.output, "the end of the output")
    assert "Timed out after 10 second(s)" in play.output
    assert play.when("terraform_data.slow: not created") < play.when("Timed out")
    assert play.resources() == ["quick", "slow"]
    wait_for(play.is_quiet, "the end of the module", 5)
    assert play.secrets_left() == []
    assert play.start(SLOW.replace("sleep 60", "true")).wait(60) == 0
    wait_for(lambda: "PLAY RECAP" in play.output, "the end of the output")
    assert "was interrupted (the play ended or the task timed out) after" in play.output


def test_the_module_is_killed(play: Play) -> None:
    process = play.start(SLOW)
    wait_for(lambda: "sleep 60" in play.output, "the slow resource")
    holder = read_holder(play.lock)
    assert holder is not None
    os.kill(holder.pid, signal.SIGKILL)
    assert process.wait(20) == 2
    wait_for(play.is_quiet, "the end of terraform", 15)
    assert play.resources() == ["quick", "slow"]
    assert play.secrets_left() == []
    assert play.start(SLOW.replace("sleep 60", "true")).wait(60) == 0
    wait_for(lambda: "PLAY RECAP" in play.output, "the end of the output")
    assert "was interrupted (the module was killed) after" in play.output


def test_the_module_is_killed_in_check_mode(play: Play) -> None:
    planning = play.folder / "planning"
    slow = play.folder / "slow"
    # Its parent is the supervisor, whose parent is the module.
    slow.write_text(
        f"#!/bin/sh\n[ $1 = plan ] || exec terraform $@\nps -o ppid= -p $PPID > {planning}.new\n"
        f"mv {planning}.new {planning}\nexec sleep 60\n"
    )
    slow.chmod(0o755)
    process = play.start(SLOW, "--check", sensitive_variables={"password": SECRET}, binary=str(slow))
    wait_for(planning.exists, "the plan")
    assert list(play.temporary.glob("terraform_stack-*/sensitive.tfvars.json"))
    os.kill(int(planning.read_text()), signal.SIGKILL)
    assert process.wait(20) == 2
    wait_for(lambda: not list(play.temporary.glob("terraform_stack-*")), "the removal of the copy", 10)
    assert not play.work_dir.exists()


def test_async_runs_to_its_end(play: Play) -> None:
    config = SLOW.replace("sleep 60", "sleep 1")
    assert play.start(config, keywords="      async: 60\n      poll: 1\n").wait(60) == 0
    assert play.resources() == ["quick", "slow"]


@pytest.mark.fault(18)
def test_a_second_play_in_the_same_directory_is_refused(play: Play, tmp_path: Path) -> None:
    first = play.start(SLOW)
    wait_for(lambda: "sleep 60" in play.output, "the slow resource")
    second = Play.__new__(Play)
    second.__dict__ |= {**play.__dict__, "folder": tmp_path / "second", "lines": []}
    second.folder.mkdir()
    assert second.start(SLOW).wait(60) == 2
    assert f"{play.work_dir} is in use by terraform_stack, state present (process " in second.output
    os.killpg(first.pid, signal.SIGINT)
    first.wait(10)
    wait_for(play.is_quiet, "the end of terraform", 15)


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_on_a_host_that_is_not_local_progress_is_shown_at_the_end(play: Play) -> None:
    inventory = play.folder / "inventory"
    # Any connection that is not "local" will do.
    inventory.write_text(
        "localhost ansible_connection=community.general.chroot ansible_host=/ "
        f"ansible_python_interpreter={sys.executable}\n"
    )
    assert play.start(TALKS, "-i", str(inventory), sensitive_variables={"password": SECRET}).wait(60) == 0
    wait_for(lambda: "PLAY RECAP" in play.output, "the end of the output")
    assert play.when("changed: [localhost]") - play.when("terraform_data.first: created after 0 s (1/2)") < 1
    assert "progress" not in play.output


def test_the_supervisor_is_killed_and_the_next_run_waits_for_terraform(play: Play) -> None:
    process = play.start(SLOW.replace("sleep 60", "sleep 8"))
    wait_for(lambda: "sleep 8" in play.output, "the slow resource")
    record = play.work_dir / ".terraform_stack/run.json"
    terraform = json.loads(record.read_text())["pid"]
    supervisor = int(Path(f"/proc/{terraform}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(supervisor, signal.SIGKILL)
    assert process.wait(20) == 2
    wait_for(lambda: "PLAY RECAP" in play.output, "the end of the output")
    assert "The process that supervises" in play.output
    assert play.start(SLOW.replace("sleep 60", "true")).wait(60) == 2
    wait_for(lambda: "PLAY RECAP" in play.output, "the end of the output")
    assert f"still runs as process {terraform}" in " ".join(play.output.split())
    wait_for(lambda: not Path(f"/proc/{terraform}").exists(), "the end of terraform")
    assert play.start(SLOW.replace("sleep 60", "true")).wait(60) == 0
    wait_for(lambda: "PLAY RECAP" in play.output, "the end of the output")
    assert "was killed before its end" in play.output
    assert play.resources() == ["quick", "slow"]


def test_confirm_fails_where_nobody_can_be_asked(play: Play) -> None:
    assert play.start(SLOW, confirm=True).wait(60) == 2
    wait_for(lambda: "PLAY RECAP" in play.output, "the end of the output")
    assert "`confirm` is set and there is nobody to ask" in " ".join(play.output.split())
    assert not (play.work_dir / "terraform.tfstate").exists()
    assert play.secrets_left() == []


@pytest.mark.parametrize(("answer", "applied"), [("yes", True), ("y", False), ("\x03", False)])
def test_confirm_asks_at_the_terminal(play: Play, answer: str, applied: bool) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            process = play.start(SLOW.replace("sleep 60", "true"), confirm=True, in_terminal=True)
            os._exit(process.wait())
        finally:
            os._exit(70)
    said = ""

    def read(until: str) -> None:
        nonlocal said
        while until not in said:
            said += os.read(terminal, 4096).decode()

    read("Only 'yes' does it")
    assert "terraform_data.quick: create" in said
    time.sleep(0.5)
    os.write(terminal, f"{answer}\r".encode())
    read("PLAY RECAP")
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 4096):
            said += chunk.decode()
    os.waitpid(pid, 0)
    assert ("changed: [localhost]" in said) is applied
    assert (play.work_dir / "terraform.tfstate").exists() is applied
    assert ("turned down" in said) is not applied
