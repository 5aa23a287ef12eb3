"""A stack from its making to its end by the playbooks, against moto; run under each supported ansible-core.

Real are Ansible, the playbooks and modules, Terraform and the AWS provider. Simulated is the account (moto:
no machine boots there). Two things stand for what is missing: an image that was made beforehand, with the
fingerprint that the bake would give it, and a thread that reports as the machine would once it has booted.
With real bakes and machines the story is told on the local cloud, by tests/e2e.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from moto.ec2.models.elastic_block_store import EBSBackend, Volume

from tests import listings
from tests.integration.operators import REGION, Operator

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

NAME = "story"
USERS = ("ada", "grace")
PATH = f"/ds-stack/{NAME}"


def make_image(operator: Operator, fingerprint: str) -> str:
    """Make an image that the bake finds; the image's id."""
    ec2 = operator.client("ec2")
    pattern = operator.variables["ds_stack_base_image"]["name"]
    (base, *_) = ec2.describe_images(Filters=[{"Name": "name", "Values": [pattern]}])["Images"]
    (machine,) = ec2.run_instances(ImageId=base["ImageId"], MinCount=1, MaxCount=1)["Instances"]
    tags = {"ds-stack:name": NAME, "ds-stack:part": "image", "ds-stack:fingerprint": fingerprint}
    tagged = [
        {"ResourceType": "image", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
    ]
    image = ec2.create_image(InstanceId=machine["InstanceId"], Name=f"{NAME}-1", TagSpecifications=tagged)
    ec2.terminate_instances(InstanceIds=[machine["InstanceId"]])
    return str(image["ImageId"])


def machines(operator: Operator) -> list[dict[str, Any]]:
    """The stack's machines that are there."""
    filters = [
        {"Name": "tag:ds-stack:name", "Values": [NAME]},
        {"Name": "tag:ds-stack:part", "Values": ["instance"]},
        {"Name": "instance-state-name", "Values": ["pending", "running"]},
    ]
    reservations = operator.client("ec2").describe_instances(Filters=filters)["Reservations"]
    return [instance for reservation in reservations for instance in reservation["Instances"]]


def report(operator: Operator) -> None:
    """Say what the machine says when it is ready, if there is a machine with a configuration."""
    ssm = operator.client("ssm")
    for machine in machines(operator):
        version = ssm.get_parameter(Name=f"{PATH}/machine/config")["Parameter"]["Version"]
        status = {
            "state": "ready",
            "message": "All checks passed.",
            "instance_id": machine["InstanceId"],
            "image_id": machine["ImageId"],
            "config_version": version,
            "time": "2026-11-27T09:21:44Z",
            "checks": [{"name": "jupyterhub", "ok": True, "detail": "a stand-in says so"}],
        }
        ssm.put_parameter(
            Name=f"{PATH}/machine/status", Value=json.dumps(status), Type="String", Overwrite=True
        )


@contextmanager
def a_thread_for_the_machine(operator: Operator) -> Iterator[None]:
    """Report, as the machine does, every second."""
    over = threading.Event()

    def live() -> None:
        while not over.wait(1):
            report(operator)

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture(autouse=True)
def _volumes_without_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS answers with an empty id of a snapshot where there was none; moto leaves the field out."""
    create = EBSBackend.create_volume

    def create_volume(*arguments: Any, **options: Any) -> Volume:
        volume = create(*arguments, **options)
        volume.snapshot_id = volume.snapshot_id or ""
        return volume

    monkeypatch.setattr(EBSBackend, "create_volume", create_volume)


@pytest.fixture
def operator(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Operator:
    return Operator.with_account(
        tmp_path_factory.mktemp("operator"),
        endpoint,
        ds_stack_name=NAME,
        ds_stack_users=[{"name": user} for user in USERS],
    )


@pytest.mark.fault(19)
def test_a_stack_is_made_shown_and_destroyed(operator: Operator) -> None:
    checked = operator.run("bake", "--check", "-v")
    fingerprint = re.search(r"\bfingerprint: '?([0-9a-f]{64})", checked)
    assert fingerprint, checked
    image = make_image(operator, fingerprint[1])

    with a_thread_for_the_machine(operator):
        site = operator.run("site")
        (machine,) = machines(operator)
        again = operator.run("site")
    assert f"{NAME} is ready." in site
    assert re.search(rf"^  Image +{image} \(reused\)$", site, re.MULTILINE)
    assert re.search(rf"^  Machine +{machine['InstanceId']} in {REGION}a$", site, re.MULTILINE)
    assert machine["ImageId"] == image
    assert " changed=0 " in again
    assert machines(operator)[0]["InstanceId"] == machine["InstanceId"]

    ssm = operator.client("ssm")
    kept = ssm.get_parameters_by_path(Path=f"{PATH}/operator/passwords", WithDecryption=True)["Parameters"]
    passwords = {one["Name"].rpartition("/")[2]: one["Value"] for one in kept}
    assert set(passwords) == set(USERS)
    users = operator.run("users")
    for user, password in passwords.items():
        assert re.search(rf"^{user} +{re.escape(password)}$", users, re.MULTILINE)
        assert password not in site + again

    status = operator.run("status")
    assert f"\n{NAME}: ready\n" in status
    assert "It says      ready: All checks passed." in status
    assert "ok     jupyterhub: a stand-in says so" in status

    destroyed = operator.run("destroy")
    assert f"{NAME} is destroyed." in destroyed
    assert machines(operator) == []
    left = listings.account(operator.client)
    assert left["parameters"] == left["profiles"] == left["roles"] == []
    assert [one["ImageId"] for one in left["describe_images"]] == [image]
    own = {"Key": "ds-stack:name", "Value": NAME}
    # Not describe_tags: moto remembers the tags of what is gone.
    calls = listings.EC2_LISTS.keys() - {"describe_tags"}
    assert {call for call in calls if any(own in one.get("Tags", []) for one in left[call])} == {
        "describe_images",
        "describe_volumes",
    }
