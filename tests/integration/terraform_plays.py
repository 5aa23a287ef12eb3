"""A playbook with one task of terraform_stack, run as people run it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ansible_collections.iac.ds_stack.plugins.module_utils._run.process import DirectoryLock, DirectoryLocked

from tests.terraform_binary import BINARY
from tests.which_ansible import PLAYBOOK

ROOT = Path(__file__).resolve().parents[2]

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

    def start(self, config: str, *args: str, keywords: str = "", **options: object) -> subprocess.Popen[str]:
        """Start it with its output going to a pipe."""
        command, environment = self._command(config, args, keywords, options)
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

    def start_in_terminal(self, config: str, *args: str, **options: object) -> tuple[int, int]:
        """Start it as the leader of a terminal's session; return its process and the terminal's other end."""
        command, environment = self._command(config, args, "", options)
        pid, terminal = pty.fork()
        if pid == 0:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
            os.chdir(ROOT)
            os.execve(command[0], command, environment)  # noqa: S606
        return pid, terminal

    def _command(
        self, config: str, args: Sequence[str], keywords: str, options: Mapping[str, object]
    ) -> tuple[list[str], dict[str, str]]:
        (self.source / "main.tf").write_text(config)
        options = {"source": str(self.source), "work_dir": str(self.work_dir), "binary": BINARY, **options}
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
        return [PLAYBOOK, str(playbook), *args], environment

    def finish(self, config: str, *args: str, code: int = 0, keywords: str = "", **options: object) -> str:
        """Run it to its end; return what it said, in one line."""
        assert self.start(config, *args, keywords=keywords, **options).wait(60) == code, self.output
        wait_for(lambda: "PLAY RECAP" in self.output, "the end of the output")
        return self.said

    @property
    def said(self) -> str:
        """What it has said so far, in one line."""
        return " ".join(self.output.split())

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

    @property
    def log(self) -> str:
        """What the latest run wrote to its log."""
        return max((self.work_dir / ".terraform_stack/logs").glob("*.log")).read_text()

    def secrets_left(self) -> list[str]:
        private = self.work_dir / ".terraform_stack"
        return [name for name in ("plan.tfplan", "sensitive.tfvars.json") if (private / name).exists()]


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.05)
