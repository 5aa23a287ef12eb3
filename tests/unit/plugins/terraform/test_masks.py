"""Nothing sensitive is shown, and nothing else is masked."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform import masks


@pytest.mark.parametrize(
    ("value", "marks", "expected"),
    [
        ("x", False, "x"),
        ("x", True, "(sensitive)"),
        (None, True, None),
        ({"a": 1, "b": {"c": [1, 2]}}, {"b": {"c": [False, True]}}, {"a": 1, "b": {"c": [1, "(sensitive)"]}}),
        ({"a": {"b": {"c": "x"}}}, {"a": {"b": True}}, {"a": {"b": "(sensitive)"}}),
        ([1, 2, 3], [True], ["(sensitive)", 2, 3]),
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1}, None, {"a": 1}),
        ("x", {"a": True}, "x"),
    ],
)
def test_mask(value: Any, marks: Any, expected: Any) -> None:
    assert masks.mask(value, marks) == expected


def test_marked_values_are_those_that_are_masked() -> None:
    value = {"a": "one", "b": ["two", "three"], "c": {"d": {"e": "four"}}}
    marks = {"b": [False, True], "c": {"d": True}}
    assert list(masks.marked_values(value, marks)) == ["three", {"e": "four"}]


@pytest.mark.parametrize(
    ("marks", "expected"), [(True, True), ({"a": [{"b": True}]}, True), ({"a": []}, False)]
)
def test_is_marked(marks: Any, expected: bool) -> None:
    assert masks.is_marked(marks) is expected


def test_secrets_are_all_leaves_that_are_long_enough_and_their_lines() -> None:
    found = masks.secrets_in(
        [{"a": "short", "b": ["long enough", 12345678, True, None]}, "first line\nx\nlast line"]
    )
    assert found == {"long enough", "12345678", "first line\nx\nlast line", "first line", "last line"}


def test_the_scrubber_replaces_the_longest_first() -> None:
    scrubber = masks.Scrubber(["secret", "secret-and-more"])
    assert scrubber.text("a secret-and-more, a secret") == "a (sensitive), a (sensitive)"
    scrubber.add(["another"])
    assert scrubber.text("another") == "(sensitive)"
    assert scrubber.secrets[0] == "secret-and-more"


def test_credentials_are_known_by_their_names() -> None:
    options = {
        "backend": {"secret_key": "k", "bucket": "b"},
        "list": [{"api_token": "t"}],
        "Password": {"x": "p"},
    }
    assert list(masks.credentials_in(options)) == ["k", "t", {"x": "p"}]
