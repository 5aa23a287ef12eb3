"""What a cluster is where little is said of it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.spark import DEFAULTS, VERSIONS, whole

from tests.unit.plugins.stack.test_configuration import OPTIONS, problems

SUBOPTIONS = OPTIONS["ds_stack_cluster"]["options"]


def test_documented_defaults_are_the_real_ones() -> None:
    documented = {name: option["default"] for name, option in SUBOPTIONS.items() if "default" in option}
    assert documented == DEFAULTS
    of_workers = {name: option["default"] for name, option in SUBOPTIONS["workers"]["options"].items()}
    assert of_workers == DEFAULTS["workers"]


def test_nothing_but_that_there_is_one() -> None:
    assert problems(cluster={}) == []
    assert whole({}) == {
        "release": "emr-spark-8.0.0",
        "instance_type": "m7i.xlarge",
        "workers": {"min": 1, "max": 4, "core": 1},
        "idle_minutes": 60,
        "read_buckets": [],
        "write_buckets": [],
        "subnet_id": None,
        "image_id": None,
        "base_image": {
            "owner": "amazon",
            "name": "al2023-ami-2023.*-kernel-6.1-x86_64",
            "ssh_username": "ec2-user",
            "root_device_name": "/dev/xvda",
        },
        "spark": "4.0.2",
    }
    assert whole({}).keys() - {"spark"} == SUBOPTIONS.keys()


def test_what_is_said_of_the_workers_leaves_the_rest() -> None:
    assert whole({"workers": {"max": 8}})["workers"] == {"min": 1, "max": 8, "core": 1}
    assert DEFAULTS["workers"] == {"min": 1, "max": 4, "core": 1}


def test_another_base_image_of_the_same_owner() -> None:
    found = whole({"base_image": {"name": "our-al2023-*"}})["base_image"]
    assert (found["name"], found["owner"], found["ssh_username"]) == ("our-al2023-*", "amazon", "ec2-user")
    assert problems(cluster={"base_image": {"name": "our-al2023-*", "owner": "self"}}) == []


def test_numbers_of_a_command_line() -> None:
    found = whole({"idle_minutes": "5", "workers": {"min": "2", "max": "3", "core": "2"}})
    assert (found["idle_minutes"], found["workers"]) == (5, {"min": 2, "max": 3, "core": 2})


@pytest.mark.parametrize("release", VERSIONS)
def test_every_release_has_a_spark(release: str) -> None:
    assert whole({"release": release})["spark"] == VERSIONS[release]
    assert problems(cluster={"release": release}) == []


@pytest.mark.parametrize(
    "cluster",
    [
        {"workers": {"min": 2, "max": 2, "core": 2}},
        {"idle_minutes": 1},
        {"idle_minutes": "10080"},
        {"read_buckets": ["a.b.c", "team-data-1"], "write_buckets": ["x" * 63]},
        {"subnet_id": "subnet-0123456789abcdef0", "image_id": "ami-01234567", "instance_type": "r6i.4xlarge"},
        {"instance_type": "m4.large"},  # of Xen, which only the machine cannot be
    ],
)
def test_what_is_accepted(cluster: dict[str, Any]) -> None:
    assert problems(cluster=cluster) == []


@pytest.mark.parametrize(
    ("workers", "advice"),
    [
        ({"core": 9}, ["min: Take 9 or more", "max: Take 9 or more"]),
        (
            {"core": -1, "min": -2, "max": -3},
            ["core: Take 1 or more", "min: Take 1 or more", "max: Take 1 or more"],
        ),
        ({"core": 0, "min": 3, "max": 2}, ["core: Take 1 or more", "max: Take 3 or more"]),
    ],
)
def test_all_that_is_wrong_with_the_workers_is_told_at_once(
    workers: dict[str, int], advice: list[str]
) -> None:
    found = problems(cluster={"workers": workers})
    assert len(found) == len(advice)
    for sentence, wanted in zip(found, advice, strict=True):
        variable, words = wanted.split(": ")
        assert sentence.startswith(f"ds_stack_cluster.workers.{variable}: ")
        assert words in sentence
