"""Terraform's lock file as values and back."""

from __future__ import annotations

from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.provider_lock import (
    keeps_to,
    read,
    write,
)

AWS = "registry.terraform.io/hashicorp/aws"

WRITTEN_BY_TERRAFORM = """\
# This file is maintained automatically by "terraform init".
# Manual edits may be lost in future updates.

provider "example.com/acme/toy" {
  version = "1.2.0"
}

provider "registry.terraform.io/hashicorp/aws" {
  version     = "5.100.0"
  constraints = ">= 5.100.0, < 7.0.0"
  hashes = [
    "h1:Ijt7pOlB7Tr7maGQIqtsLFbl7pSMIj06TVdkoSBcYOw=",
    "zh:054b8dd49f0549c9a7cc27d159e45327b7b65cf404da5e5a20da154b90b8a644",
  ]
}
"""

PROVIDERS = {
    "example.com/acme/toy": {"version": "1.2.0", "hashes": []},
    AWS: {
        "version": "5.100.0",
        "hashes": [
            "h1:Ijt7pOlB7Tr7maGQIqtsLFbl7pSMIj06TVdkoSBcYOw=",
            "zh:054b8dd49f0549c9a7cc27d159e45327b7b65cf404da5e5a20da154b90b8a644",
        ],
    },
}


def test_what_terraform_has_written_is_read_and_written_again() -> None:
    assert read(WRITTEN_BY_TERRAFORM) == PROVIDERS
    assert read(write(PROVIDERS).decode()) == PROVIDERS
    assert read("") == read("# nothing\n") == {}


def test_a_lock_keeps_to_what_is_given_with_more_hashes_but_not_with_less() -> None:
    given = {AWS: {"version": "5.100.0", "hashes": ["h1:a="]}}
    for locked, keeps in (
        ({}, True),  # it is not there yet
        (given, True),
        ({AWS: {"version": "5.100.0", "hashes": ["h1:a=", "h1:of-another-platform="]}}, True),
        ({AWS: {"version": "5.100.0", "hashes": ["h1:b="]}}, False),
        ({AWS: {"version": "5.101.0", "hashes": ["h1:a="]}}, False),
        ({"example.com/acme/toy": {"version": "2.0", "hashes": []}}, True),
    ):
        assert keeps_to(locked, given) is keeps
    assert keeps_to(given, {})
