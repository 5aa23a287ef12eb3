# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a stack's configuration, as sentences for the person who wrote it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import get_close_matches
from ipaddress import AddressValueError, IPv4Network, IPv6Network, NetmaskValueError, collapse_addresses
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.iac.ds_stack.plugins.module_utils._names import (
    stack_name_problem,
    user_name_problem,
)

PREFIX = "ds_stack_"
POLICY = (r"arn:[^:]+:iam::[^:]*:policy/", "arn:aws:iam::123456789012:policy/NAME")
SUBNET = (r"subnet-", "subnet-0123456789abcdef0")
AWS_NAMES = {
    "ds_stack_bake_subnet_id": SUBNET,
    "ds_stack_kms_key_id": (r"arn:[^:]+:kms:", "arn:aws:kms:REGION:123456789012:key/ID"),
    "ds_stack_permissions_boundary": POLICY,
    "ds_stack_policy_arns": POLICY,
    "ds_stack_subnet_id": SUBNET,
}
"""How ids and ARNs begin, and what they look like. Terraform says it too, but only after the bake."""
WIDEST = 8
"""Prefix length of the widest network that can be somebody's own: that of 10.0.0.0/8."""

Values = Mapping[str, Any]


def find_problems(options: Mapping[str, Mapping[str, Any]], values: Values) -> list[str]:
    """Return one sentence for each thing that is wrong, in an order fit for reading.

    ``options`` is the argument spec of the ``ds_stack_`` variables, ``values`` what the user set.
    The rules about the meaning of values are looked at only when all have the right type.
    """
    known = {name: value for name, value in values.items() if name in options}
    texts = list(_texts_for_collections(options, known))
    problems = [*_unknown_names(values, options), *texts]
    if not texts:
        problems += ArgumentSpecValidator(dict(options)).validate(known).error_messages
    if problems:
        return problems
    return [problem for rule in RULES for problem in rule(values)]


def _unknown_names(values: Values, known: Collection[str]) -> Iterator[str]:
    for name in sorted(values):
        if name not in known:
            nearest = get_close_matches(name, known, n=1)
            yield f"{name} is no variable of this collection." + (
                f" Did you mean {nearest[0]}?" if nearest else ""
            )


def _texts_for_collections(options: Mapping[str, Mapping[str, Any]], values: Values) -> Iterator[str]:
    """Refuse texts where lists and dicts belong: `-e name=value` would be cut at its commas."""
    for name, value in sorted(values.items()):
        kind = options[name]["type"]
        if isinstance(value, str) and kind in ("list", "dict"):
            example = "[...]" if kind == "list" else "{...}"
            yield f"{name} is a {kind}. On the command line, write -e '{{\"{name}\": {example}}}'."


def _stack_name(values: Values) -> Iterator[str]:
    if problem := stack_name_problem(values["ds_stack_name"]):
        yield f"ds_stack_name: {problem}"


def _users(values: Values) -> Iterator[str]:
    names = [user["name"] for user in values.get("ds_stack_users", [])]
    for name in names:
        if problem := user_name_problem(name):
            yield f"ds_stack_users: {problem}"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"ds_stack_users: '{name}' is there twice. Remove one."


def _networks(values: Values) -> Iterator[str]:
    for variable in ("ds_stack_allowed_cidrs", "ds_stack_bake_source_cidrs", "ds_stack_vpc_cidr"):
        value = values.get(variable, [])
        for text in [value] if isinstance(value, str) else value:
            problem = _cidr_problem(text)
            if problem:
                yield f"{variable}: {problem}"


def _cidr_problem(text: str) -> str | None:
    if _is_ipv6(text):
        return f"'{text}' is an IPv6 network, and a stack has IPv4 addresses only. Name an IPv4 network."
    if "/" not in text:
        return f"'{text}' has no prefix length. For one address, write {text}/32."
    try:
        IPv4Network(text)
    except (AddressValueError, NetmaskValueError):
        return f"'{text}' is no IPv4 network. Write ADDRESS/LENGTH, for example 198.51.100.0/24."
    except ValueError:
        network = IPv4Network(text, strict=False)
        return f"'{text}' is an address inside a network. Did you mean {network}?"
    return None


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Network(text, strict=False)
    except ValueError:
        return False
    return True


def _open_world(values: Values) -> Iterator[str]:
    """Networks that together are wider than anybody's own: 0.0.0.0/1 and 128.0.0.0/1 are 0.0.0.0/0."""
    if values.get("ds_stack_allow_world"):
        return
    for variable, what in (
        ("ds_stack_allowed_cidrs", "the machine"),
        ("ds_stack_bake_source_cidrs", "the bake's SSH port"),
    ):
        networks = [IPv4Network(text) for text in values.get(variable, []) if not _cidr_problem(text)]
        wide = [network for network in collapse_addresses(networks) if network.prefixlen < WIDEST]
        if wide:
            to = "the whole internet" if wide[0].prefixlen == 0 else " and ".join(map(str, wide))
            yield (
                f"{variable} opens {what} to {to}. Name your own networks, or set ds_stack_allow_world to "
                "true if that is what you want."
            )


def _vpc_size(values: Values) -> Iterator[str]:
    cidr = values.get("ds_stack_vpc_cidr")
    if cidr and not _cidr_problem(cidr) and not 16 <= IPv4Network(cidr).prefixlen <= 24:
        yield f"ds_stack_vpc_cidr: {cidr} has the wrong size. Take a network between /16 and /24."


def _sizes(values: Values) -> Iterator[str]:
    for variable, smallest in (("ds_stack_root_volume_size", 8), ("ds_stack_data_volume_size", 1)):
        if variable in values and int(values[variable]) < smallest:
            yield f"{variable}: {values[variable]} GiB is too small. Take {smallest} or more."


def _aws_names(values: Values) -> Iterator[str]:
    for variable, (pattern, example) in AWS_NAMES.items():
        value = values.get(variable) or []
        for name in [value] if isinstance(value, str) else value:
            if not re.match(pattern, name):
                yield f"{variable}: '{name}' is not of the form {example}."


RULES: tuple[Callable[[Values], Iterator[str]], ...] = (
    _stack_name,
    _users,
    _networks,
    _open_world,
    _vpc_size,
    _sizes,
    _aws_names,
)
