"""The machine is replaced: on moto, with the real Terraform and provider.

The tests build on each other in the order of the file.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.integration.moto_stacks import (
    a_thread_for_the_machine,
    all_but_the_record,
    leave_volumes_without_a_snapshot,
    machines,
    make_image,
    report,
    volumes,
)
from tests.integration.operators import Operator

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

NAME = "replaced"


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Iterator[Operator]:
    """Somebody who has a stack with a machine, and an image that is newer."""
    someone = Operator.with_account(
        tmp_path_factory.mktemp("operator"),
        endpoint,
        ds_stack_name=NAME,
        ds_stack_users=[{"name": "ada"}],
        ds_stack_state="local",
    )
    with pytest.MonkeyPatch.context() as monkeypatch, someone.running_provider():
        leave_volumes_without_a_snapshot(monkeypatch)
        (subnet, *_) = someone.client("ec2").describe_subnets(
            Filters=[{"Name": "default-for-az", "Values": ["true"]}]
        )["Subnets"]
        someone.variables["ds_stack_subnet_id"] = subnet["SubnetId"]  # made faster than one in every zone
        make_image(someone, "1")
        with a_thread_for_the_machine(someone):
            someone.run("network")
            someone.run("instance")
        make_image(someone, "2", "image-2")
        yield someone


def test_nobodys_machine_is_replaced_unasked(operator: Operator) -> None:
    report(operator, {"ada": "kernel python3"})
    before = all_but_the_record(operator)
    (machine,) = machines(operator)
    said = " ".join(operator.run("instance", code=2).split())
    assert f"At work on {machine['InstanceId']}: ada (kernel python3). instance.yml would replace it" in said
    checked = " ".join(operator.run("instance", "--check").split())
    assert "ada (kernel python3). instance.yml would replace it, and stops before that" in checked
    other_type = {"ds_stack_replace": "when_idle", "ds_stack_replace_timeout": 1}
    assert "would replace it" in operator.run("instance", code=2, **other_type)
    assert all_but_the_record(operator) == before


def test_nobodys_machine_is_given_another_type_unasked(operator: Operator) -> None:
    (machine,) = machines(operator)
    first = machine["ImageId"]
    (newer,) = [
        one["ImageId"]
        for one in operator.client("ec2").describe_images(Owners=["self"])["Images"]
        if one["ImageId"] != first
    ]
    operator.client("ec2").create_tags(Resources=[newer], Tags=[{"Key": "ds-stack:name", "Value": "other"}])
    before = all_but_the_record(operator)
    said = " ".join(operator.run("instance", code=2, ds_stack_instance_type="t3.xlarge").split())
    assert "instance.yml would stop it, to start it as a t3.xlarge" in said
    assert all_but_the_record(operator) == before
    assert f"{NAME} is ready." in operator.run("instance")  # that changes nothing of the machine asks nobody
    operator.client("ec2").create_tags(Resources=[newer], Tags=[{"Key": "ds-stack:name", "Value": NAME}])


def test_a_machine_on_which_nobody_works_is_replaced(operator: Operator) -> None:
    (before,) = machines(operator)
    report(operator)
    with a_thread_for_the_machine(operator):
        assert f"{NAME} is ready." in operator.run("instance")
    (after,) = machines(operator)
    assert after["ImageId"] != before["ImageId"]
    (volume,) = volumes(operator)
    (found,) = operator.client("ec2").describe_volumes(VolumeIds=[volume])["Volumes"]
    assert [one["InstanceId"] for one in found["Attachments"]] == [after["InstanceId"]]
