"""What a distribution's family calls things: each role's file for one has what that for the other has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"
BOTH = sorted(path.parts[-3] for path in ROLES.glob("*/vars/redhat.yml"))


def names(role: str, family: str) -> dict[str, str]:
    """Return the variables of a family and what kind of value each has."""
    found: dict[str, Any] = yaml.safe_load((ROLES / role / "vars" / f"{family}.yml").read_text())
    return {name: type(value).__name__ for name, value in found.items()}


@pytest.mark.parametrize("role", BOTH)
def test_both_families_have_the_same_names(role: str) -> None:
    assert names(role, "redhat") == names(role, "debian")


def test_the_roles_of_a_node_know_both() -> None:
    assert BOTH == ["base", "conda", "spark_connect"]
