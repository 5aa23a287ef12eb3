# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bake that was begun: who tells how it ended, and what it left in the account."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.exceptions import is_ansible_aws_error_code

from .._run.lock import DirectoryLock, DirectoryLocked
from .._run.outcome import Finished, ProcessError
from .._run.process import Callbacks
from .account import Account
from .images import RUN_TAG, images_named, images_of, leftovers
from .images import withdraw as withdraw_images
from .workdir import BakeAttempt, WorkDir

_REGION = re.compile(r"\b[a-z]{2}(?:-[a-z]+)+-\d\b")

_MAY_NOT = ["AccessDenied", "AuthFailure", "OptInRequired", "UnauthorizedOperation"]


class StillRuns(ProcessError):
    """A bake that lost its supervisor still runs."""


def look_back(work_dir: Path, account: Account, *, check_mode: bool) -> str | None:
    """What to tell of an earlier bake in the folder whose end nobody was there to report, once.

    In check mode it is told again next time. Raises StillRuns when it has not ended.
    """
    work = WorkDir(work_dir)
    attempt = work.attempts.read()
    if attempt is None:
        return None
    if check_mode:
        return report(attempt, account, withdraw=False) if attempt.outcome else None
    try:
        with DirectoryLock(work.lock, "packer_image"):
            attempt = work.attempts.read()
            if attempt is None:
                return None
            text = report(attempt, account, withdraw=True)
            work.attempts.reported()
            return text
    except DirectoryLocked:
        return None  # it is the bake of another run, which will tell


def callbacks(work: WorkDir, attempt: BakeAttempt, clean_up: Callable[[], None]) -> Callbacks:
    """What the supervisor does, which outlives this process if it has to.

    clean_up: what this process does in the end, if it is not dead.
    """

    def unreported(finished: Finished, module_is_dead: bool) -> str | None:
        if module_is_dead:
            clean_up()
        elif is_heard(finished):
            return None
        stopped = finished.interrupted and finished.returncode
        how = f"was stopped ({finished.interrupted})" if stopped else "ended"
        return f"{how} with exit code {finished.returncode}"

    return work.attempts.callbacks(attempt, unreported)


def is_heard(finished: Finished) -> bool:
    """Whether somebody will read the module's result: a play that was interrupted drops it."""
    return finished.interrupted in (None, "timeout")


def report(attempt: BakeAttempt, account: Account, *, withdraw: bool) -> str:
    """What to tell of an earlier bake whose end nobody was there to report.

    withdraw: see `what_is_left`.

    Raises StillRuns when it has not ended.
    """
    log = f"Its log is {attempt.log_path}."
    if attempt.still_runs():
        raise StillRuns(
            f"An earlier bake here still runs as process {attempt.pid}, though what watched it was killed. "
            f"Wait for its end, or stop it cleanly with: kill -INT {attempt.pid}. {log}"
        )
    how = attempt.outcome or "was killed together with the process that watched it"
    _left, sentence = what_is_left(account, attempt, withdraw=withdraw)
    return f"An earlier bake here {how}. {sentence} {log}"


def what_is_left(account: Account, attempt: BakeAttempt, *, withdraw: bool) -> tuple[list[str] | None, str]:
    """What a bake has left in the account, and that as a sentence.

    withdraw: take the fingerprint from an image that a bake has left which failed, such as one of which only
        the last step failed. The next run would take it for a good one.
    """
    # An error of the look-up must not hide the bake's own.
    try:
        left = leftovers(account.client, attempt.run_id)
        if not attempt.succeeded:
            left += _images_left(account.client, attempt, withdraw=withdraw)
            # Where it is copied to, Packer says.
            for region, there in account.others(_regions_named(Path(attempt.log_path))).items():
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


def _images_left(client: Any, attempt: BakeAttempt, *, withdraw: bool) -> list[str]:
    images = images_of(client, attempt.run_id)
    if withdraw:
        withdraw_images(client, images)
    if attempt.image_name:
        images += [ami_id for ami_id in images_named(client, attempt.image_name) if ami_id not in images]
    return [f"image {ami_id}" for ami_id in images]


def _left_elsewhere(client: Any, attempt: BakeAttempt, *, withdraw: bool) -> list[str]:
    """What a copy of the image has left. A region that the caller may not use has none."""
    try:
        return leftovers(client, attempt.run_id) + _images_left(client, attempt, withdraw=withdraw)
    except is_ansible_aws_error_code(_MAY_NOT):
        return []
    except Exception as error:
        return [f"what could not be looked up ({error})"]
