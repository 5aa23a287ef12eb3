"""What is read of a Terraform configuration without Terraform."""

from __future__ import annotations

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_config import (
    Backend,
    is_config,
    read_facts,
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
    assert read_facts("main.tf", TRICKY).module_sources == {"a": "../a", "b": "./b"}


@PATIENT
@given(st.text(alphabet='{}"\\\n#/*<EOT-$%ab =', max_size=60))
def test_no_text_whatever_breaks_the_reader(text: str) -> None:
    read_facts("main.tf", text)
    read_facts("main.tf.json", text)


@pytest.mark.parametrize(
    ("name", "text", "backend"),
    [
        (
            "a.tf",
            'terraform {\n  backend "s3" {\n    bucket = "b"\n    n = 1\n  }\n}',
            Backend("s3", {"bucket": "b"}),
        ),
        ("a.tf", 'terraform {\n  backend "local" {}\n}', Backend("local", {})),
        (
            "a.tf",
            'terraform {\n  cloud {\n    organization = "o"\n  }\n}',
            Backend("cloud", {"organization": "o"}),
        ),
        ("a.tf", 'terraform {\n  required_version = ">= 1.10"\n}', None),
        ("a.tf", '# terraform { backend "s3" {} }', None),
        (
            "a.tf.json",
            '{"terraform": [{"backend": {"s3": {"bucket": "b", "n": 1}}}]}',
            Backend("s3", {"bucket": "b"}),
        ),
        ("a.tf.json", '{"terraform": {"cloud": {}}}', Backend("cloud", {})),
        ("a.tf.json", '{"terraform": ', None),
        ("a.tf.json", "[1]", None),
    ],
)
def test_backends(name: str, text: str, backend: Backend | None) -> None:
    assert read_facts(name, text).backend == backend


BASE = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
provider "aws" {
  region = "eu-central-1"
}
resource "aws_vpc" "x" {
  cidr_block = "10.0.0.0/16"
}
"""


@pytest.mark.parametrize(
    ("before", "after", "matters"),
    [
        ("10.0.0.0/16", "10.1.0.0/16", False),
        ('"eu-central-1"', '"us-east-1"', False),
        ('resource "aws_vpc" "x"', 'resource "aws_vpc" "y"', False),
        ("\n", "\n\n# a comment\n", False),
        ('resource "aws_vpc" "x"', 'resource "random_pet" "x"', True),
        ('"hashicorp/aws"', '"example/aws"', True),
        ("required_providers", 'required_version = "1"\n  required_providers', True),
        ('provider "aws"', 'provider "other"', True),
        ('resource "aws_vpc"', 'module "m" {\n  source = "./m"\n}\nresource "aws_vpc"', True),
    ],
)
def test_init_depends_on_providers_modules_and_settings_only(before: str, after: str, matters: bool) -> None:
    changed = BASE.replace(before, after)
    assert changed != BASE
    assert (read_facts("a.tf", BASE).init_inputs != read_facts("a.tf", changed).init_inputs) is matters


def test_json_says_the_same_in_either_of_its_forms() -> None:
    one = read_facts("a.tf.json", '{"module": {"m": {"source": "./m"}}, "resource": {"aws_vpc": {"x": {}}}}')
    other = read_facts("a.tf.json", '{"module": [{"m": [{"source": "./m"}]}], "resource": [{"aws_vpc": {}}]}')
    assert one.module_sources == other.module_sources == {"m": "./m"}
    assert "module m ./m None" in one.init_inputs & other.init_inputs


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.tf", True), ("a.tf.json", True), ("a.tofu", True), ("a.tfvars", False), ("a.tfvars.json", False)],
)
def test_which_files_are_configuration(name: str, expected: bool) -> None:
    assert is_config(name) is expected
