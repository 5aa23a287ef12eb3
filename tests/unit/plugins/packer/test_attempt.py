"""A bake that was begun: what the next run tells of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.amazon.aws.plugins.module_utils.ec2 import AnsibleEC2Error
from ansible_collections.iac.ds_stack.plugins.module_utils._packer import account as accounts
from ansible_collections.iac.ds_stack.plugins.module_utils._packer import attempt as pa
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.workdir import BakeAttempt, WorkDir
from ansible_collections.iac.ds_stack.plugins.module_utils._run.process import Finished, birth_of
from botocore.exceptions import ClientError

ATTEMPT = BakeAttempt(run_id="r1", log_path="/log")
HERE = accounts.Account("here", "us-east-1", str)
NOTHING = "It left no instance, key pair, security group, volume or image in the account."


class Account:
    """What the account has of a bake."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: list[str] = []
        self.images: list[str] = []
        self.withdrawn: list[str] = []
        monkeypatch.setattr(pa, "leftovers", lambda _client, _run_id: list(self.left))
        monkeypatch.setattr(pa, "images_of", lambda _client, _run_id: self.images)
        monkeypatch.setattr(pa, "withdraw_images", lambda _client, images: self.withdrawn.extend(images))


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return Account(monkeypatch)


def test_nothing_is_left(account: Account) -> None:
    assert pa.what_is_left(HERE, ATTEMPT, withdraw=True) == ([], NOTHING)


def test_what_is_left_is_named(account: Account) -> None:
    account.left = ["instance i-1", "key pair k"]
    account.images = ["ami-1"]
    left, sentence = pa.what_is_left(HERE, ATTEMPT, withdraw=True)
    assert left == ["instance i-1", "key pair k", "image ami-1"]
    assert sentence == (
        "It left in the account, and you should remove: instance i-1, key pair k, image ami-1 "
        "(tag ds-stack:bake=r1)."
    )
    assert account.withdrawn == ["ami-1"], "the next run must not take it for a good one"


@pytest.mark.parametrize(("succeeded", "withdraw"), [(True, True), (False, False)])
def test_an_image_keeps_its_fingerprint(account: Account, succeeded: bool, withdraw: bool) -> None:
    """That of a bake that ended well with nobody to hear it; any in check mode."""
    account.images = ["ami-1"]
    left, _sentence = pa.what_is_left(HERE, replace(ATTEMPT, succeeded=succeeded), withdraw=withdraw)
    assert left == ([] if succeeded else ["image ami-1"])
    assert account.withdrawn == []


@pytest.mark.fault(27)
def test_copies_are_looked_for_where_the_log_says(account: Account, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("18:42:03     x: Copying to: eu-west-1\nus-east-1a, ap-southeast-2: x, us-gov-west-1")
    asked: list[set[str]] = []

    class Two(accounts.Account):
        def others(self, names: set[str]) -> dict[str, Any]:
            asked.append(names)
            return {"eu-west-1": "there"}

    account.images = ["ami-1"]
    attempt = replace(ATTEMPT, log_path=str(log))
    left, _sentence = pa.what_is_left(Two("here", "us-east-1", str), attempt, withdraw=True)
    assert left == ["image ami-1", "image ami-1 in eu-west-1"]
    assert account.withdrawn == ["ami-1", "ami-1"]
    assert asked == [{"eu-west-1", "ap-southeast-2", "us-gov-west-1"}]


def refused(code: str) -> Exception:
    error = ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeImages")
    return AnsibleEC2Error(message="Failed to describe images", exception=error)


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (refused("UnauthorizedOperation"), ["image ami-1"]),
        (refused("OptInRequired"), ["image ami-1"]),
        (RuntimeError("no route"), ["image ami-1", "what could not be looked up (no route) in eu-west-1"]),
    ],
)
def test_another_region_hides_nothing_of_this_one(
    account: Account, monkeypatch: pytest.MonkeyPatch, error: Exception, left: list[str]
) -> None:
    def look(client: Any, _run_id: str) -> list[str]:
        if client == "there":
            raise error
        return []

    monkeypatch.setattr(pa, "leftovers", look)
    account.images = ["ami-1"]
    monkeypatch.setattr(accounts.Account, "others", lambda _self, _names: {"eu-west-1": "there"})
    found, _sentence = pa.what_is_left(HERE, ATTEMPT, withdraw=True)
    assert found == left


def test_an_image_without_tags_is_found_by_its_name(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pa, "images_named", lambda _client, name: ["ami-1", f"ami of {name}"])
    account.images = ["ami-1"]
    left, _sentence = pa.what_is_left(HERE, replace(ATTEMPT, image_name="demo-1"), withdraw=True)
    assert left == ["image ami-1", "image ami of demo-1"]


def test_what_is_left_cannot_always_be_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_client: Any, _run_id: str) -> list[str]:
        raise RuntimeError("you may not")

    monkeypatch.setattr(pa, "leftovers", refuse)
    left, sentence = pa.what_is_left(HERE, ATTEMPT, withdraw=True)
    assert left is None
    assert "could not be looked up (you may not); look for the tag ds-stack:bake=r1" in sentence


@pytest.mark.parametrize(
    ("attempt", "how"),
    [
        (replace(ATTEMPT, outcome="was stopped (SIGTERM) with exit code 1"), "was stopped (SIGTERM)"),
        (ATTEMPT, "was killed together with the process that watched it."),
        (replace(ATTEMPT, pid=os.getpid(), birth="another"), "was killed together with the process"),
    ],
)
def test_the_next_run_tells_how_it_ended(account: Account, attempt: BakeAttempt, how: str) -> None:
    text = pa.report(attempt, HERE, withdraw=True)
    assert text.startswith(f"An earlier bake here {how}")
    assert text.endswith(f"{NOTHING} Its log is /log.")


def test_the_next_run_is_refused_while_packer_runs(account: Account) -> None:
    attempt = replace(ATTEMPT, pid=os.getpid(), birth=birth_of(os.getpid()))
    with pytest.raises(pa.StillRuns, match=f"stop it cleanly with: kill -INT {os.getpid()}"):
        pa.report(attempt, HERE, withdraw=True)


@pytest.mark.parametrize(
    ("finished", "module_is_dead", "outcome", "succeeded"),
    [
        (Finished(0), False, None, False),
        (Finished(1), False, None, False),
        (Finished(1, "timeout"), False, None, False),
        (Finished(1, "SIGTERM"), False, "was stopped (SIGTERM) with exit code 1", False),
        (
            Finished(1, "the module was killed"),
            True,
            "was stopped (the module was killed) with exit code 1",
            False,
        ),
        (Finished(0, "the module was killed"), True, "ended with exit code 0", True),
    ],
)
def test_word_is_left_where_nobody_else_will_tell(
    tmp_path: Path, finished: Finished, module_is_dead: bool, outcome: str | None, succeeded: bool
) -> None:
    work = WorkDir(tmp_path)
    cleaned: list[bool] = []
    callbacks = pa.callbacks(work, ATTEMPT, lambda: cleaned.append(True))
    assert callbacks.started is not None
    assert callbacks.ended is not None
    callbacks.started(os.getpid())
    begun = work.attempts.read()
    assert begun is not None
    assert begun.still_runs()
    callbacks.ended(finished, module_is_dead)
    noted = work.attempts.read()
    assert noted is not None
    assert (noted.outcome, noted.succeeded) == (outcome, succeeded)
    assert bool(cleaned) is module_is_dead
