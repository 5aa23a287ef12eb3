#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ami_retention
short_description: Remove the old images of a stack
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - Keeps the newest images of a stack, deregisters the others and deletes their snapshots.
  - What cannot be removed keeps none of the others from it. The module fails at the end, and names all of it.
  - The images of a stack are those of this account with the tags C(ds-stack:name=<stack>) and
    C(ds-stack:part=image).
  - An image stays in any case while an instance was started from it and is not terminated, while a version of
    a launch template names it, or while it is among O(protect).
options:
  stack:
    description: Name of the stack, 2 to 31 lower-case letters, digits and hyphens, beginning with a letter.
    type: str
    required: true
  keep:
    description: How many of the newest images stay. At least one does.
    type: int
    default: 3
  min_age:
    description: Images younger than this number of days stay too.
    type: int
    default: 0
  protect:
    description: Ids of images that stay, such as the one that the stack's configuration names.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the ids of the stack's images before and after.
extends_documentation_fragment:
  - iac.ds_stack.attributes
  - iac.ds_stack.attributes.aws
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Keep the three newest images of a stack
  iac.ds_stack.ami_retention:
    stack: demo

- name: Keep the newest one, and all of the last month
  iac.ds_stack.ami_retention:
    stack: demo
    keep: 1
    min_age: 30
    protect: [ami-0123456789abcdef0]
"""

RETURN = r"""
removed:
  description:
    - The images that were removed, the newest first. In check mode those that would be. After a failure to
      remove some, those that were deregistered.
  returned: success, or when something could not be removed
  type: list
  elements: dict
  sample:
    - image_id: ami-0fedcba9876543210
      name: demo-20260901-120000
      creation_date: "2026-09-01T12:04:11+00:00"
      snapshot_ids: [snap-0123456789abcdef0]
kept:
  description: The images that stay, the newest first, each with the reason.
  returned: success
  type: list
  elements: dict
  sample:
    - image_id: ami-0123456789abcdef0
      name: demo-20261101-120000
      creation_date: "2026-11-01T12:03:54+00:00"
      snapshot_ids: [snap-0fedcba9876543210]
      reason: instance i-0123456789abcdef0 was started from it
"""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.ec2 import (
    delete_snapshot,
    deregister_image,
    describe_images,
    describe_instances,
    describe_launch_template_versions,
    describe_launch_templates,
)
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.images import Image, tag_filter
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.retention import decide
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.names import OptionError, check_stack

ARGUMENTS: dict[str, Any] = {
    "stack": {"type": "str", "required": True},
    "keep": {"type": "int", "default": 3},
    "min_age": {"type": "int", "default": 0},
    "protect": {"type": "list", "elements": "str", "default": []},
}

MAX_AGE = 36_500
"""Days. No image is as old, and no date can be much further back."""

_NOT_TERMINATED = ["pending", "running", "shutting-down", "stopping", "stopped"]


class RetentionError(Exception):
    """Something could not be removed; the message says what to do.

    Attributes:
        removed: the images that were.
    """

    def __init__(self, message: str, removed: list[Image]) -> None:
        super().__init__(message)
        self.removed = removed


def stack_images(client: Any, stack: str) -> list[Image]:
    """Return the stack's images."""
    tags = {"ds-stack:name": stack, "ds-stack:part": "image"}
    filters = [tag_filter(name, value) for name, value in tags.items()]
    return [Image.parse(one) for one in describe_images(client, Owners=["self"], Filters=filters)]


def used_by_others(client: Any, image_ids: list[str]) -> dict[str, str]:
    """Return which of the images instances and launch templates need: image id → by whom."""
    used = {}
    for template in describe_launch_templates(client):
        template_id = template["LaunchTemplateId"]
        versions = describe_launch_template_versions(client, LaunchTemplateId=template_id)
        for version in versions:
            image_id = version["LaunchTemplateData"].get("ImageId")
            if image_id in image_ids:
                number = version["VersionNumber"]
                used[image_id] = f"launch template {template_id} names it in version {number}"
    filters = [
        {"Name": "image-id", "Values": image_ids},
        {"Name": "instance-state-name", "Values": _NOT_TERMINATED},
    ]
    for reservation in describe_instances(client, Filters=filters):
        for instance in reservation["Instances"]:
            used[instance["ImageId"]] = f"instance {instance['InstanceId']} was started from it"
    return used


def remove(client: Any, images: Iterable[Image]) -> None:
    """Deregister images and delete their snapshots, each whatever becomes of the others.

    Raises RetentionError at the end when something could not be removed: a snapshot without its image is what
    nothing would find later.
    """
    removed, standing, left = [], [], []
    for image in images:
        try:
            deregister_image(client, image.ami_id)
        except AnsibleAWSError as error:
            standing.append(f"{image.ami_id}: {error}")
            continue
        removed.append(image)
        for snapshot_id in image.snapshot_ids:
            try:
                delete_snapshot(client, snapshot_id)
            except AnsibleAWSError as error:
                left.append(f"{snapshot_id} of {image.ami_id}: {error}")
    problems = []
    if left:
        problems.append(
            "These snapshots are left of images that were deregistered, and cost money. Delete them by hand. "
            + "; ".join(left)
        )
    if standing:
        problems.append(f"These images could not be deregistered. Run this again. {'; '.join(standing)}")
    if problems:
        gone = ", ".join(image.ami_id for image in removed) or "none"
        raise RetentionError(f"Images deregistered: {gone}. {' '.join(problems)}", removed)


def retain(module: AnsibleAWSModule, client: Any) -> dict[str, Any]:
    """Apply the rules and return the module's result."""
    stack, keep, min_age = (module.params[name] for name in ("stack", "keep", "min_age"))
    check_stack(stack)  # a star would name the images of all stacks
    if keep < 1 or min_age < 0:
        raise OptionError("keep is at least 1, min_age at least 0.")
    for image_id in module.params["protect"]:
        if not re.fullmatch(r"ami-[0-9a-f]+", image_id):
            module.warn(
                f"protect: {image_id!r} is no image, such as ami-0123456789abcdef0, and guards nothing."
            )
    images = stack_images(client, stack)
    used = used_by_others(client, [image.ami_id for image in images]) if images else {}
    used.update(dict.fromkeys(module.params["protect"], "protected by the task"))
    decisions = decide(images, keep, timedelta(days=min(min_age, MAX_AGE)), used)
    doomed = [decision.image for decision in decisions if not decision.keep]
    if not module.check_mode:
        remove(client, doomed)
    return {
        "changed": bool(doomed),
        "removed": [_describe(image) for image in doomed],
        "kept": [_describe(one.image) | {"reason": one.reason} for one in decisions if one.keep],
        "diff": {
            "before": {"images": [one.image.ami_id for one in decisions]},
            "after": {"images": [one.image.ami_id for one in decisions if one.keep]},
        },
    }


def _describe(image: Image) -> dict[str, Any]:
    return {
        "image_id": image.ami_id,
        "name": image.name,
        "creation_date": image.created.isoformat(timespec="seconds"),
        "snapshot_ids": list(image.snapshot_ids),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = retain(module, module.client("ec2"))
    except OptionError as error:
        module.fail_json(msg=str(error))
    except RetentionError as error:
        removed = [_describe(image) for image in error.removed]
        module.fail_json(msg=str(error), changed=bool(removed), removed=removed)
    except AnsibleAWSError as error:
        module.fail_json_aws_error(error)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
