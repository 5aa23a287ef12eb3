"""The arithmetic of the benches: what is a figure, and what is told in words instead."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench import costs, terraform_stack
from tests.bench.costs import Cost, NoFigure, Ratio, Rounds


def rounds(**processor: list[float]) -> Rounds:
    """What contestants cost, with a clock that shows twice their processor time."""
    return Rounds({who: [Cost(value, 2 * value) for value in values] for who, values in processor.items()})


def test_a_ratio_is_that_of_the_rounds_and_not_of_the_medians() -> None:
    # A machine that was slower and slower: the medians say 8 / 6, every round says 2.
    assert Ratio.of([2, 8, 12, 8, 4], [1, 4, 6, 4, 2]) == Ratio(2, 2, 2)
    assert Ratio.of([9, 10, 11, 12, 13], [10] * 5) == Ratio(1.1, 1.0, 1.2)
    assert str(Ratio.of([9, 10, 11, 12, 13], [10] * 5)) == "1.10 (1.00-1.20)"


def test_several_are_compared_together() -> None:
    found = rounds(ours=[3, 3.3, 3], bare=[1, 1.1, 1], idle=[2, 2.2, 2])
    assert found.ratio("ours", "bare", "idle").median == pytest.approx(1)
    assert found.median("ours") == Cost(3, 6)


@pytest.mark.parametrize("ones", [[1, 2, 1, 3, 1], [0.1, 5, 1, 1, 9], [1, 1, 1, 1.6, 1.6]])
def test_rounds_that_do_not_agree_give_no_figure(ones: list[float]) -> None:
    with pytest.raises(NoFigure, match=r"noise: \d\.\d\d to \d\.\d\d, median \d\.\d\d"):
        Ratio.of(ones, [1] * 5)


def test_a_single_outlier_does_no_harm() -> None:
    assert Ratio.of([1, 1, 50, 1, 1, 1, 1], [1] * 7) == Ratio(1, 1, 1)


def test_too_few_rounds_give_no_figure() -> None:
    with pytest.raises(NoFigure, match="2 rounds tell nothing: run at least 3"):
        Ratio.of([1, 1], [1, 1])


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (Cost(-0.05, 1), "-0.05 s of processor time in 1.00 s cannot be"),
        (Cost(0, 1), "0.00 s of processor time in 1.00 s cannot be"),
        (Cost(1, 0), "1.00 s of processor time in 0.00 s cannot be"),
        (Cost(1, -1), "cannot be"),
        (Cost(4.2, 2), "4.20 s of processor time in 2.00 s cannot be with 2 processors"),
        (Cost(math.nan, 1), "is no number"),
        (Cost(1, math.inf), "is no number"),
    ],
)
def test_a_cost_that_cannot_be_is_told(cost: Cost, words: str) -> None:
    with pytest.raises(NoFigure, match=f"^ours: .*{words}"):
        costs.check("ours", cost, 2)


def test_a_cost_that_can_be_is_not_told() -> None:
    costs.check("ours", Cost(0.01, 0.01), 2)
    costs.check("ours", Cost(3.99, 2), 2)


def test_what_does_more_cannot_cost_less() -> None:
    found = rounds(ours=[1, 1, 1], bare=[2, 2, 2])
    with pytest.raises(NoFigure, match=r"ours does all that bare does: 1\.00 s cannot be less than 2\.00 s"):
        found.must_exceed("ours", "bare")
    found.must_exceed("bare", "ours")


def test_contestants_run_in_turn_and_in_alternating_order() -> None:
    ran: list[str] = []

    def contestant(who: str) -> Callable[[], Cost]:
        def run() -> Cost:
            ran.append(who)
            return Cost(len(ran), 2 * len(ran))

        return run

    found = costs.in_turn({who: contestant(who) for who in "abc"}, 3)
    assert "".join(ran) == "abccbaabc"
    assert [cost.processor for cost in found.costs["a"]] == [1, 6, 7]


def test_an_impossible_cost_ends_the_contest() -> None:
    with pytest.raises(NoFigure, match=r"^a: "):
        costs.in_turn({"a": lambda: Cost(-1, 1)}, 3)


@pytest.mark.parametrize(
    ("bar", "words"),
    [(None, "0.90 (0.90-0.90)"), (0.9, "0.90 (0.90-0.90) <= 0.9"), (0.8, "0.90 (0.90-0.90) NOT <= 0.8")],
)
def test_the_verdict(bar: float | None, words: str) -> None:
    assert costs.verdict(Ratio(0.9, 0.9, 0.9), bar) == words


def test_a_line_of_the_table() -> None:
    row = terraform_stack.Row(10, of_bare=1.1, of_general=0.5)
    found = rounds(bare=[1.0] * 3, idle=[1.0] * 3, ours=[2.1] * 3, general=[3.0] * 3)
    text, wrong = terraform_stack.line(row, found)
    words = (
        "1.00 (2.00) 1.00 (2.00) 2.10 (4.20) 3.00 (6.00) 1.05 (1.05-1.05) <= 1.1 0.70 (0.70-0.70) NOT <= 0.5"
    )
    assert " ".join(text.split()) == f"10 resources, nothing to change {words}"
    assert wrong == [
        "10 resources, nothing to change, ours / general: 0.70 (0.70-0.70) is more than 0.5.",
    ]


def test_noise_is_told_in_the_line_and_below() -> None:
    found = rounds(bare=[1.0] * 3, idle=[1.0] * 3, ours=[2.0] * 3, general=[2.0, 8.0, 4.0])
    text, wrong = terraform_stack.line(terraform_stack.Row(10), found)
    assert text.endswith("no figure")
    assert wrong == ["10 resources, nothing to change, ours / general: noise: 0.38 to 0.75, median 0.50."]


def test_a_play_that_costs_less_than_its_terraform_is_no_figure() -> None:
    found = rounds(bare=[2.0] * 3, idle=[1.0] * 3, ours=[1.9] * 3, general=[3.0] * 3)
    with pytest.raises(NoFigure, match="ours does all that bare does"):
        terraform_stack.line(terraform_stack.Row(10), found)


BURN = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass\n"


def measured(tmp_path: Path, code: str) -> Cost:
    """What a Python program costs, measured in a process of its own, which alone adopts orphans."""
    bench = (
        "import sys\nfrom pathlib import Path\nfrom tests.bench import costs\ncosts.adopt_orphans()\n"
        "cost = costs.measure([sys.executable, '-c', sys.argv[1]], Path('.'))\n"
        "print(cost.processor, cost.wall)\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = costs.subprocess.run(
        [sys.executable, "-c", bench, code], cwd=root, capture_output=True, text=True, check=True
    )
    return Cost(*map(float, done.stdout.split()))


def test_what_left_its_session_is_counted(tmp_path: Path) -> None:
    own = measured(tmp_path, BURN)
    assert 0.4 <= own.processor < 0.8
    detached = f"import os\nif os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0:\n    exec({BURN!r})\n"
    assert measured(tmp_path, detached).processor >= 0.4


def test_a_command_that_fails_ends_the_bench(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="did not do what is measured"):
        costs.measure([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)
