"""A machine of a new image takes the place of the old one, or does not: on moto, with the real Terraform.

The tests build on each other in the order of the file.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from moto.core.exceptions import JsonRESTError
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_block_store import EBSBackend
from moto.ec2.models.instances import InstanceBackend
from moto.ssm.models import SimpleSystemManagerBackend

from tests.integration.moto_stacks import (
    all_but_the_record,
    has_homes,
    living_stack,
    machines,
    make_image,
    snapshots,
    volumes,
)
from tests.integration.operators import ROOT, Operator

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

NAME = "slots"
FAILING: set[str] = set()
"""Images whose machines do not become ready."""


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Iterator[Operator]:
    """Somebody who has a stack with a machine."""
    someone = Operator.with_account(
        tmp_path_factory.mktemp("an operator"),
        endpoint,
        ds_stack_name=NAME,
        ds_stack_users=[{"name": "ada"}],
        ds_stack_state="local",
        ds_stack_static_ip=True,
    )
    with living_stack(someone, failing=FAILING):
        make_image(someone, "1")
        someone.run("network")
        someone.run("instance")
        yield someone


def the_machine(operator: Operator) -> dict[str, Any]:
    """The only one, which has the homes."""
    (machine,) = machines(operator)
    assert has_homes(operator, machine)
    return machine


def said_by(operator: Operator) -> list[str]:
    """The machines of which there is a status."""
    found = operator.client("ssm").get_parameters_by_path(Path=f"/ds-stack/{NAME}/machine/status")
    return [one["Name"].rpartition("/")[2] for one in found["Parameters"]]


def killed_after(operator: Operator, task: str) -> None:
    """Run instance.yml, which is killed."""
    environment = {
        **operator.environment,
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests/faults/callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "kill_after",
        "DS_STACK_KILL_AFTER": task,
    }
    replace(operator, environment=environment).run("instance", code=-9)


def one_line(said: str) -> str:
    """What was said, without the breaks of lines."""
    return " ".join(said.replace("\\n", " ").split())


def test_the_new_one_has_the_homes_and_the_address(operator: Operator) -> None:
    old = the_machine(operator)
    image = make_image(operator, "2", "image-2")
    operator.run("instance")
    new = the_machine(operator)
    assert new["InstanceId"] != old["InstanceId"]
    assert (new["ImageId"], new["PublicIpAddress"]) == (image, old["PublicIpAddress"])
    assert list(snapshots(operator).values()) == ["before-replacement"]
    assert said_by(operator) == [new["InstanceId"]]


def test_a_quota_that_has_no_room_for_two_is_told_before_anything(operator: Operator) -> None:
    """As check_environment says it on AWS; machines of moto have no vCPUs."""
    image = make_image(operator, "quota", "image-quota")
    found = {
        "account_id": "123456789012",
        "base_image": {},
        "host": platform.node(),
        "lacks_operator_key": False,
        "no_room_beside": "t3.large takes 2 vCPUs, and 2 of 2 are used.",
        "partition": "aws",
    }
    before = all_but_the_record(operator)
    said = one_line(operator.run("instance", code=2, __preflight_found=found))
    assert "Nothing was done: a machine of another image is made beside the old one" in said
    assert (
        "t3.large takes 2 vCPUs, and 2 of 2 are used. Or do without the old machine in the meantime" in said
    )
    assert all_but_the_record(operator) == before
    operator.client("ec2").deregister_image(ImageId=image)


@pytest.mark.parametrize(
    ("code", "way_out"),
    {
        "InsufficientInstanceCapacity": "there is none of t3.large",
        "VcpuLimitExceeded": "The quota has no room for two machines at a time. Have it raised",
    }.items(),
)
def test_without_room_for_another_nothing_happens(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, code: str, way_out: str
) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise EC2ClientError(code, "there is none of t3.large")

    old = the_machine(operator)
    image = make_image(operator, code, f"image-{code}")
    before = all_but_the_record(operator)
    with monkeypatch.context() as patched:
        patched.setattr(InstanceBackend, "run_instances", refuse)
        said = one_line(operator.run("instance", code=2))
    assert f"The machine {old['InstanceId']} was not replaced, and serves on as before" in said
    assert code in said
    assert way_out in said
    assert all_but_the_record(operator) == before
    operator.client("ec2").deregister_image(ImageId=image)


def test_it_goes_back_by_itself(operator: Operator) -> None:
    """From one that does not become ready, whose image is not taken again."""
    old = the_machine(operator)
    image = make_image(operator, "4", "image-4")
    FAILING.add(image)
    said = one_line(operator.run("instance", code=2))
    back = the_machine(operator)
    assert back["InstanceId"] == old["InstanceId"]
    # Not by the machine: moto forgets its elastic address when it starts.
    (address,) = operator.client("ec2").describe_addresses()["Addresses"]
    assert (address["InstanceId"], address["PublicIp"]) == (old["InstanceId"], old["PublicIpAddress"])
    assert f"the old one, {old['InstanceId']}, has the homes again and is ready." in said
    assert "jupyterhub: it answers nothing" in said
    assert f"The image {image} is tagged as failed" in said
    assert "jupyterhub: it answers nothing" in tags_of(operator, image)["ds-stack:failed"]
    before = all_but_the_record(operator)
    operator.run("instance")
    assert all_but_the_record(operator) == before


def tags_of(operator: Operator, image: str) -> dict[str, str]:
    """The tags of an image."""
    (found,) = operator.client("ec2").describe_images(ImageIds=[image])["Images"]
    return {tag["Key"]: tag["Value"] for tag in found["Tags"]}


@contextmanager
def refusing(call: str, old: str, *, also_back: bool = False) -> Iterator[None]:
    """Have the account refuse a call while the old machine is stopped, but not what leads back to it."""
    backend, name, error, of = REFUSED[call]
    answer = getattr(backend, name)
    account = ec2_backends["123456789012"]["us-east-1"]

    def answered(self: Any, *arguments: Any, **options: Any) -> Any:
        what = str([*arguments, *options.values()])
        moves = of in what and account.get_instance(old).state == "stopped"
        if moves and (also_back or (old in what) == (call == "DetachVolume")):
            raise error
        return answer(self, *arguments, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(backend, name, answered)
        yield


BUSY = "AWS still has the volume at a machine, or is taking it off one"
REFUSED: dict[str, tuple[type, str, Exception, str]] = {
    "AttachVolume": (EBSBackend, "attach_volume", EC2ClientError("VolumeInUse", "it is attached"), ""),
    "DetachVolume": (EBSBackend, "detach_volume", EC2ClientError("IncorrectState", "it is busy"), ""),
    "CreateSnapshot": (EBSBackend, "create_snapshot", EC2ClientError("SnapshotLimitExceeded", "no more"), ""),
    "GetParameter": (
        SimpleSystemManagerBackend,
        "get_parameter",
        JsonRESTError("InternalServerError", "the parameters are away"),
        "/machine/status/",
    ),
}
"""What keeps the homes from moving, and what tells which of the calls: by whom, how, and with what in it."""


@pytest.mark.parametrize(
    ("call", "words"),
    [
        pytest.param("AttachVolume", BUSY, marks=pytest.mark.soak),
        pytest.param("DetachVolume", BUSY, marks=pytest.mark.soak),
        pytest.param("CreateSnapshot", "SnapshotLimitExceeded", marks=pytest.mark.soak),
        pytest.param("GetParameter", "the parameters are away", marks=pytest.mark.soak),
    ],
)
def test_what_keeps_the_homes_from_moving_is_no_fault_of_the_image(
    operator: Operator, call: str, words: str
) -> None:
    old, image = the_machine(operator)["InstanceId"], make_image(operator, call, f"image-{call}")
    with refusing(call, old):
        said = one_line(operator.run("instance", code=2))
    assert the_machine(operator)["InstanceId"] == old
    assert f", and the old one, {old}, has the homes again and is ready. What was wrong: " in said
    assert words in said
    assert "ds-stack:failed" not in tags_of(operator, image)
    operator.client("ec2").deregister_image(ImageId=image)


@pytest.mark.soak
def test_where_the_homes_can_move_neither_there_nor_back_the_next_run_goes_on(operator: Operator) -> None:
    old, image = the_machine(operator)["InstanceId"], make_image(operator, "busy", "image-busy")
    (volume,) = volumes(operator)
    with refusing("AttachVolume", old, also_back=True):
        said = one_line(operator.run("instance", code=2))
    assert f"new machine, and the way back to the old machine, {old}, failed too" in said
    assert f"The homes are on {volume}, with nothing lost." in said
    assert BUSY in said
    operator.run("instance")
    assert the_machine(operator)["ImageId"] == image
    assert volumes(operator) == [volume]


@pytest.mark.soak
def test_another_image_than_that_from_which_it_was_on_its_way_back(operator: Operator) -> None:
    """The failed machine goes, not the one that is known to work."""
    old = the_machine(operator)
    FAILING.add(make_image(operator, "5", "image-5"))
    killed_after(operator, "Tag the image, so that it is not taken again")
    image = make_image(operator, "6", "image-6")
    said = operator.run("instance")
    dropped = said.partition("TASK [Remove a machine that an earlier run has left]")[2].partition("TASK [")[0]
    assert "changed: [localhost]" in dropped
    new = the_machine(operator)
    assert new["ImageId"] == image
    assert old["InstanceId"] not in said_by(operator)
    gone = operator.client("ec2").describe_instances(InstanceIds=[old["InstanceId"]])["Reservations"]
    assert gone[0]["Instances"][0]["State"]["Name"] == "terminated"


@pytest.mark.soak
def test_an_image_whose_machines_cannot_wait_is_taken_in_place(operator: Operator) -> None:
    old = the_machine(operator)
    image = make_image(operator, "7", "image-7", stands_by=False)
    said = one_line(operator.run("instance"))
    assert f"Machines of {image}, an image of an earlier release, cannot wait beside another." in said
    new = the_machine(operator)
    assert (new["ImageId"], new["PublicIpAddress"]) == (image, old["PublicIpAddress"])
    assert list(snapshots(operator).values()) == ["before-replacement"]


def taint_the_machine(operator: Operator) -> None:
    """Have Terraform make another one of it, as another subnet would."""
    root = operator.folder / f".ds_stack/{NAME}/terraform/instance/instance"
    slot = next(tag["Value"] for tag in the_machine(operator)["Tags"] if tag["Key"] == "ds-stack:slot")
    command = ["terraform", f"-chdir={root}", "taint", f'module.compute.aws_instance.machine["{slot}"]']
    subprocess.run(command, env=operator.environment, check=True, capture_output=True)


@pytest.mark.soak
def test_what_makes_another_machine_of_the_old_one_too_is_done_in_place(operator: Operator) -> None:
    old = the_machine(operator)
    image = make_image(operator, "8", "image-8")
    taint_the_machine(operator)
    before = all_but_the_record(operator)
    said = one_line(operator.run("instance", code=2))
    assert f"The machine {old['InstanceId']} was not replaced, and serves on as before" in said
    assert "only done in its place: -e ds_stack_replace_in_place=true" in said
    assert all_but_the_record(operator) == before
    said = one_line(operator.run("instance", ds_stack_replace_in_place=True))
    assert "the old one goes before the new one is made, and there is no way back to it." in said
    assert the_machine(operator)["ImageId"] == image


@pytest.mark.soak
def test_a_stopped_machine_for_which_there_is_no_room_is_started_as_another_type(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = the_machine(operator)
    operator.client("ec2").stop_instances(InstanceIds=[old["InstanceId"]])
    start = InstanceBackend.start_instances

    def start_others(self: InstanceBackend, instance_ids: list[str]) -> Any:
        if any(self.get_instance(one).instance_type == old["InstanceType"] for one in instance_ids):
            raise EC2ClientError("InsufficientInstanceCapacity", "there is none of t3.large")
        return start(self, instance_ids)

    monkeypatch.setattr(InstanceBackend, "start_instances", start_others)
    said = one_line(operator.run("instance", code=2))
    assert f"{old['InstanceId']} could not be started, and is as it was." in said
    assert "such as t3a.large, m5.large, m6i.large, m7i.large, and run site.yml" in said
    operator.run("instance", ds_stack_instance_type="m5.large")
    new = the_machine(operator)
    assert (new["InstanceId"], new["InstanceType"]) == (old["InstanceId"], "m5.large")
