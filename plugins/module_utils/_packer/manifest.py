# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the file of Packer's manifest post-processor."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass


class ManifestError(Exception):
    """The manifest does not say what was built; the text says why."""


@dataclass(frozen=True)
class Build:
    """One build of the last run: its name in the template, and what it made."""

    name: str
    artifact: str

    def images(self) -> dict[str, str]:
        """Of an Amazon build, the image of each region; else nothing."""
        return {region: image for region, images in images_in([self.artifact]).items() for image in images}


def images_in(artifacts: Iterable[str]) -> dict[str, frozenset[str]]:
    """The images of each region in Packer's ids of artifacts; that of an Amazon build names them."""
    pairs = [item.partition(":") for artifact in artifacts for item in artifact.split(",")]
    found = [(region, image) for region, _colon, image in pairs if image.startswith("ami-")]
    return {region: frozenset(image for where, image in found if where == region) for region, _image in found}


def read_manifest(text: str) -> list[Build]:
    """The builds of the last run in a manifest, to which every run appends.

    Raises ManifestError when the text is no manifest. Unknown fields are ignored.
    """
    try:
        manifest = json.loads(text)
        last = manifest["last_run_uuid"]
        return [
            Build(str(build["name"]), str(build["artifact_id"]))
            for build in manifest["builds"]
            if build["packer_run_uuid"] == last
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestError(f"Packer's manifest cannot be read ({type(error).__name__}: {error})") from error


def image_of(builds: list[Build], region: str) -> str:
    """The one image that a run made in a region.

    Raises ManifestError when there is none, or more than one.
    """
    found = sorted({images[region] for images in (build.images() for build in builds) if region in images})
    if len(found) == 1:
        return found[0]
    if found:
        raise ManifestError(
            f"The template made {len(found)} images in {region} ({', '.join(found)}), not one"
        )
    made = ", ".join(f"{build.name}: {build.artifact}" for build in builds) or "nothing"
    raise ManifestError(f"The template made no image in {region}. It made {made}")
