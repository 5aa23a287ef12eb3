# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Version constraints as HashiCorp's tools write them: C(>= 1.10, < 2.0)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

_TERM = re.compile(r"\s*(=|!=|>=|<=|>|<|~>)?\s*v?(\d+(?:\.\d+)*)(?:[-+][\w.+-]*)?\s*")
_COMPARE: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def satisfies(version: str, constraint: str) -> bool:
    """Whether a version meets a constraint. What is neither counts as met: the tool itself will judge.

    Of a pre-release (1.11.0-beta1) only the numbers count.
    """
    found = _TERM.fullmatch(version)
    if found is None:
        return True
    return all(_meets(_numbers(found[2]), term) for term in constraint.split(","))


def _meets(version: tuple[int, ...], term: str) -> bool:
    match = _TERM.fullmatch(term)
    if match is None:
        return True
    wanted = _numbers(match[2])
    width = max(len(version), len(wanted))
    left, right = _padded(version, width), _padded(wanted, width)
    if match[1] == "~>":  # only the last of the numbers that are given may grow
        return left >= right and version[: len(wanted) - 1] == wanted[:-1]
    return _COMPARE[match[1] or "="](left, right)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _padded(numbers: tuple[int, ...], width: int) -> tuple[int, ...]:
    return numbers + (0,) * (width - len(numbers))
