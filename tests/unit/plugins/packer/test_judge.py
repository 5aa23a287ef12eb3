"""What is said of a build: how it failed, what it left, and what the module returns of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._packer import judge as judging
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.account import Account
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.build import Run
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.cli import Built
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.content import Content
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.errors import BakeError
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.find import Found
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.images import Image
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.report import Result, report
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.request import Request
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.workdir import BakeAttempt, WorkDir
from ansible_collections.iac.ds_stack.plugins.module_utils._run.log import Log
from ansible_collections.iac.ds_stack.plugins.module_utils._run.outcome import Finished
from ansible_collections.iac.ds_stack.plugins.module_utils._run.secrets import Scrubber

IMAGE = Image("ami-1", "demo-1", ("snap-1",))
BUILT = Built(
    Finished(0),
    None,
    came_to_its_end=True,
    images={"us-east-1": frozenset({"ami-1"})},
    has_manifest=True,
    duration=12.345,
)
FOUND = Found(Content({}, {}), "f00d", None, ["force"], None)
UNTESTED = cast(Request, SimpleNamespace(self_test=None))
ACCOUNT = Account("here", "us-east-1", str)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that has made IMAGE; what it has left is that its fingerprint was, or was not, taken away."""
    scrubber = Scrubber(())
    made = {"name": "a", "builder_type": "b", "artifact_id": "us-east-1:ami-1", "packer_run_uuid": "u"}
    work = WorkDir(tmp_path)
    work.manifest.write_text(json.dumps({"builds": [made], "last_run_uuid": "u"}))
    monkeypatch.setattr(judging, "get_image", lambda _client, _ami_id: IMAGE)
    monkeypatch.setattr(
        judging, "what_is_left", lambda _account, _attempt, withdraw: ([f"{withdraw=}"], "It left something.")
    )
    return Run(work, 0, Log(None, scrubber), BakeAttempt(run_id="r1", log_path="/log"), tmp_path, scrubber)


def refusal(run: Run, built: Built) -> tuple[str, dict[str, Any]]:
    with pytest.raises(BakeError) as caught:
        judging.judge(run, built, UNTESTED, FOUND, ACCOUNT)
    return str(caught.value), caught.value.facts


def test_a_good_build_is_its_image(run: Run) -> None:
    assert judging.judge(run, BUILT, UNTESTED, FOUND, ACCOUNT) is IMAGE


@pytest.mark.parametrize(
    ("built", "begin", "error"),
    [
        (replace(BUILT, reason="apt said no"), "The bake failed. apt said no\n", "apt said no"),
        (
            replace(BUILT, reason="killed", finished=Finished(1, interrupted="timeout", duration=61)),
            "The bake failed. stopped after 1 min 1 s: timeout\n",
            "stopped after 1 min 1 s: timeout",
        ),
        # It was as good as done when somebody asked it to stop: then it is what it has made that counts.
        (
            replace(BUILT, came_to_its_end=False, finished=Finished(0, interrupted="SIGINT")),
            "Packer stopped without a word",
            "Packer stopped without a word",
        ),
    ],
)
def test_a_failure_says_why_and_what_is_left(run: Run, built: Built, begin: str, error: str) -> None:
    message, facts = refusal(run, built)
    assert message.startswith(begin)
    assert message.endswith("\nIt left something.\nAll of Packer's output is in /log.")
    assert facts.pop("error").startswith(error)
    assert facts == {
        "left": ["withdraw=True"],  # the next run must not take what it left for a good image
        "duration": 12.3,
        "plugins": {},
        "fingerprint": "f00d",
        "log_path": "/log",
    }


@pytest.mark.parametrize(
    ("found", "image", "expected"),
    [
        (FOUND, IMAGE, {"changed": True, "reused": False, "reasons": ["force"], "ami_id": "ami-1"}),
        (FOUND, None, {"changed": True, "reused": False, "ami_id": None, "image_name": None}),
        (
            replace(FOUND, reasons=[]),
            IMAGE,
            {"changed": False, "reused": True, "reasons": [], "snapshot_ids": ["snap-1"]},
        ),
    ],
)
def test_what_the_module_returns(found: Found, image: Image | None, expected: dict[str, Any]) -> None:
    result = report(Result(found, "us-east-1", image, {"duration": 1.5}))
    assert {name: result.get(name) for name in expected} == expected
    assert (result["fingerprint"], result["region"], result["duration"]) == ("f00d", "us-east-1", 1.5)
