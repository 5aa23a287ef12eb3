# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what the Ansible says that runs inside of a build, of its C(default) callback."""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass, field, replace
from typing import Any

from .._run.urls import mask

_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(?P<name>.*)\] \**$")
RECAP = re.compile(r"^PLAY RECAP \**$")
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
