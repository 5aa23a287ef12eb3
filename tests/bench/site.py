#!/usr/bin/env python3
"""What `site.yml` costs when there is nothing to change: beside the bare plans of the stack's three parts.

usage: tests/bench/site.py [ROUNDS]      default: 7; the median of the rounds counts

Needs the stack that `make demo` has made on the local cloud, and the environment that made it. Times are
seconds on the wall clock, so run it on a machine that does nothing else.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
CLOUD = Path(os.environ.get("DS_STACK_CACHE", ROOT / ".cache")) / "localcloud/run"
ON_CLOUD = ROOT / "scripts/on-localcloud"
PLAN = ["terraform", "plan", "-json", "-input=false", "-detailed-exitcode"]
SITE = ["ansible-playbook", "-e", f"@{ROOT}/examples/localcloud.yml", "site.yml"]

BAR = 1.3
"""What site.yml may take at most, as a multiple of the bare plans."""


def timed(command: list[str], directory: Path) -> float:
    """Seconds that a command takes on the local cloud. It must find nothing to change."""
    began = time.monotonic()
    run = subprocess.run([ON_CLOUD, *command], cwd=directory, capture_output=True, text=True, check=False)
    if run.returncode != 0 or (command is SITE and "changed=0 " not in run.stdout):
        raise SystemExit(f"{command} changes something, or failed:\n{run.stdout}{run.stderr}")
    return time.monotonic() - began


def work_dirs() -> list[Path]:
    """Where Terraform runs for each part of the stack."""
    example = yaml.safe_load((ROOT / "examples/localcloud.yml").read_text())
    if not (CLOUD / "vars.yml").exists():
        raise SystemExit("The local cloud does not run: make demo makes it, and the stack that is measured.")
    cloud = yaml.safe_load((CLOUD / "vars.yml").read_text())
    stack = Path(cloud["ds_stack_dir"].replace("{{ ds_stack_name }}", example["ds_stack_name"]))
    return [stack / "terraform" / part for part in ("network", "data", "instance")]


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    directories = work_dirs()
    bare: dict[str, list[float]] = {directory.name: [] for directory in directories}
    site = []
    for _ in range(rounds):
        for directory in directories:
            bare[directory.name].append(timed(PLAN, directory))
        site.append(timed(SITE, ROOT))
    plans = {part: statistics.median(times) for part, times in bare.items()}
    total, whole = sum(plans.values()), statistics.median(site)
    print(f"median of {rounds}, seconds; site.yml with nothing to change")
    for part, seconds in plans.items():
        print(f"{f'bare plan of {part}':34}{seconds:8.2f}")
    print(f"{'the three together':34}{total:8.2f}")
    verdict = "<=" if whole <= BAR * total else "not <="
    print(f"{'site.yml':34}{whole:8.2f}  {whole / total:.2f} times the plans ({verdict} {BAR})")


if __name__ == "__main__":
    main()
