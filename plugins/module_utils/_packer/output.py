# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what C(packer build -machine-readable) prints: its steps, its errors, what it made.

Nothing here fails on input: a line that is not understood is no record and changes nothing.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from .._run.progress import plain
from .ansible_output import RECAP, AnsibleReader
from .records import Record, parse_record

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
class Artifact:
    """What a build made: for an Amazon build ``identifier`` is ``region:ami-…``, comma-separated."""

    build: str
    identifier: str


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
    if RECAP.match(text):
        reader.recapped = True
        return [Event("step", build, f"{reader.changed} of {reader.tasks} tasks changed something")]
    if reader.recapped:
        reader.feed_recap(text)
        return []
    event = reader.feed(text)
    return [Event(event[0], build, event[1])] if event else []
