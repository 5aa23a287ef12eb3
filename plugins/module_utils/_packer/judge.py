# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fifth stage of a bake: the image that was made, if it is to be believed."""

from __future__ import annotations

from typing import Any

from .._run.outcome import format_seconds
from .account import Account
from .attempt import what_is_left
from .build import Run
from .cli import Built
from .errors import BakeError
from .find import Found
from .images import Image, get_image, verify
from .manifest import ManifestError, image_of, read_manifest
from .request import Request
from .self_test import SelfTestError, read
from .workdir import WorkDir


def judge(run: Run, built: Built, request: Request, found: Found, account: Account) -> Image:
    """The image that a run has made, with the tag of those that have passed their self-test.

    Raises BakeError, which says what the bake has left in the account.
    """
    finished, reason, begin = built.finished, built.reason, "The bake failed. "
    if reason is not None and finished.interrupted:
        reason = f"stopped after {format_seconds(finished.duration)}: {finished.interrupted}"
    if reason is None:
        try:
            return verified_image(
                run, made_image(built, run.work, account.region, account.client), request, account
            )
        except BakeError as error:
            reason, begin = str(error), ""
    left, sentence = what_is_left(account, run.attempt, withdraw=True)
    raise BakeError(
        f"{begin}{reason}\n{sentence}\nAll of Packer's output is in {run.attempt.log_path}.",
        error=reason,
        left=left,
        **facts_of(run, built, found),
    )


def facts_of(run: Run, built: Built, found: Found) -> dict[str, Any]:
    """What the module returns of a build, whatever came of it."""
    return {
        "duration": round(built.duration, 1),
        "fingerprint": found.fingerprint,
        "log_path": run.attempt.log_path,
        "plugins": dict(built.plugins),
    }


def verified_image(run: Run, image: Image, request: Request, account: Account) -> Image:
    """The image, with the tag if it has passed its self-test.

    Raises BakeError when it has not, and has to have.
    """
    if request.self_test is None:
        return image
    try:
        return verify(account.client, image, str(read(run.work.path / request.self_test, image.name)))
    except SelfTestError as error:
        if request.must_be_verified:
            raise BakeError(
                f"Packer made {image.ami_id}, but it has not passed its self-test: {error}."
            ) from error
        return image


def made_image(built: Built, work: WorkDir, region: str, client: Any) -> Image:
    """The image that was made: Packer's output and its manifest name it, and it can be used.

    Raises BakeError: the exit code alone tells nothing.
    """
    if not built.came_to_its_end:
        raise BakeError(
            "Packer stopped without a word and without an error. Its main process was probably killed, as "
            "the system does when memory runs out."
        )
    try:
        ami_id = image_of(read_manifest(work.manifest.read_text(encoding="utf-8")), region)
    except FileNotFoundError as error:
        advice = "The template needs a post-processor manifest with output = var.manifest_path."
        if built.has_manifest:
            advice = "The output of the template's post-processor manifest has to be var.manifest_path."
        raise BakeError(f"Packer ended well, but what it made is not known. {advice}") from error
    except (OSError, ValueError, ManifestError) as error:
        raise BakeError(f"Packer ended well, but what it made is not known: {error}.") from error
    if ami_id not in built.images.get(region, ()):
        raise BakeError(
            f"The manifest names {ami_id}, which Packer does not say that it has made: it is not of this run."
        )
    image = get_image(client, ami_id)
    if image is None:
        raise BakeError(f"Packer made {ami_id}, but the account has no such image in {region}.")
    if image.state != "available":
        raise BakeError(f"Packer made {ami_id}, but it cannot be used: its state is {image.state}.")
    return image
