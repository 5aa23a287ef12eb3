# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what C(packer -machine-readable) prints: its records, its steps, and the Ansible run inside of it.

Nothing here fails on input: a line that is not understood is no record and changes nothing.
"""

from __future__ import annotations

import json
import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.iac.ds_stack.plugins.module_utils._progress import plain
from ansible_collections.iac.ds_stack.plugins.module_utils._urls import mask

#: How many lines of a build's own output are kept for the message of a failure.
TAIL = 8

# Packer puts "==> name: ", "    name: " or "--> name: " before what belongs to one build. A build's name
# holds a dot (amazon-ebs.ds_stack), which keeps "fatal: " and the like from being taken for one.
_PREFIX = re.compile(r"^(?P<mark>==> |--> | {4})?(?P<build>[\w-]+(?:\.[\w-]+)+): ?(?P<text>.*)$", re.DOTALL)
_BUILD_ERRORED = re.compile(r"^Build '(?P<build>[^']+)' errored(?: after .*?)?: (?P<message>.*)$", re.DOTALL)
_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(?P<name>.*)\] \**$")
_RECAP = re.compile(r"^PLAY RECAP \**$")
_RESULT = re.compile(r"^(?P<status>ok|changed|skipping|failed|fatal): \[")
# What Packer says besides the errors themselves.
_SUMMARY = ("==> Some builds didn't complete successfully", "==> Builds finished but no artifacts")
_ERROR = re.compile(r"^(?:\[ERROR\]: |ERROR! )(?P<text>.*)$")
_FAILED = re.compile(
    r"^(?:fatal|failed): \[(?P<host>[^\]]+)\](?:: (?P<kind>FAILED|UNREACHABLE)!)?"
    r"(?: \(item=(?P<item>.*?)\))? => (?P<result>\{.*)$",
    re.DOTALL,
)


@dataclass(frozen=True)
class Record:
    """One line of machine-readable output.

    ``lines`` has the arguments with the commas put back only, ``data`` also with ``\\n`` turned into line
    ends. Packer does not escape backslashes, so of a JSON text only ``lines`` is still what was printed.
    """

    target: str
    kind: str
    lines: tuple[str, ...]

    @property
    def data(self) -> tuple[str, ...]:
        """The arguments with commas and line ends put back."""
        return tuple(line.replace("\\r", "\r").replace("\\n", "\n") for line in self.lines)


def parse_record(line: str) -> Record | None:
    """One line as a record; None for a line that is none (a plugin's own noise)."""
    fields = line.rstrip("\r\n").split(",")
    if len(fields) < 3 or not fields[0].isdigit():
        return None
    return Record(fields[1], fields[2], tuple(item.replace("%!(PACKER_COMMA)", ",") for item in fields[3:]))


@dataclass(frozen=True)
class Artifact:
    """What a build made: for an Amazon build ``identifier`` is ``region:ami-…``, comma-separated."""

    build: str
    identifier: str


@dataclass(frozen=True)
class Event:
    """Something that happened in a build.

    kind: "step" of Packer or "task" of Ansible that begins, "result" of that task.
    text: the name of step or task; of a result the first word that Ansible prints ("changed", "ok", ...).
    """

    kind: str
    build: str
    text: str


@dataclass(frozen=True)
class TaskFailure:
    """The task of an Ansible run that failed."""

    task: str
    host: str
    message: str

    def __str__(self) -> str:
        return f"Task '{self.task}' failed: {self.message}"


@dataclass
class AnsibleReader:
    """Follows the output of one ansible-playbook with the ``default`` callback and results as JSON."""

    task: str | None = None
    tasks: int = 0
    changed: int = 0
    failure: TaskFailure | None = None
    _has_changed: bool = False
    error: str | None = None  # what kept it from running at all, such as broken YAML

    @property
    def reason(self) -> str | None:
        """Why it failed, as far as it says."""
        return str(self.failure) if self.failure else self.error

    def feed(self, line: str) -> tuple[str, str] | None:
        """Take one line; kind and text of the event that it is, if it is one."""
        if match := _TASK.match(line):
            self.task = match["name"]
            self.tasks += 1
            self._has_changed = False
            return "task", self.task
        if match := _FAILED.match(line):
            self.failure = TaskFailure(self.task or "(before the first task)", match["host"], _message(match))
        elif line.strip() == "...ignoring":
            self.failure = None
        elif match := _ERROR.match(line):
            self.error = self.error or match["text"]
        if match := _RESULT.match(line):
            if match["status"] == "changed" and not self._has_changed:
                self._has_changed = True
                self.changed += 1
            return "result", match["status"]
        return None


@dataclass
class BuildReader:
    """Follows the output of ``packer build -machine-readable``; holds what is known at any moment."""

    artifacts: list[Artifact] = field(default_factory=list)
    errors: dict[str, list[str]] = field(default_factory=dict)
    general_errors: list[str] = field(default_factory=list)
    _ansible: dict[str, AnsibleReader] = field(default_factory=dict)
    _in_ansible: set[str] = field(default_factory=set)
    _failing: set[str] = field(default_factory=set)
    _tails: dict[str, deque[str]] = field(default_factory=dict)

    def feed(self, line: str) -> list[Event]:
        """Take one line of standard output; what there is to show for it."""
        record = parse_record(plain(line))
        if record is None or not record.data:
            return []
        if record.kind == "ui" and len(record.lines) > 1:
            return self._ui(record)
        if record.kind == "error":
            self._note_error(record.target, record.data[0])
        elif record.kind == "artifact" and len(record.data) > 2 and record.data[1] == "id":
            self.artifacts.append(Artifact(record.target, record.data[2]))
        return []

    def failure(self) -> str | None:
        """Why the run failed, in the words of what failed: of each build the task or the last lines."""
        messages = [self._build_failure(build, errors) for build, errors in self.errors.items()]
        known = "\n".join(messages)
        messages += [error for error in dict.fromkeys(self.general_errors) if error not in known]
        return "\n".join(messages) or None

    def _note_error(self, build: str, text: str) -> None:
        """Keep an error of a build. Packer says each twice, and a line may be cut off."""
        message = text.strip()
        errors = self.errors.setdefault(build, [])
        if any(message in known for known in errors):
            return
        errors[:] = [*(known for known in errors if known not in message), message]

    def _ui(self, record: Record) -> list[Event]:
        level, text, raw = record.data[0], record.data[1], record.lines[1]
        if match := _BUILD_ERRORED.match(text):
            self._note_error(match["build"], match["message"])
            return []
        match = _PREFIX.match(raw)
        if match is None:
            if level == "error" and text.strip() and not text.strip().startswith(_SUMMARY):
                self.general_errors.append(text.strip())
            return []
        if match["mark"] == "--> ":
            return []
        return self._build_line(level, match["mark"] or "", match["build"], match["text"])

    def _build_line(self, level: str, mark: str, build: str, text: str) -> list[Event]:
        if text.startswith("Provisioning step had errors"):
            self._in_ansible.discard(build)
            self._failing.add(build)
            return []
        if text.startswith("Executing Ansible: "):
            self._in_ansible.add(build)
            self._ansible[build] = AnsibleReader()
            return []
        tail = self._tails.setdefault(build, deque(maxlen=TAIL))
        if build not in self._failing:  # after that Packer cleans up
            tail.append(text)
        if build in self._in_ansible:
            # Newer versions print Ansible's lines as steps, so the mark says nothing while it runs.
            reader = self._ansible[build]
            if _RECAP.match(text):
                self._in_ansible.discard(build)
                return [Event("step", build, f"{reader.changed} of {reader.tasks} tasks changed something")]
            event = reader.feed(text)
            return [Event(event[0], build, event[1])] if event else []
        if level == "say" and mark == "==> ":
            if build not in self._failing:
                tail.clear()
            return [Event("step", build, text)]
        return []

    def _build_failure(self, build: str, errors: list[str]) -> str:
        reader = self._ansible.get(build)
        error = "\n".join(errors)
        if reader and reader.reason and "ansible" in error.lower():
            return f"{build}: {reader.reason}"
        tail = "".join(f"\n  {line}" for line in self._tails.get(build, ()) if line.strip())
        return f"{build}: {error}" + (f"\nIts last lines:{tail}" if tail else "")


def _message(match: re.Match[str]) -> str:
    """The words of a failed result: its message, and what a failed command printed."""
    try:
        result: Any = json.loads(match["result"])
    except ValueError:
        return match["result"].strip()
    if not isinstance(result, dict):
        return match["result"].strip()
    words = [str(result["msg"]).strip()] if result.get("msg") else []
    words += [str(result[key]).strip() for key in ("stderr", "module_stderr") if result.get(key)]
    if not words[1:] and result.get("stdout"):
        words.append(str(result["stdout"]).strip())
    url = mask(str(result.get("url") or ""))
    if url not in mask("".join(words)):  # that a checksum is wrong is told without the download's address
        words.append(f"URL: {url}")
    message = "\n".join(words) or match["result"].strip()
    return f"(item {match['item']}) {message}" if match["item"] else message
