# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receipts: what is in an image, as one document (see docs/receipt.md), and how two of them differ. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .._run.urls import mask

SCHEMA = 1

Packages = dict[str, dict[str, str]]
"""By their names: the version and what else is known."""

TITLES = {"system": "System", "os": "OS", "conda": "conda", "r": "R", "kernels": "Jupyter kernels"}
"""The parts that are compared, in the order in which they are shown. Tools are packages of these, or R."""

_TOOLS = (("nginx", "nginx"), ("RStudio Server", "rstudio-server"))
_CONDA_TOOLS = (
    ("JupyterHub", "jupyterhub"),
    ("JupyterLab", "jupyterlab"),
    ("Node.js", "nodejs"),
    ("Python", "python"),
    ("conda", "conda"),
)


class ReceiptError(Exception):
    """Something is no receipt, or none can be made; the text is for the user."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same in both. before, after: empty where it is not there."""

    part: str
    place: str
    name: str
    before: str
    after: str


def parse_dpkg(text: str) -> Packages:
    """What dpkg-query printed with `DPKG_FORMAT`: the packages that are installed."""
    packages = {}
    for line in text.splitlines():
        status, name, version, architecture, source, source_version = line.split("\t")
        if status == "installed":
            packages[name] = {
                "version": version,
                "architecture": architecture,
                "source": f"{source} {source_version}",
            }
    return packages


_DPKG_FIELDS = (
    "db:Status-Status",
    "binary:Package",
    "Version",
    "Architecture",
    "source:Package",
    "source:Version",
)
DPKG_FORMAT = "\\t".join(f"${{{field}}}" for field in _DPKG_FIELDS) + "\\n"


def parse_apt(text: str, packages: Packages) -> dict[str, str]:
    """The SHA-256 of these packages' files, by their names, in what C(apt-cache show) printed.

    One that no archive has any more has none.
    """
    found = {}
    for record in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in record.splitlines() if ": " in line and line[0] != " ")
        if "SHA256" in fields:
            found[fields["Package"], fields["Version"], fields["Architecture"]] = fields["SHA256"]
    named = {
        name: (name.partition(":")[0], known["version"], known["architecture"])
        for name, known in packages.items()
    }
    return {name: found[key] for name, key in named.items() if key in found}


def parse_r(text: str) -> tuple[str, dict[str, Packages]]:
    """What R printed with `R_PROGRAM`: its version, and the packages of each library."""
    version, libraries = "", dict[str, Packages]()
    for line in text.splitlines():
        mark, *fields = line.split("\t")
        if mark == "receipt-r" and len(fields) == 1:
            version = fields[0]
        elif mark == "receipt-package" and len(fields) == 6:
            library, name, number, repository, built, priority = fields
            libraries.setdefault(library, {})[name] = {
                "version": number,
                "source": repository or ("R" if priority == "base" else "unknown"),
                "built": built,
            }
    if not version:
        raise ReceiptError(f"R did not say its version. It printed: {text.strip()[-500:]}")
    return version, libraries


# Marked lines: a site's profile may print, too.
R_PROGRAM = """
cat("receipt-r", as.character(getRversion()), sep = "\\t"); cat("\\n")
found <- installed.packages(fields = "Repository")
found <- found[, c("LibPath", "Package", "Version", "Repository", "Built", "Priority"), drop = FALSE]
write.table(cbind(rep("receipt-package", nrow(found)), found), sep = "\\t", quote = FALSE, na = "",
            row.names = FALSE, col.names = FALSE)
"""


def parse_conda(record: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """A file of an environment's C(conda-meta): the package's name, and what is known."""
    known = {
        "version": record.get("version"),
        "build": record.get("build"),
        "source": mask(str(record.get("url") or record.get("channel") or "")),
        "md5": record.get("md5"),
        "sha256": record.get("sha256"),
    }
    return str(record["name"]), {key: str(value) for key, value in known.items() if value}


def parse_kernel(record: Mapping[str, Any], folder: str) -> dict[str, str]:
    """A kernel.json, as text: it has no version."""
    return {
        "title": str(record.get("display_name", "")),
        "language": str(record.get("language", "")),
        "command": " ".join(map(str, record.get("argv", []))),
        "source": folder,
    }


def tools(receipt: Mapping[str, Any], r_versions: Mapping[str, str]) -> dict[str, str]:
    """The versions that people ask for first. A tool that is there twice tells where, behind an @."""
    found: list[tuple[str, str, str]] = [("R", place, version) for place, version in r_versions.items()]
    system = receipt["os"]
    found += [(title, "dpkg", system[name]["version"]) for title, name in _TOOLS if name in system]
    for title, name in _CONDA_TOOLS:
        for prefix, packages in receipt["conda"].items():
            if name in packages:
                found.append((title, prefix, packages[name]["version"]))
    titles = [title for title, _place, _version in found]
    return {
        title if titles.count(title) == 1 else f"{title} @ {place}": version
        for title, place, version in found
    }


def dump(receipt: Mapping[str, Any]) -> str:
    """The document as it is written: sorted, so that a text comparison reads well, too."""
    return json.dumps(receipt, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def load(text: str, name: str) -> dict[str, Any]:
    """A receipt from its text. name: of the file, for the message. Raises ReceiptError."""
    try:
        receipt = json.loads(text)
    except (ValueError, RecursionError):
        raise ReceiptError(f"{name} is no receipt: it is no JSON.") from None
    if not isinstance(receipt, dict) or not isinstance(receipt.get("schema"), int):
        raise ReceiptError(f"{name} is no receipt: it has no schema.")
    if receipt["schema"] != SCHEMA:
        raise ReceiptError(
            f"{name} is a receipt of schema {receipt['schema']}; this collection reads {SCHEMA}. "
            "Use the version that made it, or bake again."
        )
    try:
        _flat(receipt)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ReceiptError(f"{name} is no whole receipt. Take it from the machine again.") from None
    return receipt


def says_the_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two receipts differ in the moment at most."""
    return {**one, "made": ""} == {**other, "made": ""}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """What is not the same in two images, in the order of `TITLES`, places and names."""
    old, new = _flat(before), _flat(after)
    order = list(TITLES)
    keys = sorted(
        (key for key in {*old, *new} if old.get(key) != new.get(key)),
        key=lambda key: (order.index(key[0]), key[1:]),
    )
    return [Difference(*key, *_told(old.get(key), new.get(key))) for key in keys]


def as_dict(one: Difference) -> dict[str, str]:
    """For a module's result, without what is empty."""
    return {key: value for key, value in asdict(one).items() if value}


def text_of(found: list[Difference]) -> str:
    """The differences for people: a head for each part and place, a line for each package."""
    if not found:
        return "Nothing differs: the same packages in the same versions.\n"
    lines: list[str] = []
    heads = dict.fromkeys((one.part, one.place) for one in found)
    for part, place in heads:
        here = [one for one in found if (one.part, one.place) == (part, place)]
        counts = {
            "added": sum(not one.before for one in here),
            "removed": sum(not one.after for one in here),
            "changed": sum(bool(one.before and one.after) for one in here),
        }
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        lines.append(f"{TITLES[part]}{f' ({place})' if place else ''}: {told}")
        width = max(len(one.name) for one in here)
        lines += [f"  {_sign(one)} {one.name:<{width}}  {_change(one)}".rstrip() for one in here]
    return "\n".join(lines) + "\n"


def _sign(one: Difference) -> str:
    return "+" if not one.before else "-" if not one.after else "~"


def _change(one: Difference) -> str:
    return f"{one.before} → {one.after}" if one.before and one.after else one.before or one.after


def _told(old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> tuple[str, str]:
    """How both are called: by their versions, or by the first thing in which they differ besides."""
    if old is None or new is None:
        return _name(old), _name(new)
    if old.get("version") != new.get("version"):
        return _name(old), _name(new)
    key = next(key for key in [*old, *new] if old.get(key) != new.get(key))
    start = f"{old['version']}, " if "version" in old else ""
    return f"{start}{key} {old.get(key, 'unknown')}", f"{key} {new.get(key, 'unknown')}"


def _name(known: Mapping[str, str] | None) -> str:
    return "" if known is None else known.get("version") or known.get("command") or "there"


def _flat(receipt: Mapping[str, Any]) -> dict[tuple[str, str, str], dict[str, str]]:
    return {(part, place, name): dict(known) for part, place, name, known in _all(receipt)}


def _all(receipt: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Mapping[str, str]]]:
    for name, value in receipt["system"].items():
        yield "system", "", name, {"version": value}
    # R has its own line, for its version need not be that of a package.
    for name, value in receipt["tools"].items():
        if name.partition(" @ ")[0] == "R":
            yield "system", "", name, {"version": value}
    for part in ("os", "kernels"):
        for name, known in receipt[part].items():
            yield part, "", name, known
    for part in ("conda", "r"):
        for place, packages in receipt[part].items():
            for name, known in packages.items():
                yield part, place, name, known
