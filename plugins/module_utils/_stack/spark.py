# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Spark cluster is where nothing else is said, and which Spark a release of EMR has. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VERSIONS: Mapping[str, str] = {"emr-spark-8.0.0": "4.0.2"}
"""Release of EMR → version of its Spark, which the machine's client has to be of too:
https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-release-components.html
Releases with Spark 3 are not served: its Connect server asks for no token, and it has no client without Java.
"""

DEFAULTS: Mapping[str, Any] = {
    "release": "emr-spark-8.0.0",
    "instance_type": "m7i.xlarge",
    "workers": {"min": 1, "max": 4, "core": 1},
    "idle_minutes": 60,
    "read_buckets": [],
    "write_buckets": [],
}
"""Of ds_stack_cluster; its other keys have none, or that of BASE_IMAGE."""

IDLE_MINUTES = (1, 10080)
"""What EMR takes: a minute to a week."""

BASE_IMAGE: Mapping[str, str] = {
    "owner": "amazon",
    "name": "al2023-ami-2023.*-kernel-6.1-x86_64",
    "ssh_username": "ec2-user",
    "root_device_name": "/dev/xvda",
}
"""Of the nodes. An image for EMR has to be of the Amazon Linux that the release runs on:
https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-custom-ami-preconfig.html"""


def whole(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ds_stack_cluster with all its keys, numbers as numbers, and the Spark of its release.

    What has no default is None where it is not given. A release that is not known has no Spark.
    """
    cluster = {**DEFAULTS, "subnet_id": None, "image_id": None, **given}
    workers = {**DEFAULTS["workers"], **cluster["workers"]}
    return {
        **cluster,
        "base_image": {**BASE_IMAGE, **cluster.get("base_image", {})},
        "workers": {name: int(count) for name, count in workers.items()},
        "idle_minutes": int(cluster["idle_minutes"]),
        "spark": VERSIONS.get(cluster["release"], ""),
    }
