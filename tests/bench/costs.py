"""What commands cost, and how two ways to do the same thing compare.

The bar is processor time: user and system time of a command and of all that it has started, also of what has
left its session, such as the supervisor that terraform_stack runs Terraform under. Other programs on the same
machine change it little, while they change the clock a lot; the clock is shown beside it.

Contestants run in turn, each once a round, in alternating order. They are compared round by round: the
figure is the median of the rounds' ratios, with the quartiles as its spread. No contestant's cost is ever
subtracted from another's, so no figure can fall below zero because of noise; and what cannot be true, or
spreads too far, is told in words and is not shown as a figure.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
ORPHANS_SECONDS = 30
FEWEST_ROUNDS = 3
WIDEST_SPREAD = 0.3
"""Distance of the quartiles, as a share of the median, above which a ratio is no figure."""
CLOCK_TICK = 0.05
"""What the kernel's counting of processor time may be off by."""

Command = Sequence[str | Path]


class NoFigure(Exception):
    """Why something that was measured is not shown as a figure."""


@dataclass(frozen=True)
class Cost:
    """Seconds of processor time, and on the clock."""

    processor: float
    wall: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.processor + other.processor, self.wall + other.wall)


def check(who: str, cost: Cost, processors: int) -> None:
    """Raise NoFigure for a cost that nothing can have on a machine with that many processors."""
    if not (math.isfinite(cost.processor) and math.isfinite(cost.wall)):
        raise NoFigure(f"{who}: {cost.processor} s of processor time in {cost.wall} s is no number")
    if cost.processor <= 0 or cost.wall <= 0:
        raise NoFigure(f"{who}: {cost.processor:.2f} s of processor time in {cost.wall:.2f} s cannot be")
    if cost.processor > processors * cost.wall + CLOCK_TICK:
        seconds = f"{cost.processor:.2f} s of processor time in {cost.wall:.2f} s"
        raise NoFigure(f"{who}: {seconds} cannot be with {processors} processors")


@dataclass(frozen=True)
class Ratio:
    """How many times as much one costs as another: the median of the rounds, and the quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, ones: Sequence[float], others: Sequence[float]) -> Ratio:
        """Compare round by round. Raises NoFigure when the rounds do not agree, or are too few."""
        if len(ones) < FEWEST_ROUNDS:
            raise NoFigure(f"{len(ones)} rounds tell nothing: run at least {FEWEST_ROUNDS}")
        ratios = [one / other for one, other in zip(ones, others, strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
        if high - low > WIDEST_SPREAD * median:
            raise NoFigure(f"noise: {low:.2f} to {high:.2f}, median {median:.2f}")
        return cls(median, low, high)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


@dataclass(frozen=True)
class Rounds:
    """What each contestant cost, round by round."""

    costs: Mapping[str, Sequence[Cost]]

    def median(self, who: str) -> Cost:
        """The median cost of a contestant."""
        costs = self.costs[who]
        return Cost(
            statistics.median(cost.processor for cost in costs), statistics.median(c.wall for c in costs)
        )

    def ratio(self, one: str, *others: str) -> Ratio:
        """The processor time of one beside that of others together. Raises NoFigure."""
        together = [
            sum(cost.processor for cost in round_)
            for round_ in zip(*(self.costs[other] for other in others), strict=True)
        ]
        return Ratio.of([cost.processor for cost in self.costs[one]], together)

    def must_exceed(self, one: str, other: str) -> None:
        """Raise NoFigure when what does all that another does, and more, costs less than that."""
        mine, its = self.median(one).processor, self.median(other).processor
        if mine < its:
            raise NoFigure(f"{one} does all that {other} does: {mine:.2f} s cannot be less than {its:.2f} s")


def order(contestants: Sequence[str], round_: int) -> list[str]:
    """Who runs after whom in a round: forwards and backwards in turn."""
    return list(contestants) if round_ % 2 == 0 else list(reversed(contestants))


def in_turn(contestants: Mapping[str, Callable[[], Cost]], rounds: int) -> Rounds:
    """Run every contestant once a round. Raises NoFigure for a cost that cannot be."""
    costs: dict[str, list[Cost]] = {who: [] for who in contestants}
    for round_ in range(rounds):
        for who in order(list(contestants), round_):
            cost = contestants[who]()
            check(who, cost, os.cpu_count() or 1)
            costs[who].append(cost)
    return Rounds(costs)


def verdict(ratio: Ratio, bar: float | None) -> str:
    """What is to be said of a ratio and its bar, where it has one."""
    return f"{ratio}" if bar is None else f"{ratio} {'<=' if ratio.median <= bar else 'NOT <='} {bar:g}"


def adopt_orphans() -> None:
    """Let what this process's descendants leave behind become its children: they count, too."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def measure(
    command: Command,
    directory: Path,
    environment: Mapping[str, str] | None = None,
    success: Callable[[int, str], bool] = lambda code, _: code == 0,
) -> Cost:
    """What a command costs with all that it starts. Call `adopt_orphans` before.

    Args:
        success: whether exit code and output are as they must be; the bench ends when they are not.
    """
    before, began = _processor(), time.monotonic()
    done = subprocess.run(
        [str(part) for part in command], cwd=directory, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    wall = time.monotonic() - began
    if not success(done.returncode, done.stdout):
        words = " ".join(str(part) for part in command)
        raise SystemExit(f"{words} did not do what is measured:\n{done.stdout}{done.stderr}")
    _wait_for_orphans()
    return Cost(_processor() - before, wall)


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wait_for_orphans() -> None:
    end = time.monotonic() + ORPHANS_SECONDS
    try:
        while time.monotonic() < end:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.02)
    except ChildProcessError:
        return
    raise SystemExit(f"Something that was measured still runs after {ORPHANS_SECONDS} s.")
