"""Modules that a fork of Ansible runs in place of being started, with moto's Parameter Store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
STARTED = "EXEC /bin/sh"
"""What -vvv says when a module is started."""


class Play:
    """Tasks for the control machine, run as people run them."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
        }

    def run(
        self, tasks: list[dict[str, Any]], *arguments: str, interpreter: str = "{{ ansible_playbook_python }}"
    ) -> tuple[int, str]:
        """Run tasks; the exit code, and what was printed."""
        playbook = self.folder / "play.yml"
        variables = {"ansible_python_interpreter": interpreter}
        play = {"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": tasks}
        playbook.write_text(json.dumps([play]))
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), playbook, "-vvv", *arguments],
            cwd=ROOT,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    def results(
        self, tasks: list[dict[str, Any]], *arguments: str, **keywords: str
    ) -> tuple[list[dict[str, Any]], str]:
        """The results of tasks, which may fail, and what was printed of them."""
        path = self.folder / "results.json"
        names = [f"result_{number}" for number in range(len(tasks))]
        kept = [
            {**task, "register": name, "ignore_errors": True} for task, name in zip(tasks, names, strict=True)
        ]
        content = f"{{{{ [{', '.join(names)}] | to_json }}}}"
        keep = {
            "ansible.builtin.copy": {"content": content, "dest": str(path), "mode": "0600"},
            "check_mode": False,
            "diff": False,
        }
        code, text = self.run([*kept, keep], *arguments, **keywords)
        assert code == 0, text
        return json.loads(path.read_text()), text.partition("TASK [ansible.builtin.copy]")[0]

    def result(self, task: dict[str, Any], *arguments: str) -> tuple[dict[str, Any], str]:
        """The result of one task, and what was printed of it."""
        (result,), text = self.results([task], *arguments)
        return result, text


@pytest.fixture
def play(tmp_path: Path, endpoint: str) -> Play:
    return Play(tmp_path, endpoint)


def other_python() -> str:
    """This Python by another name: Ansible cannot know that it is the same."""
    return str(Path(sys.executable).with_name("python3"))


CASES = [
    ("machine_config", {"stack": "demo", "config": {"tls": "none", "number": 2**70}}),
    ("machine_config", {"stack": "demo", "config": {}, "tag": {}}),
    ("machine_status", {"stack": "demo", "instance_id": "i-1", "urls": ["http://127.0.0.1:9"]}),
    ("machine_status", {"stack": "demo", "instance_id": "i-1", "wait": True, "timeout": 0}),
    ("user_credentials", {"stack": "demo", "users": ["ada"]}),
    ("check_environment", {"stack": "demo", "stages": ["users"]}),
    ("check_environment", {"stack": "demo", "stages": ["bake"], "bake_instance_type": "t3.none"}),
]


@pytest.mark.parametrize("mode", [(), ("--check", "--diff")])
def test_a_fork_gives_the_same_result_as_the_module(play: Play, mode: tuple[str, ...]) -> None:
    tasks = [{f"iac.ds_stack.{module}": options} for module, options in CASES]
    play.results(tasks, *mode)  # so that what is to be written is there
    forked, text = play.results(tasks, *mode)
    assert STARTED not in text
    started, text = play.results(tasks, *mode, interpreter=other_python())
    assert text.count(STARTED) >= len(tasks)
    for (module, _), one, other in zip(CASES, forked, started, strict=True):
        for result in (one, other):
            result.pop("waited", None)
            result.pop("exception", None)
        assert one == other, module


def test_a_task_environment_reaches_the_fork(play: Play) -> None:
    task = {
        "iac.ds_stack.machine_config": {"stack": "demo", "config": {}},
        "environment": {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
    }
    result, _ = play.result(task)
    assert "Could not connect to the endpoint URL" in result["msg"]


def test_a_module_that_crashes_tells_where(play: Play) -> None:
    task = {
        "iac.ds_stack.machine_config": {"stack": "demo", "config": {}},
        "environment": {"AWS_ENDPOINT_URL": "no address"},
    }
    result, text = play.result(task)
    assert result["failed"]
    assert "no address" in result["msg"]
    assert STARTED not in text


def test_a_task_timeout_ends_it(play: Play) -> None:
    wait = {"stack": "demo", "instance_id": f"i-{os.getpid()}", "wait": True, "timeout": 600}
    began = time.monotonic()
    code, text = play.run([{"iac.ds_stack.machine_status": wait, "timeout": 3}])
    assert code == 2
    assert "Timed out after 3 second" in text
    assert time.monotonic() - began < 30
    found = subprocess.run(["pgrep", "-f", str(play.folder / "play.yml")], capture_output=True, check=False)
    assert found.returncode == 1, "the fork, which has the name of the play's process, is gone"


def test_async_is_started(play: Play) -> None:
    config = {"stack": "later", "config": {"tls": "none"}}
    result, text = play.result({"iac.ds_stack.machine_config": config, "async": 60, "poll": 1})
    assert result["version"] == 1
    assert STARTED in text
