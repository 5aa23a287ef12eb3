"""Secrets in URLs."""

from __future__ import annotations

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._run.urls import mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://ada:hunter2@conda.example/x", "https://***@conda.example/x"),
        ("https://conda.example/t/ab-123/x/noarch", "https://conda.example/t/***/x/noarch"),
        ("https://conda.example/team/x@2", "https://conda.example/team/x@2"),
    ],
)
def test_credentials_in_urls_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked
