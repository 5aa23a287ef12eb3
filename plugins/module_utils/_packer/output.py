# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what C(packer -machine-readable) prints: its records, its steps, and the Ansible run inside of it.

Nothing here fails on input: a line that is not understood is no record and changes nothing.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.iac.ds_stack.plugins.module_utils._run.progress import plain
from ansible_collections.iac.ds_stack.plugins.module_utils._run.urls import mask

#: How many lines of a build's own output are kept for the message of a failure.
TAIL = 8

# Packer puts "==> name: ", "    name: " or "--> name: " before what belongs to one build, and the type of a
# post-processor in parentheses behind its name. A build's name holds a dot (amazon-ebs.ds_stack), which keeps
# "fatal: " and the like from being taken for one.
_PREFIX = re.compile(
    r"^(?P<mark>==> |--> | {4})?(?P<build>[\w-]+(?:\.[\w-]+)+)(?P<processor> \([\w-]+\))?: ?(?P<text>.*)$",
    re.DOTALL,
)
_BUILD_ERRORED = re.compile(r"^Build '(?P<build>[^']+)' errored(?: after .*?)?: (?P<message>.*)$", re.DOTALL)
# What Packer says besides the errors themselves.
_SUMMARY = ("==> Some builds didn't complete successfully", "==> Builds finished but no artifacts")

# From 1.13 on Packer prints what a provisioner says exactly as it prints its own steps. What tells them apart
# is what is running: a provisioner begins with a line of the first kind, and what follows is its output,
# until the next one begins or the builder goes on with a line of the second kind.
_PROVISIONER = re.compile(
    r"Provisioning with |Running local shell script: |Executing Ansible: |Restarting Machine$"
    r"|Uploading .+ => |Downloading .+ => |Pausing \S+ (?:before|after) |Pausing at breakpoint provisioner"
    r"|Setting a \S+ timeout for the next provisioner|(?:Warning: )?Provisioner failed with "
)
_BUILDER = re.compile(
    r"Running post-processor: |Provisioning step had errors|Cancelling |Trying to remove ephemeral keys"
    r"|Stopping the source instance|Automatic instance stop disabled|Waiting for the instance to stop"
    r"|Creating AMI |Creating snapshot|Skipping AMI creation|Deregistering the AMI|Unmounting the root device"
    r"|Terminating the source AWS instance|Cleaning up any |Deleting temporary |Committing the container"
    r"|Killing the container"
)
_ANSIBLE = "Executing Ansible: "
# Facts about a step; up to 1.12 most of these are no steps either.
_DETAIL = re.compile(
    r"$|Adding tags?:? |AMI: |Applying tags |Attaching run tags |Compiling list |Copying to: |Created "
    r"|Creating (?:AMI|snapshot) tags|Executing Ansible: |Found |Instance ID: |Loading User Data|Modifying: "
    r"|No volumes |Not using |Private IP: |Public (?:DNS|IP): |Request(?:ed|ing) [Ss]napshot |Saving key "
    r"|Skipping |Snapshot (?:ID|Ready): |Stopping instance$|Tagging snapshot|Using ssh keys "
    r"|Waiting for (?:all copies|snap-)"
)
_POST_PROCESSOR = re.compile(r"Running post-processor: .*\(type (?P<type>[\w-]+)\)$")

_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(?P<name>.*)\] \**$")
_RECAP = re.compile(r"^PLAY RECAP \**$")
_HOST_RECAP = re.compile(
    r"^(?P<host>\S.*?)\s+: ok=\d+ .*\bunreachable=(?P<unreachable>\d+)\s+failed=(?P<failed>\d+)"
)
_RESULT = re.compile(r"^(?P<status>ok|changed|skipping|failed|fatal): \[")
# An error of a task is also its result.
_ERROR = re.compile(r"^(?:\[ERROR\]: |ERROR! )(?!Task failed)(?P<text>.*)$")
_FAILED = re.compile(
    r"^(?:fatal|failed): \[(?P<host>[^\]]+?)(?: -> [^\]]*)?\](?:: (?P<kind>FAILED|UNREACHABLE)!)?"
    r"(?: \(item=(?P<item>.*?)\))? => ?(?P<result>(?:\{.*)?)$",
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
    return Record(fields[1], fields[2], tuple(map(with_commas, fields[3:])))


def with_commas(text: str) -> str:
    """The text with its commas put back: they separate the fields of a record."""
    return text.replace("%!(PACKER_COMMA)", ",")


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
    """The task of an Ansible run that failed on a host."""

    task: str
    host: str
    message: str

    def __str__(self) -> str:
        return f"Task '{self.task}' failed: {self.message}"


@dataclass
class _Unfinished:
    """A failed result of several lines, as far as it was printed."""

    item: str | None
    lines: list[str]

    def message(self) -> str:
        message = _message("\n".join(self.lines))
        return f"(item {self.item}) {message}" if self.item else message


@dataclass
class AnsibleReader:
    """Follows the output of one ansible-playbook with the ``default`` callback."""

    task: str | None = None
    tasks: int = 0
    changed: int = 0
    recapped: bool = False
    error: str | None = None  # what kept it from running at all, such as broken YAML
    _failures: list[tuple[int, TaskFailure]] = field(default_factory=list)  # with the number of the task
    _unrescued: dict[str, int] = field(default_factory=dict)  # failures of each host in the end
    _unfinished: _Unfinished | None = None
    _has_changed: bool = False

    @property
    def reason(self) -> str | None:
        """Why it failed, as far as it says."""
        failure = self.failure
        return str(failure) if failure else self.error

    @property
    def failure(self) -> TaskFailure | None:
        """The failure that ended the run: neither an ignored nor a rescued one.

        How many of a host's failures were rescued is said at the end alone, and a host ends with its first
        one that was not. Of a run that did not come to its end, only the last task can have ended it.
        """
        self._finish()
        if not self._unrescued:
            last = [failure for number, failure in self._failures if number == self.tasks]
            return last[0] if last else None
        for host, count in self._unrescued.items():
            of_host = [failure for _number, failure in self._failures if failure.host == host]
            if count and of_host:
                return of_host[-min(count, len(of_host))]
        return None

    def feed(self, line: str) -> tuple[str, str] | None:
        """Take one line; kind and text of the event that it is, if it is one."""
        if self._unfinished is not None:
            if line.startswith((" ", "\t", "}")):
                self._unfinished.lines.append(line)
                return None
            self._finish()
        if match := _TASK.match(line):
            self.task = match["name"]
            self.tasks += 1
            self._has_changed = False
            self.error = None
            return "task", self.task
        if match := _FAILED.match(line):
            self._note_failure(match)
        elif line.strip() == "...ignoring":
            del self._failures[-1:]
        elif match := _ERROR.match(line):
            self.error = self.error or match["text"]
        if match := _RESULT.match(line):
            if match["status"] == "changed" and not self._has_changed:
                self._has_changed = True
                self.changed += 1
            return "result", match["status"]
        return None

    def feed_recap(self, line: str) -> None:
        """Take a line that may be the count of a host's results."""
        if match := _HOST_RECAP.match(line):
            self._unrescued[match["host"]] = int(match["failed"]) + int(match["unreachable"])

    def _note_failure(self, match: re.Match[str]) -> None:
        known = self._failures[-1] if self._failures else None
        if match["item"] and known and (known[0], known[1].host) == (self.tasks, match["host"]):
            return  # another item of the same task
        self._failures.append(
            (self.tasks, TaskFailure(self.task or "(before the first task)", match["host"], ""))
        )
        self._unfinished = _Unfinished(match["item"], [match["result"]])
        if match["result"] not in ("", "{"):
            self._finish()

    def _finish(self) -> None:
        """Take the result that is there as the whole one."""
        if self._unfinished is not None:
            number, failure = self._failures[-1]
            self._failures[-1] = number, replace(failure, message=self._unfinished.message())
            self._unfinished = None


@dataclass
class _Channel:
    """What one build prints, or one of its post-processors."""

    is_output: bool = False  # of a provisioner that runs; else of Packer itself
    ansible: AnsibleReader | None = None


@dataclass
class BuildReader:
    """Follows the output of ``packer build -machine-readable``; holds what is known at any moment.

    told_apart: whether Packer's records tell its own steps from what its provisioners print. It is also seen
        from the first record that only such a version prints.
    """

    told_apart: bool = False
    artifacts: list[Artifact] = field(default_factory=list)
    errors: dict[str, list[str]] = field(default_factory=dict)
    general_errors: list[str] = field(default_factory=list)
    post_processors: set[str] = field(default_factory=set)
    came_to_its_end: bool = False
    _channels: dict[str, _Channel] = field(default_factory=dict)
    _ansible: dict[str, AnsibleReader] = field(default_factory=dict)
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
            self.came_to_its_end = True
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
            reason = self._build_failure(match["build"], [match["message"]]).partition("\n")[0]
            return [Event("step", match["build"], f"Failed: {reason.removeprefix(match['build'] + ': ')}")]
        self.came_to_its_end |= "==> Builds finished" in text
        match = _PREFIX.match(raw)
        if match is None:
            if level == "error" and text.strip() and not text.strip().startswith(_SUMMARY):
                self.general_errors.append(text.strip())
            return []
        if match["mark"] == "--> ":
            return []
        self.told_apart |= level == "message"
        name = match["build"] + (match["processor"] or "")
        # A text of several lines has its prefix before each of them.
        texts = re.split(rf"\\n(?:==> | {{4}}){re.escape(name)}: ?", match["text"])
        is_step = level == "say" and match["mark"] == "==> "
        return [
            event
            for one in texts
            for event in self._build_line(is_step, match["build"], name, one.strip("\t"))
        ]

    def _build_line(self, is_said: bool, build: str, name: str, text: str) -> list[Event]:
        if text.startswith("Provisioning step had errors"):
            self._failing.add(build)  # after that Packer cleans up
        channel = self._channels.setdefault(name, _Channel())
        begins = is_said and self._begins(channel, text)
        if begins:
            channel.is_output, channel.ansible = bool(_PROVISIONER.match(text)), None
        if text.startswith(_ANSIBLE) and channel.ansible is None:
            channel.is_output, channel.ansible = True, AnsibleReader()
        if build not in self._failing:
            self._remember(build, channel, None if begins else text)
        if begins:
            if match := _POST_PROCESSOR.match(text):
                self.post_processors.add(match["type"])
            is_step = not (_DETAIL.match(text) or text.startswith("Provisioning step had errors"))
            return [Event("step", build, " ".join(text.split()))] if is_step else []
        if channel.ansible and not text.startswith(_ANSIBLE):
            return _ansible_line(channel.ansible, build, text)
        return []

    def _remember(self, build: str, channel: _Channel, text: str | None) -> None:
        """Keep what a failure may be told with: the Ansible that runs, the last lines of what runs."""
        tail = self._tails.setdefault(build, deque(maxlen=TAIL))
        if text is None:
            tail.clear()
        elif text.strip():
            tail.append(text)
        if channel.ansible is None:
            self._ansible.pop(build, None)
        else:
            self._ansible[build] = channel.ansible

    def _begins(self, channel: _Channel, text: str) -> bool:
        """Whether what Packer says is a line of its own, which ends what was running."""
        if _PROVISIONER.match(text) or _BUILDER.match(text):
            return True
        if channel.ansible:
            return False
        return self.told_apart or not channel.is_output

    def _build_failure(self, build: str, errors: list[str]) -> str:
        reader = self._ansible.get(build)
        error = "\n".join(errors)
        if reader and reader.reason and "ansible" in error.lower():
            return f"{build}: {reader.reason}"
        tail = "".join(f"\n  {line}" for line in self._tails.get(build, ()))
        return f"{build}: {error}" + (f"\nIts last lines:{tail}" if tail else "")


def _ansible_line(reader: AnsibleReader, build: str, text: str) -> list[Event]:
    if _RECAP.match(text):
        reader.recapped = True
        return [Event("step", build, f"{reader.changed} of {reader.tasks} tasks changed something")]
    if reader.recapped:
        reader.feed_recap(text)
        return []
    event = reader.feed(text)
    return [Event(event[0], build, event[1])] if event else []


def _message(result_text: str) -> str:
    """The words of a failed result: its message, and what a failed command printed."""
    plain_text = textwrap.dedent(result_text).strip()
    try:
        result: Any = json.loads(result_text)
    except ValueError:
        return plain_text
    if not isinstance(result, dict):
        return plain_text
    words = [str(result["msg"]).strip()] if result.get("msg") else []
    words += [str(result[key]).strip() for key in ("stderr", "module_stderr") if result.get(key)]
    if not words[1:] and result.get("stdout"):
        words.append(str(result["stdout"]).strip())
    url = mask(str(result.get("url") or ""))
    if url not in mask("".join(words)):  # that a checksum is wrong is told without the download's address
        words.append(f"URL: {url}")
    return "\n".join(words) or plain_text
