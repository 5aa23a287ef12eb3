"""What the result says is so, also when it goes wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.terraform_stacks import MAIN, Stack, isolated_stack


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    return isolated_stack(tmp_path, monkeypatch)


OUTPUTS = """
output "name" {
  value = "NAME"
}
output "id" {
  value = terraform_data.x.id
}
output "hidden" {
  value     = "hidden-NAME"
  sensitive = true
}
"""


def failing(command: str, more: str = "") -> str:
    return f"""
resource "terraform_data" "x" {{
  {more}
  provisioner "local-exec" {{
    command = "{command}"
  }}
}}
"""


def test_a_failed_apply_that_left_a_tainted_resource_has_changed_something(stack: Stack) -> None:
    stack.write(failing("exit 7") + OUTPUTS)
    result = stack.fail()
    assert result["changed"] is True
    (instance,) = stack.state()["resources"][0]["instances"]
    assert instance["status"] == "tainted"
    outputs = {name: item["value"] for name, item in stack.state()["outputs"].items()}
    assert result["outputs"] == {
        name: "(sensitive)" if name == "hidden" else value for name, value in outputs.items()
    }
    assert result["outputs_unknown"] == []


def test_a_failed_apply_returns_the_outputs_as_they_are(stack: Stack) -> None:
    stack.write('resource "terraform_data" "x" {}\n' + OUTPUTS)
    stack.apply()
    text = failing("exit 7", "triggers_replace = 1") + OUTPUTS.replace("NAME", "OTHER")
    stack.write(text)
    result = stack.fail(reveal_outputs=["hidden"])
    assert result["changed"] is True
    told = {name: item["value"] for name, item in stack.state()["outputs"].items()}
    assert result["outputs"] == told


def test_a_failed_apply_that_did_nothing_has_changed_nothing(stack: Stack) -> None:
    stack.write('resource "terraform_data" "x" {\n  input = 1\n}\n' + OUTPUTS)
    before = stack.apply()["outputs"]
    stack.write(
        """
variable "never" {
  default = "never"
}
resource "terraform_data" "y" {
  lifecycle {
    precondition {
      condition     = timestamp() == var.never
      error_message = "Not so."
    }
  }
}
""",
        "y.tf",
    )
    objects = [item["instances"] for item in stack.state()["resources"]]
    result = stack.fail()
    assert "Not so." in result["msg"]
    assert (result["changed"], result["outputs"]) == (False, before)
    assert [item["instances"] for item in stack.state()["resources"] if item["instances"]] == objects


def test_a_failing_destroy_says_what_is_left(stack: Stack) -> None:
    provisioner = '\n  provisioner "local-exec" {\n    when = destroy\n    command = "exit 7"\n  }\n'
    stack.write(f'resource "terraform_data" "x" {{{provisioner}}}\n' + OUTPUTS)
    stack.apply()
    result = stack.fail(state="absent")
    assert stack.resources() == ["terraform_data.x"]
    assert result["changed"] is False
    stack.write(
        f'resource "terraform_data" "x" {{{provisioner}}}\nresource "terraform_data" "y" {{}}\n' + OUTPUTS
    )
    stack.apply()
    result = stack.fail(state="absent")
    assert result["changed"] is True, "y is gone"
    assert stack.resources() == ["terraform_data.x"]


def test_a_refused_plan_does_not_return_outputs_to_come(stack: Stack) -> None:
    stack.apply()
    for check in (True, False):
        result = stack.fail(variables={"size": 2}, protect=["*.machine"], check=check)
        assert result["changed"] is False
        assert not {"outputs", "outputs_unknown"} & result.keys()


NULLS = """
variable "v" {
  default = null
}
resource "terraform_data" "x" {}
output "none" {
  value = null
}
output "hidden_none" {
  value     = null
  sensitive = true
}
output "of_variable" {
  value = var.v
}
output "of_resource" {
  value = terraform_data.x.output
}
output "inside" {
  value = { a = null, b = [null] }
}
"""


def test_a_null_output_is_left_out_everywhere(stack: Stack) -> None:
    stack.write(NULLS)
    shown = {"inside": {"a": None, "b": [None]}}
    options: dict[str, Any] = {"reveal_outputs": ["hidden_none"]}
    for more in ({"check": True}, {}, {}, {"check": True}):
        result = stack.apply(**options, **more)
        assert (result["outputs"], result["outputs_unknown"]) == (shown, [])
    filled = {**shown, "of_variable": 5}
    assert stack.apply(variables={"v": 5})["outputs"] == filled
    for more in ({"check": True}, {}, {}):
        result = stack.apply(variables={"v": None}, **more)
        assert (result["outputs"], result["outputs_unknown"]) == (shown, []), "from a value to none"


@pytest.mark.parametrize("char", ["\u0085", "\u2028", "\u2029", "\x0b", "\x0c", "\x1e"])
def test_a_diagnostic_survives_every_kind_of_line_end(stack: Stack, char: str) -> None:
    escaped = f"\\u{ord(char):04x}"
    stack.write(
        'variable "v" {\n  default = 1\n}\n'
        'resource "terraform_data" "x" {\n  lifecycle {\n    precondition {\n      condition = var.v == 2\n'
        f'      error_message = "one{escaped}two"\n    }}\n  }}\n}}\n'
    )
    result = stack.fail()
    assert f"one{char}two" in result["msg"]
    (diagnostic,) = result["diagnostics"]
    assert diagnostic["detail"].startswith(f"one{char}two")
    assert "Resource precondition failed" in Path(result["log_path"]).read_text()


@pytest.mark.parametrize(
    ("option", "covers", "nothing"),
    [
        ("targets", "terraform_data.x", "terraform_data.y"),
        ("targets", 'module.m["a"].terraform_data.x', 'module.m["b"]'),
        ("targets", "module.m", "module.n"),
        ("targets", "data.terraform_remote_state.none", "terraform_remote_state.none"),
        ("replace", "terraform_data.x", "terraform_data.x[0]"),
    ],
)
def test_an_address_that_covers_nothing_is_told(stack: Stack, option: str, covers: str, nothing: str) -> None:
    stack.write(
        """
resource "terraform_data" "x" {}
module "m" {
  source   = "./m"
  for_each = { a = 1 }
}
data "terraform_remote_state" "none" {
  backend = "local"
  config  = { path = "${path.module}/none.json" }
}
"""
    )
    stack.write('resource "terraform_data" "x" {}', "m/main.tf")
    stack.write('{"version": 4, "serial": 1, "lineage": "x", "outputs": {}, "resources": []}', "none.json")
    for options in ({"check": True}, {}, {}):  # before, by, and after the apply
        said = json.dumps(stack.apply(**{option: [nothing]}, **options).get("warnings", ""))
        assert json.dumps(f"{option}: {nothing} covers nothing")[1:-1] in said
        said = json.dumps(stack.apply(**{option: [covers]}, **options).get("warnings", ""))
        assert json.dumps(f"{option}: {covers} covers nothing")[1:-1] not in said
    assert stack.apply(state="absent", targets=["terraform_data.y"])["changed"] is False


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("workspace", name) for name in ("", ".", "..", "a/b", "-x", "ü", "a b", "default\n")),
        ("source", ""),
        ("work_dir", ""),
        ("variables", {"size": [float("nan")]}),
        ("sensitive_variables", {"password": "hunter2\udcff"}),
        ("overrides", {"terraform": float("inf")}),
        ("backend", {"type": "local", "config": {"path": "\ud800"}}),
    ],
)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_what_cannot_be_meant_is_refused_by_its_name(
    stack: Stack, option: str, value: Any, state: str
) -> None:
    result = stack.fail(**{option: value}, state=state)
    assert result["msg"].startswith(f"{option}: "), result["msg"]
    assert "hunter2" not in json.dumps(result)
    assert not stack.work_dir.exists()


def test_an_optional_path_that_is_empty_is_not_given(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stack.source)
    stack.apply(plugin_cache_dir="", binary="")
    assert [path.name for path in stack.source.iterdir()] == ["main.tf"]


def test_a_pattern_that_protects_nothing_is_told(stack: Stack) -> None:
    def told(**options: Any) -> list[str]:
        result = stack.apply(protect=["terraform_data.disc", "*.machine", "module.data"], **options)
        text = json.dumps(result.get("warnings", []))
        return [name for name in ("disc", "machine", "module.data") if f"{name} covers nothing" in text]

    for options in ({"check": True}, {}, {}, {"check": True}):
        assert told(**options) == ["disc", "module.data"]
    stack.write(MAIN.replace('"machine"', '"other"'))
    assert "would destroy what `protect` guards" in stack.fail(protect=["*.machine"])["msg"]


def test_nothing_is_told_of_patterns_where_there_is_nothing(stack: Stack) -> None:
    assert "a.b covers" not in json.dumps(stack.apply(state="absent", protect=["a.b"]))
    stack.apply()
    stack.apply(state="absent")
    assert "a.b covers" not in json.dumps(stack.apply(state="absent", protect=["a.b"]))


def test_what_is_none_counts_as_not_given(stack: Stack) -> None:
    names = ["backend", "binary", "plugin_cache_dir", "timeout", "max_destroys", "parallelism"]
    result = stack.apply(**dict.fromkeys(names))
    assert (result["summary"]["add"], result["workspace"]) == (2, "default")
    backend = {"type": "local", "config": {"path": "terraform.tfstate", "workspace_dir": None}}
    stack.work_dir = stack.work_dir.with_name("other")
    assert stack.apply(backend=backend)["summary"]["add"] == 2
    assert stack.apply(state="absent")["summary"]["destroy"] == 2
