"""What packer_image asks of the account, against an EC2 that answers as AWS's does where moto does not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._packer import images
from botocore.exceptions import ClientError


class Account:
    """Images of an account; one that its owner has deprecated is found by its id alone."""

    def __init__(self, *found: dict[str, Any]) -> None:
        self.found = found
        self.asked: list[dict[str, Any]] = []

    def can_paginate(self, _name: str) -> bool:
        return False

    def describe_images(self, **which: Any) -> dict[str, Any]:
        self.asked.append(which)
        ids = which.get("ImageIds")
        if ids is None:
            return {"Images": [image for image in self.found if "DeprecationTime" not in image]}
        if missing := set(ids) - {image["ImageId"] for image in self.found}:
            text = f"The image id '[{missing}]' does not exist"
            raise ClientError({"Error": {"Code": "InvalidAMIID.NotFound", "Message": text}}, "DescribeImages")
        return {"Images": [image for image in self.found if image["ImageId"] in ids]}


OLD = {"ImageId": "ami-old", "State": "available", "DeprecationTime": "2026-01-01T00:00:00.000Z"}


@pytest.mark.parametrize(
    ("ami_id", "usable"),
    [("ami-old", True), ("ami-pending", False), ("ami-failed", False), ("ami-gone", False)],
)
def test_a_deprecated_image_can_be_used(ami_id: str, usable: bool) -> None:
    account = Account(
        OLD, {"ImageId": "ami-pending", "State": "pending"}, {"ImageId": "ami-failed", "State": "failed"}
    )
    assert images.is_usable(account, ami_id) is usable


def test_another_error_is_told() -> None:
    class Closed(Account):
        def describe_images(self, **_which: Any) -> dict[str, Any]:
            raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}, "DescribeImages")

    with pytest.raises(Exception, match="UnauthorizedOperation"):
        images.is_usable(Closed(), "ami-1")


@pytest.mark.parametrize(
    ("value", "filtered"), [("a", "a"), ("a*", "a\\*"), ("?", "\\?"), ("a\\b", "a\\\\b"), ("\\*", "\\\\\\*")]
)
def test_a_value_is_no_pattern(value: str, filtered: str) -> None:
    assert images.tag_filter("name", value) == {"Name": "tag:name", "Values": [filtered]}


def image(ami_id: str, name: str, state: str = "available", **tags: str) -> dict[str, Any]:
    named = {"part": "ds-stack:part", "run": "ds-stack:bake", "stack": "ds-stack:name"}
    return {
        "ImageId": ami_id,
        "Name": name,
        "State": state,
        "Tags": [{"Key": named[key], "Value": value} for key, value in tags.items()],
    }


@pytest.mark.parametrize(
    ("tags", "found"), [({"ds-stack:name": "demo"}, ["ami-1", "ami-2"]), ({}, ["ami-1", "ami-2"])]
)
def test_which_images_were_finished_late(tags: dict[str, str], found: list[str]) -> None:
    account = Account(
        image("ami-1", "demo-20261127-184203", part="bake", run="r1", stack="demo"),
        image("ami-2", "demo-20261127-184204"),
        image("ami-3", "demo-20261127-184205", "pending", part="bake", run="r2", stack="demo"),
        image("ami-4", "demo-20261127-184206", part="image", run="r3", stack="demo"),
        image("ami-5", "demo-2-20261127-184207", part="bake", run="r4", stack="demo-2"),
        image("ami-6", "demo-2-20261127-184208"),
        image("ami-7", "demo-by-hand"),
    )
    assert [one.ami_id for one in images.late_images(account, "demo", tags)] == found
