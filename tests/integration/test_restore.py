"""restore.yml on moto, with the real Terraform and provider: killed again and again, and gone on with.

The tests build on each other in the order of the file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.elastic_block_store import EBSBackend

from localcloud.api import dlm
from tests.integration.moto_stacks import (
    attached,
    living_stack,
    machines,
    make_image,
    snapshots,
    volumes,
)
from tests.integration.operators import REGION, ROOT, Operator
from tests.which_ansible import PLAYBOOK

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

NAME = "back"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE2v0Bz4Dl8OpEQjdCa7cBTGmVAuV7jh0N5TFVDrTUdN ada@example.org"
KILLED = -9
BUSY = " while it is busy"
"""After a task that the account refuses, instead of a kill after it."""
POINTS = [
    "Make a volume from the snapshot",
    "Stop the machine, which unmounts the homes",
    "Keep the volume that is there, under another name",
    "Make the new one the stack's",
    "Let Terraform's state forget the one that is kept",
    "Take it off the machine" + BUSY,
    "Take it off the machine",
    "Attach the new one to the machine, if that is in its zone",
    "Apply the data volume",
    "Tell the machine its configuration",
    "Apply the machine",
]
FEW = [POINTS[5], POINTS[8]]
POINTS_OF_A_HOME = [
    "Make a volume from the snapshot",
    "Attach it to the machine" + BUSY,
    "Attach it to the machine",
    "Tell the machine whose home is wanted",
    "Wait until it has copied the home",
    "Take the volume off the machine",
    "Remove the volume",
]
FEW_OF_A_HOME = [POINTS_OF_A_HOME[3]]
FAILING = {"grace"}
"""Whose home cannot be copied."""


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Iterator[Operator]:
    """Somebody who has a stack with a machine, and a backup of its homes."""
    someone = Operator.with_account(
        tmp_path_factory.mktemp("an operator"),
        endpoint,
        ds_stack_name=NAME,
        ds_stack_users=[{"name": "ada", "ssh_keys": [KEY]}, {"name": "grace"}],
        ds_stack_data_volume_size=5,
    )
    zones = [{"Name": "default-for-az", "Values": ["true"]}]
    (subnet, *_others) = someone.client("ec2").describe_subnets(Filters=zones)["Subnets"]
    # A network of their own, which is made faster than one with a subnet in every zone.
    someone = replace(someone, variables={**someone.variables, "ds_stack_subnet_id": subnet["SubnetId"]})
    with living_stack(someone, failing=FAILING):
        make_image(someone, "1")
        someone.run("network")
        someone.run("instance")
        make_image(someone, "2", "image-2")  # baked since, for the next site.yml
        dlm.run_policies()
        yield someone


@pytest.fixture
def colleague(operator: Operator, tmp_path: Path) -> Operator:
    """Somebody else, in an empty folder, who knows the name."""
    return operator.elsewhere(tmp_path)


def backup(operator: Operator) -> str:
    """The one that AWS has made."""
    (made,) = (one for one, purpose in snapshots(operator).items() if purpose == "scheduled")
    return made


def all_volumes(operator: Operator) -> dict[str, dict[str, str]]:
    """All volumes but disks of machines, with their tags."""
    found = operator.client("ec2").describe_volumes(Filters=[{"Name": "tag:ds-stack:name", "Values": [NAME]}])
    tags = {one["VolumeId"]: {tag["Key"]: tag["Value"] for tag in one["Tags"]} for one in found["Volumes"]}
    return {volume: has for volume, has in tags.items() if has["ds-stack:part"] != "instance"}


def parameters(operator: Operator) -> dict[str, str]:
    """The machine's configuration, and what there is of its users."""
    found = operator.client("ssm").get_parameters_by_path(Path=f"/ds-stack/{NAME}", Recursive=True)[
        "Parameters"
    ]
    own = re.compile(r"/machine/status/|/operator/(stack|lock)$")  # what machines and runs say of themselves
    return {one["Name"]: one["Value"] for one in found if not own.search(one["Name"])}


def config(operator: Operator) -> dict[str, Any]:
    """The machine's configuration."""
    return dict(json.loads(parameters(operator)[f"/ds-stack/{NAME}/machine/config"]))


SNAPSHOT = {"snapshot_id": "snap-1", "state": "completed", "volume_size": 5, "volume_id": "vol-1"}
THERE: dict[str, Any] = {
    "ds_stack_name": NAME,
    "ds_stack_region": REGION,
    "ds_stack_snapshot": "snap-1",
    "ds_stack_data_volume_size": "5",
    "__stack_given": ["ds_stack_name", "ds_stack_snapshot"],
    "__stack_same": f"-e ds_stack_name={NAME}",
    "__stack_kept_part": "kept-at-restore",
    "__stack_home_snapshots": [SNAPSHOT],
    "__stack_home_volumes": [{"id": "vol-1", "zone": f"{REGION}a", "tags": {"ds-stack:part": "data"}}],
    "__stack_inventory": {
        "states": {"network": {"outputs": {"subnet_ids": {f"{REGION}a": "subnet-1"}}}},
        "problems": {},
    },
    "__stack_machines": {"instances": [{"instance_id": "i-1"}]},
    "__stack_begun": {"record": {"schema": 1}},
    "__restore_volumes": {"volumes": []},
}
ELSEWHERE = {
    "ds_stack_availability_zone": f"{REGION}b",
    "__stack_given": ["ds_stack_snapshot", "ds_stack_availability_zone"],
}
UNDER_WAY = [
    {"id": "vol-2", "zone": f"{REGION}a", "tags": {"ds-stack:part": part, "ds-stack:restores": snapshot}}
    for part, snapshot in (("being-restored", "snap-1"), ("kept-at-restore", "snap-0"))
]
PROBLEMS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, ""),
    "none is named": ({}, "Say which snapshot to restore"),
    "not there": ({"__stack_home_snapshots": []}, "snap-1 is no snapshot of the homes of back"),
    "pending": (
        {"__stack_home_snapshots": [{**SNAPSHOT, "state": "pending"}]},
        "snap-1 is pending, and only",
    ),
    "failed": (
        {"__stack_home_snapshots": [{**SNAPSHOT, "state": "error"}]},
        "AWS could not make snap-1, and it holds nothing: take another. To see what there is",
    ),
    "larger": (
        {"__stack_home_snapshots": [{**SNAPSHOT, "volume_size": 50}]},
        "is of a volume of 50 GiB, and ds_stack_data_volume_size is 5. A volume cannot shrink",
    ),
    "no subnet": (ELSEWHERE, f"no subnet in {REGION}b, only in {REGION}a."),
    "no machine to need one": ({**ELSEWHERE, "__stack_machines": {"instances": []}}, ""),
    "no record": ({"__stack_begun": {"record": {}}}, "The account has no record of back"),
    "two volumes": (
        {"__stack_inventory": {**THERE["__stack_inventory"], "problems": {"data": "There are two."}}},
        "There are two.",
    ),
    "one that is under way": (
        {"__restore_volumes": {"volumes": UNDER_WAY[:1]}, "__stack_home_snapshots": []},
        "",
    ),
    "another that is under way": (
        {"__restore_volumes": {"volumes": UNDER_WAY[1:]}},
        "A restore of snap-0 has",
    ),
}


OF_A_HOME: dict[str, Any] = {
    **THERE,
    "ds_stack_restore_home": "ada",
    "__stack_home_snapshots": [{**SNAPSHOT, "start_time": "2026-11-28T03:00:12+00:00"}],
    "__stack_machines": {"instances": [{"instance_id": "i-1", "state": {"name": "running"}}]},
    "__stack_status": {"status": {"restore": None}, "complaint": ""},
    "__home_volumes": {"volumes": THERE["__stack_home_volumes"]},
    "__home_config": {},
    "__home_password": "its ciphertext",
}
COPIED_FROM = {
    "id": "vol-2",
    "snapshot_id": "snap-1",
    "tags": {"ds-stack:part": "being-restored", "ds-stack:home-restore": "ada"},
}
TOLD = {"volume_id": "vol-2", "user": "ada", "folder": "restored", "snapshot_id": "snap-1"}
DONE = {"status": {"restore": {"volume_id": "vol-2", "user": "ada", "state": "done"}}, "complaint": ""}
PROBLEMS_OF_A_HOME: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, ""),
    "nobody is named": ({}, "Say whose home to restore"),
    "no snapshot is named": ({}, "Say which snapshot to restore"),
    "pending": (
        {"__stack_home_snapshots": [{**SNAPSHOT, "state": "pending"}]},
        "snap-1 is pending, and only",
    ),
    "all of them under way": (
        {"__home_volumes": {"volumes": UNDER_WAY}},
        "A restore of all the homes has not",
    ),
    "that is under way": ({"__home_volumes": {"volumes": [COPIED_FROM]}, "__stack_home_snapshots": []}, ""),
    "another user's under way": (
        {"__home_volumes": {"volumes": [COPIED_FROM]}, "ds_stack_restore_home": "grace"},
        "Go on with it: -e ds_stack_restore_home=ada -e ds_stack_snapshot=snap-1",
    ),
    "another snapshot under way": (
        {"__home_volumes": {"volumes": [{**COPIED_FROM, "snapshot_id": "snap-2"}]}},
        "Go on with it: -e ds_stack_restore_home=ada -e ds_stack_snapshot=snap-2",
    ),
    "all but forgotten": (
        {"__home_config": {"restore_home": TOLD}, "__stack_status": DONE, "__stack_home_snapshots": []},
        "",
    ),
    "no machine": ({"__stack_machines": {"instances": []}}, "has no machine in"),
    "a stopped one": (
        {"__stack_machines": {"instances": [{"instance_id": "i-1", "state": {"name": "stopped"}}]}},
        "The machine is stopped",
    ),
    "one that is silent": ({"__stack_status": {**DONE, "complaint": "It has reported nothing."}}, "It has"),
    "an older image": ({"__stack_status": {"status": {}, "complaint": ""}}, "of an earlier release"),
    "no such user": ({"__home_password": ""}, "back has and had no user ada."),
}


LEFT_OUT = {
    "nobody is named": "ds_stack_restore_home",
    "no snapshot is named": "ds_stack_snapshot",
    "none is named": "ds_stack_snapshot",
}


def test_what_cannot_be_restored_is_told_with_what_to_do(tmp_path: Path) -> None:
    """By the playbooks' own rules, which read nothing but what was found before."""
    cases = [
        ("__restore_problem", {**THERE, **given}, said, name) for name, (given, said) in PROBLEMS.items()
    ]
    for name, (given, said) in PROBLEMS_OF_A_HOME.items():
        cases.append(("__home_problem", {**OF_A_HOME, **given}, said, name))
    for _rule, variables, _said, name in cases:
        if left_out := LEFT_OUT.get(name):
            del variables[left_out]
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.set_fact": {f"case_{number}": "{{ " + rule + " }}"}, "vars": variables}
        for number, (rule, variables, _said, _name) in enumerate(cases)
    ]
    found = "{{ [" + ", ".join(f"case_{number}" for number in range(len(tasks))) + "] | to_json }}"
    keep = {"content": found, "dest": str(tmp_path / "found.json"), "mode": "0600"}
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "vars_files": [str(ROOT / f"playbooks/vars/{name}.yml") for name in ("restore", "restore_home")],
        "tasks": [*tasks, {"ansible.builtin.copy": keep}],
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    done = subprocess.run(
        [PLAYBOOK, tmp_path / "play.yml"],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "found.json").read_text())
    for (rule, _variables, said, name), sentence in zip(cases, told, strict=True):
        assert (said in sentence) if said else (sentence == ""), (rule, name, sentence)


def test_what_is_no_snapshot_of_these_homes_is_refused(colleague: Operator) -> None:
    """Before anything is touched, with what to do."""
    ec2 = colleague.client("ec2")
    before = all_volumes(colleague), parameters(colleague)
    foreign = ec2.create_snapshot(
        VolumeId=ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1)["VolumeId"]
    )
    said = " ".join(colleague.run("restore", code=2, ds_stack_snapshot=foreign["SnapshotId"]).split())
    assert (
        f"Nothing was done. {foreign['SnapshotId']} is no snapshot of the homes of {NAME} in {REGION}" in said
    )
    assert f"--tags Key=ds-stack:name,Value={NAME} Key=ds-stack:part,Value=data" in said
    assert (all_volumes(colleague), parameters(colleague)) == before
    assert len(machines(colleague)) == 1


@pytest.mark.soak
def test_check_mode_says_what_would_be_done(colleague: Operator) -> None:
    before = all_volumes(colleague), parameters(colleague)
    said = colleague.run("restore", "--check", ds_stack_snapshot=backup(colleague))
    assert f"A volume of 5 GiB would be made from {backup(colleague)}" in said
    assert f"{next(iter(before[0]))}, which has the homes now, would be kept" in said
    assert (all_volumes(colleague), parameters(colleague)) == before


@pytest.mark.parametrize("point", POINTS if os.environ.get("DS_STACK_SOAK") else FEW)
def test_broken_off_it_is_gone_on_with(colleague: Operator, point: str) -> None:
    """Each run finds what the one before has left; none makes a third volume, or another machine."""
    before, (machine,) = all_volumes(colleague), [one["InstanceId"] for one in all_machines(colleague)]
    broken_off(colleague, point)
    there = all_volumes(colleague)
    assert before.keys() <= there.keys()
    assert len(there) == 2
    assert [one["InstanceId"] for one in all_machines(colleague)] == [machine]


def refuse(*_arguments: Any, **_options: Any) -> None:
    """Answer as AWS does where a volume is at a machine that does not let go of it."""
    raise EC2ClientError("IncorrectState", "the volume is busy")


def broken_off(operator: Operator, point: str, **variables: str) -> None:
    """Run the restore of the backup, which is killed, or refused something and says what then is."""
    if point.endswith(BUSY):
        with pytest.MonkeyPatch.context() as patched:
            for name in ("attach_volume", "detach_volume"):
                patched.setattr(EBSBackend, name, refuse)
            said = " ".join(
                operator.run("restore", code=2, ds_stack_snapshot=backup(operator), **variables).split()
            )
        assert "he same command goes on from there" in said
        return
    environment = {
        **operator.environment,
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests/faults/callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "kill_after",
        "DS_STACK_KILL_AFTER": point,
    }
    broken = replace(operator, environment=environment)
    broken.run("restore", code=KILLED, ds_stack_snapshot=backup(operator), **variables)


def all_machines(operator: Operator) -> list[dict[str, Any]]:
    """The stack's machines, stopped ones too."""
    filters = [
        {"Name": "tag:ds-stack:name", "Values": [NAME]},
        {"Name": "tag:ds-stack:part", "Values": ["instance"]},
        {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
    ]
    reservations = operator.client("ec2").describe_instances(Filters=filters)["Reservations"]
    return [instance for reservation in reservations for instance in reservation["Instances"]]


@pytest.mark.soak
def test_another_snapshot_is_not_begun_with_before_that_is_done(colleague: Operator) -> None:
    by_hand = colleague.client("ec2").create_snapshot(VolumeId=volumes(colleague)[0])["SnapshotId"]
    said = " ".join(colleague.run("restore", code=2, ds_stack_snapshot=by_hand).split())
    assert f"A restore of {backup(colleague)} has not come to its end." in said


def test_in_the_end_the_homes_are_those_of_the_snapshot(colleague: Operator) -> None:
    """On the same machine, of the same image; the earlier ones are kept, and nobody's key is lost."""
    said = colleague.run("restore", ds_stack_snapshot=backup(colleague))
    there = all_volumes(colleague)
    (new,) = (one for one, tags in there.items() if tags["ds-stack:part"] == "data")
    (kept,) = (one for one, tags in there.items() if tags["ds-stack:part"] == "kept-at-restore")
    (machine,) = all_machines(colleague)
    assert (attached(colleague, new), attached(colleague, kept)) == ([machine["InstanceId"]], [])
    assert machine["State"]["Name"] == "running"
    (made,) = colleague.client("ec2").describe_volumes(VolumeIds=[new])["Volumes"]
    assert (made["SnapshotId"], made["Size"]) == (backup(colleague), 5)
    assert config(colleague)["data_volume_id"] == new
    assert [user["name"] for user in config(colleague)["users"]] == ["ada", "grace"]
    assert parameters(colleague)[f"/ds-stack/{NAME}/machine/users/ada/ssh_keys"] == KEY
    # AWS backs the new one up from now on, and no longer the other; no trace of the restore is left on them.
    assert there[new]["ds-stack:backups"] == NAME
    assert not {"ds-stack:backups", "ds-stack:restores"} & there[kept].keys()
    assert "ds-stack:restores" not in there[new]
    assert f"aws ec2 delete-volume --region {REGION} --volume-id {kept}" in said


def test_then_a_run_finds_nothing_to_change(operator: Operator) -> None:
    """With the operator's own variables, in their own folder. The image that was baked since is left out."""
    operator.client("ec2").deregister_image(ImageId=newer_image(operator))
    assert " changed=0 " in operator.run("instance").partition("PLAY RECAP")[2]


def newer_image(operator: Operator) -> str:
    """The one that no machine has."""
    (machine,) = all_machines(operator)
    found = operator.client("ec2").describe_images(
        Owners=["self"], Filters=[{"Name": "tag:ds-stack:name", "Values": [NAME]}]
    )["Images"]
    (newer,) = (one["ImageId"] for one in found if one["ImageId"] != machine["ImageId"])
    return str(newer)


# One user's home


def being_restored(operator: Operator) -> list[str]:
    """The volumes that were made to be copied from."""
    return [one for one, tags in all_volumes(operator).items() if tags["ds-stack:part"] == "being-restored"]


def seen(operator: Operator) -> Any:
    """All that a restore of a home must leave as it was."""
    return all_volumes(operator), parameters(operator), machines(operator)


@pytest.mark.soak
def test_check_mode_says_where_a_home_would_be(colleague: Operator) -> None:
    before = seen(colleague)
    asked: dict[str, Any] = {"ds_stack_snapshot": backup(colleague), "ds_stack_restore_home": "ada"}
    said = " ".join(colleague.run("restore", "--check", **asked).split())
    assert re.search(r"to the folder restored-20\d\d(-\d\d){4} in the living one", said)
    assert seen(colleague) == before


def test_what_cannot_be_copied_is_told_and_leaves_nothing(colleague: Operator) -> None:
    before = seen(colleague)
    asked: dict[str, Any] = {"ds_stack_snapshot": backup(colleague), "ds_stack_restore_home": "grace"}
    said = " ".join(colleague.run("restore", code=2, **asked).split())
    assert (
        "The home of grace was not restored, and nothing was left. The snapshot has no home of grace." in said
    )
    assert seen(colleague) == before


@pytest.mark.parametrize("point", POINTS_OF_A_HOME if os.environ.get("DS_STACK_SOAK") else FEW_OF_A_HOME)
def test_broken_off_a_home_is_gone_on_with(colleague: Operator, point: str) -> None:
    """By the same volume."""
    before = being_restored(colleague)
    broken_off(colleague, point, ds_stack_restore_home="ada")
    made = being_restored(colleague)
    assert len(made) == (0 if point == POINTS_OF_A_HOME[-1] else 1)
    assert not before or not made or before == made


def test_in_the_end_the_machine_has_the_home_and_nothing_is_left(colleague: Operator) -> None:
    """The last run only has the machine forget it: that has said where the home is before the volume went."""
    (machine,) = all_machines(colleague)
    said = " ".join(
        colleague.run("restore", ds_stack_snapshot=backup(colleague), ds_stack_restore_home="ada").split()
    )
    assert re.search(
        r"It is in /data/home/ada/restored-20\d\d(-\d\d){4}\. Nothing else in the home was touched", said
    )
    assert being_restored(colleague) == []
    assert "restore_home" not in config(colleague)
    assert parameters(colleague)[f"/ds-stack/{NAME}/machine/users/ada/ssh_keys"] == KEY
    assert [one["InstanceId"] for one in all_machines(colleague)] == [machine["InstanceId"]]
