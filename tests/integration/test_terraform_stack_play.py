"""terraform_stack in a play: progress, secrets in what Ansible prints, questions."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.terraform_plays import ROOT, SLOW, Play, wait_for
from tests.terraform_binary import BINARY
from tests.which_ansible import PLAYBOOK, PYTHON, VAULT

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


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return Play(tmp_path)


@pytest.mark.fault(7)
@pytest.mark.fault(11)
def test_progress_is_shown_while_terraform_runs_and_no_secret_even_with_vvv(play: Play) -> None:
    assert play.start(TALKS, "-vvv", "--diff", sensitive_variables={"password": SECRET}).wait(60) == 0
    wait_for(lambda: "PLAY RECAP" in play.output, "the end of the output")
    first, second = "terraform_data.first: created after ", "terraform_data.second: created after "
    assert play.when(second) - play.when(first) > 1, "the lines came as things happened"
    assert "terraform_data.second (local-exec): hello" in play.output
    assert "(1/2)" in play.output
    assert "(2/2)" in play.output
    assert play.when("changed: [localhost]") >= play.when(second)
    assert "terraform_data.first (create)" in play.output, "diff mode"
    assert SECRET not in play.output
    assert "\x1b" not in play.output


def test_the_module_is_killed_in_check_mode(play: Play) -> None:
    planning = play.folder / "planning"
    slow = play.folder / "slow"
    # Its parent is the supervisor, whose parent is the module.
    slow.write_text(
        f"#!/bin/sh\n[ $1 = plan ] || exec {BINARY} $@\nps -o ppid= -p $PPID > {planning}.new\n"
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


BOTH = """
- hosts: all
  gather_facts: false
  module_defaults:
    group/iac.ds_stack.stack:
      source: SOURCE
  environment:
    TF_VAR_colour: blue
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    secret: !vault |
VAULTED
  tasks:
    - iac.ds_stack.terraform_stack:
        work_dir: "WORK/{{ inventory_hostname }}"
        variables: {when: 2026-11-27, number: "{{ 2 }}", text: "{{ secret | length }}"}
        sensitive_variables: {password: "{{ secret }}"}
      diff: true
      become: "{{ inventory_hostname == 'become' }}"
      register: result
    - ansible.builtin.copy:
        content: "{{ result | to_json }}"
        dest: "WORK/{{ inventory_hostname }}.json"
        mode: "0600"
"""

BOTH_CONFIG = """
variable "colour" {}
variable "when" {}
variable "number" {
  type = number
}
variable "text" {}
variable "password" {
  type      = string
  sensitive = true
}
resource "terraform_data" "x" {
  input = [var.colour, var.when, var.number, var.text, var.password]
}
output "seen" {
  value = [var.colour, var.when, var.number, var.text, nonsensitive(var.password)]
}
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="become without a password needs root")
def test_all_that_a_play_gives_reaches_the_module_with_and_without_become(play: Play) -> None:
    key = play.folder / "key"
    key.write_text("a key\n")
    vaulted = subprocess.run(
        [VAULT, "encrypt", "--vault-password-file", key],
        input=SECRET,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (play.source / "main.tf").write_text(BOTH_CONFIG)
    (play.folder / "inventory").write_text(
        "plain ansible_connection=local\nbecome ansible_connection=local\n"
    )
    indented = "".join(f"      {line}\n" for line in vaulted.splitlines())
    text = BOTH.replace("SOURCE", str(play.source)).replace("WORK", str(play.work_dir))
    (play.folder / "play.yml").write_text(text.replace("VAULTED\n", indented))
    play.work_dir.mkdir()
    process = subprocess.run(
        [
            PLAYBOOK,
            *(
                "-i",
                play.folder / "inventory",
                "--vault-password-file",
                key,
                "-vvv",
                play.folder / "play.yml",
            ),
        ],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_BECOME_METHOD": "su"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = process.stdout + process.stderr
    assert process.returncode == 0, said
    assert len(re.findall("Using module file .*/terraform_stack.py", said)) == 2
    assert SECRET not in said
    results = [json.loads((play.work_dir / f"{host}.json").read_text()) for host in ("plain", "become")]
    for result in results:
        assert result["outputs"]["seen"][:4] == ["blue", "2026-11-27", 2, len(SECRET)]
        for name in ("duration", "log_path"):
            assert result.pop(name)
        result["diff"] = [{**item, "after": None} for item in result["diff"]]  # new ids
    assert results[0] == results[1]


def test_async_runs_to_its_end(play: Play) -> None:
    config = SLOW.replace("sleep 60", "sleep 1")
    assert play.start(config, keywords="      async: 60\n      poll: 1\n").wait(60) == 0
    assert play.resources() == ["quick", "slow"]


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_on_a_host_that_is_not_local_progress_is_shown_at_the_end(play: Play) -> None:
    inventory = play.folder / "inventory"
    # Any connection that is not "local" will do.
    inventory.write_text(
        "localhost ansible_connection=community.general.chroot ansible_host=/ "
        f"ansible_python_interpreter={PYTHON}\n"
    )
    assert play.start(TALKS, "-i", str(inventory), sensitive_variables={"password": SECRET}).wait(60) == 0
    wait_for(lambda: "PLAY RECAP" in play.output, "the end of the output")
    assert play.when("changed: [localhost]") - play.when("terraform_data.first: created after ") < 1
    assert "progress" not in play.output


def test_confirm_fails_where_nobody_can_be_asked(play: Play) -> None:
    assert play.start(SLOW, confirm=True).wait(60) == 2
    wait_for(lambda: "PLAY RECAP" in play.output, "the end of the output")
    assert "`confirm` is set and there is nobody to ask" in " ".join(play.output.split())
    assert not (play.work_dir / "terraform.tfstate").exists()
    assert play.secrets_left() == []


@pytest.mark.parametrize(("answer", "applied"), [("yes", True), ("y", False), ("\x03", False)])
def test_confirm_asks_at_the_terminal(play: Play, answer: str, applied: bool) -> None:
    pid, terminal = play.start_in_terminal(SLOW.replace("sleep 60", "true"), confirm=True)
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
