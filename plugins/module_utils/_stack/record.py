# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the account remembers of a stack, and the lock of a run, as texts of parameters.

Nothing here calls AWS. The record is one JSON document. What does not fit into one parameter lies in numbered
ones, which the first one names by their digest: so it is always a whole record that is read, the old one or
the new one, wherever a run that writes it is killed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from .._run.files import parse_object
from .._run.life import number_of
from .names import shown
from .users import LIMIT

SCHEMA = 1
RUNS_KEPT = 5
LONGEST_VALUE = 400
"""Characters of a value that a message shows."""

BEGAN, SUCCEEDED, FAILED = "began", "succeeded", "failed"


class RecordError(Exception):
    """The record or the lock says something that stops this run; the message says what to do."""


@dataclass(frozen=True)
class Run:
    """One run of a playbook.

    Attributes:
        run: an id, of nothing else.
        who: to AWS; where it does not tell, to the machine.
        machine: the user and the name of the control machine.
        outcome: ``began`` until its end is noted. One that was killed never says more.
        play: where it failed.
    """

    run: str
    playbook: str
    who: str
    machine: str
    began: str
    outcome: str = BEGAN
    ended: str = ""
    play: str = ""

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Run:
        """Read one; what a later version may have added is left out. Raises TypeError."""
        return cls(**{one.name: str(found[one.name]) for one in fields(cls) if one.name in found})

    def describe(self) -> str:
        """Say who ran what, for a sentence."""
        return f"{self.playbook} by {self.who} ({self.machine}) at {self.began}"


@dataclass(frozen=True)
class Configuration:
    """The variables that a run was given.

    Attributes:
        values: variable → value; users by their names alone.
        withheld: variable → names of what is in it. The values may be anything, a secret too, and are not
            kept.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    withheld: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def lines(self, names: Collection[str]) -> Iterator[str]:
        """Say what some of the variables were."""
        for name in sorted(names):
            if name in self.withheld:
                names_in = ", ".join(self.withheld[name]) or "nothing"
                yield f"{name}: with {names_in} (the values are not in the record)"
            elif name in self.values:
                yield f"{name}: {_as_text(self.values[name])}"

    def not_among(self, mentioned: Collection[str], known: Collection[str]) -> list[str]:
        """Return the variables that are not mentioned, of those that there are today."""
        return sorted((set(self.values) | set(self.withheld)) & set(known) - set(mentioned))


@dataclass(frozen=True)
class Record:
    """What the account remembers.

    Attributes:
        state: where Terraform's state is.
        configuration: of the last run that made the stack what its variables said.
        runs: the last ones, the newest first.
    """

    state: Mapping[str, Any] = field(default_factory=dict)
    configuration: Configuration = field(default_factory=Configuration)
    runs: tuple[Run, ...] = ()

    def begin(self, run: Run) -> Record:
        """Return the record with a run that begins."""
        return replace(self, runs=(run, *self.runs)[:RUNS_KEPT])

    def end(self, run: str, outcome: str, ended: str, play: str) -> Record:
        """Return the record with the end of a run, if it knows that run."""
        return replace(
            self,
            runs=tuple(
                replace(one, outcome=outcome, ended=ended, play=play) if one.run == run else one
                for one in self.runs
            ),
        )

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "schema": SCHEMA,
            "state": dict(self.state),
            "configuration": dict(self.configuration.values),
            "withheld": {name: list(keys) for name, keys in self.configuration.withheld.items()},
            "runs": [{name: value for name, value in asdict(run).items() if value} for run in self.runs],
        }

    @classmethod
    def parse(cls, text: str, name: str) -> Record:
        """Read the record from the text of the parameter of this name. Raises RecordError."""
        found = _document(text, name)
        try:
            return cls(
                state=_mapping(found.get("state")),
                configuration=Configuration(
                    _mapping(found.get("configuration")),
                    {
                        key: [str(one) for one in names]
                        for key, names in _mapping(found.get("withheld")).items()
                    },
                ),
                runs=tuple(Run.parse(_mapping(one)) for one in found.get("runs") or []),
            )
        except (TypeError, ValueError) as error:
            raise _damaged(name) from error


@dataclass(frozen=True)
class Texts:
    """A record as parameters: that of its name, and numbered ones below it where one is too small."""

    head: str
    parts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, record: Record) -> Texts:
        """Take a record apart. Those of another record have other names, so that none is written over."""
        text = _json(record.document())
        if len(text) <= LIMIT:
            return cls(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        pieces = [text[start : start + LIMIT] for start in range(0, len(text), LIMIT)]
        names = [f"{digest[:12]}-{number}" for number in range(1, len(pieces) + 1)]
        head = _json({"schema": SCHEMA, "parts": names, "sha256": digest})
        return cls(head, dict(zip(names, pieces, strict=True)))


def parts_named(head: str, name: str) -> list[str]:
    """Return the names of the parts that a record's first parameter speaks of. Raises RecordError."""
    parts = _document(head, name).get("parts") or []
    if not isinstance(parts, list):
        raise _damaged(name)
    return [str(part) for part in parts]


def join(head: str, parts: Mapping[str, str], name: str) -> str:
    """Return the text of a record. Raises RecordError where parts are missing, or are another record's."""
    names = parts_named(head, name)
    if not names:
        return head
    text = "".join(parts.get(part, "") for part in names)
    if hashlib.sha256(text.encode()).hexdigest() != _document(head, name).get("sha256"):
        raise _damaged(name)
    return text


@dataclass(frozen=True)
class Lock:
    """Who changes the stack at present.

    Attributes:
        process: the run's own, see `life.name_process`. Empty where its machine does not tell.
    """

    run: str = ""
    holder: str = ""
    machine: str = ""
    since: str = ""
    playbook: str = ""
    process: str = ""

    @classmethod
    def parse(cls, text: str) -> Lock:
        """Read one. A damaged one is a lock too, of nobody knows whom."""
        found = parse_object(text) or {}
        return cls(**{one.name: str(found.get(one.name) or "") for one in fields(cls)})

    def text(self) -> str:
        """Return the text of the parameter."""
        return _json(asdict(self))

    def describe(self) -> str:
        """Say who holds it."""
        if not self.run:
            return "nobody can tell by whom: its parameter is damaged"
        number = number_of(self.process)
        process = f", process {number}" if number else ""
        return (
            f"{self.playbook} has held it since {self.since}, run by {self.holder} on {self.machine}{process}"
        )


def refuse_unmentioned(
    stack: str, record: Record, mentioned: Collection[str], known: Collection[str]
) -> None:
    """Raise RecordError for what the last run was given and this one does not mention."""
    missing = record.configuration.not_among(mentioned, known)
    if not missing:
        return
    lines = "".join(f"\n  {line}" for line in record.configuration.lines(missing))
    raise RecordError(
        f"Nothing was done. The last run that made {stack} was given variables that this one does not "
        f"mention:{lines}\n"
        "Without them their defaults would hold: no users, no open port, another machine. Give them again, "
        "as they were or as they are to be (an empty list is an answer too). If the defaults are what you "
        "want: -e ds_stack_as_given=true"
    )


def refuse_lock(stack: str, lock: Lock) -> RecordError:
    """Return what the second of two operators is told."""
    return RecordError(
        f"Nothing was done. {stack} is locked: {lock.describe()}. Wait until that has ended, and run this "
        "again. If it was interrupted or killed, the lock stays. Whoever ran it just runs it again, on the "
        "same machine; from elsewhere, see that nothing of it runs any more, then take it over with -e "
        "ds_stack_take_over=true"
    )


def refuse_region(stack: str, region: str, others: Sequence[str], as_given: bool) -> RecordError:
    """Return what somebody is told whose stack is elsewhere."""
    say = f"say -e ds_stack_region={others[0] if len(others) == 1 else '...'}"
    if as_given:
        say += f"; or, for another {stack} in {region}, -e ds_stack_as_given=true"
    return RecordError(f"Nothing was done: {stack} is in {' and in '.join(others)}, not in {region} ({say}).")


def _json(document: Mapping[str, Any]) -> str:
    """Return a text that Parameter Store takes: ASCII, and nothing that it reads as a reference."""
    return json.dumps(document, separators=(",", ":")).replace("{{", "{\\u007b")


def _document(text: str, name: str) -> dict[str, Any]:
    found = parse_object(text) or {}
    schema = found.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise RecordError(
            f"Nothing was done. The stack's record, {name}, was written by a newer version of iac.ds_stack "
            f"(its schema is {schema}, and this version reads {SCHEMA}). Upgrade the collection."
        )
    if schema != SCHEMA:
        raise _damaged(name)
    return found


def _mapping(found: Any) -> dict[str, Any]:
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise TypeError(type(found).__name__)
    return found


def _damaged(name: str) -> RecordError:
    return RecordError(
        f"Nothing was done. The parameter {name} is not the record that iac.ds_stack wrote. Its history has "
        f"the ones before: aws ssm get-parameter-history --name {name}. Write the last good one back; or "
        f"remove it (aws ssm delete-parameter --name {name}), and the next run of site.yml with the stack's "
        "whole configuration writes it anew."
    )


def _as_text(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return shown(", ".join(value), LONGEST_VALUE) if value else "[]"
    text = value if isinstance(value, str) else json.dumps(value)
    return shown(text, LONGEST_VALUE)
