#!/usr/bin/env python3
"""Run the tests, and say how long each part took.

usage: tests/run.py [TIER...]        the tiers are lint, unit, integration, newest, coverage, molecule, e2e;
                                     all by default

Every part runs whatever became of the others. Those that use the local cloud take turns, for a machine has
one of it; the others run beside them, several at a time: most wait more than they compute. Their output goes
to tests/output, and is shown where a part failed. The last line is "N passed, N failed" over all of them: a
test that was skipped has not shown anything and counts as failed.

A part that hangs is stopped and counts as failed. All together end in time for CI, whatever hangs.

The unit and integration tests note which lines of plugins/ they run, in this process and in those that they
start; the tier coverage adds that up.

The tier newest runs once more, under the newest ansible-core, what runs plays; all else is under the oldest.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "tests/output"
AT_ONCE = 3
"""How many parts run at a time, beside the one that has the local cloud."""
SHOWN_LINES = 300
ALL_END = time.monotonic() + 85 * 60
"""When the last part is stopped. CI gives up five minutes later and would not tell what hung."""
TO_STOP = 20.0
"""Seconds that a part which is stopped has to tidy up."""
RUNNING: set[subprocess.Popen[bytes]] = set()
"""For Ctrl-C: what runs in a session of its own does not get it."""


@dataclass(frozen=True)
class Part:
    """One command of a tier.

    Attributes:
        report: the JUnit file that counts its tests, where it has many.
        cloud: whether it starts the local cloud, or makes what all of that needs.
        minutes: the time it may take. The slowest that was seen took a third of that.
    """

    tier: str
    name: str
    command: tuple[str, ...]
    report: Path | None = None
    cloud: bool = False
    minutes: float = 20

    @property
    def log(self) -> Path:
        """The file with its output."""
        return REPORTS / f"{self.tier}-{self.name.replace(' ', '-')}.log"


@dataclass(frozen=True)
class Outcome:
    """What became of a part. unfinished: why it did not come to its end, where it did not."""

    part: Part
    passed: int
    failed: int
    seconds: float
    unfinished: str = ""


def pytest_part(tier: str, name: str, *paths: str, cloud: bool = False, minutes: float = 20) -> Part:
    """Return the part that runs tests with pytest."""
    report = REPORTS / f"{tier}-{name}.xml"
    counted = ("-m", "coverage", "run") if tier in ("unit", "integration") else ()
    pytest = ("-m", "pytest", "-q", "--durations=10", f"--junit-xml={report}", *paths)
    return Part(tier, name, (sys.executable, *counted, *pytest), report, cloud, minutes)


def integration_parts() -> Iterator[Part]:
    """Yield a part for each file, so that the table tells what takes long."""
    for path in sorted((ROOT / "tests/integration").glob("test_*.py")):
        name = path.stem.removeprefix("test_")
        yield pytest_part("integration", name, str(path.relative_to(ROOT)), cloud=name == "localcloud")


UNDER_NEWEST = (
    "every_module",
    "no_log",
    "small_actions",
    "story",
    "terraform_interruptions",
    "terraform_output",
    "terraform_stack_play",
)
"""The integration tests that run plays and whose outcome is Ansible's as much as ours."""


def newest_parts() -> Iterator[Part]:
    """Yield the parts for the newest ansible-core. Its environment is made by the first of them."""
    for name in UNDER_NEWEST:
        part = pytest_part("newest", name, f"tests/integration/test_{name}.py")
        yield replace(part, command=("scripts/under-newest-ansible", *part.command))
    sanity = ("scripts/under-newest-ansible", "scripts/sanity")
    yield Part("newest", "ansible-test sanity", sanity, minutes=30)


COVERAGE = Part("coverage", "lines of plugins", ("scripts/coverage",))
"""Runs when all that it adds up has run."""


def parts() -> Iterator[Part]:
    """Yield every part: the quick ones first, then the long ones, so that none of those ends alone."""
    yield Part("lint", "ruff check", ("ruff", "check", "."))
    yield Part("lint", "ruff format", ("ruff", "format", "--check", "."))
    yield Part("lint", "mypy", ("mypy",))
    yield Part("lint", "yamllint", ("yamllint", "--strict", "."))
    yield Part("lint", "public names", (sys.executable, "-m", "tests.public_names"))
    yield Part("lint", "terraform fmt", ("terraform", "fmt", "-check", "-recursive", "terraform"))
    yield Part("lint", "ansible-lint", ("ansible-lint", "--offline", "--profile", "production"))
    yield Part("lint", "checkov", ("scripts/checkov",))
    yield Part("lint", "galaxy-importer", ("scripts/galaxy-importer",))
    yield Part("lint", "ansible-test sanity", ("scripts/sanity",), minutes=30)
    yield pytest_part("unit", "pytest", "tests/unit")
    mirror = (sys.executable, "-m", "localcloud", "mirror")
    yield Part("setup", "base image, mirror", mirror, cloud=True, minutes=30)
    yield pytest_part("e2e", "pytest", "tests/e2e", cloud=True, minutes=60)
    for scenario in sorted((ROOT / "molecule").glob("*/molecule.yml")):
        name = scenario.parent.name
        yield Part("molecule", name, ("molecule", "test", "--scenario-name", name))
    yield from integration_parts()
    yield from newest_parts()
    yield COVERAGE


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
    if part.report:
        part.report.unlink(missing_ok=True)
    with part.log.open("w") as log:
        began = time.monotonic()
        code = execute(part, log)
        seconds = time.monotonic() - began
    passed, failed = count(part.report) if part.report and part.report.exists() else (int(code == 0), 0)
    if code != 0 and not failed:
        failed = 1
    unfinished = "" if code is not None else "hung, was stopped" if seconds > 1 else "no time was left for it"
    outcome = Outcome(part, passed, failed, seconds, unfinished)
    show(outcome)
    return outcome


def execute(part: Part, log: IO[str]) -> int | None:
    """Run a part's command; its exit code, None when it was not given the time to end."""
    limit = min(part.minutes * 60, ALL_END - time.monotonic())
    if limit <= 0:
        return None
    with subprocess.Popen(
        part.command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        RUNNING.add(process)
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            stop(process)
            return None
        finally:
            RUNNING.discard(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a part with all that it has started: first politely, for it may have containers to remove."""
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, number)
            process.wait(TO_STOP)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # also what did not end with it
    process.wait()


def show(outcome: Outcome) -> None:
    """Say what became of a part, with the end of its output where it failed."""
    part = outcome.part
    counts = f"{outcome.passed} passed, {outcome.failed} failed"
    text = f"{part.tier}: {part.name}: {counts} ({outcome.seconds:.0f} s) {outcome.unfinished}".rstrip()
    if outcome.failed:
        lines = part.log.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
        text = "\n".join(["", f"=== {text}", *lines, f"=== end of {part.tier}: {part.name}", ""])
    print(text, flush=True)


def table(outcomes: list[Outcome]) -> str:
    """Return the outcomes and times as a text."""
    rows = [f"{'tier':<12} {'part':<24} {'passed':>7} {'failed':>7} {'seconds':>8}"]
    rows += [
        f"{one.part.tier:<12} {one.part.name:<24} {one.passed:>7} {one.failed:>7} {one.seconds:>8.1f}"
        + (f"  {one.unfinished}" if one.unfinished else "")
        for one in outcomes
    ]
    return "\n".join(rows)


def main(tiers: list[str]) -> int:
    """Run the tiers that are named, or all, and return 1 when anything failed."""
    known = list(dict.fromkeys(part.tier for part in parts()))
    for unknown in set(tiers) - set(known):
        print(f"{unknown} is no tier: there are {', '.join(known)}.", file=sys.stderr)
        return 2
    REPORTS.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, and what the tests interrupt would too
    os.environ["NO_COLOR"] = "1"
    os.environ["DS_STACK_CHECKOUT"] = str(ROOT)  # for coverage: tests start processes in other folders
    os.environ.setdefault("CONTAINERS_CONF", str(ROOT / "localcloud/containers.conf"))
    chosen = [part for part in parts() if not tiers or part.tier in tiers]
    if {"unit", "integration"} & {part.tier for part in chosen}:
        shutil.rmtree(REPORTS / "coverage", ignore_errors=True)
    with ThreadPoolExecutor(1) as cloud, ThreadPoolExecutor(AT_ONCE) as others:
        pools = {True: cloud, False: others}
        begun = [pools[part.cloud].submit(run, part) for part in chosen if part is not COVERAGE]
        try:
            outcomes = [one.result() for one in begun]
        except KeyboardInterrupt:
            for pool in pools.values():
                pool.shutdown(wait=False, cancel_futures=True)
            for process in tuple(RUNNING):
                stop(process)
            raise
    if COVERAGE in chosen:
        outcomes.append(run(COVERAGE))
    failed = sum(one.failed for one in outcomes)
    print(f"\n{table(outcomes)}\n\n{sum(one.passed for one in outcomes)} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
