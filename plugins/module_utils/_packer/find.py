# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The third stage of a bake: the image with this content, or why one has to be built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .content import Content, difference
from .errors import BakeError
from .fingerprint import changed_parts, printable
from .images import Image, find_images, is_usable, late_images
from .request import Request
from .workdir import Bake, WorkDir


@dataclass(frozen=True)
class Found:
    """What there is, and what there is to do.

    content, fingerprint: what was asked for.
    image: the image with that fingerprint, where that is enough.
    reasons: why there is something to bake; empty when nothing is.
    last: the last bake in the work folder.
    """

    content: Content
    fingerprint: str
    image: Image | None
    reasons: list[str]
    last: Bake | None

    def bake_of(self, image: Image) -> Bake:
        """What to remember of the bake that has made an image."""
        return Bake(image.ami_id, self.fingerprint, self.content.files, self.content.values)

    def diff(self) -> dict[str, str]:
        """What differs from the last bake in the work folder, as Ansible shows it."""
        last = self.last
        before, after = difference(Content(last.files, last.values) if last else None, self.content)
        return {
            "before": (f"image: {last.ami_id}\n" if last else "") + before,
            "after": f"image: a new one\n{after}",
        }


def find(request: Request, content: Content, client: Any) -> Found:
    """Find out whether there is anything to bake. Changes nothing.

    Raises BakeError for a bake that cannot be, and FingerprintError.
    """
    fingerprint = content.fingerprint()
    work = WorkDir(request.work_dir)
    last = work.last_bake()
    there = [] if request.force else find_images(client, fingerprint, request.tags)
    objections = [image.objection(must_be_verified=request.must_be_verified) for image in there]
    for image, objection in zip(there, objections, strict=True):
        if not objection:
            return Found(content, fingerprint, image, [], last)
    if not is_usable(client, request.base_image_id):
        raise BakeError(
            f"The base image {request.base_image_id} cannot be used: {request.region} has no such image, or "
            "not any more, or not for this account. Name another one with the option base_image_id.",
            fingerprint=fingerprint,
        )
    if strays := work.strays(request.files):
        raise BakeError(
            f"The work_dir {request.work_dir} holds {_list(strays)}, which would shape the image and is not "
            "of its template. Move it into the template or the overlay, or away.",
            fingerprint=fingerprint,
        )
    return Found(content, fingerprint, None, objections[:1] or _reasons(request, content, last), last)


def _list(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(map(printable, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _reasons(request: Request, content: Content, last: Bake | None) -> list[str]:
    if request.force:
        return ["force"]
    if last is None:
        return ["no image with this content"]
    before = Content(last.files, last.values)
    return changed_parts(before.parts(), content.parts()) or [f"the image {last.ami_id} is gone"]


def tell_late_images(request: Request, client: Any, known: str) -> list[str]:
    """What to tell of images that were finished when nobody waited for them any more.

    known: what was told already.
    """
    return [
        f"The image {image.ami_id} ({image.name}) was finished after its bake had been stopped. It has no "
        "fingerprint and is never used: you should remove it with its snapshots."
        for image in late_images(client, request.name, request.tags)
        if image.ami_id not in known
    ]
