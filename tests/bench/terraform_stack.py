#!/usr/bin/env python3
"""What a task of terraform_stack costs: beside the bare terraform commands, and community.general.terraform.

usage: tests/bench/terraform_stack.py [ROUNDS]      default: 7; the median of the rounds counts

Times are seconds on the wall clock, so run it on a machine that does nothing else; the seconds of processor
time below them suffer less from others. A task's time is that of a play with it, less that of a play with
another, trivial task. The order of the contestants changes from round to round. "bare" is what a person would
run by hand: plan; for a first apply init, plan, show, apply.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
CONFIG = 'resource "terraform_data" "x" {\n  count = %d\n  input = count.index\n}\n'
VARIABLES = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
ENVIRONMENT = {**VARIABLES, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "CHECKPOINT_DISABLE": "1"}


class Cost(NamedTuple):
    """Seconds."""

    wall: float
    processor: float

    @classmethod
    def until_now(cls) -> Cost:
        """The clock, and what all ended children have used."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return cls(time.monotonic(), used.ru_utime + used.ru_stime)


def timed(commands: list[list[str | Path]], directory: Path) -> Cost:
    """What commands cost together; exit code 2 is that of a plan that is not empty."""
    began = Cost.until_now()
    for command in commands:
        run = subprocess.run(command, cwd=directory, env=ENVIRONMENT, capture_output=True, check=False)
        if run.returncode not in (0, 2 if "-detailed-exitcode" in command else 0):
            raise SystemExit(f"{command} failed:\n{run.stdout.decode()}{run.stderr.decode()}")
    ended = Cost.until_now()
    return Cost(ended.wall - began.wall, ended.processor - began.processor)


class Contest:
    """One configuration in three directories, and the ways to apply it."""

    def __init__(self, folder: Path, resources: int) -> None:
        self.folder = folder
        for name in ("source", "bare", "general"):
            (folder / name).mkdir(parents=True)
            (folder / name / "main.tf").write_text(CONFIG % resources)
        self.plays = {
            "empty": self.play("empty", "ansible.builtin.ping", {}),
            "ours": self.play(
                "ours",
                "iac.ds_stack.terraform_stack",
                {"source": str(folder / "source"), "work_dir": str(folder / "work")},
            ),
            "general": self.play(
                "general",
                "community.general.terraform",
                {"project_path": str(folder / "general"), "state": "present", "force_init": True},
            ),
        }

    def play(self, name: str, module: str, options: dict[str, object]) -> Path:
        """A playbook with a trivial task and, but for the empty one, the task in question."""
        tasks: list[dict[str, object]] = [{"ansible.builtin.ping": {}}]
        if options:
            tasks.append({module: options})
        path = self.folder / f"{name}.yml"
        path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        return path

    def run(self, who: str) -> Cost:
        """What one run costs."""
        if who in self.plays:
            return timed([[ANSIBLE, self.plays[who]]], ROOT)
        plan: list[str | Path] = [
            "terraform",
            "plan",
            "-json",
            "-input=false",
            "-detailed-exitcode",
            "-out=plan",
        ]
        commands = [plan]
        if who == "bare apply":
            apply: list[str | Path] = ["terraform", "apply", "-json", "-input=false", "plan"]
            commands = [
                ["terraform", "init", "-input=false"],
                plan,
                ["terraform", "show", "-json", "plan"],
                apply,
            ]
        return timed(commands, self.folder / "bare")

    def forget(self) -> None:
        """Back to where nothing was applied."""
        shutil.rmtree(self.folder / "work", ignore_errors=True)
        for name in ("bare", "general"):
            for path in (self.folder / name).glob("*tfstate*"):
                path.unlink()


def medians(names: list[str], rounds: int, run: Callable[[str], Cost]) -> dict[str, Cost]:
    """The median costs of each contestant."""
    times: dict[str, list[Cost]] = {name: [] for name in names}
    for index in range(rounds):
        turn = index % len(names)
        for name in [*names[turn:], *names[:turn]]:
            times[name].append(run(name))
    return {
        name: Cost(*(statistics.median(kind) for kind in zip(*costs, strict=True)))
        for name, costs in times.items()
    }


@dataclass(frozen=True)
class Row:
    """A line of the table, and its bars: what the task may cost at most.

    beyond_bare: seconds more than bare Terraform. of_bare, of_general: as a share of the others' time.
    """

    resources: int
    first: bool = False
    beyond_bare: float | None = None
    of_bare: float | None = None
    of_general: float | None = None

    @property
    def name(self) -> str:
        """What is measured."""
        return f"{self.resources} resources, {'first apply' if self.first else 'nothing to change'}"


ROWS = [
    Row(10, beyond_bare=0.4, of_general=0.5),
    Row(10, first=True, beyond_bare=0.6),
    Row(500, first=True, of_bare=1.1),
    Row(500),
]


def measure(row: Row, rounds: int) -> dict[str, Cost]:
    """The medians for one row."""
    with tempfile.TemporaryDirectory() as name:
        contest = Contest(Path(name), row.resources)
        bare = "bare apply" if row.first else "bare plan"
        if not row.first:
            for who in ("bare apply", "ours", "general"):
                contest.run(who)

        def run(who: str) -> Cost:
            if row.first:
                contest.forget()
            return contest.run(who)

        found = medians(["empty", bare, "ours", "general"], rounds, run)
    return {"empty": found["empty"], "bare": found[bare], "ours": found["ours"], "general": found["general"]}


def figure(value: float, bar: float | None) -> str:
    """A number, with its bar behind it where it has one."""
    verdict = "" if bar is None else f" ({'<=' if value <= bar else 'not <='} {bar:g})"
    return f"{f'{value:.2f}{verdict}':>21}"


def line(row: Row, found: dict[str, Cost], kind: str) -> str:
    """A line of the table; the bars are for the wall clock."""
    empty, bare, ours, general = (getattr(found[who], kind) for who in ("empty", "bare", "ours", "general"))
    ours, general = ours - empty, general - empty
    bars = (row.beyond_bare, row.of_bare, row.of_general) if kind == "wall" else (None, None, None)
    figures = (ours - bare, ours / bare, ours / general)
    return f"{row.name:34}{bare:8.2f}{ours:8.2f}{general:9.2f}" + "".join(map(figure, figures, bars))


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    print(f"median of {rounds}, seconds; a task's time is what it adds to a play")
    wide = "".join(f"{title:>21}" for title in ("ours - bare", "ours / bare", "ours / general"))
    print(f"{'':34}{'bare':>8}{'ours':>8}{'general':>9}{wide}")
    measured = []
    for row in ROWS:
        measured.append((row, measure(row, rounds)))
        print(line(*measured[-1], "wall"), flush=True)
    print("processor time")
    for row, found in measured:
        print(line(row, found, "processor"))


if __name__ == "__main__":
    main()
