# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the packages and environments that a configuration asks for by name.

Whether a package of that name is to be had is for the bake to find out: it asks the repositories.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from .._software.conda import LockError, parse_lock
from .names import shown

DEBIAN_PACKAGE = (
    r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](:(amd64|all|any))?([=/][A-Za-z0-9.+:~*-]+)?",
    "git or git=1:2.39*",
)
"""https://www.debian.org/doc/debian-policy/ch-controlfields.html#source, and how apt-get names a version."""

R_PACKAGE = (r"[A-Za-z][A-Za-z0-9.]*[A-Za-z0-9](\s*>=\s*[0-9]+([.-][0-9]+)*)?", "dplyr or dplyr>=1.1")
"""https://cran.r-project.org/doc/manuals/r-release/R-exts.html#The-DESCRIPTION-file"""

_VERSION = r"[=<>!~]+ *[0-9A-Za-z*][^\s\[\]'\"]*(?<![=<>!~,|])"
CONDA_SPEC = (
    rf"([A-Za-z0-9._/-]+::)?[A-Za-z0-9_][A-Za-z0-9._-]*"
    rf"( *{_VERSION}( *, *{_VERSION})*| [0-9*][^\s\[\]'\"]*( [A-Za-z0-9_*][A-Za-z0-9_.*]*)?)?",
    "pandas, pandas=2.2 or pandas>=2.2",
)
"""The usual ones of conda's match specs: a channel, a name, a version and a build."""

ENVIRONMENT = (r"[a-z0-9][a-z0-9_-]{0,49}", "forecast or py312")
OWN_ENVIRONMENTS = ("base", "ds", "jupyterhub", "root")
"""Names that the machine's own conda environments have, or that conda knows."""

LOCK_MARK = "@EXPLICIT"
PLATFORMS = ("linux-64", "noarch")
"""Folders of a channel with packages for a machine of ours."""


def package_problems(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield one sentence for each thing that is wrong.

    Args:
        values: the ``ds_stack_`` variables, of the right types.
    """
    for variable, form in (
        ("ds_stack_python_packages", CONDA_SPEC),
        ("ds_stack_r_packages", R_PACKAGE),
        ("ds_stack_system_packages", DEBIAN_PACKAGE),
    ):
        yield from _of_form(variable, values.get(variable, []), form)
    notebooks = "jupyterhub" in (values.get("ds_stack_components") or ["jupyterhub"])
    for variable in ("ds_stack_python_packages", "ds_stack_environments"):
        if values.get(variable) and not notebooks:
            yield f"{variable}: there is no conda without JupyterHub. Add jupyterhub to ds_stack_components."
    if values.get("ds_stack_python_packages") and values.get("ds_stack_image_variables", {}).get(
        "jupyterhub_kernel_environment_lock"
    ):
        yield (
            "ds_stack_python_packages: the users' Python is made from jupyterhub_kernel_environment_lock, to "
            "which nothing can be added. Put the packages into the lock, or leave it out."
        )
    yield from _environments(values.get("ds_stack_environments", []))


def _environments(environments: list[Mapping[str, Any]]) -> Iterator[str]:
    variable = "ds_stack_environments"
    for name, times in Counter(one["name"] for one in environments).items():
        if times > 1:
            yield f"{variable}: {times} environments are called '{shown(name)}'. Give each a name of its own."
    for one in environments:
        name, specs, lock = one["name"], one.get("specs", []), one.get("lock", "")
        if name in OWN_ENVIRONMENTS:
            yield f"{variable}: '{name}' is an environment of the machine's own. Give yours another name."
            continue
        yield from _of_form(f"{variable}: the name", [name], ENVIRONMENT)
        yield from _of_form(f"{variable}: {shown(name)}", specs, CONDA_SPEC)
        if specs and lock.strip():
            yield f"{variable}: '{shown(name)}' has both specs and a lock. Give it one of them."
        elif not specs and not lock.strip():
            yield f"{variable}: '{shown(name)}' has neither specs nor a lock. Give it one of them."
        elif lock.strip() and LOCK_MARK not in lock.split():
            yield (
                f"{variable}: the lock of '{shown(name)}' is none, since it has no line {LOCK_MARK}. Give "
                "the text that 'conda list --explicit --md5' prints, for example by lookup('file', "
                "'NAME.lock')."
            )
        elif lock.strip() and (problem := lock_problem(lock, f"the lock of '{name}'", "ipykernel")):
            yield f"{variable}: {problem}"


def lock_problem(text: str, where: str, needed: str) -> str | None:
    """Return why a text is no explicit lock for a machine of ours, which has a package; or None."""
    try:
        packages = parse_lock(text, where)
    except LockError as error:
        return str(error)
    for package in packages:
        platform = package.url.rpartition("/")[0].rpartition("/")[2]
        if platform not in PLATFORMS:
            return (
                f"{where} has {package.filename} for {shown(platform)}, and the machine is "
                f"{PLATFORMS[0]}. Make the lock on such a machine."
            )
    if all(package.name != needed for package in packages):
        return f"{where} has no {needed}, without which it is of no use in notebooks. Make one that has it."
    return None


def _of_form(where: str, texts: list[str], form: tuple[str, str]) -> Iterator[str]:
    for text in texts:
        if not re.fullmatch(form[0], text):
            yield f"{where}: '{shown(text)}' is not of the form {form[1]}."
