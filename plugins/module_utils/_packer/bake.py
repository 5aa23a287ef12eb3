# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bake an image once: find the one with the same content, or have Packer make it."""

from __future__ import annotations

import difflib
import os
import pwd
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ansible_collections.iac.ds_stack.plugins.module_utils._packer import fingerprint as fp
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.attempt import (
    OtherRegions,
    callbacks,
    is_heard,
    no_region,
    report,
    what_is_left,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.cli import (
    OLDEST,
    Built,
    Log,
    Packer,
    PackerError,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.content import Content, difference
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.images import (
    BASE_IMAGE_TAG,
    FINGERPRINT_TAG,
    PART_TAG,
    RUN_TAG,
    Image,
    find_image,
    get_image,
    is_usable,
    late_images,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.manifest import (
    ManifestError,
    image_of,
    read_manifest,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.places import Place
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.workdir import (
    Attempt,
    Bake,
    WorkDir,
    WorkDirError,
    declared_variables,
    is_read_by_packer,
    legacy_template,
    write_private,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._run.process import (
    Callbacks,
    DirectoryLock,
    DirectoryLocked,
    format_seconds,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._run.progress import Progress
from ansible_collections.iac.ds_stack.plugins.module_utils._run.secrets import Scrubber

#: Without these the image could not be named, found again, told from others, or cleaned up after.
REQUIRED_VARIABLES = frozenset({"image_name", "manifest_path", "run_tags", "tags"})

#: What this module fills in, where the template declares it.
OFFERED_VARIABLES = REQUIRED_VARIABLES | {
    "ansible_playbook",
    "base_image_id",
    "collections_path",
    "provisioner_variables_file",
    "region",
}


#: What EC2 takes as the name of an image, less room for the time.
_NAME = re.compile(r"[\w()\[\] ./'@-]{1,112}", re.ASCII)

ANSIBLE_CONFIG = "ansible.cfg"


class BakeError(Exception):
    """The bake failed; the text is the whole story for the user.

    facts: what the module returns besides.
    """

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts


@dataclass(frozen=True)
class Request:
    """What to bake; the fields are the options of the module."""

    template: Path
    overlay: Path | None
    work_dir: Path
    name: str
    region: str
    base_image_id: str
    variables: Mapping[str, Any]
    sensitive_variables: Mapping[str, Any]
    provisioner_variables: Mapping[str, Any]
    fingerprint_root: Path
    fingerprint_paths: tuple[str, ...]
    fingerprint_exclude: tuple[str, ...]
    fingerprint_extra: Mapping[str, Any]
    tags: Mapping[str, str]
    force: bool
    timeout: float
    ansible_playbook: str
    collections_path: tuple[str, ...]

    def files(self) -> list[fp.Entry]:
        """The template's files with the overlay's on them."""
        layers = [self.template, *([self.overlay] if self.overlay else [])]
        return fp.layered_entries(layers, apart_from=Place(self.work_dir))


@dataclass(frozen=True)
class Plan:
    """What there is to do.

    content, fingerprint: what was asked for.
    image: the image with that fingerprint, if there is one.
    reasons: why there is something to bake; empty when nothing is.
    last: the last bake in the work folder.
    """

    content: Content
    fingerprint: str
    image: Image | None
    reasons: list[str]
    last: Bake | None

    def diff(self) -> dict[str, str]:
        """What differs from the last bake in the work folder, as Ansible shows it."""
        last = self.last
        before, after = difference(Content(last.files, last.values) if last else None, self.content)
        return {
            "before": (f"image: {last.ami_id}\n" if last else "") + before,
            "after": f"image: a new one\n{after}",
        }


def content_of(request: Request) -> Content:
    """Everything that shapes the image.

    Raises FingerprintError when a path cannot be read or lies outside of the root.
    """
    files = {"template": request.files()}
    for path in map(_stable_path, request.fingerprint_paths):
        root = request.fingerprint_root
        files[f"files.{path}"] = fp.entries(root / path, apart_from=Place(request.work_dir))
    values: dict[str, Any] = {"base_image_id": request.base_image_id}
    groups = {
        "variables": {
            name: value
            for name, value in request.variables.items()
            if name not in request.fingerprint_exclude
        },
        "provisioner_variables": request.provisioner_variables,
        "fingerprint_extra": request.fingerprint_extra,
    }
    for group, members in groups.items():
        values.update({f"{group}.{name}": value for name, value in members.items()})
    return Content({part: fp.digests(found) for part, found in files.items()}, values)


def _stable_path(name: str) -> PurePosixPath:
    """A path whose spelling may go into the fingerprint: it is the same from every checkout."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise fp.FingerprintError(
            f"The path {name} in fingerprint_paths has to be relative to fingerprint_root: its name counts"
        )
    return path


def make_plan(request: Request, client: Any) -> Plan:
    """Find out whether there is anything to bake. Changes nothing.

    Raises BakeError and FingerprintError for a request that cannot be met.
    """
    _check_names(request)
    files = request.files()
    _check_variables(request, files)
    content = content_of(request)
    fingerprint = content.fingerprint()
    image = find_image(client, fingerprint, request.tags)
    last = WorkDir(request.work_dir).last_bake()
    if image and not request.force:
        return Plan(content, fingerprint, image, [], last)
    if not is_usable(client, request.base_image_id):
        raise BakeError(
            f"The base image {request.base_image_id} cannot be used: {request.region} has no such image, or "
            "not any more, or not for this account. Name another one with the option base_image_id.",
            fingerprint=fingerprint,
        )
    if strays := WorkDir(request.work_dir).strays(files):
        raise BakeError(
            f"The work_dir {request.work_dir} holds {_list(strays)}, which would shape the image and is not "
            "of its template. Move it into the template or the overlay, or away.",
            fingerprint=fingerprint,
        )
    return Plan(content, fingerprint, image, _reasons(request, content, last), last)


def _list(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(map(fp.printable, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _check_names(request: Request) -> None:
    """What cannot be a name or a folder is told before anything is looked up."""
    if not _NAME.fullmatch(request.name):
        raise BakeError(
            f"The name {request.name!r} cannot begin the name of an image: EC2 takes 1 to 112 of the letters "
            "a to z and A to Z, digits, spaces and ()[]./-'@_."
        )
    work = Place(request.work_dir)
    for option, layer in {"template": request.template, "overlay": request.overlay}.items():
        if layer is not None and (work.lies_in(layer) or work.holds(layer)):
            raise BakeError(
                f"The work_dir {request.work_dir} and the {option} {layer} lie in each other. Packer runs in "
                "a copy: name a folder of its own as work_dir."
            )
    for name in request.fingerprint_paths:
        hashed = request.fingerprint_root / name
        if work.lies_in(hashed):
            raise BakeError(
                f"The work_dir {request.work_dir} lies in {name}, which is one of fingerprint_paths: no "
                "fingerprint would ever be the same. Name another folder as work_dir."
            )
        if work.holds(hashed):
            raise BakeError(
                f"{name}, which is one of fingerprint_paths, lies in the work_dir {request.work_dir}: no "
                "fingerprint would ever be the same. Name another folder as work_dir."
            )


def _reasons(request: Request, content: Content, last: Bake | None) -> list[str]:
    if request.force:
        return ["force"]
    if last is None:
        return ["no image with this content"]
    before = Content(last.files, last.values)
    return fp.changed_parts(before.parts(), content.parts()) or [f"the image {last.ami_id} is gone"]


def look_back(
    work_dir: Path, client: Any, *, check_mode: bool, others: OtherRegions = no_region
) -> str | None:
    """What to tell of an earlier bake in the folder whose end nobody was there to report, once.

    In check mode it is told again next time. Raises StillRuns when it has not ended.

    others: see `what_is_left`.
    """
    work = WorkDir(work_dir)
    attempt = work.unreported_attempt()
    if attempt is None:
        return None
    if check_mode:
        return report(attempt, client, withdraw=False, others=others) if attempt.outcome else None
    try:
        with DirectoryLock(work.lock, "packer_image"):
            attempt = work.unreported_attempt()
            if attempt is None:
                return None
            text = report(attempt, client, withdraw=True, others=others)
            work.reported()
            return text
    except DirectoryLocked:
        return None  # it is the bake of another run, which will tell


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


def bake(
    request: Request,
    plan: Plan,
    client: Any,
    *,
    binary: str,
    environment: Mapping[str, str],
    scrubber: Scrubber,
    progress: Progress,
    others: OtherRegions = no_region,
) -> dict[str, Any]:
    """Have Packer make the image; what the module returns.

    others: see `what_is_left`.

    Raises BakeError; ProcessError when Packer cannot be run, or another run works in the folder.
    """
    work = WorkDir(request.work_dir)
    try:
        work.create()
    except WorkDirError as error:
        raise BakeError(str(error)) from error
    with DirectoryLock(work.lock, "packer_image"):
        began = time.time()
        image_name = f"{request.name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(began))}"
        log = Log(work.new_log(image_name), scrubber)
        attempt = Attempt(uuid.uuid4().hex, str(log.path), image_name=image_name)
        # The ansible provisioner leaves the bake's key in the folder for temporary files. Not in work_dir:
        # sockets are made there too, whose paths have to be short.
        temporary = Path(tempfile.mkdtemp(prefix="packer-"))

        def clean_up() -> None:
            work.remove_secrets(scrubber)
            work.note_made()
            shutil.rmtree(temporary, ignore_errors=True)

        try:
            progress.say(f"Baking {image_name}. Why: {', '.join(plan.reasons)}. Log: {log.path}")
            variable_files = _write_files(request, plan, work, image_name, attempt.run_id)
            packer = Packer(
                binary, work.path, {**environment, **_own_places(request, work, temporary, environment)}, log
            )
            watched = callbacks(work, attempt, clean_up)
            built = _run_packer(packer, variable_files, watched, request.timeout, progress)
            facts = {
                "duration": round(time.time() - began, 1),
                "fingerprint": plan.fingerprint,
                "log_path": str(log.path),
            }
            if is_heard(built.finished):
                work.reported()
            if built.reason is not None:
                raise _failure(built, client, attempt, facts, others)
            try:
                image = made_image(built, work, request.region, client)
            except BakeError as error:
                left, sentence = what_is_left(client, attempt, withdraw=True, others=others)
                raise BakeError(
                    f"{error}\n{sentence}\nAll of Packer's output is in {log.path}.",
                    error=str(error),
                    left=left,
                    **facts,
                ) from error
        except (PackerError, WorkDirError) as error:
            raise BakeError(
                f"Nothing was baked. {error}\nAll of Packer's output is in {log.path}.",
                error=str(error),
                fingerprint=plan.fingerprint,
                log_path=str(log.path),
            ) from error
        finally:
            clean_up()
            log.close()
        content = plan.content
        work.note_bake(Bake(image.ami_id, plan.fingerprint, content.files, content.values))
    return {**facts, **image_facts(image)}


def _own_places(
    request: Request, work: WorkDir, temporary: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """Variables that name places: nothing that shapes the image lies at a place of the caller's."""
    # Ansible would read its configuration from the caller's home.
    config = work.path / ANSIBLE_CONFIG
    if not any(entry.name == ANSIBLE_CONFIG for entry in request.files()):
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


def image_facts(image: Image) -> dict[str, Any]:
    """An image as the module returns it."""
    return {"ami_id": image.ami_id, "image_name": image.name, "snapshot_ids": list(image.snapshot_ids)}


def _write_files(request: Request, plan: Plan, work: WorkDir, image_name: str, run_id: str) -> list[Path]:
    """Fill the folder; the variable files for Packer."""
    files = request.files()
    work.lay_out(files)
    work.manifest.unlink(missing_ok=True)
    write_private(work.provisioner_variables, dict(request.provisioner_variables))
    tags = {**request.tags, BASE_IMAGE_TAG: request.base_image_id, FINGERPRINT_TAG: plan.fingerprint}
    declared = declared_variables(files)
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
    write_private(work.variables, {**values, **request.variables})
    if not request.sensitive_variables:
        return [work.variables]
    write_private(work.sensitive_variables, dict(request.sensitive_variables))
    return [work.variables, work.sensitive_variables]


def _check_variables(request: Request, files: list[fp.Entry]) -> None:
    """Packer ignores a variable that the template does not declare: say so before anything is spent."""
    if not any(map(is_read_by_packer, files)):
        raise BakeError(_no_template(request.template, legacy_template(files)))
    declared = declared_variables(files)
    given = {*request.variables, *request.sensitive_variables}
    if missing := sorted(REQUIRED_VARIABLES - declared):
        raise BakeError(
            f"The template {request.template} declares no variable {', '.join(missing)}. "
            "This module needs it, see the documentation of the option template."
        )
    if reserved := sorted(given & OFFERED_VARIABLES):
        raise BakeError(f"The variable {', '.join(reserved)} is filled in by this module; do not give it.")
    if twice := sorted({*request.variables} & {*request.sensitive_variables}):
        raise BakeError(
            f"The variable {', '.join(twice)} is given twice, as an ordinary and a sensitive one."
        )
    for name in sorted(given - declared):
        close = difflib.get_close_matches(name, declared - OFFERED_VARIABLES, 1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise BakeError(f"The template {request.template} declares no variable {name}.{hint}")


def _no_template(folder: Path, legacy: str | None) -> str:
    message = f"There is no Packer template in {folder}: no file *.pkr.hcl or *.pkr.json."
    if legacy is None:
        return message
    return (
        f"{message} {legacy} is a template in the JSON of before Packer 1.5, which this module does not "
        f"take. Convert it with: packer hcl2_upgrade {legacy}"
    )


def _run_packer(
    packer: Packer, variable_files: list[Path], callbacks: Callbacks, timeout: float, progress: Progress
) -> Built:
    if not packer.does("run these templates"):
        is_, wanted = (".".join(map(str, numbers)) for numbers in (packer.version, OLDEST))
        raise PackerError(f"Packer {is_} is too old: take {wanted} or newer.")
    if packer.does("install plugins"):
        packer.init()
    packer.validate(variable_files)
    return packer.build(variable_files, progress=progress, timeout=timeout, callbacks=callbacks)


def _failure(
    built: Built, client: Any, attempt: Attempt, facts: dict[str, Any], others: OtherRegions
) -> BakeError:
    finished = built.finished
    error = built.reason
    if finished.interrupted:
        error = f"stopped after {format_seconds(finished.duration)}: {finished.interrupted}"
    left, sentence = what_is_left(client, attempt, withdraw=True, others=others)
    message = f"The bake failed. {error}\n{sentence}\nAll of Packer's output is in {attempt.log_path}."
    return BakeError(message, error=error, left=left, **facts)


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


def find_binary(name: str) -> str:
    """The program's path, from every folder. Raises BakeError when there is none."""
    if found := shutil.which(os.path.expanduser(name)):  # noqa: PTH111 (Path would lose the dot of ./packer)
        return str(Path(found).absolute())
    raise BakeError(
        f"There is no {name} on the PATH. Install Packer (https://developer.hashicorp.com/packer/install), "
        "or name it with the option binary."
    )
