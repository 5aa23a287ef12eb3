#!/usr/bin/env python3
"""Run the tests tier by tier, the cheap ones first, and say how long each part took.

usage: tests/run.py [TIER...]        the tiers are lint, unit, integration, molecule and e2e; all by default

Every part runs whatever became of the ones before it. The last line is "N passed, N failed" over all of them:
a test that was skipped has not shown anything and counts as failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "tests/output"
TERRAFORM_FILES = ROOT / "terraform"


@dataclass(frozen=True)
class Part:
    """One command of a tier. ``report`` is the JUnit file that counts its tests, where it has many."""

    tier: str
    name: str
    command: tuple[str, ...]
    report: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a part."""

    part: Part
    passed: int
    failed: int
    seconds: float


def pytest_part(tier: str) -> Part:
    """Return the part that runs a folder of tests with pytest."""
    report = REPORTS / f"{tier}.xml"
    command = (sys.executable, "-m", "pytest", "-q", f"tests/{tier}", f"--junit-xml={report}")
    return Part(tier, "pytest", command, report)


def parts() -> Iterator[Part]:
    """Yield every part, in the order in which they run."""
    yield Part("lint", "ruff check", ("ruff", "check", "."))
    yield Part("lint", "ruff format", ("ruff", "format", "--check", "."))
    yield Part("lint", "mypy", ("mypy",))
    yield Part("lint", "yamllint", ("yamllint", "--strict", "."))
    yield Part("lint", "ansible-lint", ("ansible-lint", "--offline", "--profile", "production"))
    yield Part("lint", "terraform fmt", ("terraform", "fmt", "-check", "-recursive", str(TERRAFORM_FILES)))
    yield Part("lint", "checkov", ("scripts/checkov",))
    yield pytest_part("unit")
    yield pytest_part("integration")
    for scenario in sorted((ROOT / "molecule").glob("*/molecule.yml")):
        name = scenario.parent.name
        yield Part("molecule", name, ("molecule", "test", "--scenario-name", name))
    yield pytest_part("e2e")


def count(report: Path) -> tuple[int, int]:
    """Return how many tests of a JUnit file passed and how many did not."""
    suites = ElementTree.parse(report).getroot().iter("testsuite")  # noqa: S314 - written by our own pytest
    total = failed = 0
    for suite in suites:
        total += int(suite.get("tests", 0))
        failed += sum(int(suite.get(kind, 0)) for kind in ("failures", "errors", "skipped"))
    return total - failed, failed


def run(part: Part) -> Outcome:
    """Run one part and count its tests. A part that fails without a failed test counts as one."""
    print(f"\n=== {part.tier}: {part.name}", flush=True)
    if part.report:
        part.report.unlink(missing_ok=True)
    began = time.monotonic()
    code = subprocess.run(part.command, cwd=ROOT, check=False).returncode
    seconds = time.monotonic() - began
    passed, failed = count(part.report) if part.report and part.report.exists() else (int(code == 0), 0)
    if code and not failed:
        failed = 1
    return Outcome(part, passed, failed, seconds)


def table(outcomes: list[Outcome]) -> str:
    """Return the outcomes and times as a text."""
    rows = [f"{'tier':<12} {'part':<18} {'passed':>7} {'failed':>7} {'seconds':>8}"]
    rows += [
        f"{one.part.tier:<12} {one.part.name:<18} {one.passed:>7} {one.failed:>7} {one.seconds:>8.1f}"
        for one in outcomes
    ]
    rows.append(f"{'all':<47}{sum(one.seconds for one in outcomes):>9.1f}")
    return "\n".join(rows)


def main(tiers: list[str]) -> int:
    """Run the tiers that are named, or all, and return 1 when anything failed."""
    known = list(dict.fromkeys(part.tier for part in parts()))
    for unknown in set(tiers) - set(known):
        print(f"{unknown} is no tier: there are {', '.join(known)}.", file=sys.stderr)
        return 2
    REPORTS.mkdir(exist_ok=True)
    os.environ.setdefault("CONTAINERS_CONF", str(ROOT / "localcloud/containers.conf"))
    outcomes = [run(part) for part in parts() if not tiers or part.tier in tiers]
    failed = sum(one.failed for one in outcomes)
    print(f"\n{table(outcomes)}\n\n{sum(one.passed for one in outcomes)} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
