# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images of a stack stay, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from .images import Image


@dataclass(frozen=True)
class Decision:
    """What becomes of an image: it is kept for a reason, or removed."""

    image: Image
    reason: str | None

    @property
    def keep(self) -> bool:
        """Whether the image stays."""
        return self.reason is not None


def decide(
    images: Iterable[Image],
    keep: int,
    min_age: timedelta,
    used: Mapping[str, str],
    now: datetime | None = None,
) -> list[Decision]:
    """Return a decision for each image, the newest first.

    keep: how many of the newest available images stay. One that is being made stays too, one that has
        failed does not count.
    min_age: images that are younger stay.
    used: image id → who needs it.
    now: the time, that of the clock by default.
    """
    now = now or datetime.now(timezone.utc)
    decisions = []
    counted = 0
    for image in sorted(images, key=lambda one: (one.created, one.ami_id), reverse=True):
        counted += image.state == "available"
        if image.ami_id in used:
            reason: str | None = used[image.ami_id]
        elif image.state == "pending":
            reason = "being made"
        elif image.state == "available" and counted <= keep:
            reason = f"among the newest {keep}"
        elif now - image.created < min_age:
            reason = f"younger than {min_age.days} days"
        else:
            reason = None
        decisions.append(Decision(image, reason))
    return decisions
