"""A small evaluator of IAM policies: Allow and Deny on actions and resources with wildcards. Pure.

Of conditions it knows StringEquals and StringLike on what a call's context says. A statement with another
one, or with a principal, is beyond it: as Allow it counts for nothing, as Deny for everything it names, so
that a mistake refuses too much and never too little.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

_BEYOND = ("Principal", "NotPrincipal")
_CONDITIONS = ("StringEquals", "StringLike")


def allows(documents: Iterable[Mapping[str, Any]], action: str, resource: str) -> bool:
    """Whether the policies allow an action (``ssm:GetParameter``) on a resource (an ARN)."""
    return bool(decide(documents, action, resource))


def decide(
    documents: Iterable[Mapping[str, Any]],
    action: str,
    resource: str,
    context: Mapping[str, str] | None = None,
) -> bool | None:
    """What the policies say: True for allowed, False for denied, None where they say nothing.

    Args:
        context: condition key → value, of the call.
    """
    decision = None
    for document in documents:
        for statement in _list(document.get("Statement", [])):
            if not (
                _applies(statement, "Action", action, ignore_case=True)
                and _applies(statement, "Resource", resource)
            ):
                continue
            met = _met(statement, context or {})
            if statement.get("Effect") == "Deny" and met is not False:
                return False
            if statement.get("Effect") == "Allow" and met:
                decision = True
    return decision


def _applies(statement: Mapping[str, Any], element: str, value: str, ignore_case: bool = False) -> bool:
    if f"Not{element}" in statement:
        return not _matches(statement[f"Not{element}"], value, ignore_case)
    return _matches(statement.get(element, []), value, ignore_case)


def _met(statement: Mapping[str, Any], context: Mapping[str, str]) -> bool | None:
    """Whether a statement's conditions are met; None for what is beyond this."""
    conditions: Mapping[str, Mapping[str, Any]] = statement.get("Condition", {})
    if any(key in statement for key in _BEYOND) or not set(conditions) <= set(_CONDITIONS):
        return None
    return all(
        key in context
        and (_matches(wanted, context[key]) if test == "StringLike" else context[key] in _list(wanted))
        for test, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches(patterns: str | list[str], value: str, ignore_case: bool = False) -> bool:
    return any(_pattern(pattern, ignore_case).fullmatch(value) for pattern in _list(patterns))


@lru_cache(maxsize=1024)
def _pattern(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
