"""What is read of a Terraform configuration without Terraform."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.config import (
    is_config,
    module_sources,
    top_level_blocks,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# A busy machine is no finding.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


TRICKY = r"""
# resource "commented" "out" {
/* module "also" {
     source = "./commented"
*/
module "a" { # a comment with } and "quote
  source  = "../a" // the one
  version = "1.2"
  text    = "${lookup({ "}" = 1 }, "}")} \" $${ %%{"
  heredoc = <<-EOT
    } not the end
    module "inside" {
  EOT
}
locals {
  nested = { module = { source = "x" } }
}
resource "aws_instance" "x" {
  provisioner "local-exec" {
    command = "true"
  }
}
module "b" { source = "./b" }
"""


def test_blocks_are_told_from_what_looks_like_them() -> None:
    found = [(block.type, *block.labels) for block in top_level_blocks(TRICKY)]
    assert found == [("module", "a"), ("locals",), ("resource", "aws_instance", "x"), ("module", "b")]
    assert module_sources("main.tf", TRICKY) == {"a": "../a", "b": "./b"}


@PATIENT
@given(st.text(alphabet='{}"\\\n#/*<EOT-$%ab =', max_size=60))
def test_no_text_whatever_breaks_the_reader(text: str) -> None:
    module_sources("main.tf", text)
    module_sources("main.tf.json", text)


def test_json_says_the_same_in_either_of_its_forms() -> None:
    for config in ('{"module": {"m": {"source": "./m"}}}', '{"module": [{"m": [{"source": "./m"}]}]}'):
        assert module_sources("a.tf.json", config) == {"m": "./m"}


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.tf", 'module net {\n  source = "../net"\n}\n', {"net": "../net"}),
        ("a.tofu", 'module "net" {\n  source = "../net"\n}\n', {"net": "../net"}),
        ("a.tf", 'locals { a = 1 } \nmodule   net {source = "../net"\n}', {"net": "../net"}),
        ("a.tf.json", '{"module": ', {}),
        ("a.tf.json", "[1]", {}),
    ],
)
def test_calls_as_odd_as_they_may_be(name: str, text: str, found: dict[str, str]) -> None:
    assert module_sources(name, text) == found


@pytest.mark.parametrize(
    ("name", "terraform", "tofu"),
    [
        ("a.tf", True, True),
        ("a.tf.json", True, True),
        ("a.tofu", False, True),
        ("a.tofu.json", False, True),
        ("both.tf", True, False),
        ("both.tofu", False, True),
        ("json.tf.json", True, False),
        ("json.tf", True, True),
        ("a.tfvars", False, False),
        ("a.tfvars.json", False, False),
    ],
)
def test_which_files_are_configuration(tmp_path: Path, name: str, terraform: bool, tofu: bool) -> None:
    for file in ("both.tofu", "json.tofu.json"):
        (tmp_path / file).touch()
    assert is_config(tmp_path / name, tofu=False) is terraform
    assert is_config(tmp_path / name, tofu=True) is tofu
