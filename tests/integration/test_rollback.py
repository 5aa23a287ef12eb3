"""The way back to an earlier image: on moto, with the real Terraform and provider.

The tests build on each other in the order of the file.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.moto_stacks import (
    all_but_the_record,
    living_stack,
    machines,
    make_image,
    make_older,
    volumes,
)
from tests.integration.operators import Operator

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

NAME = "back"


@pytest.fixture(scope="module")
def images(operator: Operator) -> dict[str, str]:
    """Images by how old they are: one of which a machine has failed, one that worked, the newest."""
    made = {name: make_image(operator, name, name) for name in ("failed", "first", "newest")}
    make_older(made["first"], 30)
    make_older(made["failed"], 20)
    operator.client("ec2").create_tags(
        Resources=[made["failed"]], Tags=[{"Key": "ds-stack:failed", "Value": "self-test: hub"}]
    )
    return made


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Iterator[Operator]:
    """Somebody who has an account and nothing in it."""
    someone = Operator.with_account(
        tmp_path_factory.mktemp("an operator"),
        endpoint,
        ds_stack_name=NAME,
        ds_stack_users=[{"name": "ada"}],
        ds_stack_state="local",
    )
    with living_stack(someone):
        yield someone


def recorded(operator: Operator) -> Any:
    """The image that the record says the stack is to stay at."""
    found = operator.client("ssm").get_parameter(Name=f"/ds-stack/{NAME}/operator/stack")
    return json.loads(found["Parameter"]["Value"])["configuration"].get("ds_stack_image_id")


def test_there_is_nothing_to_go_back_from(operator: Operator) -> None:
    said = " ".join(operator.run("rollback", code=2).split())
    assert f"{NAME} has no machine in" in said


def test_the_newest_image_that_is_older_and_has_not_failed(
    operator: Operator, images: dict[str, str]
) -> None:
    operator.run("network")
    operator.run("instance")
    (before,) = machines(operator)
    homes = volumes(operator)
    assert before["ImageId"] == images["newest"]
    said = operator.run("rollback")
    (after,) = machines(operator)
    assert after["ImageId"] == images["first"] == recorded(operator)
    assert volumes(operator) == homes
    assert f"The machine of {images['newest']} is replaced by one of {images['first']}." in said
    assert "It stays until site.yml is run without ds_stack_image_id" in said


@pytest.mark.soak
def test_it_stays_there_until_it_is_said_otherwise(operator: Operator, images: dict[str, str]) -> None:
    before = all_but_the_record(operator)
    said = " ".join(operator.run("site", code=2).split())
    assert f"ds_stack_image_id: {images['first']}" in said
    assert "-e ds_stack_as_given=true" in said
    operator.run("site", ds_stack_image_id=images["first"])
    # Nothing was baked for it, and the machine is the same.
    assert all_but_the_record(operator) == before


def test_there_is_no_earlier_one(operator: Operator, images: dict[str, str]) -> None:
    before = all_but_the_record(operator)
    said = " ".join(operator.run("rollback", code=2).split())
    assert f"{NAME} has no earlier image than {images['first']}" in said
    assert f"{images['failed']}: a machine of it has failed (self-test: hub)" in said
    assert f"A newer one is named with ds_stack_image_id: {images['newest']}" in said
    assert all_but_the_record(operator) == before


@pytest.mark.parametrize(
    ("playbook", "which", "why"),
    [
        ("rollback", "failed", "cannot be used: a machine of it has failed (self-test: hub)."),
        ("site", "failed", "cannot be used: a machine of it has failed (self-test: hub)."),
        ("instance", "ami-0123456789abcdef0", f"is no image of {NAME} in us-east-1."),
    ],
)
def test_an_image_that_cannot_be_used(
    operator: Operator, images: dict[str, str], playbook: str, which: str, why: str
) -> None:
    before = all_but_the_record(operator)
    image = images.get(which, which)
    said = " ".join(operator.run(playbook, code=2, ds_stack_image_id=image).split())
    assert f"ds_stack_image_id: {image} {why} There are " in said
    assert all_but_the_record(operator) == before
