# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last stage of a bake: what the module returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .find import Found
from .images import Image


@dataclass(frozen=True)
class Result:
    """What there is in the end.

    image: None when one would be baked, in check mode.
    facts: of the build, if there was one.
    """

    found: Found
    region: str
    image: Image | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def report(result: Result) -> dict[str, Any]:
    """The fields that the module documents."""
    found, image = result.found, result.image
    return {
        "changed": bool(found.reasons),
        "fingerprint": found.fingerprint,
        "reasons": found.reasons,
        "region": result.region,
        "reused": not found.reasons,
        **result.facts,
        **(
            {
                "ami_id": image.ami_id,
                "image_name": image.name,
                "snapshot_ids": list(image.snapshot_ids),
                "verified": image.verified,
            }
            if image
            else {}
        ),
    }
