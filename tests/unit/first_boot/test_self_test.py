"""The self-test of a machine: once, before it is ready, and only of what the image is to blame for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from ds_stack_init import self_test, settings
from ds_stack_init.settings import Settings
from ds_stack_init.status import Check

UP = [Check("jupyterhub", True, "answers 200")]


def said(**outcomes: str) -> str:
    checks = [{"name": name, "outcome": one, "detail": f"about {name}"} for name, one in outcomes.items()]
    return json.dumps({"passed": "failed" not in outcomes.values(), "checks": checks})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(self_test, "MARK", tmp_path / "state" / "self-test")
    text: dict[str, object] = {
        "schema": 1, "region": None, "endpoint_url": None, "metadata_url": "", "users_group": "ds-users",
        "first_uid": 2000, "data_mount": "/data", "services": [], "state_folders": [],
        "volume_seconds": 1, "services_seconds": 1, "self_test": "/bin/self-test",
    }  # fmt: skip
    return settings.parse(json.dumps(text))


def test_a_machine_passes_once_and_for_all(here: Settings) -> None:
    assert self_test.is_due(here, "i-1")
    found = self_test.check(here, "i-1", "http", UP, lambda *_: said(hub="passed", session="not shown"))
    assert found == Check("self-test", True, "all passed, not shown: session")
    assert not self_test.is_due(here, "i-1")
    assert self_test.is_due(here, "i-2"), "another machine of an image of this one"


def test_one_that_fails_is_tested_again(here: Settings) -> None:
    found = self_test.check(here, "i-1", "http", UP, lambda *_: said(hub="passed", kernel="failed"))
    assert found == Check("self-test", False, "kernel: about kernel")
    assert self_test.is_due(here, "i-1")


def test_without_services_it_does_not_begin(here: Settings) -> None:
    down = [*UP, Check("nginx", False, "the unit is failed")]
    found = self_test.check(here, "i-1", "http", down, lambda *_: pytest.fail("it was begun"))
    assert found == Check("self-test", False, "not begun: nginx: the unit is failed")


def test_an_image_without_a_self_test_has_none_due(here: Settings) -> None:
    assert not self_test.is_due(replace(here, self_test=""), "i-1")


@pytest.mark.parametrize(
    "output",
    [None, "", "Traceback", "[]", '{"passed": true}', '{"passed": true, "checks": [{"name": "x"}]}'],
)
def test_what_cannot_be_read_is_no_pass(output: str | None) -> None:
    assert self_test.judge(output) == ("it has not come to its end", "")


def test_only_a_true_yes_is_one() -> None:
    assert self_test.judge('{"passed": "yes", "checks": []}') == ("it does not say what failed", "")


@pytest.mark.parametrize("command", ["/nowhere/at/all", "/bin/false"])
def test_a_program_that_does_not_run_is_a_failure(here: Settings, command: str) -> None:
    found = self_test.check(replace(here, self_test=command), "i-1", "https", UP)
    assert found == Check("self-test", False, "it has not come to its end")
