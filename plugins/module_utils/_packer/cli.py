# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run Packer in a folder: its commands, its environment, and what is shown while it runs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from .._run.environment import PACKER, clean
from .._run.log import Log
from .._run.outcome import Finished
from .._run.process import Callbacks, Lease, run
from .._run.progress import Progress
from .manifest import images_in
from .output import BuildReader, Event
from .progress import ProgressLines
from .records import parse_record, with_commas

#: What which version can do, or does: the first one.
SINCE = {
    "run these templates": (1, 6, 6),
    "install plugins": (1, 7),
    "tell plugins": (1, 8),
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
    result = clean(base, PACKER)
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


@dataclass(frozen=True)
class Built:
    """How a build ended.

    reason: why it failed, in the words of what failed; None when it did not.
    came_to_its_end: whether Packer said so. An outer process starts the one that works, and believes that all
        is well when that one is killed.
    images: what Packer told that it made, by region.
    has_manifest: whether a post-processor manifest ran.
    plugins: those that it was made with.
    duration: seconds, with all that it took.
    """

    finished: Finished
    reason: str | None
    came_to_its_end: bool
    images: Mapping[str, frozenset[str]]
    has_manifest: bool
    duration: float = 0.0
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


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
        finished = self._run("version", callbacks=Callbacks(stdout=self._note, stderr=self._note))
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

    def required_plugins(self) -> str:
        """What it says of the plugins that the template asks for. Raises PackerError."""
        finished = self._run(
            "plugins", "required", ".", callbacks=Callbacks(stdout=self._note, stderr=self._note)
        )
        lines = [_readable(line) for line in finished.stdout.splitlines()]
        if finished.returncode != 0:
            raise PackerError(_last_words(finished))
        return "\n".join(line for line in lines if line)

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
        lines = ProgressLines(lambda text: progress.say(self.log.clean(text)))
        heard = self._listener(lines.show)
        finished = self._run(
            "build",
            *_var_files(var_files),
            ".",
            callbacks=replace(heard, started=callbacks.started, ended=callbacks.ended, tick=lines.tick),
            timeout=timeout,
            lease=progress.lease,
        )
        return self._built(finished)

    def _check(self, command: str, *arguments: str) -> None:
        built = self._built(self._run(command, *arguments, callbacks=self._listener()))
        if built.reason is not None:
            raise PackerError(built.reason)

    def _listener(self, show: Callable[[Event], None] = lambda _event: None) -> Callbacks:
        """What follows the output in the supervisor, and tells at the end what it has learnt."""
        reader = BuildReader(told_apart=not self.does("print output like steps"))

        def stdout(line: bytes) -> None:
            self._note(line)
            for event in reader.feed(line.decode(errors="replace")):
                show(event)

        def tell() -> dict[str, Any]:
            return {
                "reason": reader.failure(),
                "came_to_its_end": reader.came_to_its_end,
                "artifacts": [artifact.identifier for artifact in reader.artifacts],
                "has_manifest": "manifest" in reader.post_processors,
            }

        return Callbacks(stdout=stdout, stderr=self._note, tell=tell)

    def _built(self, finished: Finished) -> Built:
        told = finished.told
        failed = finished.returncode != 0
        return Built(
            finished,
            self.log.clean(told["reason"] or _last_words(finished)) if failed else None,
            told["came_to_its_end"],
            images_in(told["artifacts"]),
            told["has_manifest"],
        )

    def _note(self, line: bytes) -> None:
        """Write a line of Packer's machine-readable output into the log in readable form."""
        text = _readable(line)
        if text is not None:
            self.log.write(text)

    def _run(
        self,
        command: str,
        *arguments: str,
        callbacks: Callbacks,
        timeout: float = SHORT_TIMEOUT,
        lease: Lease | None = None,
    ) -> Finished:
        argv = [self.binary, command, "-machine-readable", *arguments]
        self.log.write(f"$ {' '.join(argv)}")
        finished = run(
            # It needs Python's own library alone, whatever lies in the template's folder or is installed.
            [sys.executable, "-I", "-S", "-c", _LIKE_A_TERMINAL, *argv],
            cwd=self.folder,
            env=self.env,
            callbacks=callbacks,
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
