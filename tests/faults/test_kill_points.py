"""site.yml and destroy.yml, killed after each task that changes something, and then run again: on moto.

`make test` runs two of the points, one of each playbook, and `make soak` all of them. The matrix of what was
killed, what was left and what the next run did is printed, and written to tests/output/faults.txt.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.checker import Look, doubled, look, lost
from tests.faults.kill_points import kill_points
from tests.integration.moto_stacks import (
    a_thread_for_the_machine,
    leave_volumes_without_a_snapshot,
    make_image,
    snapshot,
    volumes,
)
from tests.integration.operators import ROOT, Operator

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

SITE, DESTROY = kill_points("site"), kill_points("destroy")
ALL = bool(os.environ.get("DS_STACK_SOAK"))
MATRIX = ROOT / "tests/output/faults.txt"
KILLED = -9

NOT_REACHED = {
    "Hand over a state that lies on this machine": "none does here; tests/integration/test_state_places.py",
    "Make the folder of receipts": "the image is there already, as moto makes none that boots",
    "Copy the receipt": "the same",
    "Start the machine if it is stopped": "it is a first site.yml",
    "Snapshot the homes before a machine of another image is replaced": "the same",
    "Remove those that are no longer needed": "the same",
}
"""Tasks of a first site.yml on moto that have nothing to do, and why."""

NOT_REACHED_BY_DESTROY = {
    "Make the bucket for Terraform's states": "whoever destroys needs none",
    "Hand over a state that lies on this machine": "none does here",
    "Remove those that are no longer needed": "no machine was replaced; tests/integration/test_destroy.py",
}


def points(every: list[str], not_reached: dict[str, str], one: str) -> list[str]:
    """Those that are tried."""
    assert not_reached.keys() <= set(every)
    return [task for task in every if task not in not_reached] if ALL else [one]


@pytest.fixture(scope="module")
def matrix() -> Iterator[list[str]]:
    rows: list[str] = []
    yield rows
    text = "\n\n".join(rows) + "\n"
    MATRIX.parent.mkdir(exist_ok=True)
    MATRIX.write_text(text)
    print(f"\n{text}")


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Iterator[Operator]:
    """Somebody with an account; with the fingerprint of the image among the variables."""
    someone = Operator.with_account(tmp_path_factory.mktemp("account"), endpoint, ds_stack_name="first")
    ec2 = someone.client("ec2")
    (subnet, *_others) = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])[
        "Subnets"
    ]
    checked = someone.run("bake", "--check", "-v")
    fingerprint = re.search(r"\bfingerprint: '?([0-9a-f]{64})", checked)
    assert fingerprint, checked
    (someone.folder / "fingerprint").write_text(fingerprint[1])
    with pytest.MonkeyPatch.context() as monkeypatch:
        leave_volumes_without_a_snapshot(monkeypatch)
        # A network of their own, which is made faster than one with a subnet in every zone.
        yield replace(someone, variables={**someone.variables, "ds_stack_subnet_id": str(subnet["SubnetId"])})


@pytest.fixture(scope="module")
def made() -> list[Operator]:
    """The stacks that the tests of site.yml have made, for those of destroy.yml."""
    return []


def of_stack(account: Operator, name: str) -> Operator:
    """The same person, with a stack of that name to make."""
    someone = replace(
        account,
        variables={**account.variables, "ds_stack_name": name, "ds_stack_users": [{"name": "ada"}]},
    )
    make_image(someone, (account.folder / "fingerprint").read_text(), name=f"image-{name}")
    return someone


def killed(operator: Operator, playbook: str, task: str, **variables: Any) -> str:
    """Run a playbook that is killed after a task; what it had said."""
    environment = {
        **operator.environment,
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "kill_after",
        "DS_STACK_KILL_AFTER": task,
    }
    return replace(operator, environment=environment).run(playbook, code=KILLED, **variables)


def row(matrix: list[str], fault: str, left: Look, again: str) -> None:
    """Note a line of the matrix."""
    end = [line for line in again.splitlines() if line.strip() and not line.startswith("---")]
    recap = next((line for line in reversed(end) if line.startswith("localhost")), "")
    matrix.append(
        f"fault      {fault}\nread       the task's own line, then nothing\nleft       {left}\n"
        f"next run   {' '.join(recap.split()[2:])}"
    )


@pytest.mark.parametrize("task", points(SITE, NOT_REACHED, "Apply the data volume"))
def test_site_goes_on_where_it_was_killed(
    account: Operator, task: str, matrix: list[str], made: list[Operator]
) -> None:
    operator = of_stack(account, f"site-{SITE.index(task)}")
    name = operator.variables["ds_stack_name"]
    with a_thread_for_the_machine(operator):
        killed(operator, "site", task)
        left = look(operator.client, name)
        again = operator.run("site", ds_stack_take_over=True)  # the lock of a run that is dead
    there = look(operator.client, name)
    row(matrix, f"site.yml killed after: {task}", left, again)
    assert lost(left, there) == []
    assert doubled(there) == []
    assert (len(there.volumes), len(there.attachments), len(there.hashes)) == (1, 1, 1)
    assert there.attachments == there.machines
    made.append(operator)


@pytest.mark.parametrize(
    "task", points(DESTROY, NOT_REACHED_BY_DESTROY, "Make a final snapshot of the homes")
)
def test_destroy_goes_on_where_it_was_killed(
    account: Operator, task: str, matrix: list[str], made: list[Operator]
) -> None:
    if not made:
        made.append(of_stack(account, f"end-{DESTROY.index(task)}"))
        with a_thread_for_the_machine(made[0]):
            made[0].run("site")
    operator = made.pop()
    name = operator.variables["ds_stack_name"]
    (volume,) = volumes(operator)
    theirs = snapshot(operator, volume, "by hand")
    everything = {"ds_stack_destroy_data": True, "ds_stack_destroy_images": True}
    killed(operator, "destroy", task, **everything)
    left = look(operator.client, name)
    again = operator.run("destroy", **everything, ds_stack_take_over=True)
    there = look(operator.client, name)
    row(matrix, f"destroy.yml killed after: {task}", left, again)
    assert [there.volumes, there.machines, there.groups, there.hashes] == [set(), (), (), {}]
    assert left.snapshots.items() <= there.snapshots.items(), "no snapshot is lost"
    assert theirs in there.snapshots
    finals = [one for one, purpose in there.snapshots.items() if purpose == "final"]
    (final, *_more) = operator.client("ec2").describe_snapshots(SnapshotIds=finals)["Snapshots"]
    assert (final["VolumeId"], final["State"]) == (volume, "completed")


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
