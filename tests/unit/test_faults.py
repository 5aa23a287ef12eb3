"""The faults of docs/faults.md and docs/operator_faults.md, each with a test."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.faults.matrix import page

TESTS = Path(__file__).resolve().parent.parent

#: The numbers of the list there.
FAULTS = [
    int(number)
    for number in re.findall(
        r"^(\d+)\. ", (TESTS.parent / "docs/faults.md").read_text(encoding="utf-8"), re.MULTILINE
    )
]


def marked_tests() -> Iterator[tuple[int, str]]:
    """Each `@pytest.mark.fault(NUMBER)` and the test that carries it."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for decorator in node.decorator_list:
                    if ast.unparse(decorator).startswith("pytest.mark.fault("):
                        assert isinstance(decorator, ast.Call)
                        for number in decorator.args:
                            yield ast.literal_eval(number), f"{path.relative_to(TESTS)}::{node.name}"


def test_every_fault_has_a_test() -> None:
    found = defaultdict(list)
    for number, test in marked_tests():
        found[number].append(test)
    assert sorted(set(FAULTS)) == FAULTS, "in order, none twice"
    assert sorted(found) == FAULTS


def slips_shown() -> Iterator[str]:
    """The first argument of each `shown(...)`: what happened."""
    for path in sorted([*TESTS.rglob("test_*.py"), *TESTS.parent.glob("molecule/*/tests/test_*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "shown":
                yield ast.literal_eval(node.args[0])


def test_every_row_of_what_a_slip_costs_is_of_one_test() -> None:
    """Which holds it to what it has seen."""
    shown = list(slips_shown())
    assert len(shown) == len(set(shown))
    assert set(shown) == page().keys()
