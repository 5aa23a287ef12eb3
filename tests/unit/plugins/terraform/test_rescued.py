"""Whose lock it is that stands in the way of a state that could not be saved."""

from __future__ import annotations

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.rescued import own_lock

LOCKED = """
╷
│ Error: Error acquiring the state lock
│
│ Error message: operation error S3: PutObject, https response error StatusCode: 412
│ Lock Info:
│   ID:        5d7c3b1a-0001
│   Path:      states/demo/network.tfstate
│   Operation: OperationTypeApply
│   Who:       ada@laptop
│   Version:   1.11.4
│   Created:   2026-11-28 07:46:53.123456789 +0000 UTC
│   Info:
╵
"""
CREATED = 1795852013  # seconds of the epoch


@pytest.mark.parametrize(
    ("said", "who", "when", "own"),
    [
        (LOCKED, "ada@laptop", CREATED + 30.0, True),
        (LOCKED, "ada@laptop", CREATED + 0.1, False),  # of a later run
        (LOCKED, "ada@desktop", CREATED + 30.0, False),
        (LOCKED, "", CREATED + 30.0, False),
        (LOCKED.replace("Created:   2", "Created:   -2"), "ada@laptop", CREATED + 30.0, False),
        (LOCKED.replace("ID:  ", "It:  "), "ada@laptop", CREATED + 30.0, False),
        ("Error: AccessDenied", "ada@laptop", CREATED + 30.0, False),
    ],
)
def test_the_lock_of_the_run_that_kept_a_state_here_is_known(
    said: str, who: str, when: float, own: bool
) -> None:
    assert own_lock(said, who, when) == ("5d7c3b1a-0001" if own else None)
