"""Version constraints as HashiCorp's tools read them."""

from __future__ import annotations

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._run.versions import satisfies


@pytest.mark.parametrize(
    ("version", "constraint", "met"),
    [
        ("1.11.0", ">= 1.11.0", True),
        ("1.10.3", ">= 1.11.0", False),
        ("1.9.0", ">= 1.10", False),
        ("2", ">= 1.10", True),
        ("1.11.4", ">= 1.10, < 2.0", True),
        ("2.0.1", ">= 1.10, < 2.0", False),
        ("1.12.0-beta1", ">= 1.11", True),
        ("1.14.2", "~> 1.11", True),
        ("2.0.0", "~> 1.11", False),
        ("1.11.9", "~> 1.11.2", True),
        ("1.12.0", "~> 1.11.2", False),
        ("1.11.1", "~> 1.11.2", False),
        ("1.11", "1.11.0", True),
        ("1.11.1", "= 1.11.0", False),
        ("1.11.1", "!= 1.11.1", False),
        ("1.11.1", "> 1.11, <= 1.11.1", True),
        ("1.6.6", "", True),
        ("1.6.6", "something new", True),
        ("unknown", ">= 1.11", True),
    ],
)
def test_constraints(version: str, constraint: str, met: bool) -> None:
    assert satisfies(version, constraint) is met
