"""users.yml and show_text: what is secret gets to the operator's terminal, and nowhere else."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

ROOT = Path(__file__).resolve().parents[2]
REGION = "eu-central-1"
PASSWORD = 'Zq7-"hush"-\\word'


@dataclass(frozen=True)
class Operator:
    """Somebody whose Ansible writes down all that it can."""

    folder: Path
    endpoint: str

    def play(self, playbook: str, *arguments: str, **variables: Any) -> str:
        """Run a playbook to a good end, and return what it printed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        played = subprocess.run(
            ["ansible-playbook", playbook, *arguments, "-e", json.dumps(variables)],
            cwd=self.folder,
            env={
                **kept,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_LOG_PATH": str(self.folder / "ansible.log"),
                "ANSIBLE_CALLBACKS_ENABLED": "community.general.log_plays,ansible.builtin.junit",
                "ANSIBLE_LOG_FOLDER": str(self.folder / "plays"),
                "JUNIT_OUTPUT_DIR": str(self.folder / "junit"),
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_ENDPOINT_URL": self.endpoint,
                "AWS_EC2_METADATA_DISABLED": "true",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert played.returncode == 0, (played.stdout + played.stderr)[-6000:]
        return played.stdout + played.stderr

    def written(self) -> str:
        """Return all that Ansible has written down, which is something."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        assert {"ansible.log", "localhost"} <= {path.name for path in files}
        assert any(path.parent.name == "junit" for path in files)
        return "".join(path.read_text() for path in files)


@pytest.fixture
def operator(tmp_path: Path, endpoint: str) -> Operator:
    return Operator(tmp_path, endpoint)


def stack(endpoint: str) -> None:
    """Make the parameters of a stack with two users."""
    ssm = boto3.client(
        "ssm",
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    for user in ("ada", "grace"):
        ssm.put_parameter(
            Name=f"/ds-stack/demo/operator/passwords/{user}",
            Value=f"{PASSWORD}-of-{user}",
            Type="SecureString",
            Overwrite=True,
        )


def test_passwords_are_on_the_terminal_alone(operator: Operator) -> None:
    stack(operator.endpoint)
    said = operator.play("iac.ds_stack.users", "-vvvvv", ds_stack_name="demo", ds_stack_region=REGION)
    for user in ("ada", "grace"):
        assert f"{user:20} {PASSWORD}-of-{user}\n" in said
        assert said.count(f"-of-{user}") == 1
    assert "hush" not in operator.written()
    assert "Show the users and their passwords" in operator.written()


def test_check_mode_reads_no_password(operator: Operator) -> None:
    stack(operator.endpoint)
    said = operator.play("iac.ds_stack.users", "--check", ds_stack_name="demo", ds_stack_region=REGION)
    assert f"{'ada':20} (not shown in check mode)\n" in said
    assert "-of-ada" not in said + operator.written()


def test_a_text_that_is_no_secret_is_also_in_the_log(operator: Operator) -> None:
    tasks = [
        {"iac.ds_stack.show_text": {"text": "Log in at home"}},
        {"iac.ds_stack.show_text": {"text": "Log in at {{ place }}"}, "no_log": True},
    ]
    playbook = operator.folder / "play.yml"
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    said = operator.play(str(playbook), place="a secret place")
    assert "Log in at home\n" in said
    assert "Log in at a secret place\n" in said
    playbook.unlink()
    assert "Log in at home" in operator.written()
    assert "a secret place" not in operator.written()
