# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of terraform (or tofu): environment, log, errors. Every failure is a TerraformError."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible_collections.iac.ds_stack.plugins.module_utils._run import environment as _environment
from ansible_collections.iac.ds_stack.plugins.module_utils._run import process as _process
from ansible_collections.iac.ds_stack.plugins.module_utils._run.progress import Progress, plain
from ansible_collections.iac.ds_stack.plugins.module_utils._run.secrets import Scrubber
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.errors import InitNeeded, TerraformError
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.events import (
    Diagnostic,
    Digest,
    Event,
    Narrator,
    digest,
    dumped_state,
    log_text,
    parse,
    parse_line,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.tool import Tool, command_of
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.tree import PRIVATE, Tree

LOGS_KEPT = 10

TEXT_SHOWN = 3000
"""Characters of an error that is no diagnostic; all of it is in the log."""


_ASKS_FOR_INIT = re.compile(
    r"\binit\b|Required plugins are not installed|Inconsistent dependency lock file"
    r"|Backend initialization required"
)
"""With TF_IN_AUTOMATION not all of its errors name the command."""


def clean_environment(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The environment for Terraform, and a warning for each variable that is held back."""
    kept = _environment.absolute(_environment.without(environ, _environment.TERRAFORM))
    ignored = sorted(environ.keys() - kept.keys())
    warnings = [f"The environment variable {name} is ignored: use the module's options." for name in ignored]
    config = kept.get("TF_CLI_CONFIG_FILE")
    if config is not None and not Path(config).is_file():
        del kept["TF_CLI_CONFIG_FILE"]
        warnings.append(f"The environment variable TF_CLI_CONFIG_FILE is ignored: there is no file {config}.")
    kept.update(TF_INPUT="0", TF_IN_AUTOMATION="1", CHECKPOINT_DISABLE="1")
    return kept, warnings


class Log:
    """The full text of all that Terraform said in a run, secrets replaced.

    path: None where nothing may be written (check mode).
    """

    def __init__(self, path: Path | None, scrubber: Scrubber) -> None:
        self.path = path
        self._scrubber = scrubber
        self._fd = -1
        if path is not None:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Nothing more is to come."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def write(self, text: str) -> None:
        """Append lines."""
        if self._fd >= 0:
            os.write(self._fd, (self._scrubber.text(plain(text)) + "\n").encode())


def new_log_path(directory: Path) -> Path:
    """A name for this run's log; older logs than the last LOGS_KEPT - 1 are removed."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in sorted(directory.glob("*.log"))[: -(LOGS_KEPT - 1)]:
        old.unlink(missing_ok=True)
    now = time.time()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
    return directory / f"{stamp}.{int(now * 1000) % 1000:03}Z-{os.getpid()}.log"


@dataclass(frozen=True)
class Cli:
    """How to call Terraform in one directory.

    var_files: the variables, given to every command that takes them.
    deadline: `time.monotonic()` value at which a call is asked to stop. grace: seconds it then has.
    supervised: whether calls run under `_process.run`. Without, callbacks are not called.
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
        callbacks: _process.Callbacks | None = None,
    ) -> tuple[int, Digest]:
        """Run a command that speaks in events (`-json`); return its exit code and what it said.

        Raises TerraformError for exit codes other than those to accept, and for an interruption.
        """
        narrator = narrator or Narrator()
        rescued = f"errored-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.tfstate"

        def tell(raw: bytes) -> None:
            for item in parse_line(raw.decode("utf-8", "replace")):
                if line := narrator.line(item):
                    self.progress.say(self.scrubber.text(line))
                if state := dumped_state(item):
                    save_state(state, rescued, self._refuges)
                self.log.write(log_text(item))

        finished = self._run(
            args, replace(callbacks or _process.Callbacks(), stdout=tell, stderr=self._log_raw)
        )
        items = [*parse(finished.stdout), *self._stderr(finished)]
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
        return [self.directory, Path.home(), Path(tempfile.gettempdir())]

    def document(self, args: Sequence[str]) -> Any:
        """Run a command that prints one JSON document, which is not logged: it may hold secrets."""
        finished = self._run(args, _process.Callbacks(stderr=self._log_raw))
        self._judge(args[0], finished, self._stderr(finished), (0,))
        try:
            return read_document(finished.stdout.decode("utf-8", "replace"))
        except ValueError:
            raise TerraformError(f"{self._name} {args[0]} did not print JSON.{self._see_log()}") from None

    def text(self, args: Sequence[str]) -> str:
        """Run a command that prints text."""
        finished = self._run(args, _process.Callbacks(stdout=self._log_raw, stderr=self._log_raw))
        self._judge(" ".join(args[:2]), finished, [*self._stderr(finished), *parse(finished.stdout)], (0,))
        return finished.stdout.decode("utf-8", "replace")

    @property
    def _name(self) -> str:
        return self.tool.name

    def _log_raw(self, raw: bytes) -> None:
        self.log.write(raw.decode("utf-8", "replace"))

    def _stderr(self, finished: _process.Finished) -> list[Event | str]:
        return [plain(line) for line in finished.stderr.decode("utf-8", "replace").split("\n")]

    def _run(self, args: Sequence[str], callbacks: _process.Callbacks) -> _process.Finished:
        command = command_of(args)
        words = command.split()
        variables = self.var_files if self.tool.takes_variables(command) else ()
        argv = [self.tool.path, *words, *(f"-var-file={path}" for path in variables), *args[len(words) :]]
        self.log.write(f"$ {' '.join(argv)}")
        timeout = None if self.deadline is None else max(0.1, self.deadline - time.monotonic())

        def ended(finished: _process.Finished, orphaned: bool) -> None:
            if orphaned and self.abandon is not None:
                self.abandon()
            if callbacks.ended is not None:
                callbacks.ended(finished, orphaned)

        try:
            if not self.supervised:
                return _process.run_plainly(argv, cwd=self.directory, env=self.environment)
            return _process.run(
                argv,
                cwd=self.directory,
                env=self.environment,
                callbacks=replace(callbacks, ended=ended),
                timeout=timeout,
                grace=self.grace,
                lease=self.progress.lease,
            )
        except _process.SupervisorKilled as error:
            raise TerraformError(
                f"{error}{self._see_log()}", interrupted="its supervisor was killed"
            ) from error
        except _process.ProcessError as error:
            raise TerraformError(f"{error}{self._see_log()}") from error

    def _judge(
        self, command: str, finished: _process.Finished, items: Sequence[Event | str], accept: Sequence[int]
    ) -> Digest:
        result = digest(items)
        result = replace(result, diagnostics=[self._for_people(item) for item in result.diagnostics])
        what = f"{self._name} {command}"
        if finished.interrupted is not None:
            raise TerraformError(
                "\n".join([f"{what} {describe_interruption(finished, command)}", *self._errors(result)])
                + self._see_log(),
                result.diagnostics,
                changed=bool(result.applied),
                interrupted=finished.interrupted,
            )
        if finished.returncode in accept:
            return result
        if finished.returncode < 0:
            raise TerraformError(
                "\n".join([f"{what} {describe_death(finished, command)}", *self._errors(result)])
                + self._see_log(),
                result.diagnostics,
                changed=bool(result.applied),
                killed=True,
            )
        said = [*(f"{item.summary} {item.detail}" for item in result.errors), *_error_lines(result.text)]
        kind = InitNeeded if any(map(_ASKS_FOR_INIT.search, said)) else TerraformError
        errors = self._errors(result)
        why = f": {chr(10).join(errors)}" if errors else f" with exit code {finished.returncode}."
        raise kind(
            f"{what} failed{why}{self._see_log()}",
            result.diagnostics,
            changed=bool(result.applied),
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
        panics = [self.scrubber.text(line) for line in panics_in(result.text)]
        if result.errors:
            hints = [hint for item in result.errors if (hint := self._hint(item))]
            return [*(item.text() for item in result.errors), *panics, *hints]
        text = self.scrubber.text(result.text.strip())[-TEXT_SHOWN:]
        return [*(line for line in panics if line not in text), *([text] if text else [])]

    def _hint(self, diagnostic: Diagnostic) -> str | None:
        by_hand = f"cd {self.directory} && {self.tool.by_hand}"
        return lock_hint(diagnostic, by_hand, time.time()) or backend_hint(diagnostic, by_hand)

    def _see_log(self) -> str:
        return f"\nFull text: {self.log.path}" if self.log.path else ""


def panics_in(text: str) -> list[str]:
    """What a program of the tool's said when it broke: "terraform-provider-x: panic: ...", else only in the
    middle of its stack trace."""
    found: list[str] = []
    who = ""
    for line in text.split("\n"):
        if match := re.match(r"Stack trace from the (\S+) plugin:", line):
            who = f"{match[1]}: "
        elif re.match(r"panic: |fatal error: ", line):
            found.append(f"{who}{line.rstrip()}")
    return list(dict.fromkeys(found))


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
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
            return path
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink()
    return None


def describe_interruption(finished: _process.Finished, command: str = "apply") -> str:
    """ "was interrupted (timeout) after 5 s and stopped: what it had done until then is in its state."."""
    if command != "apply":
        end = "stopped: nothing was changed"
    elif finished.killed:
        end = "did not stop in time and was killed: its state may lack what it did last"
    else:
        end = "stopped: what it had done until then is in its state"
    after = _process.format_seconds(finished.duration)
    return f"was interrupted ({finished.interrupted}) after {after} and {end}."


MAY_LACK = (
    "its state may lack what it did last, and may still be locked. Look whether the next plan makes "
    "something that exists already."
)


def describe_death(finished: _process.Finished, command: str = "apply") -> str:
    """ "was killed (SIGKILL) after 5 s: its state may lack ...", of a process that we have not killed."""
    try:
        name = signal.Signals(-finished.returncode).name
    except ValueError:
        name = f"signal {-finished.returncode}"
    end = MAY_LACK if command == "apply" else "nothing was changed."
    return f"was killed ({name}) after {_process.format_seconds(finished.duration)}: {end}"


def lock_hint(diagnostic: Diagnostic, by_hand: str, now: float) -> str | None:
    """Who holds the state's lock, since when, and how to break it; None for other diagnostics.

    by_hand: how a person's command begins.
    """
    text = f"{diagnostic.summary}\n{diagnostic.detail}"
    if "state lock" not in text:
        return None
    info = dict(re.findall(r"^\s*(ID|Path|Operation|Who|Created):[ \t]*(\S.*?)\s*$", text, re.MULTILINE))
    if "ID" not in info:
        return None
    age = ""
    created = re.match(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", info.get("Created", ""))
    if created:
        import calendar  # noqa: PLC0415

        seconds = now - calendar.timegm(time.strptime(created.group(1), "%Y-%m-%d %H:%M:%S"))
        age = f", {_process.format_seconds(seconds)} ago"
    return (
        f"The state is locked by {info.get('Who', 'somebody')} ({info.get('Operation', 'unknown operation')}"
        f"{age}). Wait for its end (lock_timeout). Only if that process is surely dead, free the lock: "
        f"{by_hand} force-unlock {info['ID']}"
    )


def backend_hint(diagnostic: Diagnostic, by_hand: str) -> str | None:
    """What to do when the state is to be kept elsewhere than before; None for other diagnostics."""
    if not re.search(r"state migration|-migrate-state", f"{diagnostic.summary}\n{diagnostic.detail}"):
        return None
    return (
        f"The backend is another one than before. To move the state there: {by_hand} init -migrate-state. "
        f"To leave it behind and use what is there: {by_hand} init -reconfigure"
    )


@dataclass
class Record:
    """A file that says how the last apply in a work_dir ended, until a run has reported it.

    Written when an apply starts and by its supervisor when it ends.
    """

    path: Path

    def begin(self, operation: str, log: Path | None) -> _process.Callbacks:
        """The callbacks that keep the record."""
        facts: dict[str, Any] = {
            "operation": operation,
            "began": time.time(),
            "log": str(log) if log else None,
        }

        def started(pid: int) -> None:
            facts.update(pid=pid, born=_process.birth_of(pid))
            self._write(facts)

        def ended(finished: _process.Finished, _orphaned: bool) -> None:
            facts.update(
                ended=time.time(),
                interrupted=finished.interrupted,
                returncode=finished.returncode,
                description=(
                    describe_interruption(finished)
                    if finished.interrupted
                    else describe_death(finished)
                    if finished.returncode < 0
                    else None
                ),
            )
            self._write(facts)

        return _process.Callbacks(started=started, ended=ended)

    def _write(self, facts: dict[str, Any]) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(facts))
        new.replace(self.path)

    def clear(self) -> None:
        """The outcome has been reported."""
        self.path.unlink(missing_ok=True)

    def report(self) -> str | None:
        """What to say about an outcome that nobody has seen yet.

        Raises TerraformError when that Terraform still runs, its supervisor having been killed.
        """
        try:
            facts = json.loads(self.path.read_bytes())
            began = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(facts["began"]))
            before = f"The last {facts['operation']} here, of {began},"
            log = f" Its log: {facts['log']}" if facts.get("log") else ""
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if "ended" in facts:
            how = (
                facts.get("description")
                or f"ended with exit code {facts.get('returncode')} after the play was gone."
            )
            return f"{before} {how}{log}"
        pid = facts.get("pid", -1)
        if facts.get("born") is not None and _process.birth_of(pid) == facts["born"]:
            raise TerraformError(
                f"{before} still runs as process {pid}, though what supervised it was killed. "
                f"Wait for its end, or stop it cleanly: kill -INT {pid}{log}"
            )
        return f"{before} was killed before its end: {MAY_LACK}{log}"


PLAN = "plan.tfplan"
SENSITIVE_VARIABLES = "sensitive.tfvars.json"


def remove_secrets(private: Path) -> None:
    """Remove what must not outlive a run."""
    for name in (PLAN, SENSITIVE_VARIABLES):
        with contextlib.suppress(OSError):
            (private / name).unlink()


def private_directory(work_dir: Path) -> Path:
    """Make the work_dir and our own folder in it, readable for nobody else."""
    work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    private = work_dir / PRIVATE
    private.mkdir(mode=0o700, exist_ok=True)
    return private
