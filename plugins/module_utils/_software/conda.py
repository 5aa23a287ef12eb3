# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conda environments: explicit locks, recorded requests, and conda as a process.

The first half is pure: it parses and compares. The second half calls conda by its path, with ``--json``
and a clean environment, and turns whatever goes wrong into :class:`CondaError`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._run.urls import mask

REQUEST_SCHEMA = 1
# Not *.json: conda takes every conda-meta/*.json for the record of an installed package.
REQUEST_FILE = Path("conda-meta", "ds_stack_request")

_HOW_TO_LOCK = "Make the lock with 'conda list --explicit --md5 --prefix PREFIX'."
_EXTENSIONS = (".conda", ".tar.bz2")
_MD5 = re.compile(r"^[0-9a-f]{32}$")


class CondaError(Exception):
    """Conda, or the request made of it, is at fault.

    ``details`` holds what conda itself said, for the module's result.
    """

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details = dict(details or {})


class LockError(CondaError):
    """The lock file cannot be used."""


@dataclass(frozen=True, order=True)
class Package:
    """One conda package, as a line ``URL#md5`` of an explicit list names it."""

    name: str
    version: str
    build: str
    channel: str
    filename: str
    md5: str
    url: str = field(compare=False)

    @property
    def identity(self) -> tuple[str, str]:
        """What makes two packages the same wherever they were fetched from."""
        return self.filename, self.md5

    @property
    def line(self) -> str:
        """The package as a line of an explicit list."""
        return f"{self.url}#{self.md5}"

    @property
    def label(self) -> str:
        """The package for people: ``name-version-build``."""
        return f"{self.name}-{self.version}-{self.build}"

    @property
    def pin(self) -> str:
        """The package as a match spec that nothing else meets."""
        return f"{self.name}={self.version}={self.build}"

    def as_result(self) -> dict[str, str]:
        """The package as a module returns it."""
        return {"name": self.name, "version": self.version, "build": self.build, "channel": self.channel}


@dataclass(frozen=True)
class Changes:
    """What separates the packages that are installed from those that are wanted."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)

    def __str__(self) -> str:
        return ", ".join([*(f"+{label}" for label in self.added), *(f"-{label}" for label in self.removed)])


@dataclass(frozen=True)
class Request:
    """What was asked of conda when it last solved an environment."""

    specs: tuple[str, ...]
    channels: tuple[str, ...] = ()
    override_channels: bool = False

    @classmethod
    def of(cls, specs: Iterable[str], channels: Iterable[str], override_channels: bool) -> Request:
        """Normalise: the order of specs says nothing, the order of channels is their priority.

        :raises CondaError: a channel carries a password or a token, which a command line would show, or conda
            would take a spec for an option.
        """
        asked = tuple(sorted(set(specs)))
        wrong = [spec for spec in asked if not spec.strip() or spec.startswith("-")]
        if wrong:
            raise CondaError(f"specs: {wrong[0]!r} is no package.")
        chosen = tuple(channels)
        for channel in chosen:
            if mask(channel) != channel:
                raise CondaError(
                    f"The channel {mask(channel)} carries a password or a token, which everybody could "
                    "read from conda's command line. Put it into a .condarc that only root can read "
                    "(channel_alias or custom_channels), and name the channel here without it."
                )
        return cls(asked, chosen, bool(chosen) and override_channels)

    def arguments(self) -> list[str]:
        """The request on conda's command line."""
        arguments: list[str] = []
        for channel in self.channels:
            arguments += ["--channel", channel]
        if self.override_channels:
            arguments.append("--override-channels")
        return [*arguments, *self.specs]


@dataclass(frozen=True)
class Locked:
    """What an environment was locked as: for what it was solved, and what it has to hold of it."""

    specs: tuple[str, ...]
    packages: tuple[Package, ...]

    @classmethod
    def of(cls, specs: Iterable[str], lines: Iterable[str]) -> Locked:
        """Read it from the options of the module.

        :raises LockError: as :func:`parse_lock`.
        """
        packages = parse_lock("\n".join(["@EXPLICIT", *lines]), "locked.packages")
        return cls(tuple(sorted(set(specs))), tuple(packages))

    def moved(self, installed: Iterable[Package]) -> list[str]:
        """A sentence for each package that is there and is not the locked one of its name."""
        wanted = {package.name: package for package in self.packages}
        return [
            _moved(package, wanted[package.name])
            for package in sorted(installed)
            if package.name in wanted and package.identity != wanted[package.name].identity
        ]


@dataclass(frozen=True)
class Record:
    """A request together with the packages that it ended in; kept in the environment itself."""

    request: Request
    digest: str

    def to_text(self) -> str:
        """The record as the text of :data:`REQUEST_FILE`."""
        return json.dumps(
            {
                "schema": REQUEST_SCHEMA,
                "specs": self.request.specs,
                "channels": self.request.channels,
                "override_channels": self.request.override_channels,
                "packages_sha256": self.digest,
            },
            indent=2,
        )

    @classmethod
    def from_text(cls, text: str) -> Record | None:
        """Read a record; None for one that this version does not understand."""
        try:
            data = json.loads(text)
            if data["schema"] != REQUEST_SCHEMA:
                return None
            request = Request(tuple(data["specs"]), tuple(data["channels"]), data["override_channels"])
            return cls(request, data["packages_sha256"])
        except (ValueError, KeyError, TypeError):
            return None


def parse_package(line: str) -> Package:
    """Parse one line ``URL#md5``; raise ValueError where it is not one."""
    url, _hash, md5 = line.strip().partition("#")
    md5 = md5.lower()
    if not _MD5.match(md5):
        raise ValueError("has no MD5 (URL#md5)")
    path = urllib.parse.unquote(urllib.parse.urlsplit(url).path)
    base, _slash, filename = path.rpartition("/")
    stem = next((filename[: -len(end)] for end in _EXTENSIONS if filename.endswith(end)), "")
    parts = stem.rsplit("-", 2)
    if "://" not in url or len(parts) != 3 or not base:
        raise ValueError("is not the URL of a conda package (…/name-version-build.conda)")
    channel = mask(url.rpartition("/")[0].rpartition("/")[0])
    name, version, build = parts
    return Package(name, version, build, channel=channel, filename=filename, md5=md5, url=url)


def decode_lock(data: bytes, where: str) -> str:
    """Return the text of a lock file, which is UTF-8, maybe with a byte order mark.

    :raises LockError: it is in another encoding.
    """
    wrong = data.find(b"\0")  # as in UTF-16
    if wrong < 0:
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            wrong = error.start
    line = data.count(b"\n", 0, wrong) + 1
    raise LockError(
        f"{where}, line {line} is no text in UTF-8. Save the lock in UTF-8 (PowerShell's > writes UTF-16). "
        f"{_HOW_TO_LOCK}"
    )


def parse_lock(text: str, where: str) -> list[Package]:
    """Parse an ``@EXPLICIT`` lock.

    :param where: the file's name, for messages.
    :raises LockError: no ``@EXPLICIT`` line, a line without MD5, one package twice, or none at all.
    """
    explicit = False
    packages: dict[str, Package] = {}
    # Not splitlines: in a comment there may be what only Unicode takes for the end of a line.
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line == "@EXPLICIT":
            explicit = True
            continue
        try:
            package = parse_package(line)
        except ValueError as error:
            raise LockError(f"{where}, line {number} {error}. {_HOW_TO_LOCK}") from None
        if package.name in packages:
            raise LockError(f"{where}, line {number}: {package.name} is already in the lock.")
        packages[package.name] = package
    if not explicit or not packages:
        raise LockError(
            f"{where} is not an explicit lock: it needs the line @EXPLICIT and packages. {_HOW_TO_LOCK}"
        )
    return list(packages.values())


def parse_explicit_list(text: str) -> list[Package]:
    """Parse what ``conda list --explicit --md5`` prints; lines without a usable URL are left out."""
    packages = []
    for line in text.splitlines():
        try:
            packages.append(parse_package(line))
        except ValueError:
            continue
    return sorted(packages)


def differences(installed: Iterable[Package], wanted: Iterable[Package]) -> Changes:
    """Compare by file name and MD5: the server that a package came from does not matter."""
    before = {package.identity: package for package in installed}
    after = {package.identity: package for package in wanted}
    return Changes(
        added=tuple(sorted(after[key].label for key in after.keys() - before.keys())),
        removed=tuple(sorted(before[key].label for key in before.keys() - after.keys())),
    )


def missing_packages(installed: Iterable[Package], wanted: Iterable[Package]) -> list[Package]:
    """The wanted packages that are not installed."""
    present = {package.identity for package in installed}
    return [package for package in wanted if package.identity not in present]


def surplus_names(installed: Iterable[Package], wanted: Iterable[Package]) -> list[str]:
    """Names of installed packages that a lock does not name in any version."""
    return sorted({package.name for package in installed} - {package.name for package in wanted})


def _moved(found: Package, locked: Package) -> str:
    if found.filename == locked.filename:
        return f"{found.filename} has the MD5 {found.md5}, the lock says {locked.md5}"
    return f"{found.name} would be {found.filename}, the lock says {locked.filename}"


def digest(packages: Iterable[Package]) -> str:
    """A SHA-256 that changes when any package does."""
    lines = sorted(f"{package.filename}#{package.md5}" for package in packages)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def planned_changes(payload: Mapping[str, Any]) -> Changes:
    """The packages that a JSON answer of conda (also of a dry run) links and unlinks."""
    actions = payload.get("actions") or {}
    # conda wraps the actions in a list in some of its answers.
    several = actions if isinstance(actions, list) else [actions]
    linked = {_record_label(record) for one in several for record in one.get("LINK") or ()}
    unlinked = {_record_label(record) for one in several for record in one.get("UNLINK") or ()}
    return Changes(tuple(sorted(linked - unlinked)), tuple(sorted(unlinked - linked)))


def _record_label(record: Mapping[str, Any] | str) -> str:
    if isinstance(record, str):
        return record.rpartition("::")[2]
    if record.get("dist_name"):
        return str(record["dist_name"])
    build = record.get("build_string") or record.get("build") or ""
    return f"{record.get('name')}-{record.get('version')}-{build}"


def spec_name(spec: str) -> str:
    """The package's name in a match spec such as ``conda-forge::numpy=1.26``."""
    return re.split(r"[\s=<>!~\[]", spec.rpartition("::")[2].strip(), maxsplit=1)[0].lower()


def explain(payload: Mapping[str, Any]) -> str:
    """One message from an error that conda reported as JSON: its own words, and where to look."""
    if payload.get("exception_name") == "PackagesNotFoundError" and payload.get("packages"):
        names = ", ".join(str(name) for name in payload["packages"])
        urls = dict.fromkeys(_channel_of(str(url)) for url in payload.get("channel_urls") or ())
        return mask(
            f"conda finds no package {names} in {', '.join(urls) or 'its channels'}. Check name and version "
            "(conda's names differ from PyPI's: 'conda search NAME'), or add the channel that has it."
        )
    if payload.get("errors"):
        parts = dict.fromkeys(explain(error) for error in payload["errors"] if isinstance(error, Mapping))
        return "\n".join(parts)
    message = payload.get("message") or payload.get("error") or "conda gave no reason"
    return mask(str(message).strip())


def _channel_of(url: str) -> str:
    """A channel's URL without its platform folder."""
    base, _slash, last = url.rstrip("/").rpartition("/")
    return base if last == "noarch" or re.match(r"^(linux|osx|win)-", last) else url


def parse_json(stdout: str) -> dict[str, Any] | None:
    """Conda's JSON answer, or None. Progress objects, ended by NUL, may come before it."""
    text = stdout.rpartition("\0")[2].strip()
    try:
        payload = json.loads(text)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment that conda runs in: nothing of the caller's Python or conda gets in.

    Proxies, certificates, HOME and PATH stay. Conda reads its configuration from files only.
    """
    dropped = ("CONDA", "_CONDA", "_CE_", "MAMBA", "PYTHON", "LD_", "VIRTUAL_ENV")
    kept = {name: value for name, value in environ.items() if not name.startswith(dropped)}
    return {
        **kept,
        "LC_ALL": "C.UTF-8",
        "PYTHONNOUSERSITE": "1",
        "CONDA_REPORT_ERRORS": "false",  # never send a report to the vendor
        "CONDA_NUMBER_CHANNEL_NOTICES": "0",
    }


def verify_local_files(packages: Iterable[Package]) -> None:
    """Check the MD5 of packages on ``file://`` URLs, which conda installs without checking.

    :raises LockError: a file is missing or has another MD5.
    """
    for package in packages:
        parts = urllib.parse.urlsplit(package.url)
        if parts.scheme != "file":
            continue
        path = Path(urllib.parse.unquote(parts.path))
        try:
            actual = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        except OSError as error:
            raise LockError(f"The lock names {path}, which cannot be read: {error.strerror}.") from None
        if actual != package.md5:
            raise LockError(f"{path} has the MD5 {actual}, the lock says {package.md5}.")


def is_environment(prefix: Path) -> bool:
    """Whether the folder is a conda environment, by conda's own rule."""
    return (prefix / "conda-meta" / "history").is_file()


def read_record(prefix: Path) -> Record | None:
    """What the environment was last solved for; None if unknown."""
    try:
        return Record.from_text((prefix / REQUEST_FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


def write_record(prefix: Path, record: Record) -> None:
    """Keep what the environment was solved for."""
    (prefix / REQUEST_FILE).write_text(record.to_text() + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Conda:
    """The conda program of one installation.

    pins: match specs that everything it solves has to meet, without being asked for.
    """

    path: Path
    pins: tuple[str, ...] = ()

    @property
    def root(self) -> Path:
        """The prefix of the installation itself (its base environment)."""
        return self.path.resolve().parent.parent

    def _run(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [str(self.path), *arguments],
                env=clean_environment(os.environ)
                | ({"CONDA_PINNED_PACKAGES": "&".join(self.pins)} if self.pins else {}),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise CondaError(f"{self.path} cannot be run: {error.strerror}.") from error

    def change(self, *arguments: str) -> dict[str, Any]:
        """Run a command that solves or installs; return its JSON answer, empty where it gives none.

        Some versions answer nothing, or no JSON, to an explicit install that went well.

        :raises CondaError: with conda's own reason; ``details`` has ``cmd``, ``rc``, ``stderr`` and,
            where conda said it, ``exception_name``.
        """
        command = [*arguments, "--yes", "--quiet", "--json"]
        done = self._run(command)
        payload = parse_json(done.stdout)
        if done.returncode == 0 and (payload is None or payload.get("success", True)):
            return payload or {}
        details = {
            "cmd": mask(" ".join([str(self.path), *command])),
            "rc": done.returncode,
            "stderr": mask(done.stderr),
        }
        if payload is None:
            words = mask((done.stderr.strip() or done.stdout.strip())[-2000:])
            raise CondaError(words or f"conda ended with {done.returncode} and said nothing", details)
        details["exception_name"] = payload.get("exception_name")
        raise CondaError(explain(payload), details)

    def plan(self, command: str, *arguments: str) -> Changes:
        """What a command would install and remove.

        :raises CondaError: as :meth:`change`, and for an answer that cannot be read.
        """
        answer = self.change(command, "--dry-run", *arguments)
        if not answer:
            raise CondaError(f"{self.path} does not answer 'conda {command} --dry-run --json' with JSON.")
        return planned_changes(answer)

    def installed(self, prefix: Path) -> list[Package]:
        """The packages of an environment, as ``conda list --explicit --md5`` has them."""
        done = self._run(["list", "--prefix", str(prefix), "--explicit", "--md5"])
        if done.returncode != 0:
            words = mask((done.stderr.strip() or done.stdout.strip())[-2000:])
            raise CondaError(f"The packages in {prefix} cannot be listed: {words}", {"rc": done.returncode})
        return parse_explicit_list(done.stdout)
