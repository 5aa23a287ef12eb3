"""terraform_unchanged_info with the real Terraform: which stacks have nothing to do, all at the same time."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.iac.ds_stack.plugins.modules import terraform_unchanged_info

from tests.integration.terraform_stacks import Stack, isolated_stack, snapshot

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
DIFFERENT = "Source, variables or settings are not those of its last run."


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack that was applied."""
    made = isolated_stack(tmp_path, monkeypatch)
    made.apply(variables={"size": 2})
    return made


def options(stack: Stack, **changed: Any) -> dict[str, Any]:
    return {
        "source": str(stack.source),
        "work_dir": str(stack.work_dir),
        "variables": {"size": 2},
        **changed,
    }


def look(**stacks: Any) -> dict[str, Any]:
    """Run the module in this process."""
    printed = io.StringIO()
    with patch_module_args({"stacks": stacks}), redirect_stdout(printed), pytest.raises(SystemExit):
        terraform_unchanged_info.main()
    result: dict[str, Any] = json.loads(printed.getvalue())
    return result


def test_what_has_nothing_to_do_is_returned_as_terraform_stack_would(stack: Stack) -> None:
    before = snapshot(stack.work_dir)
    result = look(disk=options(stack))
    assert snapshot(stack.work_dir) == before
    assert (result["changed"], result["others"]) == (False, {})
    found = result["unchanged"]["disk"]
    applied = stack.run(check=True, variables={"size": 2})
    for values in (found, applied):
        values.pop("duration")
    for name in ("invocation", "warnings"):  # of other tests, in this process
        applied.pop(name, None)
    assert found == applied
    assert (found["changed"], found["changes"]) == (False, [])
    assert (found["outputs"]["size"], found["outputs"]["password"]) == (2, "(sensitive)")


def test_what_was_given_otherwise_is_not_planned(stack: Stack) -> None:
    log = stack.work_dir / "planned"
    counting = stack.source.parent / "counting"
    counting.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec terraform "$@"\n')
    counting.chmod(0o755)
    variable = look(disk=options(stack, variables={"size": 3}, binary=str(counting)))
    never_run = look(disk=options(stack, work_dir=str(stack.work_dir / "none"), binary=str(counting)))
    stack.write('output "more" {\n  value = 1\n}\n', "more.tf")
    source = look(disk=options(stack, binary=str(counting)))
    for result in (variable, never_run, source):
        assert (result["unchanged"], result["others"]) == ({}, {"disk": DIFFERENT})
    assert not log.exists()


def test_a_run_that_nobody_saw_the_end_of_has_something_to_do(stack: Stack) -> None:
    (stack.work_dir / ".terraform_stack/run.json").write_text("{}")
    assert look(disk=options(stack))["others"] == {"disk": DIFFERENT}


def test_what_was_changed_by_others_is_planned_and_told(stack: Stack) -> None:
    subprocess.run(
        ["terraform", "state", "rm", "terraform_data.disk"],
        cwd=stack.work_dir,
        check=True,
        capture_output=True,
    )
    assert look(disk=options(stack))["others"] == {"disk": "The plan: 1 to add."}


def test_one_that_cannot_be_planned_does_not_keep_the_others_back(stack: Stack) -> None:
    broken = Path(f"{stack.work_dir}-broken")
    shutil.copytree(stack.work_dir, broken)
    (broken / "terraform.tfstate").write_text("no state")
    result = look(disk=options(stack), broken=options(stack, work_dir=str(broken)))
    assert list(result["unchanged"]) == ["disk"]
    assert "terraform plan failed" in result["others"]["broken"]


@pytest.mark.parametrize(
    ("stacks", "message"),
    [
        ({"disk": {"source": "/x"}}, "stacks.disk: missing required arguments: work_dir"),
        (
            {"disk": {"source": "/x", "work_dir": "/y", "sensitive_variables": {}}},
            "stacks.disk: sensitive_variables. Supported parameters include: ",
        ),
        ({"disk": "/x"}, "stacks.disk: the options of a stack are a dictionary."),
    ],
)
def test_options_are_checked(stacks: dict[str, Any], message: str) -> None:
    result = look(**stacks)
    assert result["failed"]
    assert result["msg"].startswith(message)


AT_ONCE = """
- hosts: all
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    disk: {source: SOURCE, work_dir: "WORK", variables: {size: 2}, binary: "BINARY"}
  tasks:
    - iac.ds_stack.terraform_unchanged_info:
        stacks: {first: "{{ disk }}", second: "{{ disk }}", third: "{{ disk | combine({'variables': {}}) }}"}
      become: "{{ inventory_hostname == 'started' }}"
      register: result
    - ansible.builtin.copy:
        content: "{{ result | to_json }}"
        dest: "RESULTS/{{ inventory_hostname }}.json"
        mode: "0600"
"""


def test_in_a_play_they_are_planned_at_the_same_time(stack: Stack, tmp_path: Path) -> None:
    """And with the same result as one after the other, which is what the module does when it is started."""
    moments = tmp_path / "moments"
    slow = tmp_path / "slow"
    slow.write_text(
        f"#!/bin/sh\n[ $1 = plan ] || exec terraform $@\n"
        f"echo begin >> {moments}\nsleep 2\nterraform $@; code=$?\necho end >> {moments}\nexit $code\n"
    )
    slow.chmod(0o755)
    stack.apply(variables={"size": 2}, binary=str(slow))
    moments.unlink()
    text = AT_ONCE.replace("SOURCE", str(stack.source)).replace("WORK", str(stack.work_dir))
    playbook = tmp_path / "play.yml"
    playbook.write_text(text.replace("BINARY", str(slow)).replace("RESULTS", str(tmp_path)))
    inventory = tmp_path / "hosts"
    results = []
    for host in ("forked", "started"):
        inventory.write_text(f"{host} ansible_connection=local\n")
        played = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, playbook],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert played.returncode == 0, played.stdout + played.stderr
        assert "  first: nothing to do\n" in played.stdout
        assert "  second: nothing to do\n" in played.stdout
        results.append(json.loads((tmp_path / f"{host}.json").read_text()))
    assert moments.read_text().split() == [*("begin", "begin", "end", "end"), *("begin", "end") * 2]
    for result in results:
        assert result["others"] == {"third": DIFFERENT}
        for found in result["unchanged"].values():
            found.pop("duration")
    forked, started = results
    for name in ("invocation", "warnings"):
        started.pop(name, None)
        forked.pop(name, None)
    assert forked == started
