#!/usr/bin/env python3
"""What Spark costs on the local cloud: a first result after cluster.yml, and a job with 1 and 2 workers.

usage: python -m tests.bench.spark      (about 12 minutes, with the local cloud, which it starts and stops)

The job is for the processor alone: a digest of each of so many numbers. A worker of the local cloud has one
core of this machine, which the rest of the cluster shares: of EMR it says nothing.
"""

from __future__ import annotations

import os
import tempfile
import time
from datetime import date
from pathlib import Path

from tests.clients.jupyterhub import Hub
from tests.e2e.conftest import Stack, localcloud
from tests.e2e.test_cluster import CLUSTER, PATIENCE, VARIABLES, wait_until_known, workers
from tests.e2e.visits import run_cell, signed_in

ROWS = 6_000_000
FIRST = "print(spark.range(10).count())"
#: The median of three, after one that warms up.
JOB = f"""
import statistics, time
def seconds():
    began = time.monotonic()
    spark.range(0, {ROWS}, 1, 8).selectExpr("max(sha2(string(id), 512))").first()
    return time.monotonic() - began
seconds()
print(f"{{statistics.median(seconds() for _ in range(3)):.1f}}")
"""


def main() -> None:
    """Print the table."""
    localcloud("start")
    try:
        with tempfile.TemporaryDirectory() as folder:
            measure(Stack("sparkbench", Path(folder), dict(VARIABLES)), Path(folder))
    finally:
        localcloud("stop")


def measure(stack: Stack, folder: Path) -> None:
    """Make a cluster, and ask it."""
    print(f"{date.today()}, {os.cpu_count()} processors, {ROWS} rows: seconds", flush=True)
    stack.play("site")
    for what in ("with the nodes' image to bake", "with the image there"):
        ask_for(stack, 1)
        began = time.monotonic()
        made = stack.play("cluster").seconds
        with signed_in(stack, folder) as alice:
            wait_until_known(alice)
            run_cell(alice, FIRST, timeout=PATIENCE)
            print(f"first result {what}: {time.monotonic() - began:.0f} (cluster.yml {made:.0f})", flush=True)
            if what == "with the image there":
                compare(stack, alice)
        stack.play("cluster_stop")
    stack.play("destroy", ds_stack_replace="now", ds_stack_destroy_data=True, ds_stack_destroy_images=True)


def compare(stack: Stack, user: Hub) -> None:
    """Ask the same with 1 worker and with 2."""
    for count in (1, 2):
        if count > 1:
            ask_for(stack, count)
            stack.play("cluster")
            while len(workers()) < count:
                time.sleep(1)
            time.sleep(20)  # until Spark has its executor there
        print(f"the job with {count} worker(s): {run_cell(user, JOB, timeout=PATIENCE)}", flush=True)


def ask_for(stack: Stack, count: int) -> None:
    """Want a cluster of so many workers."""
    stack.variables["ds_stack_cluster"] = {**CLUSTER, "workers": {"min": count, "max": count, "core": 1}}


if __name__ == "__main__":
    main()
