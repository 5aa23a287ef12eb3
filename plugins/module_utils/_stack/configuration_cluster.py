# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the Spark cluster that a configuration asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .configuration_types import either
from .names import shown
from .spark import IDLE_MINUTES, VERSIONS, whole

CLUSTER = "ds_stack_cluster"

BUCKET = re.compile(r"(?=.{3,63}$)[a-z0-9][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*)*(?<!-)")
ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){3}")
"""What names a bucket, and among that what does not:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""


def cluster_problems(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield one sentence for each thing that is wrong.

    Args:
        values: the ``ds_stack_`` variables, of the right types.
    """
    given = values.get(CLUSTER)
    if given is None:
        return
    cluster = whole(given)
    if "jupyterhub" not in (values.get("ds_stack_components") or ["jupyterhub"]):
        yield (
            f"{CLUSTER}: the cluster is used from the users' Python, and there is none without JupyterHub. "
            "Add jupyterhub to ds_stack_components."
        )
    if not cluster["spark"]:
        yield (
            f"{CLUSTER}.release: '{shown(cluster['release'])}' is no release of EMR whose Spark is known "
            f"here. Take {either(list(VERSIONS))}."
        )
    if values.get("ds_stack_subnet_id") and not cluster["subnet_id"]:
        yield (
            f"{CLUSTER}.subnet_id is missing: with ds_stack_subnet_id the VPC is not the stack's own, in "
            "which no subnet is made. Name one for the cluster, which gives no public addresses."
        )
    yield from _workers_problems(cluster["workers"])
    least, most = IDLE_MINUTES
    if not least <= cluster["idle_minutes"] <= most:
        yield (
            f"{CLUSTER}.idle_minutes: {cluster['idle_minutes']} is not between {least} and {most}, a week. A "
            "cluster that never ends by itself costs money for nothing."
        )
    for key in ("read_buckets", "write_buckets"):
        for name in cluster[key]:
            if problem := _bucket_problem(name):
                yield f"{CLUSTER}.{key}: {problem}"
    for name in sorted(set(cluster["read_buckets"]) & set(cluster["write_buckets"])):
        yield (
            f"{CLUSTER}: {shown(name)} is in read_buckets and in write_buckets, from which the cluster reads "
            "too. Leave it out of read_buckets."
        )


def _workers_problems(workers: Mapping[str, int]) -> Iterator[str]:
    """1 <= core <= min <= max, each told once."""
    core, least, most = workers["core"], workers["min"], workers["max"]
    if core < 1:
        yield (
            f"{CLUSTER}.workers.core: {core} is too few. Take 1 or more: their disks keep what Spark shares."
        )
    core = max(core, 1)
    if least < core:
        yield (
            f"{CLUSTER}.workers.min: {least} is less than the {core} of core, which are always there. Take "
            f"{core} or more, or fewer of core."
        )
        least = core
    if most < least:
        yield f"{CLUSTER}.workers.max: {most} is less than the {least} of min. Take {least} or more."


def _bucket_problem(name: str) -> str | None:
    if _is_bucket(name):
        return None
    bare = re.sub(r"^(s3[an]?://|arn:aws[a-z-]*:s3:::)", "", name).partition("/")[0]
    if bare != name and _is_bucket(bare):
        hint = f"Did you mean {bare}? The cluster gets the whole bucket."
    elif _is_bucket(name.lower()):
        hint = f"Did you mean {name.lower()}?"
    else:
        hint = "Write 3 to 63 lower-case letters, digits, hyphens and dots, such as my-team-data."
    return f"'{shown(name)}' is no name of a bucket. {hint}"


def _is_bucket(text: str) -> bool:
    return BUCKET.fullmatch(text) is not None and not ADDRESS.fullmatch(text)
