#!/usr/bin/env python3
"""What terraform_stack costs: beside bare terraform commands, and beside community.general.terraform.

usage: python -m tests.bench.terraform_stack [ROUNDS]      default: 7

Each contestant looks after several stacks, one after the other: after so many small ones that the start of
Ansible itself, which is in every play, does not drown what is to be compared. The contestants are

    ours      a whole play with a task of terraform_stack for each stack
    general   the same play with community.general.terraform
    bare      the commands that a person would run by hand: plan; for a first apply init, plan, show, apply
    idle      a play with as many tasks that do nothing (ping): what Ansible takes for any tasks

"ours / general" is play against play. "ours / (bare + idle)" is the play against the bare commands and the
idle play together: what it costs to let these tasks run the commands, instead of running them by hand beside
a play with as many tasks of any kind. Bare commands alone are no measure: a play must start before its task.

Where 500 resources have nothing to change, the bar is one of "ours / (bare + idle)" as well: the plans and
the start of Ansible, which every contestant pays alike, are four fifths of what general takes, so no module
can be much cheaper than that one there. What is to be seen is that the work around a plan stays small.

The table is Markdown, for the README. See costs.py for how it is measured. The exit code is 1 when a bar is
not met or something gave no figure.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from tests.bench.costs import Command, Cost, NoFigure, Rounds, adopt_orphans, in_turn, measure, verdict

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
CONFIG = 'resource "terraform_data" "x" {\n  count = %d\n  input = count.index\n}\n'
CALLERS = ("TF_", "ANSIBLE_")
"""Variables of the caller's that would change what is measured."""
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(CALLERS)},
    "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    "CHECKPOINT_DISABLE": "1",
}
PLAN = ["terraform", "plan", "-json", "-input=false", "-detailed-exitcode", "-out=plan"]
APPLY = [
    ["terraform", "init", "-input=false"],
    PLAN,
    ["terraform", "show", "-json", "plan"],
    ["terraform", "apply", "-json", "-input=false", "plan"],
]
CHANGES = 2
"""Exit code of a plan that is not empty."""


@dataclass(frozen=True)
class Row:
    """A line of the table, and its bars. of_bare, of_general: what ours may cost at most, as a multiple."""

    stacks: int
    resources: int
    first: bool = False
    of_bare: float | None = None
    of_general: float | None = None

    @property
    def name(self) -> str:
        """What is measured."""
        what = "first apply" if self.first else "nothing to change"
        return f"{self.stacks} x {self.resources} resources, {what}"


ROWS = [
    Row(10, 10, of_general=0.8),
    Row(10, 10, first=True),
    Row(3, 500, first=True, of_bare=1.1),
    Row(3, 500, of_bare=1.2),
]


class Contest:
    """Stacks for each contestant, and how each looks after its own."""

    def __init__(self, folder: Path, row: Row) -> None:
        self._folder = folder
        self._first = row.first
        self._stacks = [f"stack-{number}" for number in range(row.stacks)]
        for who in ("source", "bare", "general"):
            for stack in self._stacks:
                (folder / who / stack).mkdir(parents=True)
                (folder / who / stack / "main.tf").write_text(CONFIG % row.resources)
        general = {"state": "present", "force_init": True}
        self._play("idle", "ansible.builtin.ping", lambda _: {})
        self._play("ours", "iac.ds_stack.terraform_stack", self._ours)
        self._play(
            "general",
            "community.general.terraform",
            lambda stack: {"project_path": f"{folder}/general/{stack}", **general},
        )
        self.contestants: dict[str, Callable[[], Cost]] = {
            "idle": partial(self._run_play, "idle", False),
            "bare": self._run_bare,
            "ours": partial(self._run_play, "ours", row.first),
            "general": partial(self._run_play, "general", row.first),
        }

    def _ours(self, stack: str) -> dict[str, object]:
        return {"source": f"{self._folder}/source/{stack}", "work_dir": f"{self._folder}/work/{stack}"}

    def _play(self, who: str, module: str, options: Callable[[str], dict[str, object]]) -> None:
        tasks = [{module: options(stack)} for stack in self._stacks]
        play = [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]
        (self._folder / f"{who}.yml").write_text(json.dumps(play))

    def _run_play(self, who: str, changes: bool) -> Cost:
        self._forget(who)
        said = f"changed={len(self._stacks) if changes else 0} "

        def success(code: int, output: str) -> bool:
            return code == 0 and said in output

        return measure([ANSIBLE, self._folder / f"{who}.yml"], ROOT, ENVIRONMENT, success)

    def _run_bare(self) -> Cost:
        self._forget("bare")
        cost = Cost(0, 0)
        for stack in self._stacks:
            for command in APPLY if self._first else [PLAN]:
                wanted = CHANGES if self._first and command is PLAN else 0
                cost += self._bare(command, stack, wanted)
        return cost

    def _bare(self, command: Command, stack: str, wanted: int) -> Cost:
        return measure(command, self._folder / "bare" / stack, ENVIRONMENT, lambda code, _: code == wanted)

    def _forget(self, who: str) -> None:
        """Back to where nothing was applied, before each first apply."""
        if not self._first:
            return
        if who == "ours":
            shutil.rmtree(self._folder / "work", ignore_errors=True)
        for path in (self._folder / who).glob("*/*tfstate*"):
            path.unlink()

    def prepare(self) -> None:
        """Apply everything once, where what comes after is measured."""
        for stack in self._stacks:
            for command in APPLY:
                self._bare(command, stack, CHANGES if command is PLAN else 0)
        for who in ("ours", "general"):
            self._run_play(who, True)


def contest(row: Row, rounds: int) -> Rounds:
    """What everybody costs in one row."""
    with tempfile.TemporaryDirectory() as name:
        one = Contest(Path(name), row)
        if not row.first:
            one.prepare()
        return in_turn(one.contestants, rounds)


def line(row: Row, found: Rounds) -> tuple[str, list[str]]:
    """A line of the table, and what is wrong with it. Raises NoFigure."""
    for play in ("ours", "general"):
        found.must_exceed(play, "bare")
    wrong, texts = [], []
    for title, others, bar in (
        ("ours / (bare + idle)", ("bare", "idle"), row.of_bare),
        ("ours / general", ("general",), row.of_general),
    ):
        try:
            ratio = found.ratio("ours", *others)
        except NoFigure as error:
            wrong.append(f"{row.name}, {title}: {error}.")
            texts.append("no figure")
            continue
        texts.append(verdict(ratio, bar))
        if bar is not None and ratio.median > bar:
            wrong.append(f"{row.name}, {title}: {ratio} is more than {bar:g}.")
    costs = [found.median(who) for who in ("bare", "idle", "ours", "general")]
    figures = [f"{cost.processor:.2f} ({cost.wall:.2f})" for cost in costs]
    return f"| {' | '.join([row.name, *figures, *texts])} |", wrong


def main() -> int:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    adopt_orphans()
    terraform = subprocess.run(["terraform", "version", "-json"], capture_output=True, check=True, text=True)
    version = json.loads(terraform.stdout)["terraform_version"]
    print(
        f"{date.today()}, {os.cpu_count()} processors, Python {platform.python_version()}, "
        f"Terraform {version}: seconds of processor time (and on the clock), median of {rounds} rounds"
    )
    titles = ("", "bare", "idle", "ours", "general", "ours / (bare + idle)", "ours / general")
    print(f"\n| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    wrong = []
    for row in ROWS:
        try:
            text, faults = line(row, contest(row, rounds))
        except NoFigure as error:
            text, faults = f"| {row.name} | no figure |", [f"{row.name}: {error}."]
        print(text, flush=True)
        wrong += faults
    for sentence in wrong:
        print(sentence)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
