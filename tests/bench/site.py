#!/usr/bin/env python3
"""What `site.yml` costs when there is nothing to change: beside the bare plans of the stack's three parts.

usage: python -m tests.bench.site [ROUNDS]      default: 7

Needs the stack that `make demo` has made on the local cloud, and the environment that made it. See costs.py
for how it is measured. The exit code is 1 when the bar is not met or there is no figure.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import yaml

from tests.bench.costs import Cost, NoFigure, adopt_orphans, in_turn, measure, verdict

ROOT = Path(__file__).resolve().parents[2]
CLOUD = Path(os.environ.get("DS_STACK_CACHE", ROOT / ".cache")) / "localcloud/run"
ON_CLOUD = ROOT / "scripts/on-localcloud"
PLAN = ["terraform", "plan", "-json", "-input=false", "-detailed-exitcode"]
SITE = ["ansible-playbook", "-e", f"@{ROOT}/examples/localcloud.yml", "site.yml"]

BAR = 2.5
"""What site.yml may cost at most, as a multiple of the bare plans."""


def work_dirs() -> list[Path]:
    """Where Terraform runs for each part of the stack."""
    example = yaml.safe_load((ROOT / "examples/localcloud.yml").read_text())
    if not (CLOUD / "vars.yml").exists():
        raise SystemExit("The local cloud does not run: make demo makes it, and the stack that is measured.")
    cloud = yaml.safe_load((CLOUD / "vars.yml").read_text())
    stack = Path(cloud["ds_stack_dir"].replace("{{ ds_stack_name }}", example["ds_stack_name"]))
    return [stack / "terraform" / part for part in ("network", "data", "instance")]


def site() -> Cost:
    """One run of the playbook, which must find nothing to change."""
    return measure([ON_CLOUD, *SITE], ROOT, success=lambda code, output: code == 0 and "changed=0 " in output)


def plan(directory: Path) -> Cost:
    """One bare plan, which must find nothing to change."""
    return measure([ON_CLOUD, *PLAN], directory)


def main() -> int:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    plans: dict[str, Callable[[], Cost]] = {path.name: partial(plan, path) for path in work_dirs()}
    adopt_orphans()
    print(
        f"{date.today()}, {os.cpu_count()} processors, nothing to change: seconds of processor time "
        f"(and on the clock), median of {rounds} rounds"
    )
    try:
        found = in_turn({**plans, "site.yml": site}, rounds)
        for who in found.costs:
            cost = found.median(who)
            name = who if who == "site.yml" else f"bare plan of {who}"
            print(f"{name:34}{cost.processor:8.2f} ({cost.wall:.2f})")
        ratio = found.ratio("site.yml", *plans)
    except NoFigure as error:
        print(f"No figure: {error}.")
        return 1
    print(f"{'site.yml / the three plans':34}{verdict(ratio, BAR)}")
    return 0 if ratio.median <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
