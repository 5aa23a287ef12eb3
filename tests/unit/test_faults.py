"""The faults that wrappers of Terraform and Packer are known for, each with a test that we have it not."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent

FAULTS = {
    1: "`changed` is wrong in check mode, or guessed from text",
    2: "a plan is shown and something else applied; destroy goes without a plan",
    3: "replace, move, import, forget, read, no-op and output-only are not told apart",
    4: "the lock options are ignored while planning",
    5: "a workspace is selected before init and cannot be made",
    6: "state file or backend are ignored on destroy, so nothing is destroyed and that is called a success",
    7: "secrets in variables, outputs, diff, diagnostics, logs, -vvv; only the root module masked",
    8: "booleans, null, multi-line strings, big numbers, unicode, `${`, nested objects and sets break",
    9: "plan files with secrets are left behind",
    10: "valid configurations crash the wrapper's own strict parser",
    11: "no output for twenty minutes, then all of it",
    12: "stderr is lost, only the last line of an error is kept",
    13: "Ctrl-C or a task timeout loses the state, leaves the lock, orphans the process",
    14: "a stale lock is a riddle: no holder, no age, no command",
    15: "TF_CLI_ARGS_plan, TF_WORKSPACE, TF_LOG, a broken TF_CLI_CONFIG_FILE in the environment break it",
    16: "OpenTofu works only by accident",
    17: "Packer's exit code and nothing else; the AMI id from text; a failed bake leaves an instance running",
    18: "two runs in one directory at once corrupt each other",
}


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
    assert sorted(found) == sorted(FAULTS)
