# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the account has of images, and of bakes that should be over.

The functions raise AnsibleEC2Error of amazon.aws.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.ec2 import (
    describe_images,
    describe_instances,
    describe_key_pairs,
    describe_security_groups,
    describe_snapshots,
    describe_volumes,
)
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import is_ansible_aws_error_code

FINGERPRINT_TAG = "ds-stack:fingerprint"
BASE_IMAGE_TAG = "ds-stack:base-image"
NAME_TAG = "ds-stack:name"
PART_TAG = "ds-stack:part"
RUN_TAG = "ds-stack:bake"
#: What its self-test has shown; an image without it has not passed one.
VERIFIED_TAG = "ds-stack:verified"
#: Why a machine of it did not become ready.
FAILED_TAG = "ds-stack:failed"
#: EC2 takes no longer value of a tag.
TAG_CHARACTERS = 256

_NO_SUCH_IMAGE = ["InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidAMIID.Malformed"]

#: An instance in one of these states still costs something, or will again.
_LIVE = ["pending", "running", "stopping", "stopped"]


LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Image:
    """An image of the account.

    state: EC2's word: available, pending while it is made, or failed in some way. Only one that is available
        can start an instance.
    created: when it was made.
    verified: what its self-test has shown; empty when it has not passed one.
    failed: why a machine of it did not become ready; empty when none is known.
    """

    ami_id: str
    name: str
    snapshot_ids: tuple[str, ...]
    state: str = "available"
    created: datetime = LONG_AGO
    verified: str = ""
    failed: str = ""

    @classmethod
    def parse(cls, described: Mapping[str, Any]) -> Image:
        """Read what EC2's DescribeImages says of one image."""
        tags = tags_of(described)
        disks = [mapping.get("Ebs", {}) for mapping in described.get("BlockDeviceMappings", [])]
        image = cls(
            described["ImageId"],
            described.get("Name", ""),
            tuple(disk["SnapshotId"] for disk in disks if disk.get("SnapshotId")),
            described.get("State", "available"),
            verified=tags.get(VERIFIED_TAG, ""),
            failed=tags.get(FAILED_TAG, ""),
        )
        if date := described.get("CreationDate"):
            # fromisoformat of Python 3.10 does not know the Z
            return replace(image, created=datetime.fromisoformat(date.replace("Z", "+00:00")))
        return image

    def objection(self, *, must_be_verified: bool) -> str:
        """Why no machine shall be made of it; empty when nothing speaks against it."""
        if self.failed:
            return f"a machine of {self.ami_id} has failed ({self.failed})"
        if must_be_verified and not self.verified:
            return f"{self.ami_id} has not passed a self-test"
        return ""


def find_images(client: Any, fingerprint: str, tags: Mapping[str, str]) -> list[Image]:
    """The available images of this account with the fingerprint, the newest first.

    tags: tags for the image to make. If they name a stack, the image has to be of that stack: it would
        otherwise go away with another one.
    """
    wanted = {name: value for name, value in tags.items() if name == NAME_TAG}
    filters = [tag_filter(FINGERPRINT_TAG, fingerprint), {"Name": "state", "Values": ["available"]}]
    found = [
        Image.parse(image)
        for image in describe_images(client, Owners=["self"], Filters=filters)
        if wanted.items() <= tags_of(image).items()
    ]
    return sorted(found, key=lambda image: image.created, reverse=True)


def is_usable(client: Any, ami_id: str) -> bool:
    """Whether there is an image, of whatever account, that this one can start an instance from."""
    return any(image.get("State") == "available" for image in images_by_id(client, ami_id))


def images_by_id(client: Any, ami_id: str, **which: Any) -> list[dict[str, Any]]:
    """The image, or nothing when there is none: a filter would not find one that its owner has deprecated."""
    try:
        return list(describe_images(client, ImageIds=[ami_id], **which))
    except is_ansible_aws_error_code(_NO_SUCH_IMAGE):
        return []


def images_of(client: Any, run_id: str) -> list[str]:
    """The ids of the images that a bake has made, also of those that are not finished."""
    made = describe_images(client, Owners=["self"], Filters=[tag_filter(RUN_TAG, run_id)])
    return [image["ImageId"] for image in made]


def images_named(client: Any, name: str) -> list[str]:
    """The ids of the images with a name: older ones of Packer's plugins tag an image when it is finished."""
    filters = [{"Name": "name", "Values": [literal(name)]}]
    made = describe_images(client, Owners=["self"], Filters=filters)
    return [image["ImageId"] for image in made if image.get("Name") == name]


def late_images(client: Any, name: str, tags: Mapping[str, str]) -> list[Image]:
    """Images that were finished when nobody waited for them any more.

    They have the tags of what lives as long as a bake, or none.

    name: how the names of the images begin. tags: those for the image to make.
    """
    own_name = re.compile(re.escape(name) + r"-\d{8}-\d{6}")
    of_stack = {key: value for key, value in tags.items() if key == NAME_TAG}
    filters = [tag_filter(PART_TAG, "bake")], [{"Name": "name", "Values": [f"{literal(name)}-*"]}]
    found: dict[str, Image] = {}
    for filter_ in filters:
        for image in describe_images(client, Owners=["self"], Filters=filter_):
            has = tags_of(image)
            is_named = own_name.fullmatch(image.get("Name", "")) is not None
            is_ours = of_stack.items() <= has.items() if of_stack and has else is_named
            if is_ours and (has.get(PART_TAG) == "bake" or RUN_TAG not in has):
                found[image["ImageId"]] = Image.parse(image)
    return [image for image in found.values() if image.state == "available"]


def withdraw(client: Any, ami_ids: list[str]) -> None:
    """Take the fingerprint from images, so that `find_images` does not find them."""
    if ami_ids:
        client.delete_tags(Resources=ami_ids, Tags=[{"Key": FINGERPRINT_TAG}])


def verify(client: Any, image: Image, shown: str) -> Image:
    """Note on an image that it has passed its self-test, and what that has shown."""
    shown = shown[:TAG_CHARACTERS]
    client.create_tags(Resources=[image.ami_id], Tags=[{"Key": VERIFIED_TAG, "Value": shown}])
    return replace(image, verified=shown)


def get_image(client: Any, ami_id: str) -> Image | None:
    """An image of this account by its id, or None when there is none, or none any more."""
    found = images_by_id(client, ami_id, Owners=["self"])
    return Image.parse(found[0]) if found else None


def leftovers(client: Any, run_id: str) -> list[str]:
    """What a bake has left, for people: kind and id."""
    filters = [tag_filter(RUN_TAG, run_id)]
    live = [*filters, {"Name": "instance-state-name", "Values": _LIVE}]
    instances = [
        item["InstanceId"]
        for reservation in describe_instances(client, Filters=live)
        for item in reservation["Instances"]
    ]
    found = [f"instance {name}" for name in instances]
    found += [f"key pair {item['KeyName']}" for item in describe_key_pairs(client, Filters=filters)]
    groups = describe_security_groups(client, Filters=filters)
    found += [f"security group {item['GroupId']}" for item in groups]
    # A volume that is still attached goes with its instance.
    detached = [*filters, {"Name": "status", "Values": ["available"]}]
    found += [f"volume {item['VolumeId']}" for item in describe_volumes(client, Filters=detached)]
    # A snapshot behind an image is a part of it.
    images = describe_images(client, Owners=["self"], Filters=filters)
    behind = {snapshot for image in images for snapshot in Image.parse(image).snapshot_ids}
    snapshots = describe_snapshots(client, OwnerIds=["self"], Filters=filters)["Snapshots"]
    found += [f"snapshot {item['SnapshotId']}" for item in snapshots if item["SnapshotId"] not in behind]
    return found


def tags_of(description: Mapping[str, Any]) -> dict[str, str]:
    """The tags of something that AWS describes."""
    return {tag["Key"]: tag["Value"] for tag in description.get("Tags", [])}


def tag_filter(name: str, value: str) -> dict[str, Any]:
    """A filter for what carries exactly this tag."""
    return {"Name": f"tag:{name}", "Values": [literal(value)]}


def literal(value: str) -> str:
    """A text as the value of a filter, where EC2 takes some characters for others."""
    return re.sub(r"[\\*?]", r"\\\g<0>", value)
