#!/usr/bin/env python3
"""Run the tests, and say how long each part took.

usage: tests/run.py [TIER...]        the tiers are lint, unit, integration, newest, coverage, molecule, e2e;
                                     all by default

Every part runs whatever became of the others. Those that use the local cloud take turns, for a machine has
one of it, and have the processors first: together they take longest. The others run beside them, several at a
time, the longest of the last run first: most wait more than they compute. Their output goes to tests/output,
and is shown where a part failed. The last line is "N passed, N failed" over all of them: a test that was
skipped has not shown anything and counts as failed.

The table tells of each part how long it took, and how much processor time it and all that it started took:
that is the same whatever runs beside it.

A part that hangs is stopped and counts as failed. All together end in time for CI, whatever hangs.

The unit tests and some of the integration tests note which lines of plugins/ they run, in this process and in
those that they start; the tier coverage adds that up.

The tier newest runs once more, under the newest ansible-core, what runs plays; all else is under the oldest.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

import yaml

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "tests/output"
ACCOUNTED = ROOT / "tests/accounted.py"
TIMES = REPORTS / "seconds.json"
"""How long each part took when it last ran here."""
COMPILED = REPORTS / "compiled"
"""What tests/compiled/sitecustomize.py keeps."""
AT_ONCE = 4
"""How many parts run at a time, beside the one that has the local cloud."""
LONGEST = (
    "setup: base image, mirror",
    "lint: ansible-test sanity",
    "newest: ansible-test sanity",
    "molecule: r",
    "molecule: jupyterhub",
    "molecule: first_boot",
    "molecule: rstudio_server",
    "molecule: spark",
    "integration: cluster_plays",
    "integration: replacement",
    "integration: destroy",
    "integration: one_record",
    "integration: restore",
    "integration: rollback",
    "integration: kill_points",
    "integration: packer_image",
    "integration: story",
    "newest: story",
    "integration: terraform_code",
    "integration: packer_image_play",
)
"""What is taken to be longest where no times are known yet."""
SOAKED = frozenset({"image"})
"""Scenarios that take too long for each change: `make soak` runs them."""
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
        cloud: whether it starts the local cloud, of which a machine has one.
        first: whether it has the processors before the others, for they all wait for it.
        after: the tiers and parts that must have run before it.
        minutes: the time it may take. The slowest that was seen took a third of that.
    """

    tier: str
    name: str
    command: tuple[str, ...]
    report: Path | None = None
    cloud: bool = False
    first: bool = False
    after: frozenset[str] = frozenset()
    minutes: float = 40

    @property
    def key(self) -> str:
        """Its name among all parts."""
        return f"{self.tier}: {self.name}"

    @property
    def log(self) -> Path:
        """The file with its output."""
        return REPORTS / f"{self.tier}-{self.name.replace(' ', '-')}.log"


@dataclass(frozen=True)
class Outcome:
    """What became of a part.

    Attributes:
        seconds: by the clock.
        processor: seconds of processor time, of all its processes.
        unfinished: why it did not come to its end, where it did not.
    """

    part: Part
    passed: int
    failed: int
    seconds: float
    processor: float
    unfinished: str = ""


SETUP = frozenset({"setup"})
COUNTED = {
    "credentials",
    "packer_image",
    "small_actions",
    "stack_record",
    "stack_variables",
    "terraform_output",
    "terraform_stack",
    "terraform_stack_play",
}
"""The integration tests whose lines are counted: they run what unit tests do not. It takes a third longer."""


def pytest_part(tier: str, name: str, *paths: str, **options: Any) -> Part:
    """Return the part that runs tests with pytest."""
    report = REPORTS / f"{tier}-{name}.xml"
    counted = (
        ("-m", "coverage", "run") if tier == "unit" or (tier == "integration" and name in COUNTED) else ()
    )
    pytest = ("-m", "pytest", "-q", "--durations=10", f"--junit-xml={report}", *paths)
    return Part(tier, name, (sys.executable, *counted, *pytest), report, **options)


def integration_parts() -> Iterator[Part]:
    """Yield a part for each file, so that the table tells what takes long."""
    for path in sorted((ROOT / "tests/integration").glob("test_*.py")):
        name = path.stem.removeprefix("test_")
        after = SETUP if name in ("mirror", "conda_environment") else frozenset()
        yield pytest_part(
            "integration", name, str(path.relative_to(ROOT)), cloud=name == "localcloud", after=after
        )


def molecule_parts() -> Iterator[Part]:
    """Yield a part for each scenario. It waits for those with whose layers its machines begin."""
    for path in sorted((ROOT / "molecule").glob("*/molecule.yml")):
        name = path.parent.name
        if name in SOAKED:
            continue
        platforms = yaml.safe_load(path.read_text())["platforms"]
        layers = {f"molecule: {platform['layer']}" for platform in platforms if "layer" in platform}
        yield Part("molecule", name, ("molecule", "test", "--scenario-name", name), after=SETUP | layers)


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


def parts() -> Iterator[Part]:
    """Yield every part, in the order of a first run: what can begin at once, then what needs the machines."""
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
    yield Part("setup", "base image, mirror", mirror, first=True, minutes=30)
    yield pytest_part("e2e", "pytest", "tests/e2e", cloud=True, after=SETUP, minutes=60)
    yield from molecule_parts()
    yield from integration_parts()
    yield pytest_part("integration", "kill_points", "tests/faults")
    yield from newest_parts()
    yield Part(
        "coverage", "lines of plugins", ("scripts/coverage",), after=frozenset({"unit", "integration"})
    )


def longest_first(chosen: list[Part]) -> list[Part]:
    """Order parts by what they took the last time; those that have not run here come first."""
    try:
        took = json.loads(TIMES.read_text())
    except (OSError, ValueError):
        took = {}
    guessed = {key: -float(place) for place, key in enumerate(LONGEST)}
    unknown = float("inf"), -float(len(LONGEST))
    return sorted(
        chosen,
        key=lambda part: (took.get(part.key, unknown[0]), guessed.get(part.key, unknown[1])),
        reverse=True,
    )


def remember(outcomes: list[Outcome]) -> None:
    """Keep how long parts took, for the order of the next run."""
    known = json.loads(TIMES.read_text()) if TIMES.exists() else {}
    known |= {one.part.key: round(one.seconds, 1) for one in outcomes if not one.unfinished}
    TIMES.write_text(json.dumps(known, indent=1))


@dataclass
class Queue:
    """The parts that are still to be run, those that run, and what became of the others."""

    waiting: list[Part]
    running: list[Part] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, cloud: bool) -> Part | None:
        """Wait for the next part that may begin, None when there will be none."""
        with self.changed:
            while mine := [part for part in self.waiting if part.cloud == cloud]:
                unfinished = {
                    name for part in (*self.waiting, *self.running) for name in (part.tier, part.key)
                }
                if ready := [part for part in mine if not part.after & unfinished]:
                    self.waiting.remove(ready[0])
                    self.running.append(ready[0])
                    return ready[0]
                self.changed.wait()
            return None

    def work(self, cloud: bool) -> None:
        """Run one part after the other, of those that have the local cloud or of the others."""
        while part := self.take(cloud):
            try:
                self.outcomes.append(run(part))
            finally:
                with self.changed:
                    self.running.remove(part)
                    self.changed.notify_all()

    def give_up(self) -> None:
        """Begin nothing more."""
        with self.changed:
            self.waiting.clear()
            self.changed.notify_all()


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
        code, processor = execute(part, log)
        seconds = time.monotonic() - began
    passed, failed = count(part.report) if part.report and part.report.exists() else (int(code == 0), 0)
    if code != 0 and not failed:
        failed = 1
    unfinished = "" if code is not None else "hung, was stopped" if seconds > 1 else "no time was left for it"
    outcome = Outcome(part, passed, failed, seconds, processor, unfinished)
    show(outcome)
    return outcome


def execute(part: Part, log: IO[str]) -> tuple[int | None, float]:
    """Run a part's command; its exit code, None when it was not given the time to end, and processor time."""
    limit = min(part.minutes * 60, ALL_END - time.monotonic())
    if limit <= 0:
        return None, 0.0
    with subprocess.Popen(
        [sys.executable, str(ACCOUNTED), "first" if part.cloud or part.first else "after", *part.command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        RUNNING.add(process)
        try:
            processor = wait(process, limit)
            if processor is not None:
                return process.returncode, processor
            return None, stop(process)
        finally:
            RUNNING.discard(process)


def wait(process: subprocess.Popen[bytes], seconds: float) -> float | None:
    """Wait for a process: its processor time and that of all it waited for, None when it has not ended."""
    end = time.monotonic() + seconds
    while process.returncode is None:
        try:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        except ChildProcessError:
            break
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage.ru_utime + usage.ru_stime
        if time.monotonic() > end:
            return None
        time.sleep(0.05)
    return 0.0  # another thread has waited for it


def stop(process: subprocess.Popen[bytes]) -> float:
    """Stop a part with all that it has started: first politely, for it may have containers to remove."""
    processor = None
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
            processor = wait(process, TO_STOP)
        if processor is not None:
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # also what did not end with it
    return processor or wait(process, TO_STOP) or 0.0


def show(outcome: Outcome) -> None:
    """Say what became of a part, with the end of its output where it failed."""
    part = outcome.part
    counts = f"{outcome.passed} passed, {outcome.failed} failed"
    took = f"{outcome.seconds:.0f} s, of a processor {outcome.processor:.0f} s"
    text = f"{part.key}: {counts} ({took}) {outcome.unfinished}".rstrip()
    if outcome.failed:
        lines = part.log.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
        text = "\n".join(["", f"=== {text}", *lines, f"=== end of {part.key}", ""])
    print(text, flush=True)


def table(outcomes: list[Outcome]) -> str:
    """Return the outcomes and times as a text."""
    rows = [f"{'tier':<12} {'part':<24} {'passed':>7} {'failed':>7} {'seconds':>8} {'processor':>10}"]
    rows += [
        f"{one.part.tier:<12} {one.part.name:<24} {one.passed:>7} {one.failed:>7} {one.seconds:>8.1f} "
        f"{one.processor:>10.1f}" + (f"  {one.unfinished}" if one.unfinished else "")
        for one in outcomes
    ]
    return "\n".join(rows)


def busy() -> tuple[float, float]:
    """Return how long all processors have worked and how long there were any, in seconds since the boot."""
    ticks = [int(one) for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    a_second = os.sysconf("SC_CLK_TCK")
    return (sum(ticks) - ticks[3] - ticks[4]) / a_second, sum(ticks) / a_second  # without idle and iowait


def compile_once() -> None:
    """Let all that is started keep the modules that Ansible sends as compiled code, for this run alone."""
    shutil.rmtree(COMPILED, ignore_errors=True)
    COMPILED.mkdir(parents=True)
    os.environ["DS_STACK_TEST_COMPILED"] = str(COMPILED)
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests/compiled"), *([path] if path else [])])


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
    # For Terraform, its provider and Packer: a tenth less processor time for a tenth more memory.
    os.environ.setdefault("GOGC", "400")
    os.environ.setdefault("CONTAINERS_CONF", str(ROOT / "localcloud/containers.conf"))
    compile_once()
    chosen = [part for part in parts() if not tiers or part.tier in tiers]
    if {"unit", "integration"} & {part.tier for part in chosen}:
        shutil.rmtree(REPORTS / "coverage", ignore_errors=True)
    queue = Queue(longest_first(chosen))
    worked, there = busy()
    with ThreadPoolExecutor(1 + AT_ONCE) as pool:
        try:
            for worker in [pool.submit(queue.work, number == 0) for number in range(1 + AT_ONCE)]:
                worker.result()
        except KeyboardInterrupt:
            queue.give_up()
            for process in tuple(RUNNING):
                stop(process)
            raise
    outcomes = sorted(queue.outcomes, key=lambda one: chosen.index(one.part))
    remember(outcomes)
    share = (busy()[0] - worked) / max(busy()[1] - there, 0.01)
    total = f"{sum(one.processor for one in outcomes):.0f} s of a processor"
    failed = sum(one.failed for one in outcomes)
    print(f"\n{table(outcomes)}\n\nAll took {total}; the machine's were busy for {share:.0%} of the time.")
    print(f"{sum(one.passed for one in outcomes)} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
