"""A small evaluator of IAM policies: Allow and Deny on Action and Resource with wildcards. Pure.

A statement with a condition, a principal, NotAction or NotResource is beyond it: as Allow it counts for
nothing, as Deny for everything it names, so that a mistake refuses too much and never too little.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

_BEYOND = ("Condition", "Principal", "NotPrincipal", "NotAction", "NotResource")


def allows(documents: Iterable[Mapping[str, Any]], action: str, resource: str) -> bool:
    """Whether the policies allow an action (``ssm:GetParameter``) on a resource (an ARN)."""
    allowed = False
    for document in documents:
        for statement in _list(document.get("Statement", [])):
            applies = _matches(statement.get("Action", []), action, ignore_case=True) and _matches(
                statement.get("Resource", []), resource
            )
            beyond = any(key in statement for key in _BEYOND)
            if statement.get("Effect") == "Deny" and (
                applies or "NotAction" in statement or "NotResource" in statement
            ):
                return False
            if statement.get("Effect") == "Allow" and applies and not beyond:
                allowed = True
    return allowed


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches(patterns: str | list[str], value: str, ignore_case: bool = False) -> bool:
    return any(_pattern(pattern, ignore_case).fullmatch(value) for pattern in _list(patterns))


@lru_cache(maxsize=1024)
def _pattern(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
