"""Where the state is, is for Terraform to say: never for a reader of its configuration."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.terraform_stacks import DRIFT, Stack, actions, files, isolated_stack, snapshot
from tests.terraform_binary import BINARY

CONFIG = 'resource "terraform_data" "x" {}\noutput "id" {\n  value = terraform_data.x.id\n}\n'


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    stack = isolated_stack(tmp_path, monkeypatch)
    stack.write(CONFIG)
    return stack


def local(path: str) -> dict[str, Any]:
    return {"type": "local", "config": {"path": path}}


def by_hand(folder: Path, *arguments: str) -> None:
    subprocess.run([BINARY, *arguments], cwd=folder, check=True, capture_output=True)


def gone(state: Path) -> bool:
    """Whether nothing is left in a state."""
    return json.loads(state.read_text())["resources"] == []


PLACES = {
    "a label without quotes": {"b.tf": 'terraform {\n  backend local {\n    path = "PATH"\n  }\n}\n'},
    "a block on one line": {"b.tf": 'terraform { \n backend "local" { path = "PATH" } \n }\n'},
    "an override file": {
        "b.tf": 'terraform {\n  backend "s3" {}\n}\n',
        "b_override.tf": 'terraform {\n  backend "local" {\n    path = "PATH"\n  }\n}\n',
    },
    "override.tf.json": {"override.tf.json": '{"terraform": {"backend": {"local": {"path": "PATH"}}}}'},
    "parentheses": {"b.tf": 'terraform {\n  backend "local" {\n    path = ("PATH")\n  }\n}\n'},
    "an expression": {
        "b.tf": 'terraform {\n  backend "local" {\n    path = true ? "PATH" : "nowhere"\n  }\n}\n'
    },
    "a comment in between": {
        "b.tf": 'terraform /* here */ {\n  backend /* is */ "local" {\n    path = "PATH"\n  }\n}\n'
    },
}


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("name", "where"),
    [*((name, "absolute") for name in PLACES), ("parentheses", "relative"), ("override.tf.json", "beside")],
)
def test_a_state_is_found_wherever_the_configuration_keeps_it(stack: Stack, name: str, where: str) -> None:
    outside = stack.work_dir.parent / "states/x.tfstate"
    state = {"absolute": outside, "relative": stack.work_dir / "sub/x.tfstate", "beside": outside}[where]
    path = {"absolute": str(outside), "relative": "sub/x.tfstate", "beside": "../states/x.tfstate"}[where]
    for file, text in PLACES[name].items():
        stack.write(text.replace("PATH", path), file)
    made = stack.apply()
    assert state.exists()
    before = snapshot(stack.work_dir.parent)
    same = stack.apply(check=True)
    assert (same["changed"], same["outputs"]) == (False, made["outputs"])
    stack.write(CONFIG + 'resource "terraform_data" "y" {}\n')
    assert actions(stack.apply(check=True)) == {"terraform_data.y": "create"}, "also in a copy"
    assert stack.run(DRIFT)["drifted"] is False
    stack.write(CONFIG)
    assert stack.apply(check=True, state="absent")["summary"]["destroy"] == 1
    unchanged = {name: content for name, (_, content) in snapshot(stack.work_dir.parent).items()}
    assert unchanged == {name: content for name, (_, content) in before.items()}
    destroyed = stack.apply(state="absent")
    assert (destroyed["changed"], destroyed["summary"]["destroy"]) == (True, 1)
    assert gone(state)
    assert stack.apply(state="absent")["changed"] is False


@pytest.mark.fault(22)
def test_a_state_outside_is_found_though_the_work_dir_is_lost(stack: Stack) -> None:
    state = stack.work_dir.parent / "states/x.tfstate"
    stack.write('terraform {\n  backend local {\n    path = ("../states/x.tfstate")\n  }\n}\n', "b.tf")
    stack.apply()
    shutil.rmtree(stack.work_dir)
    assert stack.apply(check=True)["changed"] is False
    assert stack.apply(check=True, state="absent")["summary"]["destroy"] == 1
    assert not stack.work_dir.exists()
    assert stack.apply(state="absent")["summary"]["destroy"] == 1
    assert gone(state)


@pytest.mark.fault(22)
@pytest.mark.parametrize("given", ["backend", "overrides", "both"])
def test_to_destroy_the_last_backend_counts_where_none_is_given(stack: Stack, given: str) -> None:
    state = stack.work_dir.parent / "elsewhere.tfstate"
    in_overrides = {"terraform": {"backend": {"local": {"path": str(state)}}}}
    options: dict[str, Any] = {
        "backend": {"backend": local(str(state))},
        "overrides": {"overrides": in_overrides},
        "both": {"backend": local(str(state)), "overrides": {"output": {"id": {"value": "overridden"}}}},
    }[given]
    stack.apply(**options)
    assert not gone(state)
    assert stack.apply(check=True, state="absent")["summary"]["destroy"] == 1
    other = {"output": {"id": {"value": "other"}}}
    if given == "backend":
        assert stack.apply(check=True, state="absent", overrides=other)["summary"]["destroy"] == 1
    assert stack.apply(state="absent")["summary"]["destroy"] == 1
    assert gone(state)


@pytest.mark.fault(22)
@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize("source", [None, 'terraform {\n  backend local {\n    path = ("b")\n  }\n}\n'])
def test_a_backend_that_changed_is_refused_with_both_named(
    stack: Stack, state: str, source: str | None
) -> None:
    first, second = (stack.work_dir.parent / f"{name}.tfstate" for name in ("first", "second"))
    stack.apply(backend=local(str(first)))
    options: dict[str, Any] = {"state": state}
    if source is None:
        options["backend"] = local(str(second))
        new = f"local (path={second})"
    else:
        shutil.copy(stack.work_dir / ".terraform/terraform.tfstate", stack.work_dir.parent / "note")
        stack.write(source, "b.tf")
        options["overrides"] = {"terraform": {"backend": {"local": {"path": str(second)}}}}
        new = "local with other settings, as the configuration says"
    before = snapshot(stack.work_dir / ".terraform")
    results = [stack.fail(check=True, **options), stack.fail(**options)]
    for result in results:
        assert "Backend configuration changed" in result["msg"]
        assert f"Until now the state is kept by: local (path={first})." in result["msg"]
        assert f"It is now to be kept by: {new}." in result["msg"]
        assert result["changed"] is False
    assert snapshot(stack.work_dir / ".terraform") == before
    assert not gone(first)
    assert not second.exists()


@pytest.mark.fault(22)
def test_a_backend_that_is_no_longer_named_is_refused(stack: Stack) -> None:
    stack.write('terraform {\n  backend "local" {\n    path = "a.tfstate"\n  }\n}\n', "b.tf")
    stack.apply()
    (stack.source / "b.tf").unlink()
    for check in (True, False):
        for state in ("present", "absent"):
            message = stack.fail(check=check, state=state)["msg"]
            assert "Until now the state is kept by: local (path=a.tfstate)." in message
            assert f"now to be kept by: a file in {stack.work_dir}, without a backend." in message
    assert not gone(stack.work_dir / "a.tfstate")


@pytest.mark.fault(22)
def test_check_mode_fails_where_the_run_does_for_a_state_that_would_have_to_move(stack: Stack) -> None:
    stack.apply()
    backend = local(str(stack.work_dir.parent / "elsewhere.tfstate"))
    messages = [stack.fail(check=check, backend=backend)["msg"] for check in (True, False)]
    for message in messages:
        assert f"the state is kept by: a file in {stack.work_dir}, without a backend." in message
        assert "init -migrate-state" in message


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    "name",
    ["zz_override.tf", "~_override.tf.json", "terraform_stack_override_z_override.tf", "ö_override.tf"],
)
def test_the_option_backend_wins_over_every_file_of_the_source(stack: Stack, name: str) -> None:
    theirs, ours = (stack.work_dir.parent / f"{name}.tfstate" for name in ("theirs", "ours"))
    if name.endswith("json"):
        stack.write(json.dumps({"terraform": {"backend": {"local": {"path": str(theirs)}}}}), name)
    else:
        stack.write(f'terraform {{\n  backend "local" {{\n    path = "{theirs}"\n  }}\n}}\n', name)
    overrides = {"terraform": {"backend": {"local": {"path": str(theirs)}}}}
    assert stack.apply(backend=local(str(ours)), overrides=overrides)["changed"] is True
    assert (ours.exists(), theirs.exists()) == (True, False)
    assert stack.apply(state="absent")["summary"]["destroy"] == 1
    assert gone(ours)


@pytest.mark.fault(22)
@pytest.mark.parametrize("kind", ["default", "workspace", "backend", "unreadable"])
def test_a_state_of_runs_by_hand_in_the_source_is_not_ignored(stack: Stack, kind: str) -> None:
    options: dict[str, Any] = {}
    stray = stack.source / "terraform.tfstate"
    if kind == "backend":
        stack.write('terraform {\n  backend "local" {\n    path = "sub/mine.tfstate"\n  }\n}\n', "b.tf")
        stray = stack.source / "sub/mine.tfstate"
    by_hand(stack.source, "init")
    if kind == "workspace":
        by_hand(stack.source, "workspace", "new", "blue")
        options["workspace"] = "blue"
        stray = stack.source / "terraform.tfstate.d/blue/terraform.tfstate"
    by_hand(stack.source, "apply", "-auto-approve")
    if kind == "unreadable":
        stray.write_text("{cut off")
    before = snapshot(stack.work_dir.parent)
    for more in ({}, {"check": True}, {"state": "absent"}, {"main": DRIFT}):
        message = stack.fail(**options, **more)["msg"]
        assert message.startswith(f"{stray} is a state of runs by hand in the source. It is not used here:")
    assert snapshot(stack.work_dir.parent) == before, "nothing was begun"
    if kind == "workspace":
        assert stack.apply(check=True)["summary"]["add"] == 1, "another workspace is another stack"
    if kind != "unreadable":
        advice = message.partition("To go on with it: ")[2].partition(" (then")[0]
        subprocess.run(advice, shell=True, check=True)  # noqa: S602
        assert stack.apply(**options)["changed"] is False
        assert stack.apply(state="absent", **options)["summary"]["destroy"] == 1
        again = stack.apply(**options)
        assert again["summary"]["add"] == 1, "the one that is used began as a copy of that one"
        assert str(stack.source) not in str(again.get("warnings"))


def test_a_state_in_the_source_that_is_asked_for_is_used(stack: Stack) -> None:
    by_hand(stack.source, "apply", "-auto-approve")
    backend = local(str(stack.source / "terraform.tfstate"))
    assert stack.apply(backend=backend)["changed"] is False
    assert stack.apply(state="absent")["summary"]["destroy"] == 1
    assert gone(stack.source / "terraform.tfstate")


@pytest.mark.parametrize("content", ["", "{}", '{"version": 4, "lineage": "a", "resources": []}'])
def test_a_state_in_the_source_with_nothing_in_it_is_of_no_consequence(stack: Stack, content: str) -> None:
    stack.write(content, "terraform.tfstate")
    result = stack.apply()
    assert result["summary"]["add"] == 1
    assert str(stack.source) not in str(result.get("warnings"))
    assert stack.apply(state="absent")["summary"]["destroy"] == 1


@pytest.mark.parametrize("backend", [False, True])
def test_a_state_in_the_source_beside_one_that_is_used_is_told(stack: Stack, backend: bool) -> None:
    options = {"backend": local(str(stack.work_dir.parent / "elsewhere.tfstate"))} if backend else {}
    stack.apply(**options)
    by_hand(stack.source, "apply", "-auto-approve")
    for check in (True, False):
        result = stack.apply(check=check, **options)
        assert result["changed"] is False
        assert f"{stack.source}/terraform.tfstate is a state of runs by hand" in str(result["warnings"])
    assert stack.apply(state="absent", **options)["changed"] is True
    assert "would be made a second time" in stack.fail(**options)["msg"]


@pytest.mark.fault(22)
def test_absent_leaves_nothing_where_nothing_was_made(stack: Stack) -> None:
    stack.write('module "m" {\n  source = "./m"\n}\n', "m.tf")  # would have to be installed
    stack.write("", "m/main.tf")
    for check in (True, False):
        result = stack.apply(check=check, state="absent", workspace="blue")
        assert (result["changed"], result["outputs"], result["changes"]) == (False, {}, [])
        assert not list(files(stack.work_dir.parent / "tmp"))
        assert not stack.work_dir.exists()


def test_check_mode_reads_what_a_person_has_put_into_the_work_dir(stack: Stack) -> None:
    stack.write('variable "size" {\n  default = 1\n}\noutput "size" {\n  value = var.size\n}\n', "v.tf")
    stack.apply()
    (stack.work_dir / "mine.auto.tfvars").write_text("size = 7\n")
    stack.write('output "more" {\n  value = 1\n}\n', "more.tf")
    assert stack.apply(check=True)["outputs"]["size"] == 7
    assert stack.apply()["outputs"]["size"] == 7
