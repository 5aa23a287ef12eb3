# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the account has of images, and of bakes that should be over.

The functions raise AnsibleEC2Error of amazon.aws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.ec2 import (
    describe_images,
    describe_instances,
    describe_key_pairs,
    describe_security_groups,
    describe_volumes,
)

FINGERPRINT_TAG = "ds-stack:fingerprint"
BASE_IMAGE_TAG = "ds-stack:base-image"
NAME_TAG = "ds-stack:name"
PART_TAG = "ds-stack:part"
RUN_TAG = "ds-stack:bake"

#: An instance in one of these states still costs something, or will again.
_LIVE = ["pending", "running", "stopping", "stopped"]


@dataclass(frozen=True)
class Image:
    """An image of the account."""

    ami_id: str
    name: str
    snapshot_ids: tuple[str, ...]


def find_image(client: Any, fingerprint: str, tags: Mapping[str, str]) -> Image | None:
    """The newest available image of this account with the fingerprint.

    tags: tags for the image to make. If they name a stack, the image has to be of that stack: it would
        otherwise go away with another one.
    """
    wanted = {FINGERPRINT_TAG: fingerprint}
    if NAME_TAG in tags:
        wanted[NAME_TAG] = tags[NAME_TAG]
    filters = [_tag_filter(name, value) for name, value in wanted.items()]
    filters.append({"Name": "state", "Values": ["available"]})
    found = describe_images(client, Owners=["self"], Filters=filters)
    return _image(max(found, key=lambda image: image.get("CreationDate", ""))) if found else None


def is_usable(client: Any, ami_id: str) -> bool:
    """Whether there is an image, of whatever account, that this one can start an instance from."""
    filters = [{"Name": "image-id", "Values": [ami_id]}, {"Name": "state", "Values": ["available"]}]
    return bool(describe_images(client, Filters=filters))


def images_of(client: Any, run_id: str) -> list[str]:
    """The ids of the images that a bake has made."""
    made = describe_images(client, Owners=["self"], Filters=[_tag_filter(RUN_TAG, run_id)])
    return [image["ImageId"] for image in made]


def withdraw(client: Any, ami_ids: list[str]) -> None:
    """Take the fingerprint from images, so that `find_image` does not find them."""
    if ami_ids:
        client.delete_tags(Resources=ami_ids, Tags=[{"Key": FINGERPRINT_TAG}])


def get_image(client: Any, ami_id: str) -> Image | None:
    """An image of this account by its id, or None when there is none, or none any more."""
    found = describe_images(client, Owners=["self"], Filters=[{"Name": "image-id", "Values": [ami_id]}])
    return _image(found[0]) if found else None


def leftovers(client: Any, run_id: str) -> list[str]:
    """What a bake has left, for people: kind and id."""
    filters = [_tag_filter(RUN_TAG, run_id)]
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
    return found


def _image(description: Mapping[str, Any]) -> Image:
    mappings = description.get("BlockDeviceMappings", [])
    snapshots = [
        mapping["Ebs"]["SnapshotId"] for mapping in mappings if "SnapshotId" in mapping.get("Ebs", {})
    ]
    return Image(description["ImageId"], description.get("Name", ""), tuple(snapshots))


def _tag_filter(name: str, value: str) -> dict[str, Any]:
    return {"Name": f"tag:{name}", "Values": [value]}
