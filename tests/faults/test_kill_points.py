"""site.yml, a replacement and destroy.yml, killed after each task that changes something: on moto.

The tests build on each other in the order of the file: what one run has left is what the next one finds,
which is broken off at the next point; in between the operator's credentials expire. `make test` takes some of
the points, `make soak` all. The matrix of what broke it off, what the operator reads, what is left and what
the next run does is printed, and written to tests/output/faults.txt.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.checker import Look, doubled, look, lost
from tests.faults.kill_points import kill_points, of_file
from tests.faults.matrix import ending, errors, shown
from tests.faults.refusals import noticing, refusing
from tests.integration.moto_stacks import (
    living_stack,
    machines,
    make_image,
    snapshot,
)
from tests.integration.operators import ROOT, Operator

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

ALL = bool(os.environ.get("DS_STACK_SOAK"))
SITE, DESTROY = kill_points("site"), kill_points("destroy")
REPLACE = of_file("tasks/replace.yml")
FEW = (
    "Apply the machine",
    "Destroy the machine",
    "Make a final snapshot of the homes",
)
END = "Note how the run ended, and give its lock back"
NAME = "broken"
KEY = "OPERATOR"
"""The operator's access key: what is refused is refused to them, and not to these tests."""
EVERYTHING: dict[str, Any] = {"ds_stack_destroy_data": True, "ds_stack_destroy_images": True}
MATRIX = ROOT / "tests/output/faults.txt"
KILLED = -9

NOT_REACHED = {
    "Hand over a state that lies on this machine": "none does here; tests/integration/test_state_places.py",
    "Make the folder of receipts": "the image is there already, as moto makes none that boots",
    "Copy the receipt": "the same",
    "Complete the lock with what the image has": "the same",
    "Remove the oldest images": "the same",
    "Start the machine if it is stopped": "it is a first site.yml",
    **dict.fromkeys(REPLACE, "no machine is replaced yet; see the tests of a replacement"),
    "Remove those that are no longer needed": "the same",
}
"""Tasks of a first site.yml on moto that have nothing to do, and why."""

NOT_REACHED_BY_DESTROY = {
    "Make the bucket for Terraform's states": "whoever destroys needs none",
    "Hand over a state that lies on this machine": "none does here",
}

NOT_REACHED_BY_A_REPLACEMENT = {
    "Remove a machine that an earlier run has left": "there is none; tests/integration/test_replacement.py",
}

IN = {
    "Add the new machine": "ec2 RunInstances",
    "Move the homes and the address": "ec2 AttachVolume",
    "Remove the old machine": "ec2 TerminateInstances",
}
"""The applies of a replacement, and a request in the midst of each, after which the run is killed."""
FEW_IN = ("Move the homes and the address",)


EXPIRES = {
    "Apply the network": "ec2 CreateSecurityGroup$",
    "Keep the users' passwords": f"ssm PutParameter /ds-stack/{NAME}/operator/passwords/ada",
    "Apply the machine": "ec2 RunInstances$",
}
"""Tasks half way through which the credentials expire: the last request that AWS answers."""
FEW_EXPIRING = ("Apply the network",)
HALF = {
    "Apply the network": "the network",
    "Keep the users' passwords": "the users' passwords",
    "Apply the machine": "the machine",
}
"""What is there then in part."""


def tried(every: list[str], not_reached: dict[str, str]) -> list[str]:
    """Those that are tried, in the order in which a run comes to them."""
    assert not_reached.keys() <= set(every)
    there = [task for task in every if task not in not_reached and (ALL or task in FEW)]
    return sorted(there, key=END.__eq__)


def steps() -> Iterator[tuple[str, str]]:
    """How each site.yml is broken off: what happens, and in or after which task."""
    killed = tried(SITE, NOT_REACHED)
    for task in sorted(SITE, key=END.__eq__):
        if task in EXPIRES and (ALL or task in FEW_EXPIRING):
            yield "expired in", task
        if task in killed:
            yield "killed after", task


@dataclass
class Row:
    """Of the matrix. What the next run does is added by the next one."""

    fault: str
    read: str
    left: Look
    then: str = ""

    def __str__(self) -> str:
        read = self.read.replace("\n", "\n           ")
        return f"fault      {self.fault}\nread       {read}\nleft       {self.left}\nnext run   {self.then}"


def replacement() -> Iterator[tuple[str, str]]:
    """How each run of a replacement is broken off, likewise."""
    for task in REPLACE:
        if task in IN and (ALL or task in FEW_IN):
            yield "killed in", task
        if task in tried(REPLACE, NOT_REACHED_BY_A_REPLACEMENT):
            yield "killed after", task


@dataclass
class Story:
    """A stack that is broken off again and again.

    Attributes:
        seen: what there was when it was last looked at.
        most_machines: that there may be.
        rows: of the matrix.
    """

    operator: Operator
    seen: Look
    most_machines: int = 1
    rows: list[Row] = field(default_factory=list)

    def look(self) -> Look:
        """Look at what there is now; nothing of it is there twice."""
        self.seen = look(self.operator.client, NAME)
        assert doubled(self.seen, self.most_machines) == []
        return self.seen

    def runs(self) -> list[tuple[str, str]]:
        """Playbook and outcome of the last runs, as the record has them; the newest first."""
        ssm = self.operator.client("ssm")
        found = ssm.get_parameters_by_path(Path=f"/ds-stack/{NAME}/operator")["Parameters"]
        texts = [one["Value"] for one in found if one["Name"].endswith("/stack")]
        return [(run["playbook"], run["outcome"]) for text in texts for run in json.loads(text)["runs"]]

    def broken(self, fault: str, said: str, read: str) -> None:
        """Note a run that was broken off."""
        self._next(f"{_begin(said)}; then it is itself broken off, see below")
        self.rows.append(Row(fault, read, self.look()))

    def ended(self, said: str) -> None:
        """Note a run that came to its end."""
        recap = next(line for line in reversed(said.splitlines()) if line.startswith("localhost"))
        self._next(f"{_begin(said)}; {' '.join(recap.split()[2:])}")

    def _next(self, what: str) -> None:
        if self.rows and not self.rows[-1].then:
            self.rows[-1].then = what


def _begin(said: str) -> str:
    """What a run says of the one before it."""
    words = " ".join(said.split())
    told = (
        r"A run of \S+ has not given its lock back: .*? takes the lock over\.",
        r"The state of \S+ it was handed over to \S+\.",
    )
    return " ".join(found[0] for one in told if (found := re.search(one, words))) or "goes on"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Iterator[Story]:
    """Somebody with an account, and an image to begin with."""
    someone = Operator.with_account(
        tmp_path_factory.mktemp("account"),
        endpoint,
        ds_stack_name=NAME,
        ds_stack_users=[{"name": "ada"}],
        ds_stack_backups={"keep_days": 0},  # tests/integration/test_restore.py has them
        # It takes RequestExpired for a clock that is wrong, and would try again for minutes.
        ds_stack_terraform_overrides={"provider": {"aws": {"max_retries": 2}}},
    )
    someone.environment["AWS_ACCESS_KEY_ID"] = KEY
    zones = [{"Name": "default-for-az", "Values": ["true"]}]
    (subnet, *_others) = someone.client("ec2").describe_subnets(Filters=zones)["Subnets"]
    checked = someone.run("bake", "--check", "-v")
    fingerprint = re.search(r"\bfingerprint: '?([0-9a-f]{64})", checked)
    assert fingerprint, checked
    make_image(someone, fingerprint[1])
    # A network of their own, which is made faster than one with a subnet in every zone.
    variables = {**someone.variables, "ds_stack_subnet_id": str(subnet["SubnetId"])}
    someone = replace(someone, variables=variables)
    told = Story(someone, look(someone.client, NAME))
    with living_stack(someone):
        yield told
    text = "\n\n".join(map(str, told.rows)) + "\n"
    MATRIX.parent.mkdir(exist_ok=True)
    MATRIX.write_text(text)
    print(f"\n{text}")


def lasting(there: Look) -> dict[str, str]:
    """The snapshots that nothing ever removes."""
    return {one: purpose for one, purpose in there.snapshots.items() if purpose != "before-replacement"}


def kill(story: Story, playbook: str, task: str, what: str = "killed after", **variables: Any) -> None:
    """Run a playbook that is killed after a task, or in it."""
    now = story.operator.folder / "now"
    now.unlink(missing_ok=True)
    environment = {
        **story.operator.environment,
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "kill_after",
        **({"DS_STACK_KILL_WHEN": str(now)} if what == "killed in" else {"DS_STACK_KILL_AFTER": task}),
    }
    with noticing(IN.get(task, "nothing"), KEY, now.touch):
        said = replace(story.operator, environment=environment).run(playbook, code=KILLED, **variables)
    story.broken(f"{playbook}.yml {what}: {task}", said, "the task's own line, then nothing")


def killed_site(story: Story, task: str) -> None:
    """Run site.yml, which is killed after a task and loses nothing."""
    before = story.seen
    kill(story, "site", task)
    assert lost(before, story.seen) == []
    if task != SITE[0]:  # then it has written nothing yet
        assert story.runs()[0] == ("site", "succeeded" if task == END else "began")


def expire(story: Story, task: str) -> str:
    """Run site.yml, whose credentials expire in a task; what it said."""
    before = story.seen
    with refusing("expired", EXPIRES[task], KEY) as refused:
        said = story.operator.run("site", code=2)
    assert refused
    read = "\n".join([*errors(said), ending(said)])
    story.broken(f"site.yml, credentials expired in: {task}", said, read)
    assert lost(before, story.seen) == []
    assert story.runs()[0] == ("site", "began"), "the lock could not be given back, nor the end be noted"
    return read


@pytest.mark.parametrize(("what", "task"), list(steps()))
def test_site_goes_on_where_it_was_broken_off(story: Story, what: str, task: str) -> None:
    if what == "killed after":
        killed_site(story, task)
        return
    read = expire(story, task)
    assert "The credentials have expired: get new ones, as you got these, and run this again." in read
    assert f"{HALF[task]} (in part).\n" in read


def test_in_the_end_the_stack_is_there_once(story: Story) -> None:
    before = story.seen
    story.ended(story.operator.run("site"))
    there = story.look()
    assert lost(before, there) == []
    assert (len(there.volumes), len(there.attachments), len(there.hashes)) == (1, 1, 1)
    assert there.attachments == there.machines
    assert story.runs()[0] == ("site", "succeeded")


def test_what_expired_credentials_cost(story: Story) -> None:
    (network, *_others) = (one for one in story.rows if "credentials expired" in one.fault)
    shown(
        "credentials expire while Terraform makes the network",
        stack=NAME,
        read=re.sub(r"Failed to save state .* is holding a lock\.", "[Terraform's own advice]", network.read),
        left=network.left,
        then=f"goes on, and says: {network.then.partition(';')[0]}",
    )


@pytest.fixture(scope="module")
def other_image(story: Story) -> str:
    """An image that is newer than the machine."""
    return make_image(story.operator, "2", "image-2")


@pytest.mark.parametrize(("what", "task"), list(replacement()))
def test_a_replacement_goes_on_where_it_was_broken_off(
    story: Story, other_image: str, what: str, task: str
) -> None:
    assert other_image
    before, story.most_machines = story.seen, 2
    kill(story, "instance", task, what)
    assert lost(before, story.seen) == []
    assert len(story.seen.active) == 1


def test_in_the_end_there_is_one_machine_of_the_new_image(story: Story, other_image: str) -> None:
    before, story.most_machines = story.seen, 1
    story.ended(story.operator.run("instance"))
    there = story.look()
    assert lost(replace(before, snapshots={}), there) == []
    assert there.attachments == there.machines == there.active
    assert list(there.snapshots.values()) == ["before-replacement"]
    (machine,) = machines(story.operator)
    assert (machine["ImageId"], machine["State"]["Name"]) == (other_image, "running")


@pytest.mark.parametrize("task", tried(DESTROY, NOT_REACHED_BY_DESTROY))
def test_destroy_goes_on_where_it_was_killed(story: Story, task: str) -> None:
    before = story.seen
    if "" not in before.snapshots.values():
        (volume,) = before.volumes
        snapshot(story.operator, volume, "by hand")
        before = story.look()
    kill(story, "destroy", task, **EVERYTHING)
    assert lasting(before).items() <= story.seen.snapshots.items(), "no snapshot is lost"
    assert bool(before.hashes) >= bool(story.seen.hashes) >= bool(story.seen.volumes), (
        "passwords go after homes"
    )


def test_in_the_end_nothing_is_left_but_snapshots(story: Story) -> None:
    before = story.seen
    story.ended(story.operator.run("destroy", **EVERYTHING))
    there = story.look()
    assert [there.volumes, there.machines, there.groups, there.hashes] == [set(), (), (), {}]
    assert lasting(before).items() <= there.snapshots.items(), "while there are homes, a final one more"
    finals = [one for one, purpose in there.snapshots.items() if purpose == "final"]
    assert len(there.snapshots) == len(finals) + 1
    for final in story.operator.client("ec2").describe_snapshots(SnapshotIds=finals)["Snapshots"]:
        assert final["State"] == "completed"


def test_the_points_are_those_of_the_playbooks() -> None:
    """A task that is new, and changes something, is tried from then on, or named as not reached."""
    assert (
        SITE.index("Apply the network")
        < SITE.index("Apply the data volume")
        < SITE.index("Apply the machine")
    )
    order = ("Destroy the machine", "Make a final snapshot of the homes", "Destroy the data volume")
    assert [task for task in DESTROY if task in order] == list(order)
    print(f"\n{len(SITE)} tasks of site.yml and {len(DESTROY)} of destroy.yml change something")
