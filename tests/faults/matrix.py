"""What an operator reads of a fault, what is left, and what the next run does: docs/operator_faults.md.

A row is made by the test that has seen it, of what was printed and of what is in the account. The test fails
where the page says something else; with DS_STACK_WRITE_MATRIX in the environment it writes the row.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/operator_faults.md"
HEAD = """\
# What a slip costs

Each row is written by a test that has tried it against a simulated account, and that fails when the row
is not true any more. `…` stands for an id, a time, a person or a folder.

| what happened | what you read | what is left | what the next run does |
| --- | --- | --- | --- |
"""
UNCHANGED = "what it is asked for: nothing was changed"
"""After a run that was refused."""
MASKS = {
    rf"{re.escape(str(ROOT))}/[^\s:,)]*(:\d+)?": "…",
    r"\b(vpc|vol|sg|snap|ami|i)-[0-9a-f]{8,}\b": r"\1-…",
    r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ": "…",
    r"\b20\d{6}T\d{6}(\.\d+)?Z(-\d+)?": "…",
    r"\barn:aws:\S+?(?=[\s,.]|$) on \S+?@\S+?(?=[\s,.]|$)": "…",
    r"\barn:aws:\S+": "…",
    r"\bprocess \d+": "process …",
    r"\buid 2\d{4}": "uid …",
    r"/\S*/home\b": "…",
    r"/tmp/[^\s:,]*?(?=/\.ds_stack|[\s:,]|$)": "…",
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b": "…",
}
"""What is another one in each run."""


def errors(said: str) -> list[str]:
    """The errors that a playbook printed, each once."""
    told = re.findall(r"^\[ERROR\]: Task failed: (?:\w+ failed: )?((?:.*\n)+?)Origin: ", said, re.MULTILINE)
    return list(dict.fromkeys(" ".join(one.split()) for one in told))


def warned(said: str) -> list[str]:
    """The warnings that a playbook printed, each once."""
    told = re.findall(r"^\[WARNING\]: (.+(?:\n(?!\[).+)*)", said, re.MULTILINE)
    return list(dict.fromkeys(" ".join(one.split()) for one in told))


def ending(said: str) -> str:
    """What a playbook that failed said last of what it has changed; empty where it said nothing."""
    found = re.search(r"^\w+\.yml has not come to its end\..*(?:\n.+)?", said, re.MULTILINE)
    return found[0] if found else ""


def shown(fault: str, *, stack: str, read: str, left: object, then: str) -> None:
    """Show what a fault comes to, and hold its row to it. stack: its name in the test."""
    seen = " | ".join(_cell(text, stack) for text in (read, str(left), then))
    row = f"| {fault} | {seen} |"
    print(f"\n{row}")
    rows = page()
    if os.environ.get("DS_STACK_WRITE_MATRIX"):
        rows[fault] = row
        PAGE.write_text(HEAD + "\n".join(rows.values()) + "\n")
    assert rows.get(fault) == row, "docs/operator_faults.md is not current: set DS_STACK_WRITE_MATRIX=1 once"


def page() -> dict[str, str]:
    """The rows of the page, by their first cell."""
    text = PAGE.read_text() if PAGE.exists() else HEAD
    lines = text.removeprefix(HEAD).splitlines()
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines}


def _cell(text: str, stack: str) -> str:
    for pattern, masked in MASKS.items():
        text = re.sub(pattern, masked, text)
    text = re.sub(rf"\b{stack}\b", "demo", text)
    return "<br>".join(" ".join(line.split()) for line in text.strip().split("\n")).replace("|", r"\|")
