# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first stage of a bake: the options, resolved, and refused where they cannot be met."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._stack.names import OptionError, check_tags
from .errors import BakeError
from .fingerprint import Entry, layered_entries
from .places import Place, absolute
from .plugins import is_whole
from .template import declared_variables, is_read_by_packer, legacy_template

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
    self_test: str | None
    allow_unverified: bool
    plugins: Mapping[str, Mapping[str, Any]]
    ansible_playbook: str
    collections_path: tuple[str, ...]
    files: tuple[Entry, ...]

    @property
    def must_be_verified(self) -> bool:
        """Whether an image has to have passed its self-test."""
        return self.self_test is not None and not self.allow_unverified


def resolve(params: Mapping[str, Any], region: str | None) -> Request:
    """The module's options as a request that can be met. Looks at files alone.

    Raises BakeError, and FingerprintError for files that cannot be hashed.
    """
    if not region:
        raise BakeError("Say in which region: with the option region or AWS_REGION.")
    for name in ("template", "work_dir"):
        if not params[name]:
            raise BakeError(f"{name}: it is empty.")
    template, work_dir = absolute(params["template"]), absolute(params["work_dir"])
    overlay = absolute(params["overlay"]) if params["overlay"] else None
    root = absolute(params["fingerprint_root"] or template.parent)
    _check_name(params["name"])
    if not is_whole(params["plugins"]):
        raise BakeError("plugins is not whole: it takes of each version and sha256, as they were returned.")
    layers = {"template": template, **({"overlay": overlay} if overlay else {})}
    _check_places(work_dir, layers, root, params["fingerprint_paths"])
    request = Request(
        template=template,
        overlay=overlay,
        work_dir=work_dir,
        name=params["name"],
        region=region,
        base_image_id=params["base_image_id"],
        variables=params["variables"],
        sensitive_variables=params["sensitive_variables"],
        provisioner_variables=params["provisioner_variables"],
        fingerprint_root=root,
        fingerprint_paths=tuple(params["fingerprint_paths"]),
        fingerprint_exclude=tuple(params["fingerprint_exclude"]),
        fingerprint_extra=params["fingerprint_extra"],
        tags=_tags(params["tags"]),
        force=params["force"],
        timeout=params["timeout"],
        self_test=params["self_test"],
        allow_unverified=params["allow_unverified"],
        plugins=params["plugins"],
        ansible_playbook=params["ansible_playbook"] or "ansible-playbook",
        collections_path=tuple(params["collections_path"] or ()),
        files=tuple(layered_entries(layers.values(), apart_from=Place(work_dir))),
    )
    _check_variables(request)
    return request


def _tags(tags: Mapping[str, Any]) -> dict[str, str]:
    try:
        return check_tags(tags)
    except OptionError as error:
        raise BakeError(str(error)) from None


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BakeError(
            f"The name {name!r} cannot begin the name of an image: EC2 takes 1 to 112 of the letters "
            "a to z and A to Z, digits, spaces and ()[]./-'@_."
        )


def _check_places(
    work_dir: Path, layers: Mapping[str, Path], root: Path, fingerprint_paths: list[str]
) -> None:
    """See that Packer does not run where its own input is."""
    work = Place(work_dir)
    for option, layer in layers.items():
        if work.lies_in(layer) or work.holds(layer):
            raise BakeError(
                f"The work_dir {work_dir} and the {option} {layer} lie in each other. Packer runs in "
                "a copy: name a folder of its own as work_dir."
            )
    for name in fingerprint_paths:
        advice = "no fingerprint would ever be the same. Name another folder as work_dir."
        if work.lies_in(root / name):
            raise BakeError(
                f"The work_dir {work_dir} lies in {name}, which is one of fingerprint_paths: {advice}"
            )
        if work.holds(root / name):
            raise BakeError(
                f"{name}, which is one of fingerprint_paths, lies in the work_dir {work_dir}: {advice}"
            )


def _check_variables(request: Request) -> None:
    """Packer ignores a variable that the template does not declare: say so before anything is spent."""
    if not any(map(is_read_by_packer, request.files)):
        raise BakeError(_no_template(request.template, legacy_template(request.files)))
    declared = declared_variables(request.files)
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
