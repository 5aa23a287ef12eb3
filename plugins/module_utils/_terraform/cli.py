# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of terraform (or tofu): environment, log, errors. Every failure is a TerraformError."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .._run import process
from .._run.files import open_private
from .._run.log import Log
from .._run.outcome import Finished, ProcessError, SupervisorKilled
from .._run.progress import Progress, plain
from .._run.secrets import Scrubber
from . import events, hints
from .errors import InitNeeded, TerraformError
from .events import Diagnostic, Digest, Event, Narrator
from .tool import Tool, command_of
from .tree import Tree

TEXT_SHOWN = 3000
"""Characters of an error that is no diagnostic; all of it is in the log."""


_ASKS_FOR_INIT = re.compile(
    r"\binit\b|Required plugins are not installed|Inconsistent dependency lock file"
    r"|Backend initialization required"
)
"""With TF_IN_AUTOMATION not all of its errors name the command."""


@dataclass(frozen=True)
class Cli:
    """How to call Terraform in one directory.

    var_files: the variables, given to every command that takes them.
    deadline: `time.monotonic()` value at which a call is asked to stop. grace: seconds it then has.
    supervised: whether calls run under `process.run`. Without, callbacks are not called.
    abandon: called in the supervisor when the module was killed during a call, to remove what is secret.
    """

    tool: Tool
    directory: Path
    environment: Mapping[str, str]
    tree: Tree
    log: Log
    scrubber: Scrubber
    progress: Progress
    var_files: Sequence[Path] = ()
    deadline: float | None = None
    grace: float = 300.0
    supervised: bool = True
    abandon: Callable[[], None] | None = None

    def in_workspace(self, workspace: str) -> Cli:
        """The same, with another workspace selected for its calls only."""
        return replace(self, environment={**self.environment, "TF_WORKSPACE": workspace})

    def events(
        self,
        args: Sequence[str],
        *,
        accept: Sequence[int] = (0,),
        narrator: Narrator | None = None,
        callbacks: process.Callbacks | None = None,
    ) -> tuple[int, Digest]:
        """Run a command that speaks in events (`-json`); return its exit code and what it said.

        Raises TerraformError for exit codes other than those to accept, and for an interruption.
        """
        narrator = narrator or Narrator()
        rescued = f"errored-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.tfstate"

        def tell(raw: bytes) -> None:
            for item in events.parse_line(raw.decode("utf-8", "replace")):
                if line := narrator.line(item):
                    self.progress.say(self.scrubber.text(line))
                if state := events.dumped_state(item):
                    save_state(state, rescued, self._refuges)
                self.log.write(events.log_text(item))

        finished = self._run(
            args, replace(callbacks or process.Callbacks(), stdout=tell, stderr=self._log_raw)
        )
        items = [*events.parse(finished.stdout), *self._stderr(finished)]
        self.tool.heard(items)
        if finished.interrupted is None and finished.returncode >= 0:
            self.tool.check()  # before its words are believed
        try:
            return finished.returncode, self._judge(args[0], finished, items, accept)
        except TerraformError as error:
            for path in (directory / rescued for directory in self._refuges):
                if path.exists():
                    error.message += (
                        f"\nTerraform could save its state nowhere; it is kept in {path}. Without it the "
                        "resources are lost from sight. Mend the cause (a full disk?), then: "
                        f"cd {self.directory} && {self.tool.by_hand} state push {path}"
                    )
            raise

    @property
    def _refuges(self) -> list[Path]:
        """Where a state may be saved when its own place fails."""
        home = self.environment.get("HOME")  # a user of no name, as in containers, may have none
        return [self.directory, *([Path(home)] if home else []), Path(tempfile.gettempdir())]

    def document(self, args: Sequence[str]) -> Any:
        """Run a command that prints one JSON document, which is not logged: it may hold secrets."""
        finished = self._run(args, process.Callbacks(stderr=self._log_raw))
        self._judge(args[0], finished, self._stderr(finished), (0,))
        try:
            return read_document(finished.stdout.decode("utf-8", "replace"))
        except ValueError:
            raise TerraformError(f"{self.tool.name} {args[0]} did not print JSON.{self._see_log()}") from None

    def text(self, args: Sequence[str]) -> str:
        """Run a command that prints text."""
        finished = self._run(args, process.Callbacks(stdout=self._log_raw, stderr=self._log_raw))
        said = [*self._stderr(finished), *events.parse(finished.stdout)]
        self._judge(" ".join(args[:2]), finished, said, (0,))
        return finished.stdout.decode("utf-8", "replace")

    def _log_raw(self, raw: bytes) -> None:
        self.log.write(raw.decode("utf-8", "replace"))

    def _stderr(self, finished: Finished) -> list[Event | str]:
        return [plain(line) for line in finished.stderr.decode("utf-8", "replace").split("\n")]

    def _run(self, args: Sequence[str], callbacks: process.Callbacks) -> Finished:
        command = command_of(args)
        words = command.split()
        variables = self.var_files if self.tool.takes_variables(command) else ()
        argv = [self.tool.path, *words, *(f"-var-file={path}" for path in variables), *args[len(words) :]]
        self.log.write(f"$ {' '.join(argv)}")
        timeout = None if self.deadline is None else max(0.1, self.deadline - time.monotonic())

        def ended(finished: Finished, orphaned: bool) -> None:
            if orphaned and self.abandon is not None:
                self.abandon()
            if callbacks.ended is not None:
                callbacks.ended(finished, orphaned)

        try:
            if not self.supervised:
                return process.run_plainly(argv, cwd=self.directory, env=self.environment)
            return process.run(
                argv,
                cwd=self.directory,
                env=self.environment,
                callbacks=replace(callbacks, ended=ended),
                timeout=timeout,
                grace=self.grace,
                lease=self.progress.lease,
            )
        except SupervisorKilled as error:
            raise TerraformError(
                f"{error}{self._see_log()}", interrupted="its supervisor was killed"
            ) from error
        except ProcessError as error:
            raise TerraformError(f"{error}{self._see_log()}") from error

    def _judge(
        self, command: str, finished: Finished, items: Sequence[Event | str], accept: Sequence[int]
    ) -> Digest:
        result = events.digest(items)
        result = replace(result, diagnostics=[self._for_people(item) for item in result.diagnostics])
        interrupted = finished.interrupted
        if interrupted is None and finished.returncode in accept:
            return result
        killed = interrupted is None and finished.returncode < 0
        kind: type[TerraformError] = TerraformError
        if interrupted is not None or killed:
            describe = hints.describe_death if killed else hints.describe_interruption
            what = "\n".join([describe(finished, command), *self._errors(result)])
        else:
            said = [f"{item.summary} {item.detail}" for item in result.errors] + _error_lines(result.text)
            kind = InitNeeded if any(map(_ASKS_FOR_INIT.search, said)) else TerraformError
            errors = "\n".join(self._errors(result))
            what = f"failed: {errors}" if errors else f"failed with exit code {finished.returncode}."
        raise kind(
            f"{self.tool.name} {command} {what}{self._see_log()}",
            result.diagnostics,
            changed=bool(result.applied),
            begun=bool(result.begun),
            interrupted=interrupted,
            killed=killed,
        )

    def _for_people(self, diagnostic: Diagnostic) -> Diagnostic:
        """Without secrets, and with the place in the source instead of the one in the copy of it."""
        file = diagnostic.file
        return replace(
            diagnostic,
            summary=self.scrubber.text(diagnostic.summary),
            detail=self.scrubber.text(diagnostic.detail),
            code=None if diagnostic.code is None else self.scrubber.text(diagnostic.code),
            file=None if file is None else self.tree.origin(file),
        )

    def _errors(self, result: Digest) -> list[str]:
        """Terraform's own words; where it gave no diagnostic, the end of the text it wrote."""
        panics = [self.scrubber.text(line) for line in hints.panics_in(result.text)]
        if result.errors:
            advice = [hint for item in result.errors if (hint := self._hint(item))]
            return [*(item.text() for item in result.errors), *panics, *advice]
        text = self.scrubber.text(result.text.strip())[-TEXT_SHOWN:]
        hint = self._hint(Diagnostic("error", text)) if text else None
        return [*(line for line in panics if line not in text), *filter(None, [text, hint])]

    def _hint(self, diagnostic: Diagnostic) -> str | None:
        by_hand = f"cd {self.directory} && {self.tool.by_hand}"
        return (
            hints.lock_hint(diagnostic, by_hand, time.time())
            or hints.backend_hint(diagnostic, by_hand)
            or hints.rescue_hint(diagnostic, self.directory)
        )

    def _see_log(self) -> str:
        return f"\nFull text: {self.log.path}" if self.log.path else ""


def read_document(text: str) -> Any:
    """The JSON document in an output that may have warnings before and behind it. Raises ValueError."""
    error = ValueError("there is none")
    for match in re.finditer(r"^[{\[]", text, re.MULTILINE):
        try:
            return json.JSONDecoder().raw_decode(text, match.start())[0]
        except ValueError as broken:
            error = broken
    raise error


def _error_lines(text: str) -> list[str]:
    """What a command that speaks to people says first of each error."""
    return re.findall(r"^[\s│]*Error: (.*)", text, re.MULTILINE)


def save_state(state: dict[str, Any], name: str, directories: Sequence[Path]) -> Path | None:
    """Write a state to the first directory that takes it, readable for nobody else."""
    content = json.dumps(state).encode()
    for directory in directories:
        path = directory / name
        try:
            with os.fdopen(open_private(path, os.O_WRONLY | os.O_EXCL), "wb") as file:
                file.write(content)
            return path
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink()
    return None
