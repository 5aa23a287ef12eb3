# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a stack's configuration, as sentences for the person who wrote it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from .configuration_files import path_problems, time_zone_problem
from .configuration_image import image_problems
from .configuration_rules import meaning_problems
from .configuration_types import Checker, Option, unknown_names


def find_problems(
    options: Mapping[str, Option],
    values: Mapping[str, Any],
    *,
    role_options: Mapping[str, Option] | None = None,
    failures: Mapping[str, str] | None = None,
    writes: bool = True,
) -> list[str]:
    """Return one sentence for each thing that is wrong, in an order fit for reading.

    The rules about the meaning look at those variables whose types are right.

    Args:
        options: the argument spec of the ``ds_stack_`` variables.
        values: what the user set, and the defaults.
        role_options: the argument specs of the roles that make the image; None checks nothing of theirs.
        failures: variables whose value could not be worked out, and why.
        writes: whether something will be written on this machine.
    """
    failures = failures or {}
    names = {*values, *failures}
    missing = [name for name, option in options.items() if option.get("required") and name not in names]
    checker = Checker()
    typed = checker.check(options, values)
    problems = [
        *unknown_names(names, options),
        *(f"{name} is missing. Set it in your file of variables, or with -e {name}=..." for name in missing),
        *_failed(failures, missing),
        *checker.problems,
        *meaning_problems(typed),
    ]
    if "ds_stack_timezone" in typed and (problem := time_zone_problem(typed["ds_stack_timezone"])):
        problems.append(f"ds_stack_timezone: {problem}")
    # The folder's default is made of the stack's name.
    if writes and not any(problem.startswith("ds_stack_name") for problem in problems):
        problems += path_problems(typed)
    if role_options is not None:
        problems += image_problems(role_options, typed)
    return problems


def _failed(failures: Mapping[str, str], missing: Collection[str]) -> Iterator[str]:
    """Values that could not be worked out: one sentence for each reason, and none for what is missing."""
    names_of: dict[str, list[str]] = {}
    for name, reason in sorted(failures.items()):
        if not any(f"'{other}' is undefined" in reason for other in missing):
            names_of.setdefault(" ".join(reason.split()).rstrip("."), []).append(name)
    for reason, names in names_of.items():
        if reason.endswith("resolved to an Omit scalar"):  # in Ansible's own words
            yield f"{' and '.join(names)}: omit is for an option of a task. Leave the variable out instead."
            continue
        yield f"{' and '.join(names)} cannot be worked out: {reason}."
