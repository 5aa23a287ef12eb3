# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Terraform's own marks say must not be seen, or is not known yet. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._run.secrets import SENSITIVE

SENSITIVE_CHANGED = "(sensitive, changed)"
UNKNOWN = "(known after apply)"


def mask(value: Any, marks: Any) -> Any:
    """The value with everything marked replaced, at every depth.

    marks: `before_sensitive` or `after_sensitive` of the plan: true, or the value's own structure with
        true at the sensitive places.
    """
    if marks is True:
        return None if value is None else SENSITIVE
    if isinstance(marks, dict) and isinstance(value, dict):
        return {key: mask(item, marks.get(key)) for key, item in value.items()}
    if isinstance(marks, list) and isinstance(value, list):
        padded = [*marks, *[None] * (len(value) - len(marks))]
        return [mask(item, mark) for item, mark in zip(value, padded, strict=False)]
    return value


def is_marked(marks: Any) -> bool:
    """Whether anything is marked, at any depth."""
    if isinstance(marks, dict):
        return any(is_marked(mark) for mark in marks.values())
    if isinstance(marks, list):
        return any(is_marked(mark) for mark in marks)
    return marks is True


def marked_values(value: Any, marks: Any) -> Iterator[Any]:
    """Everything that `mask` would replace."""
    if marks is True:
        yield value
    elif isinstance(marks, dict) and isinstance(value, dict):
        for key, item in value.items():
            yield from marked_values(item, marks.get(key))
    elif isinstance(marks, list) and isinstance(value, list):
        for item, mark in zip(value, marks, strict=False):
            yield from marked_values(item, mark)
