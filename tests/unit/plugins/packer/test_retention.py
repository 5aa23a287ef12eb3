"""Which images of a stack stay, and why."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.images import Image
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.retention import decide

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)


def image(name: str, days: float, state: str = "available") -> Image:
    return Image(f"ami-{name}", name, (f"snap-{name}",), state, NOW - timedelta(days=days))


@pytest.mark.parametrize(
    ("images", "keep", "min_age", "used", "reasons"),
    [
        pytest.param([], 1, 0, {}, {}, id="no image"),
        pytest.param([image("a", 9)], 1, 0, {}, {"ami-a": "among the newest 1"}, id="the only one"),
        pytest.param(
            [image("old", 9), image("new", 1), image("mid", 5)],
            2,
            0,
            {},
            {"ami-new": "among the newest 2", "ami-mid": "among the newest 2", "ami-old": None},
            id="the newest by date, whatever the order",
        ),
        pytest.param(
            [image("new", 1), image("old", 9)],
            1,
            0,
            {"ami-old": "instance i-1 was started from it"},
            {"ami-new": "among the newest 1", "ami-old": "instance i-1 was started from it"},
            id="an old one that is used",
        ),
        pytest.param(
            [image("a", 1), image("b", 6.9), image("c", 7)],
            1,
            7,
            {},
            {"ami-a": "among the newest 1", "ami-b": "younger than 7 days", "ami-c": None},
            id="young ones",
        ),
        pytest.param(
            [image("broken", 1, "failed"), image("good", 2), image("old", 3)],
            1,
            0,
            {},
            {"ami-broken": None, "ami-good": "among the newest 1", "ami-old": None},
            id="a failed one does not take the place of a good one",
        ),
        pytest.param(
            [image("coming", 0, "pending"), image("good", 2)],
            1,
            0,
            {},
            {"ami-coming": "being made", "ami-good": "among the newest 1"},
            id="one that is being made",
        ),
    ],
)
def test_decisions(
    images: list[Image], keep: int, min_age: int, used: dict[str, str], reasons: dict[str, str | None]
) -> None:
    decisions = decide(images, keep, timedelta(days=min_age), used, NOW)
    assert [(one.image.ami_id, one.reason) for one in decisions] == list(reasons.items())


def test_image_as_ec2_describes_it() -> None:
    described = {
        "ImageId": "ami-1",
        "Name": "demo",
        "CreationDate": "2026-11-23T12:00:00.000Z",
        "State": "available",
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "snap-1"}},
            {"DeviceName": "/dev/xvdb", "VirtualName": "ephemeral0"},
            {"DeviceName": "/dev/xvdc", "Ebs": {"VolumeSize": 1}},
        ],
        "Unknown": "ignored",
    }
    assert Image.parse(described) == Image("ami-1", "demo", ("snap-1",), "available", NOW)
