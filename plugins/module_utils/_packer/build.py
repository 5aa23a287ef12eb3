# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fourth stage of a bake: Packer builds the image, in the work folder, which it has to itself."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .._run.files import write_private_json
from .._run.lock import DirectoryLock
from .._run.log import Log, new_log_path
from .._run.programs import find_program
from .._run.progress import Progress
from .._run.secrets import Scrubber
from . import plugins
from .attempt import callbacks, is_heard
from .cli import OLDEST, Built, Packer, PackerError
from .errors import BakeError
from .find import Found
from .images import BASE_IMAGE_TAG, FINGERPRINT_TAG, PART_TAG, RUN_TAG
from .request import Request
from .template import declared_variables, is_read_by_packer
from .workdir import BakeAttempt, WorkDir, WorkDirError

ANSIBLE_CONFIG = "ansible.cfg"


@dataclass(frozen=True)
class Run:
    """A run of Packer in a folder that is locked for it.

    work: the folder.
    began: when, in seconds of the epoch.
    log: everything that Packer says.
    attempt: what is remembered of it.
    temporary: a folder that goes away with it. The ansible provisioner leaves the bake's key in the folder
        for temporary files. Not in work: sockets are made there too, whose paths have to be short.
    scrubber: masks the sensitive variables.
    """

    work: WorkDir
    began: float
    log: Log
    attempt: BakeAttempt
    temporary: Path
    scrubber: Scrubber

    def clean_up(self) -> None:
        """Remove what must not outlive it, and note what it has left."""
        self.work.remove_secrets(self.scrubber)
        self.work.note_made()
        shutil.rmtree(self.temporary, ignore_errors=True)


@contextlib.contextmanager
def begin(request: Request, scrubber: Scrubber) -> Iterator[Run]:
    """Lock the folder for a run.

    Raises BakeError, and DirectoryLocked when another run works there.
    """
    work = WorkDir(request.work_dir)
    try:
        work.create()
    except WorkDirError as error:
        raise BakeError(str(error)) from error
    with DirectoryLock(work.lock, "packer_image"):
        began = time.time()
        image_name = f"{request.name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(began))}"
        path = new_log_path(work.logs, image_name)
        attempt = BakeAttempt(run_id=uuid.uuid4().hex, log_path=str(path), image_name=image_name)
        run = Run(
            work,
            began,
            Log(path, scrubber, timed=True),
            attempt,
            Path(tempfile.mkdtemp(prefix="packer-")),
            scrubber,
        )
        try:
            yield run
        finally:
            run.clean_up()
            run.log.close()


@dataclass(frozen=True)
class Tool:
    """Packer's program, and the environment of its caller that it gets."""

    binary: str
    environment: Mapping[str, str]


def build(run: Run, request: Request, found: Found, tool: Tool, progress: Progress) -> Built:
    """Fill the folder and have Packer build there, whatever comes of it.

    Raises BakeError when nothing was baked, and ProcessError when Packer cannot be run.
    """
    attempt = run.attempt
    progress.say(f"Baking {attempt.image_name}. Why: {', '.join(found.reasons)}. Log: {run.log.path}")
    try:
        variable_files = _write_files(run, request, found)
        env = {**tool.environment, **_own_places(run, request, tool.environment)}
        packer = Packer(tool.binary, run.work.path, env, run.log)
        _check_version(packer)
        used = _prepare_plugins(packer, request)
        packer.validate(variable_files)
        built = packer.build(
            variable_files,
            progress=progress,
            timeout=request.timeout,
            callbacks=callbacks(run.work, attempt, run.clean_up),
        )
    except (PackerError, WorkDirError) as error:
        raise BakeError(
            f"Nothing was baked. {error}\nAll of Packer's output is in {attempt.log_path}.",
            error=str(error),
            fingerprint=found.fingerprint,
            log_path=attempt.log_path,
        ) from error
    if is_heard(built.finished):
        run.work.attempts.reported()
    return replace(built, duration=time.time() - run.began, plugins=used)


def _prepare_plugins(packer: Packer, request: Request) -> dict[str, dict[str, Any]]:
    """See that the plugins are there, those that are locked; which ones they are.

    Raises PackerError, also for one that is not as it was locked.
    """
    locked = request.plugins
    if not packer.does("install plugins"):
        return {}
    plugins.hold((packer.folder / entry.name for entry in request.files if is_read_by_packer(entry)), locked)
    try:
        packer.init()
        if not packer.does("tell plugins"):
            return {}
        used = plugins.in_use(packer.required_plugins())
        plugins.compare(used, locked)
    except PackerError as error:
        raise PackerError(f"{error}{plugins.said(locked)}" if locked else str(error)) from error
    return plugins.merged(used, locked)


def _check_version(packer: Packer) -> None:
    if not packer.does("run these templates"):
        is_, wanted = (".".join(map(str, numbers)) for numbers in (packer.version, OLDEST))
        raise PackerError(f"Packer {is_} is too old: take {wanted} or newer.")


def _own_places(run: Run, request: Request, environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that name places: nothing that shapes the image lies at a place of the caller's."""
    # Ansible would read its configuration from the caller's home.
    temporary = run.temporary
    config = run.work.path / ANSIBLE_CONFIG
    if not any(entry.name == ANSIBLE_CONFIG for entry in request.files):
        config = temporary / ANSIBLE_CONFIG
        config.touch()
    places = {"TMPDIR": str(temporary), "PACKER_TMP_DIR": str(temporary), "ANSIBLE_CONFIG": str(config)}
    if request.collections_path:
        places["ANSIBLE_COLLECTIONS_PATH"] = ":".join(request.collections_path)
    if not environment.get("HOME"):  # newer versions do not start without one
        try:
            places["HOME"] = pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:
            places["HOME"] = str(temporary)
    return places


def _write_files(run: Run, request: Request, found: Found) -> list[Path]:
    """Fill the folder; the variable files for Packer."""
    work, run_id, image_name = run.work, run.attempt.run_id, run.attempt.image_name
    work.lay_out(request.files)
    work.manifest.unlink(missing_ok=True)
    write_private_json(work.provisioner_variables, dict(request.provisioner_variables))
    tags = {**request.tags, BASE_IMAGE_TAG: request.base_image_id, FINGERPRINT_TAG: found.fingerprint}
    declared = declared_variables(request.files)
    offered = {
        "ansible_playbook": request.ansible_playbook,
        "base_image_id": request.base_image_id,
        "collections_path": ":".join(request.collections_path),
        "image_name": image_name,
        "manifest_path": str(work.manifest),
        "provisioner_variables_file": str(work.provisioner_variables),
        "region": request.region,
        "run_tags": {"Name": image_name, **request.tags, PART_TAG: "bake", RUN_TAG: run_id},
        # Newer plugins give the image the run's tags while it is made: it keeps what these do not replace.
        "tags": {"Name": image_name, PART_TAG: "image", **tags, RUN_TAG: run_id},
    }
    values = {name: value for name, value in offered.items() if name in declared}
    write_private_json(work.variables, {**values, **request.variables})
    if not request.sensitive_variables:
        return [work.variables]
    write_private_json(work.sensitive_variables, dict(request.sensitive_variables))
    return [work.variables, work.sensitive_variables]


def find_binary(name: str) -> str:
    """The program's path, from every folder. Raises BakeError when there is none."""
    if found := find_program(name):
        return found
    raise BakeError(
        f"There is no {name} on the PATH. Install Packer (https://developer.hashicorp.com/packer/install), "
        "or name it with the option binary."
    )
