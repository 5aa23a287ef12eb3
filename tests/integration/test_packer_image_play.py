"""packer_image in a play: progress, the examples of its documentation, and every way to interrupt it.

The table of interruptions in docs/packer_image.md is what these tests see.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from ansible_collections.iac.ds_stack.plugins.module_utils._run.lock import DirectoryLock, read_holder
from ansible_collections.iac.ds_stack.plugins.modules import packer_image

from tests.integration.packer_bakes import REPOSITORY, Baker, wait_for
from tests.which_ansible import PLAYBOOK, PYTHON

pytest_plugins = ["tests.integration.packer_bakes"]
pytestmark = pytest.mark.usefixtures("needs_packer")

SECRET = "correct-horse-battery"
TABLE = (REPOSITORY / "docs/packer_image.md").read_text()


class Play:
    """A playbook with one task, and the lines it prints with the time of each."""

    def __init__(self, baker: Baker) -> None:
        self.baker = baker
        self.lines: list[tuple[float, str]] = []
        self.temporary = baker.folder / "tmp"
        self.temporary.mkdir()

    def start(self, *arguments: str, timeout: int | None = None, **options: Any) -> subprocess.Popen[str]:
        task = {"iac.ds_stack.packer_image": {**self.baker.options, **options}}
        return self.start_tasks([{**task, **({"timeout": timeout} if timeout else {})}], *arguments)

    def start_tasks(self, tasks: list[dict[str, Any]], *arguments: str) -> subprocess.Popen[str]:
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": PYTHON},
            "tasks": tasks,
        }
        playbook = self.baker.folder / "play.yml"
        playbook.write_text(json.dumps([play]))
        environment = {
            **self.baker.environment,
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".cache/collections"),
            "TMPDIR": str(self.temporary),
        }
        environment["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")  # of the tests' runner, not the baker's
        self.lines = []
        process = subprocess.Popen(
            [PLAYBOOK, str(playbook), *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=[process], daemon=True).start()
        return process

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append((time.monotonic(), line.strip()))

    def finish(self, process: subprocess.Popen[str], seconds: float = 120) -> str:
        """Wait for the end of the play; its output in one line."""
        process.wait(seconds)
        wait_for(lambda: "PLAY RECAP" in self.output, "the end of the output")
        return " ".join(self.output.split())

    @property
    def output(self) -> str:
        return "\n".join(line for _, line in self.lines)

    def when(self, text: str) -> float:
        return next(moment for moment, line in self.lines if text in line)


@pytest.fixture
def play(baker: Baker) -> Play:
    return Play(baker)


@pytest.mark.fault(7)
@pytest.mark.fault(11)
def test_progress_is_shown_while_packer_runs_and_no_secret_even_with_vvv(play: Play) -> None:
    script = (
        'echo "$PLAYBOOK $COLLECTIONS LICENCE=$LICENCE"; $PLAYBOOK --version > /dev/null && '
        "test -d ${COLLECTIONS%%:*}/ansible_collections/iac/ds_stack && sleep 3"
    )
    options: dict[str, Any] = {"variables": {"script": script}, "sensitive_variables": {"licence": SECRET}}
    process = play.start("-vvv", "--diff", **options)
    play.finish(process)
    assert process.returncode == 0, play.output
    assert "Baking tiny-" in play.output
    assert "Why: no image with this content." in play.output
    assert re.search(r"^0:\d\d  Creating AMI tiny-", play.output, re.MULTILINE)
    assert play.when("Running local shell script") + 2 < play.when("Creating AMI tiny-"), "as it happened"
    assert "variables.script: " in play.output, "diff mode"
    assert SECRET not in play.output
    assert "\x1b" not in play.output
    assert "changed=1" in play.output

    assert "changed=0" in play.finish(play.start(**options))


def test_the_examples_work(play: Play) -> None:
    folder = play.baker.folder
    play.baker.template.rename(folder / "packer")
    (folder / "packer/more.pkr.hcl").write_text(
        'variable "instance_type" { default = "t3.micro" }\n'
        'variable "source_cidrs" {\n  type    = list(string)\n  default = []\n}\n'
        'variable "licence_key" {\n  default   = ""\n  sensitive = true\n}\n'
    )
    (folder / "roles/r/tasks").mkdir(parents=True)
    (folder / "roles/r/tasks/main.yml").write_text("---\n")
    (folder / "image.yml").write_text("---\n")
    play.baker.environment |= {"AWS_REGION": "eu-central-1", "LICENCE_KEY": SECRET}
    there = boto3.client(
        "ec2",
        region_name="eu-central-1",
        endpoint_url=play.baker.environment["AWS_ENDPOINT_URL"],
        aws_access_key_id="test",
        aws_secret_access_key="testtest",
    )
    base = min(image["ImageId"] for image in there.describe_images(Owners=["amazon"])["Images"])
    examples = packer_image.EXAMPLES.replace("ami-0a1b2c3d4e5f60718", base)
    process = play.start_tasks(yaml.safe_load(examples))
    output = play.finish(process)
    assert process.returncode == 0, play.output
    assert "was baked" in output
    assert "failed=0" in output
    assert SECRET not in output


class Account:
    """What the account has of a stack."""

    def __init__(self, client: Any, stack: str) -> None:
        self.client = client
        self.filters = [{"Name": "tag:ds-stack:name", "Values": [stack]}]

    def holds(self) -> dict[str, list[str]]:
        live = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
        reservations = self.client.describe_instances(Filters=[*self.filters, live])["Reservations"]
        groups = self.client.describe_security_groups(Filters=self.filters)["SecurityGroups"]
        keys = self.client.describe_key_pairs(Filters=self.filters)["KeyPairs"]
        images = self.client.describe_images(Owners=["self"], Filters=self.filters)["Images"]
        return {
            "instance": [
                one["InstanceId"] for reservation in reservations for one in reservation["Instances"]
            ],
            "key pair": [one["KeyName"] for one in keys],
            "security group": [one["GroupId"] for one in groups],
            "image": [one["ImageId"] for one in images],
        }


class Bake:
    """A bake that takes a minute unless something happens to it, and what can be seen of it then."""

    def __init__(self, play: Play, client: Any) -> None:
        self.play = play
        self.work = play.baker.work
        self.folder = play.baker.folder
        self.account = Account(client, self.folder.name)

    def start(self, seconds: int = 60, **options: Any) -> subprocess.Popen[str]:
        script = f"touch {self.folder}/begun; sleep {seconds}; touch {self.folder}/went_on"
        process = self.play.start(
            variables={"script": script}, sensitive_variables={"licence": SECRET}, **options
        )
        wait_for((self.folder / "begun").exists, "the provisioner")
        assert self.account.holds()["instance"], "there is something to leave"
        assert self.secrets(), "there is something to remove"
        return process

    def attempt(self) -> dict[str, Any]:
        return json.loads((self.work / ".attempt.json").read_text())

    def secrets(self) -> list[Path]:
        found = [*self.play.temporary.glob("packer-*"), self.work / "sensitive.pkrvars.json"]
        return [path for path in found if path.exists()]

    def is_over(self) -> bool:
        """Neither Packer nor what watches it is left."""
        if subprocess.run(["pgrep", "-f", f"{self.work}/"], capture_output=True, check=False).returncode == 0:
            return False
        with contextlib.suppress(Exception), DirectoryLock(self.work / ".lock", "test"):
            return True
        return False

    def row(self, what: str, console: str) -> str:
        """The row of the table, as seen: what Packer did and left, and what the next run does."""
        wait_for(self.is_over, "the end of Packer")
        (log,) = (path.read_text() for path in (self.work / "log").glob("*.log"))
        stopped = not (self.folder / "went_on").exists() and "Terminating the source AWS instance" in log
        left = [kind for kind, ids in self.account.holds().items() if ids]
        secrets = "kept" if self.secrets() else "removed"
        result = self.play.baker.bake(variables={"script": "true"})
        told = [text for text in map(str, result.get("warnings", ())) if "An earlier bake here" in text]
        assert all("It left no instance, key pair, security group, volume or image" in text for text in told)
        cells = [
            what,
            console,
            "gets SIGINT, cleans up, ends" if stopped else "runs to its end",
            ", ".join(left) or "nothing",
            secrets,
            "says how the last one ended, bakes" if told else "bakes",
        ]
        # Looks back as every run does, and need not bake for that.
        again = self.play.baker.bake(force=True, variables={"script": "true"}, _ansible_check_mode=True)
        assert "warnings" not in again, "told once"
        return f"| {' | '.join(cells)} |"


@pytest.fixture
def bake(play: Play, ec2: Any) -> Bake:
    return Bake(play, ec2)


def ended_at_once(process: subprocess.Popen[str]) -> str:
    began = time.monotonic()
    process.wait(60)
    return "the play is over at once" if time.monotonic() - began < 15 else "the play waits"


@pytest.mark.fault(13)
@pytest.mark.fault(17)
@pytest.mark.parametrize(
    ("number", "what"),
    [
        (signal.SIGINT, "Ctrl-C"),
        (signal.SIGTERM, "SIGTERM to the play"),
        (signal.SIGHUP, "Terminal lost (SIGHUP)"),
        (signal.SIGKILL, "The play is killed (SIGKILL)"),
    ],
)
def test_the_play_is_interrupted(bake: Bake, number: int, what: str) -> None:
    process = bake.start()
    os.killpg(process.pid, number)
    assert bake.row(what, ended_at_once(process)) in TABLE


@pytest.mark.fault(13)
def test_the_task_times_out(bake: Bake) -> None:
    process = bake.start(timeout=30)
    output = bake.play.finish(process)
    assert "Timed out after 30 second(s)" in output
    assert bake.play.when("Terminating the source AWS instance") < bake.play.when("Timed out")
    assert (
        bake.row(
            "Task keyword `timeout`", "the task fails when Packer has stopped, after a minute at the latest"
        )
        in TABLE
    )


@pytest.mark.fault(13)
def test_the_module_times_out(bake: Bake) -> None:
    # The option of the module, not the keyword of the task.
    script = f"touch {bake.folder}/begun; sleep 60; touch {bake.folder}/went_on"
    options = {**bake.play.baker.options, "variables": {"script": script}, "timeout": 15}
    process = bake.play.start_tasks([{"iac.ds_stack.packer_image": options}])
    output = bake.play.finish(process)
    assert "The bake failed. stopped after" in output
    assert "It left no instance" in output
    assert bake.row("Option `timeout`", "the task fails and says what was left") in TABLE


@pytest.mark.fault(13)
def test_the_module_is_killed(bake: Bake) -> None:
    process = bake.start()
    holder = read_holder(bake.work / ".lock")
    assert holder is not None
    os.kill(holder.pid, signal.SIGKILL)
    bake.play.finish(process)
    assert process.returncode == 2
    assert bake.row("The module is killed (SIGKILL)", "the task fails") in TABLE


@pytest.mark.fault(13)
def test_the_supervisor_is_killed(bake: Bake) -> None:
    process = bake.start(seconds=30)
    packer = bake.attempt()["pid"]
    supervisor = int(Path(f"/proc/{packer}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(supervisor, signal.SIGKILL)
    assert "may still be running" in bake.play.finish(process)
    refused = bake.play.baker.fail()["msg"]
    assert f"still runs as process {packer}" in refused
    assert f"kill -INT {packer}" in refused
    wait_for(lambda: not Path(f"/proc/{packer}").exists(), "the end of Packer", 120)
    assert not bake.secrets()
    warnings = " ".join(map(str, bake.play.baker.bake(variables={"script": "true"})["warnings"]))
    assert "An earlier bake here was killed together with the process that watched it." in warnings
    assert "image ami-" in warnings
    row = (
        "| The supervising process is killed (SIGKILL) | the task fails and says that Packer may still run "
        "| runs to its end | its image, without a fingerprint | removed "
        "| is refused while Packer runs; then says that the last one was killed and what it left, bakes |"
    )
    assert row in TABLE


@pytest.mark.fault(18)
def test_a_second_run_is_refused(bake: Bake) -> None:
    process = bake.start()
    refused = bake.play.baker.fail()["msg"]
    assert re.search(r"work is in use by packer_image \(process \d+ of user \w+ on .*, for \d+ s\)", refused)
    os.killpg(process.pid, signal.SIGINT)
    process.wait(60)
    wait_for(bake.is_over, "the end of Packer")
    row = (
        "| A second run in the same `work_dir` "
        "| fails at once; names process, user, host and age of the first "
        "| is not started | of the first | of the first | |"
    )
    assert row in TABLE


def test_every_row_of_the_table_is_shown_here() -> None:
    source = Path(__file__).read_text()
    names = [
        row.split(" | ")[0].removeprefix("| ")
        for row in TABLE.partition("## Interruptions")[2].splitlines()
        if row.startswith("| ")
    ]
    assert len(names) > 8
    assert [name for name in names[1:] if name not in source] == []
