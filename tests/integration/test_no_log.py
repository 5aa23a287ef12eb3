"""A task with `no_log` shows nothing of what Terraform and Packer say, wherever it is set and they run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.packer_bakes import Baker
from tests.which_ansible import PLAYBOOK, PYTHON

pytest_plugins = ["tests.integration.packer_bakes"]

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]

TALKS = """
variable "text" {}
resource "terraform_data" "talks" {
  input = var.text
  provisioner "local-exec" {
    command = "echo ${var.text} && ${startswith(var.text, "fails") ? "exit 7" : "true"}"
  }
}
check "warns" {
  assert {
    condition     = var.text == ""
    error_message = "beware of ${var.text}"
  }
}
"""

PLACES: dict[str, dict[str, Any]] = {
    "nowhere": {},
    "task": {"task": True},
    "template": {"task": "{{ quiet }}"},
    "loop": {"task": "{{ item == 'one' }}"},
    "block": {"block": True},
    "play": {"play": "{{ quiet | bool }}"},
}
"""Where `no_log` is set, and to what."""

CONNECTIONS = ["local", "remote"]

HIDDEN = "It failed; why is not shown, as the task has `no_log`."


class Plays:
    """A playbook, run with one connection or the other."""

    def __init__(self, folder: Path, connection: str) -> None:
        self.folder = folder
        # Any connection that is not "local" is that of a remote host.
        remote = "ansible_connection=community.general.chroot ansible_host=/"
        (folder / "inventory").write_text(
            f"localhost ansible_python_interpreter={PYTHON} "
            f"{remote if connection == 'remote' else 'ansible_connection=local'}\n"
        )
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}

    def run(self, *plays: dict[str, Any], code: int = 0) -> str:
        """Run plays, with all that Ansible shows at most to ordinary people; return that in one line."""
        playbook = self.folder / "play.yml"
        playbook.write_text(
            json.dumps([{"hosts": "localhost", "gather_facts": False, **play} for play in plays])
        )
        done = subprocess.run(
            [PLAYBOOK, "-i", self.folder / "inventory", "--diff", "-v", playbook],
            env={
                **self.environment,
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache/collections"),
                "ANSIBLE_NOCOLOR": "1",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == code, said
        return said


@pytest.fixture(params=CONNECTIONS)
def plays(request: pytest.FixtureRequest, tmp_path: Path) -> Plays:
    if request.param == "remote" and os.geteuid() != 0:
        pytest.skip("chroot needs root")
    return Plays(tmp_path, request.param)


def stack(plays: Plays, text: str, **keywords: Any) -> dict[str, Any]:
    """A task that makes a stack which says a text."""
    source = plays.folder / "source"
    source.mkdir(exist_ok=True)
    (source / "main.tf").write_text(TALKS)
    options = {
        "source": str(source),
        "work_dir": str(plays.folder / f"work-{text}"),
        "variables": {"text": text},
    }
    return {"iac.ds_stack.terraform_stack": options, **keywords}


def log_of(plays: Plays, text: str) -> str:
    """What the last run of a stack wrote to its log."""
    return max((plays.folder / f"work-{text}/.terraform_stack/logs").glob("*.log")).read_text()


def play(where: str, task: dict[str, Any]) -> dict[str, Any]:
    """A play with a task; `no_log` is set in it, or above it."""
    setting = PLACES[where]
    if "task" in setting:
        task = {**task, "no_log": setting["task"]}
    if where == "loop":
        task = {**task, "loop": ["one"]}
    if "block" in setting:
        task = {"block": [task], "no_log": setting["block"]}
    above = {"no_log": setting["play"]} if "play" in setting else {}
    return {"vars": {"quiet": True}, "tasks": [task], **above}


@pytest.mark.fault(20)
def test_nothing_that_terraform_says_is_shown_wherever_no_log_is_set(plays: Plays) -> None:
    said = plays.run(*(play(where, stack(plays, f"text-{where}")) for where in PLACES))
    assert "terraform_data.talks (local-exec): text-nowhere" in said
    assert "beware of text-nowhere" in said, "a warning of Terraform's"
    for where in PLACES:
        assert f"text-{where}" in log_of(plays, f"text-{where}"), "it was said"
        assert (f"text-{where}" in said) is (where == "nowhere"), where
    assert said.count("terraform_data.talks: created") == 1
    assert f"changed={len(PLACES)} " in said


@pytest.mark.fault(20)
def test_why_terraform_failed_is_not_shown(plays: Plays) -> None:
    task = stack(plays, "fails-loudly", no_log=True, ignore_errors=True, register="failed")
    tasks = [
        task,
        {"ansible.builtin.assert": {"that": ["failed is failed", "failed.diagnostics | length > 0"]}},
    ]
    said = plays.run({"tasks": tasks})
    assert "fails-loudly" not in said.replace(str(plays.folder), "").replace("work-fails-loudly", "")
    log = plays.folder / "work-fails-loudly/.terraform_stack/logs"
    assert f"{HIDDEN} The log tells: {log}/" in said
    assert "exit status 7" in log_of(plays, "fails-loudly")


@pytest.mark.fault(20)
def test_why_an_async_task_failed_is_not_shown(tmp_path: Path) -> None:
    plays = Plays(tmp_path, "local")
    keywords = {"async": 60, "poll": 1, "ignore_errors": True, "no_log": True}
    said = plays.run({"tasks": [stack(plays, "fails-later", **keywords)]})
    assert HIDDEN in said
    assert "fails-later" not in said.replace("work-fails-later", "")


@pytest.mark.fault(20)
def test_nothing_of_a_look_for_drift_is_shown(plays: Plays) -> None:
    made = stack(plays, "drifts", no_log=True)
    options = made["iac.ds_stack.terraform_stack"]
    looks = {"iac.ds_stack.terraform_drift_info": {**options, "variables": {"text": "beside"}}}
    said = plays.run({"tasks": [made, looks, {**looks, "no_log": True}]})
    assert said.count("beware of beside") == 1, "the first look's warning alone"
    assert "beware of drifts" not in said


@pytest.mark.fault(20)
def test_a_plan_that_must_not_be_shown_is_not_asked_about(plays: Plays) -> None:
    task = stack(plays, "asks", no_log=True)
    task["iac.ds_stack.terraform_stack"]["confirm"] = "{{ 'yes' }}"
    said = plays.run({"tasks": [task]}, code=2)
    assert (
        "`confirm` shows the plan and `no_log` forbids it. Nothing was done: leave out one of them." in said
    )
    assert not (plays.folder / "work-asks").exists()


@pytest.mark.fault(20)
@pytest.mark.usefixtures("needs_packer")
def test_nothing_that_packer_says_is_shown(plays: Plays, baker: Baker) -> None:
    def bakes(text: str, code: int, **keywords: Any) -> dict[str, Any]:
        options = {
            **baker.options,
            "variables": {"script": f"echo says-{text} | tr x y; exit {code}"},
            "work_dir": str(plays.folder / text),
            "name": text,
        }
        return {"iac.ds_stack.packer_image": options, "ignore_errors": True, **keywords}

    plays.environment = baker.environment
    tasks = [
        bakes("loud", 0),
        bakes("quiet", 0, no_log=True),
        bakes("broken", 3, no_log="{{ 1 == 1 }}"),
    ]
    said = plays.run({"tasks": tasks})
    assert "Baking loud-" in said
    for text in ("quiet", "broken"):
        assert f"Baking {text}-" not in said
        assert f"says-{text}" not in said
        (log,) = (plays.folder / text / "log").glob("*.log")
        assert f"says-{text}" in log.read_text()
    assert f"{HIDDEN} The log tells: {plays.folder}/broken/log/" in said
