# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bake that was begun: who tells how it ended, and what it left in the account."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.exceptions import is_ansible_aws_error_code
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.images import (
    RUN_TAG,
    images_named,
    images_of,
    leftovers,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.images import withdraw as withdraw_images
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.workdir import Attempt, WorkDir
from ansible_collections.iac.ds_stack.plugins.module_utils._run.process import (
    Callbacks,
    Finished,
    ProcessError,
    birth_of,
)

OtherRegions = Callable[[set[str]], Mapping[str, Any]]
"""Of regions by name those of the account other than the bake's, each with a client of EC2."""

_REGION = re.compile(r"\b[a-z]{2}(?:-[a-z]+)+-\d\b")

_MAY_NOT = ["AccessDenied", "AuthFailure", "OptInRequired", "UnauthorizedOperation"]


def no_region(_names: set[str]) -> Mapping[str, Any]:
    """For an account with one region."""
    return {}


class StillRuns(ProcessError):
    """A bake that lost its supervisor still runs."""


def callbacks(work: WorkDir, attempt: Attempt, clean_up: Callable[[], None]) -> Callbacks:
    """What the supervisor does, which outlives this process if it has to.

    clean_up: what this process would do in the end.
    """

    def started(pid: int) -> None:
        work.note_attempt(replace(attempt, pid=pid, birth=birth_of(pid)))

    def ended(finished: Finished, module_is_dead: bool) -> None:
        """Tidy up and leave word for the next run when nobody else will."""
        if module_is_dead:
            clean_up()
        if module_is_dead or not is_heard(finished):
            stopped = finished.interrupted and finished.returncode
            how = f"was stopped ({finished.interrupted})" if stopped else "ended"
            outcome = f"{how} with exit code {finished.returncode}"
            work.note_attempt(replace(attempt, outcome=outcome, succeeded=not finished.returncode))

    return Callbacks(started=started, ended=ended)


def is_heard(finished: Finished) -> bool:
    """Whether somebody will read the module's result: a play that was interrupted drops it."""
    return finished.interrupted in (None, "timeout")


def report(attempt: Attempt, client: Any, *, withdraw: bool, others: OtherRegions = no_region) -> str:
    """What to tell of an earlier bake whose end nobody was there to report.

    withdraw, others: see `what_is_left`.

    Raises StillRuns when it has not ended.
    """
    log = f"Its log is {attempt.log_path}."
    if attempt.still_runs():
        raise StillRuns(
            f"An earlier bake here still runs as process {attempt.pid}, though what watched it was killed. "
            f"Wait for its end, or stop it cleanly with: kill -INT {attempt.pid}. {log}"
        )
    how = attempt.outcome or "was killed together with the process that watched it"
    _left, sentence = what_is_left(client, attempt, withdraw=withdraw, others=others)
    return f"An earlier bake here {how}. {sentence} {log}"


def what_is_left(
    client: Any, attempt: Attempt, *, withdraw: bool, others: OtherRegions = no_region
) -> tuple[list[str] | None, str]:
    """What a bake has left in the account, and that as a sentence.

    withdraw: take the fingerprint from an image that a bake has left which failed, such as one of which only
        the last step failed. The next run would take it for a good one.
    others: where copies of the image may be.
    """
    # An error of the look-up must not hide the bake's own.
    try:
        left = leftovers(client, attempt.run_id)
        if not attempt.succeeded:
            left += _images_left(client, attempt, withdraw=withdraw)
            # Where it is copied to, Packer says.
            for region, there in others(_regions_named(Path(attempt.log_path))).items():
                left += [
                    f"{found} in {region}" for found in _left_elsewhere(there, attempt, withdraw=withdraw)
                ]
    except Exception as error:
        return (
            None,
            f"What it left could not be looked up ({error}); look for the tag {RUN_TAG}={attempt.run_id}.",
        )
    if left:
        return (
            left,
            f"It left in the account, and you should remove: {', '.join(left)} "
            f"(tag {RUN_TAG}={attempt.run_id}).",
        )
    return [], "It left no instance, key pair, security group, volume or image in the account."


def _regions_named(log: Path) -> set[str]:
    with contextlib.suppress(OSError):
        return set(_REGION.findall(log.read_text(encoding="utf-8", errors="replace")))
    return set()


def _images_left(client: Any, attempt: Attempt, *, withdraw: bool) -> list[str]:
    images = images_of(client, attempt.run_id)
    if withdraw:
        withdraw_images(client, images)
    if attempt.image_name:
        images += [ami_id for ami_id in images_named(client, attempt.image_name) if ami_id not in images]
    return [f"image {ami_id}" for ami_id in images]


def _left_elsewhere(client: Any, attempt: Attempt, *, withdraw: bool) -> list[str]:
    """What a copy of the image has left. A region that the caller may not use has none."""
    try:
        return leftovers(client, attempt.run_id) + _images_left(client, attempt, withdraw=withdraw)
    except is_ansible_aws_error_code(_MAY_NOT):
        return []
    except Exception as error:
        return [f"what could not be looked up ({error})"]
