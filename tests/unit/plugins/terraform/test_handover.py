"""Which of two states is the right one."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.backend import Version
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.errors import TerraformError
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.handover import (
    NOTHING,
    PUSH,
    REMOTE,
    decide,
)


def version(lineage: str, serial: int, *resources: str) -> Version:
    return Version(lineage, serial, frozenset(resources))


@pytest.mark.parametrize(
    ("local", "remote", "action"),
    [
        (None, None, NOTHING),
        (None, version("a", 3, "vpc"), NOTHING),
        (version("a", 3, "vpc"), None, PUSH),
        (version("a", 3), None, REMOTE),  # all was destroyed
        (version("a", 3), version("b", 1, "vpc"), REMOTE),
        (version("a", 3, "vpc"), version("a", 2, "subnet"), PUSH),
        (version("a", 3, "vpc"), version("a", 2), PUSH),
        (version("a", 3, "vpc"), version("a", 3, "vpc"), REMOTE),
        (version("a", 3, "vpc"), version("b", 1, "vpc"), REMOTE),  # killed after the push
        (version("a", 1, "vpc"), version("a", 3, "vpc", "subnet"), REMOTE),
        (version("a", 1, "vpc"), version("a", 3), REMOTE),
        (version("a", 3), version("a", 2, "vpc"), PUSH),  # the last of it was destroyed
    ],
)
def test_the_newer_state_of_one_origin_counts(
    local: Version | None, remote: Version | None, action: str
) -> None:
    assert decide(local, remote) == action


@pytest.mark.parametrize(
    ("local", "remote"),
    [
        (version("a", 3, "vpc", "subnet"), version("b", 1, "vpc")),
        (version("a", 1, "vpc"), version("b", 9, "vpc 2")),
        (version("a", 3, "vpc"), version("b", 1)),
        (version("a", 3, "vpc"), version("a", 3, "other vpc")),
    ],
)
def test_what_is_not_certain_is_left_to_people(local: Version, remote: Version) -> None:
    with pytest.raises(TerraformError):
        decide(local, remote)


@pytest.mark.parametrize("document", [None, [], {}, {"lineage": "", "serial": 0, "resources": []}, "text"])
def test_terraform_shows_a_state_that_does_not_exist_without_a_lineage(document: Any) -> None:
    assert Version.parse(document) is None


def test_a_state_is_named_without_its_content() -> None:
    secret = {"attributes": {"id": "x-1", "password": "secret"}, "index_key": "one"}
    resource = {"mode": "managed", "type": "x", "name": "y", "module": "module.m", "instances": [secret]}
    read = {**resource, "mode": "data"}
    found = Version.parse({"lineage": "a", "serial": 2, "resources": [resource, read]})
    assert str(found) == "lineage a, serial 2, 1 resource"
    assert found
    assert found.resources == {"module.m x y one x-1"}
    assert "x-1" not in repr(found)
