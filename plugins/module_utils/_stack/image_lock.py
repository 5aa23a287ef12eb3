# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of an image: what of it counts for a bake, and what it is after one (see docs/lock.md). Pure.

Of the parts of the file, ``os``, ``conda`` and ``r`` shape the image beside its base image. A bake is told
those that are there, and what was installed without them is taken from its receipt afterwards. ``tools`` are
what all of a stack is made with, and shape no image.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

SCHEMA = 1
"""Of the file. A part more, or a field more in one, is no other schema."""

PARTS = ("os", "conda", "r")
"""Beside ``base_image``. Each has ``variables``: values of the roles' variables."""

FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    # The first locks have no packages, and those after them no files.
    "os": {
        "base_image": str,
        "variables": dict,
        "packages": (dict, type(None)),
        "files": (dict, type(None)),
    },
    "conda": {"variables": dict, "environments": dict},
    "r": {"system": str, "variables": dict, "packages": dict},
    "tools": {"providers": dict, "plugins": dict},
}

Lock = Mapping[str, Any]


def how_to_move(part: str) -> str:
    """What locks a part anew, as it is written on the command line."""
    return f'-e \'{{"ds_stack_relock": ["{part}"]}}\''


def damage(lock: Lock) -> str | None:
    """What is not whole in a lock's parts, as the rest of a sentence; None where all is."""
    for part, fields in FIELDS.items():
        found = lock.get(part)
        if found is None:
            continue
        if not isinstance(found, dict) or any(
            not isinstance(found.get(name), kind) for name, kind in fields.items()
        ):
            return f"its part {part} is not whole"
    for part, field, what, is_whole in _ENTRIES:
        for name, one in ((lock.get(part) or {}).get(field) or {}).items():
            if not is_whole(one):
                return f"its {what} {name} is not whole"
    return None


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


_ENTRIES: tuple[tuple[str, str, str, Callable[[Any], bool]], ...] = (
    ("os", "packages", "system package", lambda one: isinstance(one, str)),
    ("os", "files", "file of the system package", lambda one: isinstance(one, str)),
    (
        "conda",
        "environments",
        "environment",
        lambda one: isinstance(one, dict) and _texts(one.get("specs")) and _texts(one.get("packages")),
    ),
    (
        "r",
        "packages",
        "R package",
        lambda one: isinstance(one, dict) and _texts([one.get("version"), one.get("sha256")]),
    ),
    (
        "tools",
        "providers",
        "provider",
        lambda one: isinstance(one, dict) and _texts([one.get("version")]) and _texts(one.get("hashes")),
    ),
    (
        "tools",
        "plugins",
        "plugin",
        lambda one: (
            isinstance(one, dict) and _texts([one.get("version")]) and isinstance(one.get("sha256"), dict)
        ),
    ),
)
"""Part, field, what an entry of it is called, and whether one is whole."""


def _of_system(parts: Lock, field: str) -> dict[str, str]:
    """C(packages) or C(files): the version of each, or the SHA-256."""
    return parts.get("os", {}).get(field) or {}


def in_force(lock: Lock, *, base_image: str, system: str, relock: Collection[str]) -> dict[str, Any]:
    """The parts that a bake is held to.

    base_image: the id of the image that is baked from; the system's packages are locked on top of it.
    system: the operating system, for which R and its packages are built.
    relock: names of parts to lock anew, C(base) and C(all) among them.
    """
    if "all" in relock:
        return {}
    parts = {part: lock[part] for part in PARTS if part in lock and part not in relock}
    if "base" in relock or parts.get("os", {}).get("base_image") != base_image:
        parts.pop("os", None)
    if parts.get("r", {}).get("system") != system:
        parts.pop("r", None)
    return parts


def variables(parts: Lock) -> dict[str, Any]:
    """The roles' variables that hold a bake to these parts."""
    found = {name: value for part in parts.values() for name, value in part["variables"].items()}
    for field in ("packages", "files"):
        if values := _of_system(parts, field):
            found[f"base_locked_{field}"] = values
    if "conda" in parts:
        found["jupyterhub_locked_environments"] = parts["conda"]["environments"]
    if "r" in parts:
        found["r_locked_packages"] = parts["r"]["packages"]
    return found


def contradictions(parts: Lock, asked: Mapping[str, Any]) -> list[str]:
    """A sentence for each of the roles' variables that is asked for as another than it is locked."""
    return [
        f"{name} is {asked[name]}, the lock says {value} (to move it: {how_to_move(part)})"
        for part, content in parts.items()
        for name, value in content["variables"].items()
        if name in asked and str(asked[name]) != value
    ]


def stands_for(lock: Lock, parts: Lock) -> str:
    """What stands for the lock in the image's fingerprint.

    An image stays the one of the lock that it was baked under when that bake has completed the lock: the lock
    as it was then stands for the completed one, until that is changed by a person, a merge, or a part locked
    anew.
    """
    digest = _digest(parts)
    baked = lock.get("baked") or {}
    return str(baked.get("under")) if baked.get("gave") == digest and baked.get("under") else digest


def for_bake(
    lock: Lock, *, base_image: str, system: str, relock: Collection[str], asked: Mapping[str, Any]
) -> dict[str, Any]:
    """All that a bake has to know of the lock. asked: the roles' variables that are given by the user."""
    parts = in_force(lock, base_image=base_image, system=system, relock=relock)
    return {
        "parts": parts,
        "variables": variables(parts),
        "contradictions": contradictions(parts, asked),
        "stands_for": stands_for(lock, parts),
    }


def completed(
    lock: Lock,
    parts: Lock,
    receipt: Mapping[str, Any],
    *,
    base_image: str,
    system: str,
    names: Mapping[str, Collection[str]],
) -> dict[str, Any]:
    """The lock after a bake under these parts, by the receipt of its image. What it did not need stays.

    names: for each part the roles' variables that choose its versions.
    """
    settings = receipt.get("settings", {})
    found = {
        part: {name: str(settings[name]) for name in sorted(names[part]) if settings.get(name)}
        for part in PARTS
    }
    chosen = {part: {**parts.get(part, {}).get("variables", {}), **found[part]} for part in PARTS}
    system_packages = {name: known["version"] for name, known in receipt["os"].items()}
    after: dict[str, Any] = {
        "os": {
            "base_image": base_image,
            "variables": chosen["os"],
            "packages": {**_of_system(parts, "packages"), **system_packages},
            "files": {**_of_system(parts, "files"), **receipt.get("files", {})},
        }
    }
    environments = {**parts.get("conda", {}).get("environments", {}), **_environments(receipt)}
    if environments or chosen["conda"]:
        after["conda"] = {"variables": chosen["conda"], "environments": environments}
    packages = {**parts.get("r", {}).get("packages", {}), **_r_packages(receipt)}
    if packages or chosen["r"]:
        after["r"] = {"system": system, "variables": chosen["r"], "packages": packages}
    kept = {name: value for name, value in lock.items() if name not in PARTS or name in after}
    return {**kept, **after, "baked": {"under": stands_for(lock, parts), "gave": _digest(after)}}


def _environments(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """What conda has solved, by its prefix. A URL with a secret is masked there, and cannot be locked."""
    found = {}
    for prefix, specs in receipt.get("requests", {}).items():
        packages = receipt["conda"].get(prefix, {}).values()
        lines = sorted(f"{one.get('source', '')}#{one.get('md5', '')}" for one in packages)
        if not any("***" in line for line in lines):
            found[prefix] = {"specs": list(specs), "packages": lines}
    return found


def _r_packages(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """Those whose file is known: what R itself or the system has brought is locked with these."""
    return {
        name: {"version": known["version"], "sha256": known["sha256"]}
        for packages in receipt["r"].values()
        for name, known in packages.items()
        if "sha256" in known
    }


def _digest(parts: Lock) -> str:
    text = json.dumps({part: parts[part] for part in PARTS if part in parts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
