# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run Packer in a folder: its commands, its environment, its log, and what is shown while it runs."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ansible_collections.iac.ds_stack.plugins.module_utils._packer.manifest import images_in
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.output import (
    BuildReader,
    parse_record,
    with_commas,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.progress import ProgressLines
from ansible_collections.iac.ds_stack.plugins.module_utils._run import environment as _environment
from ansible_collections.iac.ds_stack.plugins.module_utils._run.process import Callbacks, Finished, Lease, run
from ansible_collections.iac.ds_stack.plugins.module_utils._run.progress import Progress, plain
from ansible_collections.iac.ds_stack.plugins.module_utils._run.secrets import Scrubber

#: What which version can do, or does: the first one.
SINCE = {
    "run these templates": (1, 6, 6),
    "install plugins": (1, 7),
    "print output like steps": (1, 13),
}
OLDEST = SINCE["run these templates"]

# The program packer is a wrapper that ignores SIGINT, and its ansible provisioner waits for the end of
# ansible-playbook whatever happens: both rely on a terminal, which sends Ctrl-C to all. So does this.
_LIKE_A_TERMINAL = """
import os, signal, subprocess, sys

def interrupt(number, _frame):
    signal.signal(number, signal.SIG_IGN)
    os.killpg(0, number)
    signal.signal(number, interrupt)

signal.signal(signal.SIGINT, interrupt)
sys.exit(abs(subprocess.call(sys.argv[1:])))
"""

#: Seconds for the commands that build nothing. Installing plugins downloads them.
SHORT_TIMEOUT = 600.0

# The second half is for the ansible provisioner, whose output is read here; a template may say otherwise.
_ALWAYS = {
    "CHECKPOINT_DISABLE": "1",
    "PACKER_NO_COLOR": "1",
    "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    "ANSIBLE_DISPLAY_OK_HOSTS": "True",
    "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "True",
    "ANSIBLE_NOCOLOR": "True",
    "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
}
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_PROFILES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")


class PackerError(Exception):
    """Packer failed; the text is the reason in the words of what failed."""


def environment(base: Mapping[str, str], connection: Mapping[str, str | None]) -> dict[str, str]:
    """The environment for Packer: never arguments, which everybody on the machine can read.

    base: the module's own environment.
    connection: the connection options of AWS modules: C(access_key), C(secret_key), C(session_token),
        C(profile), C(endpoint_url), C(aws_ca_bundle), C(region). A None leaves it to the environment.
    """
    result = _environment.absolute(_environment.without(base, _environment.PACKER))
    if connection.get("access_key") or connection.get("profile"):
        for name in (*_CREDENTIALS, *_PROFILES):
            result.pop(name, None)
    names = {
        "AWS_ACCESS_KEY_ID": "access_key",
        "AWS_SECRET_ACCESS_KEY": "secret_key",
        "AWS_SESSION_TOKEN": "session_token",
        "AWS_PROFILE": "profile",
        "AWS_ENDPOINT_URL": "endpoint_url",
        "AWS_CA_BUNDLE": "aws_ca_bundle",
        "AWS_REGION": "region",
    }
    for name, option in names.items():
        if value := connection.get(option):
            result[name] = value
    return {**result, **_ALWAYS}


class Log:
    """The log of one run: what Packer said, for people, without secrets."""

    def __init__(self, path: Path, scrubber: Scrubber) -> None:
        self.path = path
        self._scrubber = scrubber
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Close the file; a supervisor that still runs has a descriptor of its own."""
        os.close(self._descriptor)

    def clean(self, text: str) -> str:
        """The text without secrets and escape sequences, as it may be shown."""
        return self._scrubber.text(plain(text))

    def write(self, text: str) -> None:
        """Append lines, each with the time (UTC)."""
        now = time.strftime("%H:%M:%S", time.gmtime())
        lines = self.clean(text).strip("\n").split("\n")
        os.write(self._descriptor, "".join(f"{now} {line}\n" for line in lines).encode())

    def packer_line(self, line: bytes) -> None:
        """Append a line of Packer's machine-readable output in readable form."""
        text = _readable(line)
        if text is not None:
            self.write(text)


@dataclass(frozen=True)
class Built:
    """How a build ended.

    reason: why it failed, in the words of what failed; None when it did not.
    came_to_its_end: whether Packer said so. An outer process starts the one that works, and believes that all
        is well when that one is killed.
    images: what Packer told that it made, by region.
    has_manifest: whether a post-processor manifest ran.
    """

    finished: Finished
    reason: str | None
    came_to_its_end: bool
    images: Mapping[str, frozenset[str]]
    has_manifest: bool


@dataclass(frozen=True)
class Packer:
    """Packer in one folder.

    binary: name or path of the program.
    folder: the folder of the template, where it runs.
    env: its whole environment.
    log: where everything that it says goes.
    """

    binary: str
    folder: Path
    env: Mapping[str, str]
    log: Log

    @cached_property
    def version(self) -> tuple[int, ...]:
        """Packer's version, for example (1, 14, 2). Raises PackerError when it cannot be told."""
        finished = self._run("version")
        for line in finished.stdout.decode(errors="replace").splitlines():
            record = parse_record(line)
            if record and record.kind == "version" and re.fullmatch(r"\d+(\.\d+)+", record.data[0]):
                return tuple(int(part) for part in record.data[0].split("."))
        raise PackerError(f"{self.binary} does not tell its version; is it Packer?")

    def does(self, what: str) -> bool:
        """Whether this version does what is named in `SINCE`."""
        return self.version >= SINCE[what]

    def init(self) -> None:
        """Install the plugins that the template asks for. Raises PackerError."""
        self._check("init", ".")

    def validate(self, var_files: Sequence[Path]) -> None:
        """Check the template with its variables. Raises PackerError with Packer's own words."""
        self._check("validate", *_var_files(var_files), ".")

    def build(
        self,
        var_files: Sequence[Path],
        *,
        progress: Progress,
        timeout: float,
        callbacks: Callbacks,
    ) -> Built:
        """Build, and show steps and tasks on the way.

        timeout: seconds, then Packer is asked to stop and clean up.
        callbacks: C(started) and C(ended) of them are called.
        """
        shown = self._reader()
        lines = ProgressLines(lambda text: progress.say(self.log.clean(text)))

        def stdout(line: bytes) -> None:
            self.log.packer_line(line)
            for event in shown.feed(line.decode(errors="replace")):
                lines.show(event)

        finished = self._run(
            "build",
            *_var_files(var_files),
            ".",
            callbacks=replace(callbacks, stdout=stdout, stderr=self.log.packer_line, tick=lines.tick),
            timeout=timeout,
            lease=progress.lease,
        )
        reader = self._read(finished)
        return Built(
            finished,
            self._reason(finished, reader) if finished.returncode else None,
            reader.came_to_its_end,
            images_in(artifact.identifier for artifact in reader.artifacts),
            "manifest" in reader.post_processors,
        )

    def _check(self, command: str, *arguments: str) -> None:
        finished = self._run(command, *arguments)
        if finished.returncode:
            raise PackerError(self._reason(finished, self._read(finished)))

    def _reader(self) -> BuildReader:
        return BuildReader(told_apart=not self.does("print output like steps"))

    def _read(self, finished: Finished) -> BuildReader:
        """Read the output again: what a callback learnt stayed in the supervisor."""
        reader = self._reader()
        for line in finished.stdout.decode(errors="replace").splitlines():
            reader.feed(line)
        return reader

    def _reason(self, finished: Finished, reader: BuildReader) -> str:
        """Why Packer failed."""
        return self.log.clean(reader.failure() or _last_words(finished))

    def _run(
        self,
        command: str,
        *arguments: str,
        callbacks: Callbacks | None = None,
        timeout: float = SHORT_TIMEOUT,
        lease: Lease | None = None,
    ) -> Finished:
        argv = [self.binary, command, "-machine-readable", *arguments]
        self.log.write(f"$ {' '.join(argv)}")
        finished = run(
            [sys.executable, "-c", _LIKE_A_TERMINAL, *argv],
            cwd=self.folder,
            env=self.env,
            callbacks=callbacks or Callbacks(stdout=self.log.packer_line, stderr=self.log.packer_line),
            timeout=timeout,
            lease=lease,
        )
        self.log.write(f"(exit code {finished.returncode})")
        return finished


def _var_files(paths: Sequence[Path]) -> list[str]:
    return [f"-var-file={path}" for path in paths]


def _readable(line: bytes) -> str | None:
    """What a line of Packer's output says to people. One that is no record may be half of one."""
    text = line.decode(errors="replace")
    record = parse_record(text)
    if record is None:
        return with_commas(text)
    return record.data[1] if record.kind == "ui" and len(record.data) > 1 else None


def _last_words(finished: Finished) -> str:
    """What a Packer said that broke without a word of explanation."""
    said = [_readable(line) for line in (finished.stderr.strip() or finished.stdout).splitlines()]
    tail = "\n".join([text.strip() for text in said if text and text.strip()][-5:])
    return f"exit code {finished.returncode}" + (f": {tail}" if tail else "")
