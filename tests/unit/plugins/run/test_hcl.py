"""The top-level blocks of a text in HCL."""

from __future__ import annotations

from ansible_collections.iac.ds_stack.plugins.module_utils._run.hcl import (
    attributes,
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
    sources = {block.labels: block.literal("source") for block in top_level_blocks(TRICKY)}
    assert (sources["a",], sources["b",]) == ("../a", "./b")


@PATIENT
@given(st.text(alphabet='{}"\\\n#/*<EOT-$%ab =', max_size=60))
def test_no_text_whatever_breaks_the_reader(text: str) -> None:
    for block in top_level_blocks(text):
        attributes(block.body)
