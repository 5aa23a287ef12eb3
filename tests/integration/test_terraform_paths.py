"""A path means one place, however it is spelled, and `..` means in the copy what it means in the source."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.outputs import read_outputs

from tests.integration.terraform_stacks import DRIFT, Stack, files, isolated_stack
from tests.terraform_binary import BINARY

CALL = 'module "m" {\n  source = "SOURCE"\n}\noutput "f" {\n  value = module.m.f\n}\n'
MODULE = 'resource "terraform_data" "x" {}\noutput "f" {\n  value = chomp(file("${path.module}/../f"))\n}\n'


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack in a folder that is the current one, too."""
    stack = isolated_stack(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    (tmp_path / "elsewhere").mkdir()
    return stack


def calls(stack: Stack, source: str) -> None:
    """The root calls a module, which reads a file beside itself."""
    stack.write(CALL.replace("SOURCE", source))
    stack.write(MODULE, f"{source}/main.tf")
    stack.write("read\n", f"{source}/../f")


@pytest.mark.fault(23)
@pytest.mark.parametrize("source", ["x/../source", "TOP/source/", "link", "x/../link/../source", "up/source"])
@pytest.mark.parametrize("module", ["./m", "../modules/m"])
def test_a_source_is_the_same_however_it_is_spelled(stack: Stack, source: str, module: str) -> None:
    calls(stack, module)
    top = stack.work_dir.parent
    (top / "link").symlink_to("source")
    (top / "elsewhere/top").symlink_to(top)
    (top / "up").symlink_to("elsewhere/top")
    given: dict[str, Any] = {"source": source.replace("TOP", str(top))}
    assert stack.apply(check=True, **given)["outputs"] == {"f": "read"}
    assert stack.apply(**given)["outputs"] == {"f": "read"}
    for other in ("source", "link"):
        assert stack.apply(source=other)["changed"] is False
    assert stack.apply(state="absent", **given)["summary"]["destroy"] == 1


@pytest.mark.fault(23)
@pytest.mark.parametrize(
    "work_dir",
    ["source/work", "source/work/", "source/../source/work", "x/../link/work", "there", "source/there"],
)
def test_a_work_dir_in_the_source_does_not_copy_itself(stack: Stack, work_dir: str) -> None:
    stack.write('resource "terraform_data" "x" {}\n')
    stack.work_dir = stack.source / "work"
    stack.work_dir.mkdir()
    for link, target in (("link", "source"), ("there", "source/work"), ("source/there", "work")):
        (stack.source.parent / link).symlink_to(target)
    assert stack.apply(work_dir=work_dir)["summary"]["add"] == 1
    before = {str(path) for path in files(stack.source)}
    for spelled in (work_dir, "source/work", "there"):
        assert stack.apply(work_dir=spelled)["changed"] is False
        assert stack.apply(work_dir=spelled, check=True)["changed"] is False
    logs = {str(path) for path in files(stack.work_dir / ".terraform_stack/logs")}
    assert {str(path) for path in files(stack.source)} - logs == before - logs
    assert [path.name for path in stack.work_dir.rglob("main.tf")] == ["main.tf"]
    assert stack.apply(state="absent", work_dir=work_dir)["summary"]["destroy"] == 1


@pytest.mark.fault(23)
def test_labels_without_quotes_and_files_called_like_a_state(stack: Stack) -> None:
    stack.write('module m {\n  source = "../m"\n  a = var.x\n}\nvariable x {\n  default = 1\n}\n')
    stack.write("variable a {}\nresource terraform_data y {\n  input = var.a\n}\n", "../m/main.tf")
    stack.write('resource "terraform_data" "bucket" {}\n', "bucket.tfstate.tf")
    stack.write("x = 2\n", "terraform.tfstate.auto.tfvars")
    result = stack.apply()
    assert [change["address"] for change in result["changes"]] == [
        "terraform_data.bucket",
        "module.m.terraform_data.y",
    ]
    assert [item["instances"][0]["attributes"]["input"] for item in stack.state()["resources"]] == [
        None,
        {"type": "number", "value": 2},
    ]


def by_hand(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [BINARY, *arguments], cwd=folder, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    return done.stdout


def as_before(stack: Stack) -> None:
    """A work_dir as version 0.1 has left it: the root at its top, the module outside in a folder of ours."""
    stack.work_dir.mkdir()
    there = ".terraform_stack/modules/m/main.tf"
    content = {
        "main.tf": (stack.source / "main.tf").read_text(),
        there: (stack.source / "../modules/m/main.tf").read_text(),
        "terraform_stack.auto.tfvars.json": "{}\n",
        "terraform_stack_modules_override.tf.json": json.dumps(
            {"module": {"m": {"source": f"./{Path(there).parent}"}}}
        ),
    }
    content[".terraform_stack/mirror.json"] = json.dumps(sorted(content))
    content["mine.auto.tfvars"] = 'mine = "a person\'s"\n'
    for name, text in content.items():
        path = stack.work_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.fault(23)
@pytest.mark.parametrize("kind", ["default", "workspace", "path in it", "path outside"])
def test_the_state_of_an_older_work_dir_is_taken_along(stack: Stack, kind: str) -> None:
    calls(stack, "../modules/m")
    stack.write(
        'variable "mine" {}\noutput "mine" {\n  value = var.mine\n}\n'
        + (stack.source / "main.tf").read_text()
    )
    stack.write(
        'resource "terraform_data" "x" {}\noutput "f" {\n  value = "old"\n}\n', "../modules/m/main.tf"
    )
    options: dict[str, Any] = {}
    if kind.startswith("path"):
        path = {"path in it": "sub/own.tfstate", "path outside": "../elsewhere/own.tfstate"}[kind]
        stack.write(
            f'terraform {{\n  backend local {{\n    path = "{path}"\n  }}\n}}\n'
            + (stack.source / "main.tf").read_text()
        )
    as_before(stack)
    by_hand(stack.work_dir, "init")
    if kind == "workspace":
        by_hand(stack.work_dir, "workspace", "new", "blue")
        options["workspace"] = "blue"
    by_hand(stack.work_dir, "apply", "-auto-approve")
    (made,) = [
        path
        for path in files(stack.work_dir.parent)
        if path.name.endswith(".tfstate") and ".terraform" not in path.parts
    ]
    before = json.loads(made.read_text())
    assert stack.apply(check=True, **options)["changed"] is False
    assert stack.run(DRIFT, **options)["drifted"] is False
    result = stack.apply(**options)
    assert (result["changed"], result["outputs"]) == (False, {"f": "old", "mine": "a person's"})
    assert json.loads(made.read_text()) == before, "it is where it was, and used"
    root = stack.work_dir / "source"
    assert not (stack.work_dir / "main.tf").exists()
    assert by_hand(root, "output", "-raw", "mine") == "a person's"
    assert read_outputs(stack.work_dir, BINARY, None, os.environ)[0]["f"]["value"] == "old"
    stack.write(MODULE, "../modules/m/main.tf")
    assert stack.apply(**options)["outputs"]["f"] == "read"
    assert stack.apply(state="absent", **options)["summary"]["destroy"] == 1
    assert json.loads(made.read_text())["resources"] == []


@pytest.mark.fault(23)
def test_a_root_below_the_work_dir_is_run_by_hand_there(stack: Stack) -> None:
    calls(stack, "../modules/m")
    stack.write('variable "size" {\n  type = number\n}\noutput "size" {\n  value = var.size\n}\n', "size.tf")
    for workspace in ("default", "blue"):
        assert stack.apply(workspace=workspace, variables={"size": 5})["outputs"] == {"f": "read", "size": 5}
    root = stack.work_dir / "source"
    by_hand(root, "plan", "-input=false", "-detailed-exitcode")
    by_hand(root, "workspace", "select", "default")
    by_hand(root, "apply", "-auto-approve", "-var", "size=6")
    assert stack.state()["outputs"]["size"]["value"] == 6
    assert stack.apply(check=True, variables={"size": 6})["changed"] is False
    assert (stack.work_dir / "terraform.tfstate.d/blue/terraform.tfstate").exists()
    stack.write('module "m" {\n  source = "./m"\n}\n')
    stack.write(MODULE.replace("../f", "f"), "m/main.tf")
    stack.write("inside", "m/f")
    result = stack.apply(variables={"size": 6})
    assert result["changed"] is True, "an output is gone"
    assert result["summary"]["add"] == 0, "the state came along when the root moved"
    assert not root.exists()
