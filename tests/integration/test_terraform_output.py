"""The lookup terraform_output with the real terraform, in a play."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.state import local_outputs

from tests.integration.terraform_stacks import MAIN, Stack, isolated_stack
from tests.terraform_binary import BINARY
from tests.which_ansible import PLAYBOOK

ROOT = Path(__file__).resolve().parents[2]
SECRET = "correct-horse-battery"

PLAY = """
- hosts: localhost
  gather_facts: false
  vars:
    work_dir: WORK_DIR
    found:
      size: "{{ lookup('iac.ds_stack.terraform_output', 'size', work_dir=work_dir) }}"
      both: "{{ query('iac.ds_stack.terraform_output', 'size', 'password', work_dir=work_dir) }}"
      all: "{{ lookup('iac.ds_stack.terraform_output', work_dir=work_dir) }}"
      blue: "{{ lookup('iac.ds_stack.terraform_output', 'size', work_dir=work_dir, workspace='blue') }}"
  tasks:
    - ansible.builtin.copy:
        content: "{{ found | to_json }}"
        dest: FOUND
        mode: "0600"
    - ansible.builtin.debug:
        msg: "{{ lookup('iac.ds_stack.terraform_output', 'sise', work_dir=work_dir) }}"
      ignore_errors: true
    - ansible.builtin.debug:
        msg: "{{ lookup('iac.ds_stack.terraform_output', 'size', work_dir=work_dir ~ '/missing') }}"
      ignore_errors: true
    - ansible.builtin.debug:
        msg: "{{ lookup('iac.ds_stack.terraform_output', 'size', work_dir=work_dir, binary='no-such') }}"
      ignore_errors: true
    - ansible.builtin.debug:
        msg: "{{ lookup('iac.ds_stack.terraform_output', 'size', work_dir=work_dir, workspace='..') }}"
      ignore_errors: true
"""


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    return isolated_stack(tmp_path, monkeypatch)


def test_outputs_are_read_without_a_plan_and_what_is_missing_is_named(stack: Stack, tmp_path: Path) -> None:
    stack.write(MAIN + 'output "none" {\n  value = null\n}\n')
    stack.apply(variables={"size": 1}, workspace="blue")
    stack.apply(variables={"size": 2}, sensitive_variables={"password": SECRET})
    shutil.rmtree(stack.source)  # not needed
    playbook, found = tmp_path / "play.yml", tmp_path / "found"
    playbook.write_text(PLAY.replace("WORK_DIR", str(stack.work_dir)).replace("FOUND", str(found)))
    play = subprocess.run(
        [PLAYBOOK, playbook],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert play.returncode == 0, play.stdout + play.stderr
    values = json.loads(found.read_text())
    assert values["size"] == 2
    assert values["both"] == [2, SECRET], "asked for by name"
    assert values["all"].keys() == {"disk_id", "password", "size"}, "as the module: without what is null"
    assert values["all"]["password"] == "(sensitive)"
    assert values["blue"] == 1
    said = " ".join((play.stdout + play.stderr).split())
    assert "there is none called sise; there are: disk_id, password, size" in said
    assert f"{stack.work_dir}/missing is no directory" in said
    assert "There is no program no-such" in said
    assert "workspace: '..' is no name of one" in said


TYPES = """
output "values" {
  value = {
    flag = true, none = null, number = 12345678901234567890, text = "Grüße ${1 + 1}\\n", list = [1, "a"]
  }
}
output "hidden" {
  value     = "x"
  sensitive = true
}
"""


def test_a_local_state_is_read_as_terraform_tells_it(stack: Stack) -> None:
    stack.write(TYPES)
    for workspace in ("default", "blue"):
        stack.apply(workspace=workspace)
        told = subprocess.run(
            [BINARY, "output", "-json"], cwd=stack.work_dir, check=True, capture_output=True
        )
        assert local_outputs(stack.work_dir, workspace) == json.loads(told.stdout)


def test_a_state_that_only_terraform_can_read_is_left_to_it(stack: Stack) -> None:
    assert local_outputs(stack.work_dir, "default") is None
    stack.apply()
    state = stack.work_dir / "terraform.tfstate"
    whole = stack.state()
    others: list[Any] = [{**whole, "version": 5}, {"encrypted_data": "x"}, [], {**whole, "outputs": None}]
    for other in others:
        state.write_text(json.dumps(other))
        assert local_outputs(stack.work_dir, "default") is None
    state.write_text(json.dumps(whole))
    # Another work_dir: Terraform would ask whether to move a state.
    elsewhere: dict[str, Any] = {
        "work_dir": str(stack.work_dir / "elsewhere"),
        "backend": {"type": "local", "config": {"path": "elsewhere.tfstate"}},
    }
    for _ in range(2):  # what is applied, and what is read
        assert stack.apply(**elsewhere, variables={"size": 7})["outputs"]["size"] == 7
    assert local_outputs(Path(elsewhere["work_dir"]), "default") is None
