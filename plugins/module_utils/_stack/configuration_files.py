# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of a configuration for which this machine is looked at: its files, and its list of time zones."""

from __future__ import annotations

import os
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from .configuration_internet import bundle_problem
from .image_lock import SCHEMA, damage
from .names import shown

Values = Mapping[str, Any]

FOLDER, FILE, OVERLAY = "ds_stack_dir", "ds_stack_lock_file", "ds_stack_packer_overlay"
BUNDLE = "ds_stack_ca_bundle"
PINNED = ("image_id", "name", "os", "owner", "region")
"""What the playbooks read of a pinned base image."""


def path_problems(values: Values) -> Iterator[str]:
    """Return one sentence for each path that cannot be what it is for."""
    for variable, look in _LOOKS.items():
        text = values.get(variable)
        if text is None:
            continue
        if not text.isprintable():
            yield f"{variable}: '{shown(text)}' holds a character that cannot be shown. Write another path."
        elif not Path(text).is_absolute():
            # Playbooks, modules and Terraform would look for it in folders of their own; none knows a ~.
            yield (
                f"{variable}: '{shown(text)}' is not a whole path. Write it from / on, such as "
                f"{shown(str(Path.cwd() / os.path.expanduser(os.path.expandvars(text))), 200)}."  # noqa: PTH111
            )
        elif problem := look(Path(text)):
            yield f"{variable}: {problem}"


def _folder_problem(path: Path) -> str | None:
    return _parent_problem(path)


def _file_problem(path: Path) -> str | None:
    if path.is_dir():
        return f"{path} is a folder. Name a file in it."
    if path.is_file():
        return _lock_problem(path)
    return _parent_problem(path.parent)


def _overlay_problem(path: Path) -> str | None:
    return None if path.is_dir() else f"there is no folder {path}. Make it, or leave this out."


def _parent_problem(path: Path) -> str | None:
    """Why nothing can be written to a folder, or the folder cannot be made."""
    try:
        there = next(one for one in (path, *path.parents) if one.exists() or one.is_symlink())
    except OSError as error:
        return f"{shown(str(path))} cannot be looked at ({error.strerror}). Name another path."
    if not there.is_dir():
        return f"{there} is no folder. Name another path."
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} cannot be written to by you. Name another path, or mend its rights."
    return None


def _lock_problem(path: Path) -> str | None:
    # Late: on this machine Ansible has it, and nothing else of module_utils needs it.
    import yaml  # noqa: PLC0415

    try:
        problem = _content_problem(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        return f"{path} cannot be read ({error.strerror}). Mend its rights."
    except (ValueError, yaml.YAMLError):
        problem = "it is no YAML"
    if problem is None:
        return None
    return (
        f"{path} pins nothing: {problem}. Get it back from version control, remove it to pin anew, or name "
        "another file."
    )


def _content_problem(found: Any) -> str | None:
    if not isinstance(found, dict):
        return "it is no lock of a stack"
    schema = str(found.get("schema", SCHEMA))
    if schema != str(SCHEMA):
        return f"it has schema {shown(schema)}, which takes the version of the collection that wrote it"
    base = found.get("base_image")
    if base is None:
        return damage(found)
    if not isinstance(base, dict) or not all(isinstance(base.get(key), str) and base[key] for key in PINNED):
        return "its base_image is not whole"
    if not re.fullmatch("ami-[0-9a-f]{8,17}", base["image_id"]):
        return "its base_image has no image's id"
    return damage(found)


def _bundle_problem(path: Path) -> str | None:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        return f"{path} cannot be read ({error.strerror}). Name a file with certificates."
    except ValueError:
        text = ""  # DER, most likely
    problem = bundle_problem(text)
    return problem and f"{path}: {problem}"


_LOOKS = {
    FOLDER: _folder_problem,
    FILE: _file_problem,
    OVERLAY: _overlay_problem,
    BUNDLE: _bundle_problem,
}


def time_zone_problem(name: str) -> str | None:
    """Return why the machine cannot have a time zone, as the rest of a sentence, or None."""
    zones = _time_zones()
    if name in zones or (not zones and re.fullmatch(r"UTC|[A-Z][A-Za-z_]+/[A-Za-z0-9_+/-]+", name)):
        return None
    if name in (old := _old_time_zones()):
        hint = f"It is an old name of {old[name]}: write that."
    else:
        lower = {zone.lower(): zone for zone in zones}
        near = get_close_matches(name.lower().replace(" ", "_"), lower, n=1, cutoff=0.7)
        hint = f"Did you mean {lower[near[0]]}?" if near else "Write it like Europe/Berlin."
    return f"the machine has no time zone '{shown(name)}'. {hint}"


@cache
def _time_zones() -> frozenset[str]:
    """The zones that a machine has for certain; none where this machine has no such list.

    Ubuntu 24.04 and Debian 13 have moved other names to the package tzdata-legacy, which is not installed:
    https://www.debian.org/releases/trixie/release-notes/issues.html
    """
    tables = [line.split("\t") for name in ("zone.tab", "zone1970.tab") for line in _table(name)]
    geographic = {fields[2] for fields in tables if len(fields) > 2 and not fields[0].startswith("#")}
    if not geographic:
        return frozenset()
    fixed = {name for name in zoneinfo.available_timezones() if name.startswith("Etc/")}
    return frozenset({*geographic, *fixed, "UTC", "GMT"})


@cache
def _old_time_zones() -> dict[str, str]:
    """Old names of zones, and what they are called now, as tzdata itself has them."""
    links = [line.split() for line in _table("tzdata.zi")]
    return {fields[2]: fields[1] for fields in links if len(fields) == 3 and fields[0] == "L"}


def _table(name: str) -> list[str]:
    for folder in zoneinfo.TZPATH:
        try:
            return Path(folder, name).read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
    return []
