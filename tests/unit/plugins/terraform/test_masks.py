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
