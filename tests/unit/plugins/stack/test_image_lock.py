"""The lock of an image: what it holds a bake to, what stands for it, and what a bake makes of it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.image_lock import (
    completed,
    damage,
    for_bake,
)

BASE, SYSTEM, DS, LIBRARY = "ami-0a1b2c3d", "debian-12", "/opt/conda/envs/ds", "/usr/local/lib/R/site-library"
NAMES = {
    "os": ["base_apt_day"],
    "conda": ["conda_installer_checksum", "conda_version"],
    "r": ["r_snapshot_date", "rstudio_server_version"],
}
NUMPY = "https://conda.example/conda-forge/linux-64/numpy-2.3.4-0.conda"


def receipt(numpy: str = NUMPY, dplyr: str = "1.1.4", git: str = "1:2.39", **settings: str) -> dict[str, Any]:
    """A machine's receipt, as far as a lock needs it."""
    chosen = {"base_apt_day": "2026-11-28", "conda_version": "26.3", "r_snapshot_date": "2026-06-01"}
    return {
        "settings": {**chosen, **settings},
        "os": {"git": {"version": git, "architecture": "amd64"}},
        "files": {"git": f"hash of {git}"},
        "requests": {DS: ["numpy"]},
        "conda": {DS: {"numpy": {"version": "2.3.4", "source": numpy, "md5": "ab"}}},
        "r": {LIBRARY: {"dplyr": {"version": dplyr, "sha256": "cd"}, "MASS": {"version": "7.3"}}},
    }


def look(lock: dict[str, Any], **others: Any) -> dict[str, Any]:
    given = {"base_image": BASE, "system": SYSTEM, "relock": [], "asked": {}, **others}
    return for_bake(lock, **given)


def bake(lock: dict[str, Any], made: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    """The lock after a bake."""
    parts = look(lock, **others)["parts"]
    place = {"base_image": BASE, "system": SYSTEM, **others}
    return completed(
        lock,
        parts,
        made or receipt(),
        base_image=place["base_image"],
        system=place["system"],
        names=NAMES,
    )


def test_a_first_bake_is_held_to_nothing_and_its_lock_holds_the_next() -> None:
    lock = {"schema": 1, "base_image": {"image_id": BASE}}
    first = look(lock)
    assert (first["parts"], first["variables"], first["contradictions"]) == ({}, {}, [])
    after = bake(lock)
    assert {key: after[key] for key in lock} == lock
    assert damage(after) is None
    assert look(after)["variables"] == {
        "base_apt_day": "2026-11-28",
        "conda_version": "26.3",
        "r_snapshot_date": "2026-06-01",
        "base_locked_packages": {"git": "1:2.39"},
        "base_locked_files": {"git": "hash of 1:2.39"},
        "jupyterhub_locked_environments": {DS: {"specs": ["numpy"], "packages": [f"{NUMPY}#ab"]}},
        "r_locked_packages": {"dplyr": {"version": "1.1.4", "sha256": "cd"}},
    }


def test_what_a_bake_writes_makes_no_other_image() -> None:
    """Of the first bake, of one with more packages, and when the same is written once more."""
    lock = {"schema": 1}
    after = bake(lock)
    assert look(after)["stands_for"] == look(lock)["stands_for"]
    assert bake(after) == after
    more = receipt()
    more["r"][LIBRARY]["tidyr"] = {"version": "1.3", "sha256": "ef"}
    extended = bake(after, more)
    assert extended["r"]["packages"].keys() == {"dplyr", "tidyr"}
    assert look(extended)["stands_for"] == look(lock)["stands_for"]


def test_a_lock_of_another_content_makes_another_image() -> None:
    """Changed by a person, or with a part taken out, which is how it was moved before ds_stack_relock."""
    after = bake({})
    edited, without = deepcopy(after), deepcopy(after)
    edited["r"]["packages"]["dplyr"]["version"] = "1.0"
    del without["conda"]
    seen = {look(one)["stands_for"] for one in ({}, edited, without)}
    assert len(seen) == 3
    # and stays the lock of the image that it makes
    assert look(bake(edited))["stands_for"] == look(edited)["stands_for"]


@pytest.mark.parametrize(
    ("relock", "held"),
    [
        ([], ["os", "conda", "r"]),
        (["conda"], ["os", "r"]),
        (["os", "r"], ["conda"]),
        (["base"], ["conda", "r"]),  # what lies on it is upgraded with it
        (["all"], []),
    ],
)
def test_parts_are_locked_anew_on_purpose(relock: list[str], held: list[str]) -> None:
    lock = bake({})
    assert list(look(lock, relock=relock)["parts"]) == held
    newer = receipt(NUMPY.replace("2.3.4", "2.4.0"), "1.2.0", conda_version="26.9")
    moved = bake(lock, newer, relock=relock)
    assert moved["conda"]["environments"][DS]["packages"] == [
        "https://conda.example/conda-forge/linux-64/numpy-2.4.0-0.conda#ab"
    ]
    assert look(moved)["stands_for"] == look(lock, relock=relock)["stands_for"]


def test_another_base_image_or_system_is_not_held_to_what_lay_on_the_old_one() -> None:
    lock = bake({})
    assert list(look(lock, base_image="ami-0ffffffff")["parts"]) == ["conda", "r"]
    assert list(look(lock, system="ubuntu-24.04")["parts"]) == ["os", "conda"]


def test_the_systems_packages_move_with_their_own_part_alone() -> None:
    lock = bake({})
    newer = receipt(git="1:2.47")
    for relock, git in (["conda"], "1:2.39"), (["os"], None), (["base"], None):
        assert look(lock, relock=relock)["variables"].get("base_locked_packages", {}).get("git") == git
    moved = bake(lock, newer, relock=["os"])["os"]
    assert (moved["packages"], moved["files"]) == ({"git": "1:2.47"}, {"git": "hash of 1:2.47"})


@pytest.mark.parametrize("without", [["packages", "files"], ["files"]])
def test_a_lock_of_before_the_systems_packages_or_their_files_keeps_its_image(without: list[str]) -> None:
    """The receipt that is there completes it. That may be one of before, too."""
    lock = bake({})
    old = {**lock, "os": {key: value for key, value in lock["os"].items() if key not in without}}
    old["baked"] = {"under": "a", "gave": look({**old, "baked": {}})["stands_for"]}
    assert damage(old) is None
    assert not look(old)["variables"].keys() & {f"base_locked_{field}" for field in without}
    now = bake(old)
    assert now["os"] == lock["os"]
    earlier = {key: value for key, value in receipt().items() if key != "files"}
    assert bake(old, earlier)["os"]["files"] == {}
    assert look(now)["stands_for"] == look(old)["stands_for"] == "a"


def test_what_is_asked_for_and_locked_as_another_is_told() -> None:
    lock = bake({})
    asked = {"conda_version": "26.9", "r_snapshot_date": "2026-06-01", "r_cran_url": "https://cran.example"}
    assert look(lock, asked=asked)["contradictions"] == [
        'conda_version is 26.9, the lock says 26.3 (to move it: -e \'{"ds_stack_relock": ["conda"]}\')'
    ]
    assert look(lock, asked=asked, relock=["conda"])["contradictions"] == []


def test_what_a_bake_did_not_need_stays() -> None:
    lock = bake({})
    alone = {"settings": {"base_apt_day": "2026-11-28"}, "os": {}, "conda": {}, "r": {}}
    after = bake(lock, alone)
    assert {part: after[part] for part in ("os", "conda", "r")} == {
        part: lock[part] for part in ("os", "conda", "r")
    }
    assert list(bake({}, alone)) == ["os", "baked"]


def test_the_parts_stay_where_they_are_in_the_file() -> None:
    """Else a run that finds nothing to do would write it anew."""
    lock = {**bake({"base_image": {"image_id": BASE}}), "tools": {"providers": {}}}
    assert list(lock) == ["base_image", "os", "conda", "r", "baked", "tools"]
    assert list(bake(lock)) == list(lock)


def test_the_tools_shape_no_image() -> None:
    lock = bake({})
    with_tools = {**lock, "tools": {"providers": {"aws": {"version": "5.100.0", "hashes": []}}}}
    for relock in ([], ["tools"]):
        assert look(with_tools, relock=relock) == look(lock)


def test_a_secret_is_no_part_of_a_lock() -> None:
    assert bake({}, receipt("https://***@conda.example/numpy-2.3.4-0.conda"))["conda"]["environments"] == {}


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("os",), [], "its part os is not whole"),
        (("os", "variables"), None, "its part os is not whole"),
        (("os", "packages"), ["git"], "its part os is not whole"),
        (("os", "packages", "git"), 2.39, "its system package git is not whole"),
        (("os", "files", "git"), None, "its file of the system package git is not whole"),
        (("conda", "environments", DS), ["numpy"], f"its environment {DS} is not whole"),
        (("conda", "environments", DS, "packages"), "numpy", f"its environment {DS} is not whole"),
        (("r", "packages", "dplyr", "sha256"), 12, "its R package dplyr is not whole"),
        (("r", "packages", "dplyr"), "1.1.4", "its R package dplyr is not whole"),
        (("tools",), {"providers": {}}, "its part tools is not whole"),
        (("tools", "plugins", "amazon"), "1.8.3", "its plugin amazon is not whole"),
        (("tools", "plugins", "amazon", "sha256"), "ab", "its plugin amazon is not whole"),
        (("tools", "providers", "aws"), "5.100.0", "its provider aws is not whole"),
        (("tools", "providers", "aws", "version"), 5, "its provider aws is not whole"),
        (("tools", "providers", "aws", "hashes"), "h1:a=", "its provider aws is not whole"),
    ],
)
def test_a_damaged_part(place: tuple[str, ...], value: object, said: str) -> None:
    tools = {
        "providers": {"aws": {"version": "5.100.0", "hashes": ["h1:a="]}},
        "plugins": {"amazon": {"version": "1.8.3", "sha256": {}}},
    }
    lock = bake({"tools": tools})
    assert damage(lock) is None
    inner = lock
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    assert damage(lock) == said
