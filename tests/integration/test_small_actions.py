"""show_text and check_configuration, which only exist in a play."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.which_ansible import PLAYBOOK

REPOSITORY = Path(__file__).resolve().parents[2]

SPECIFICATION = {
    "argument_specs": {
        "configuration": {
            "options": {
                "ds_stack_name": {"type": "str", "required": True},
                "ds_stack_size": {"type": "int", "default": 1},
                "ds_stack_title": {"type": "str"},
            }
        }
    }
}


def play(folder: Path, variables: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run both modules in a play."""
    (folder / "spec.yml").write_text(json.dumps(SPECIFICATION))
    tasks = [
        {"iac.ds_stack.check_configuration": {"specification": str(folder / "spec.yml")}},
        {"iac.ds_stack.show_text": {"text": "Log in:\n  ssh 'ada'@\"host\" \\\n    -p 22"}},
    ]
    playbook = folder / "play.yml"
    playbook.write_text(
        json.dumps([{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": tasks}])
    )
    return subprocess.run(
        [PLAYBOOK, str(playbook), *arguments],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".cache/collections")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_a_good_configuration_and_a_text_as_it_is(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = play(tmp_path, {"ds_stack_name": "demo", "ds_stack_title": "{{ ds_stack_name }}!"}, *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "\nLog in:\n  ssh 'ada'@\"host\" \\\n    -p 22\n" in result.stdout
    assert "changed=0" in result.stdout


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    variables = {"ds_stack_naem": "demo", "ds_stack_size": "big", "ds_stack_title": "{{ ds_stack_name }}"}
    result = play(tmp_path, variables)
    assert result.returncode == 2
    said = " ".join((result.stdout + result.stderr).split())
    assert "Nothing was done. The configuration has to be mended first:" in said
    for part in ("ds_stack_naem", "ds_stack_name", "ds_stack_size"):
        assert part in said
    assert "Log in:" not in said


def test_defaults_of_both_action_groups(tmp_path: Path) -> None:
    """They reach the modules, with and without an action plugin; that of AWS also those of amazon.aws."""
    folder = str(tmp_path)
    tasks: dict[str, dict[str, Any]] = {
        "terraform": {"iac.ds_stack.terraform_stack": {"source": folder}},
        "packer": {"iac.ds_stack.packer_image": {"template": folder, "name": "a", "base_image_id": "ami-1"}},
        "retention": {"iac.ds_stack.ami_retention": {"stack": "demo"}},
        "other": {"amazon.aws.aws_az_info": {}},
    }
    messages = "{{ {" + ", ".join(f"'{name}': {name}.msg" for name in tasks) + "} | to_json }}"
    aws = {"region": "eu-north-1", "endpoint_url": "http://127.0.0.1:9"}
    defaults = {"group/iac.ds_stack.stack": {"work_dir": folder}, "group/iac.ds_stack.aws": aws}
    copy = {"content": messages, "dest": str(tmp_path / "messages"), "mode": "0600"}
    steps: list[Any] = [
        *({**task, "register": name, "ignore_errors": True} for name, task in tasks.items()),
        {"ansible.builtin.copy": copy},
    ]
    playbook = tmp_path / "play.yml"
    playbook.write_text(
        json.dumps(
            [{"hosts": "localhost", "gather_facts": False, "module_defaults": defaults, "tasks": steps}]
        )
    )
    done = subprocess.run(
        [PLAYBOOK, str(playbook)],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".cache/collections"),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_MAX_ATTEMPTS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads((tmp_path / "messages").read_text())
    assert f"work_dir ({folder})" in said["terraform"]
    # It asks for a region first.
    assert f"The work_dir {folder} and the template {folder} lie in each other" in said["packer"]
    for name in ("retention", "other"):
        assert 'Could not connect to the endpoint URL: "http://127.0.0.1:9/"' in said[name]
