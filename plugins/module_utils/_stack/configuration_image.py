# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the variables of the roles that make the image: what these would say during the bake."""

from __future__ import annotations

import ast
import datetime
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .configuration_files import time_zone_problem
from .configuration_packages import CONDA_SPEC, DEBIAN_PACKAGE, R_PACKAGE, lock_problem
from .configuration_rules import locale_problem
from .configuration_types import Checker, Option, unknown_names
from .names import shown

VARIABLES = ("ds_stack_downloads", "ds_stack_image_variables")
"""The variables that hold those of the roles; the second wins."""

MEMORY = (r"[1-9][0-9]?%|100%|[1-9][0-9]*[KMGT]?|infinity", "80% or 4G")
GROUP = (r"[a-z_][a-z0-9_-]{0,31}", "ds-users")
FORMS = {
    "base_journal_max_use": (r"[1-9][0-9]*[KMGT]?", "500M"),
    "base_packages": DEBIAN_PACKAGE,
    "base_user_memory_max": MEMORY,
    "base_user_tasks_max": (r"[1-9][0-9]?%|100%|[1-9][0-9]*|infinity", "25% or 4096"),
    "base_users_group": GROUP,
    "base_users_memory_max": MEMORY,
    "jupyterhub_kernel_environment_extra_specs": CONDA_SPEC,
    "jupyterhub_kernel_environment_specs": CONDA_SPEC,
    "rstudio_server_memory_high": MEMORY,
    "rstudio_server_memory_max": MEMORY,
    "jupyterhub_memory_limit": (r"0|[1-9][0-9]?%|100%|[1-9][0-9]*[KMGT]?", "80% or 4G"),
    "base_extra_packages": DEBIAN_PACKAGE,
    "r_packages": R_PACKAGE,
    "r_extra_packages": R_PACKAGE,
    "r_system_packages": DEBIAN_PACKAGE,
}
HASHES = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
"""What ansible.builtin.get_url can check, and with how many digits."""
FORMS_OF_ENDINGS = {
    "_checksum": (
        "|".join(f"{name}:[0-9a-fA-F]{{{length}}}" for name, length in HASHES.items())
        + r"|[a-z0-9]+:[a-z]+://\S+",
        "sha256:777df4e0... in full",
    ),
    "_url": (r"([a-z]+://\S+)?", "https://example.org/file"),
}
PORT = (1, 65535)
SYSTEM_PORTS = (1, 1023)
"""Those on which no user can listen before the service does: the roles take no others for themselves."""
SYSTEM_PORTS_OF = (
    "jupyterhub_hub_port",
    "jupyterhub_port",
    "jupyterhub_proxy_api_port",
    "rstudio_server_port",
)
SHORTEST_IDLE = 600

LOCKS = {"jupyterhub_environment_lock": "jupyterhub", "jupyterhub_kernel_environment_lock": "ipykernel"}
"""Explicit locks, and what each has to have."""

CHECKED_VERSIONS = {
    "base_ssm_agent_version": "base_ssm_agent_checksum",
    "conda_version": "conda_installer_checksum",
    "r_version": "r_builds_checksum",
    "rstudio_server_version": "rstudio_server_checksum",
}
"""A version other than the default, and what has to be given with it: the roles know no other checksum."""


def image_problems(role_options: Mapping[str, Option], values: Mapping[str, Any]) -> Iterator[str]:
    """Return one sentence for each thing that is wrong.

    Args:
        role_options: the argument specs of the roles, all in one.
        values: the ``ds_stack_`` variables, of the right types.
    """
    together: dict[str, Any] = {}
    for variable in VARIABLES:
        given = values.get(variable, {})
        yield from unknown_names(given, role_options, f"{variable}.")
        checker = Checker()
        typed = checker.check(role_options, given)
        yield from (f"{variable}.{problem}" for problem in checker.problems)
        for name, value in typed.items():
            problems = list(_kind_problems(role_options[name], value)) or list(_meaning(name, value))
            yield from (f"{variable}.{name}: {problem}" for problem in problems)
        together |= typed
    yield from _one_port_for_two(role_options, together)
    if values.get("ds_stack_apt_snapshot") and together.get("base_security_updates") == "unattended":
        yield (
            "ds_stack_apt_snapshot: the archive of one day has no security updates, and "
            "base_security_updates is unattended. Leave one of them out."
        )
    for name, checksum in CHECKED_VERSIONS.items():
        known = ("", role_options.get(name, {}).get("default"))
        source = "distribution" if str(values.get("ds_stack_os", "")).startswith("debian") else "r_builds"
        if name == "r_version" and together.get("r_source", source) == "distribution":
            continue  # which has its own R
        if checksum not in together and together.get(name, "") not in known:
            where = VARIABLES[name in values.get(VARIABLES[1], {})]
            yield (
                f"{where}.{name}: no checksum is known for {shown(together[name])}. Give {checksum} with it, "
                "or leave the version out."
            )


def _kind_problems(option: Option, value: Any) -> Iterator[str]:
    """What no number and no path of a role can be."""
    if option.get("type") in ("int", "float") and value < 0:
        yield f"{value} is too small. Take 0 or more."
    if "path" in (option.get("type"), option.get("elements")):
        for path in [value] if isinstance(value, str) else value:
            if path and not path.startswith("/"):
                yield f"'{shown(path)}' is not a whole path. Write it from / on."


def _one_port_for_two(role_options: Mapping[str, Option], given: Mapping[str, Any]) -> Iterator[str]:
    taken = {22: "SSH"}
    for name in sorted(SYSTEM_PORTS_OF, key=lambda one: one in given):
        port = given.get(name, role_options.get(name, {}).get("default"))
        if name in given and port in taken:
            yield f"{VARIABLES[1]}.{name}: {port} is the port of {taken[port]}. Take another."
        taken.setdefault(port, name)


def _meaning(name: str, value: Any) -> Iterator[str]:
    endings = (form for ending, form in FORMS_OF_ENDINGS.items() if name.endswith(ending))
    if form := FORMS.get(name) or next(endings, None):
        for text in [value] if isinstance(value, str) else value:
            if not re.fullmatch(form[0], text):
                yield f"'{shown(text)}' is not of the form {form[1]}."
    first, last = SYSTEM_PORTS if name in SYSTEM_PORTS_OF else PORT
    if name.endswith("_port") and not first <= value <= last:
        yield f"{value} cannot be its port. Take {first} to {last}."
    if name == "jupyterhub_idle_timeout" and value != 0 and value < SHORTEST_IDLE:
        yield f"{value} seconds would stop servers in use. Take {SHORTEST_IDLE} or more, or 0 for never."
    if name in LOCKS and value.strip() and (problem := lock_problem(value, "the lock", LOCKS[name])):
        yield problem
    meaning = _MEANINGS.get(name)
    if meaning and (problem := meaning(value)):
        yield problem


def _day_problem(text: str) -> str | None:
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        return f"'{shown(text)}' is no day. Write it as YYYY-MM-DD."
    if day > datetime.datetime.now(datetime.timezone.utc).date():
        return f"{text} has not come yet. Take a day that is over."
    return None


def _python_problem(text: str) -> str | None:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        return f"line {line} of it is no Python, and the hub would not start. Mend it."
    return None


_MEANINGS: Mapping[str, Callable[[str], str | None]] = {
    "base_locale": locale_problem,
    "base_timezone": time_zone_problem,
    "jupyterhub_extra_config": _python_problem,
    "r_snapshot_date": _day_problem,
}
