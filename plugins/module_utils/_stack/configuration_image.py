# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the variables of the roles that make the image: what these would say during the bake."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .configuration_files import time_zone_problem
from .configuration_packages import DEBIAN_PACKAGE, R_PACKAGE
from .configuration_rules import locale_problem
from .configuration_types import Checker, Option, unknown_names
from .names import shown

VARIABLES = ("ds_stack_downloads", "ds_stack_image_variables")
"""The variables that hold those of the roles; the second wins."""

FORMS = {
    "base_packages": DEBIAN_PACKAGE,
    "jupyterhub_memory_limit": (r"0|[1-9][0-9]?%|100%|[1-9][0-9]*[KMGT]?", "80% or 4G"),
    "base_extra_packages": DEBIAN_PACKAGE,
    "r_packages": R_PACKAGE,
    "r_extra_packages": R_PACKAGE,
    "r_system_packages": DEBIAN_PACKAGE,
}
FORMS_OF_ENDINGS = {
    "_checksum": (r"[a-z0-9]+:([0-9a-fA-F]{32,128}|[a-z]+://\S+)", "sha256:777df4e0... in full"),
    "_url": (r"([a-z]+://\S+)?", "https://example.org/file"),
}
PORT = (1, 65535)
SHORTEST_IDLE = 600

CHECKED_VERSIONS = {
    "base_ssm_agent_version": "base_ssm_agent_checksum",
    "conda_version": "conda_installer_checksum",
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
            yield from (f"{variable}.{name}: {problem}" for problem in _meaning(name, value))
        together |= typed
    if values.get("ds_stack_apt_snapshot") and together.get("base_security_updates") == "unattended":
        yield (
            "ds_stack_apt_snapshot: the archive of one day has no security updates, and "
            "base_security_updates is unattended. Leave one of them out."
        )
    for name, checksum in CHECKED_VERSIONS.items():
        known = ("", role_options.get(name, {}).get("default"))
        if checksum not in together and together.get(name, "") not in known:
            where = VARIABLES[name in values.get(VARIABLES[1], {})]
            yield (
                f"{where}.{name}: no checksum is known for {shown(together[name])}. Give {checksum} with it, "
                "or leave the version out."
            )


def _meaning(name: str, value: Any) -> Iterator[str]:
    endings = (form for ending, form in FORMS_OF_ENDINGS.items() if name.endswith(ending))
    if form := FORMS.get(name) or next(endings, None):
        for text in [value] if isinstance(value, str) else value:
            if not re.fullmatch(form[0], text):
                yield f"'{shown(text)}' is not of the form {form[1]}."
    if name.endswith("_port") and not PORT[0] <= value <= PORT[1]:
        yield f"{value} is no port. Take {PORT[0]} to {PORT[1]}."
    if name == "jupyterhub_idle_timeout" and value != 0 and value < SHORTEST_IDLE:
        yield f"{value} seconds would stop servers in use. Take {SHORTEST_IDLE} or more, or 0 for never."
    if name == "r_snapshot_date" and not _is_day(value):
        yield f"'{shown(value)}' is no day. Write it as YYYY-MM-DD."
    problem = {"base_locale": locale_problem, "base_timezone": time_zone_problem}.get(name, _nothing)(value)
    if problem:
        yield problem


def _nothing(_value: Any) -> str | None:
    return None


def _is_day(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
