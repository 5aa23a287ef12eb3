"""JupyterHub and what runs in its notebooks."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import system
from .checks import NotShownError, Step, WrongError
from .hub import Hub, HubError, SignInRefusedError
from .settings import Settings
from .user import User

UNIT = "jupyterhub.service"

#: Modules that load libraries of the environment's own.
PYTHON_CELL = """
import ctypes, getpass, json, os, sqlite3, ssl, sys
def read(path):
    try:
        return open(path).read()
    except OSError:
        return ""
print(json.dumps({"answer": 6 * 7, "prefix": sys.prefix, "user": getpass.getuser(), "folder": os.getcwd(),
    "groups": read("/proc/self/cgroup"), "version": sys.version.split()[0]}))
"""

#: A matrix is inverted by a library of the system's. %s: names of packages, each in quotes.
R_CELL = """
wanted <- c(%s)
missing <- wanted[!nzchar(vapply(wanted, function(one) system.file(package = one), ""))]
cat(6 * 7, solve(matrix(2))[1], Sys.info()[["user"]], paste(c("missing:", missing), collapse = " "),
    as.character(getRversion()), sep = "\\n")
"""

#: Python calls a function of R's, and R one of Python's.
BOTH_WAYS_CELL = """
reticulate::py_run_string("def twice(function, number): return function(number) * 2")
cat(reticulate::py$twice(function(number) number + 1, 20), reticulate::py_config()$python, sep = "\\n")
"""


@dataclass
class Notebooks:
    """A browser at the hub, and what the cells have told."""

    settings: Settings
    user: User
    hub: Hub
    patience: float
    groups: str = ""

    def steps(self) -> list[Step]:
        """What a user does there, in this order."""
        steps: list[Step] = [
            ("JupyterHub answers", self.answers),
            ("JupyterHub sign-in", self.sign_in),
            ("JupyterHub server", self.start),
            ("Python cell", self.python),
        ]
        if self.settings.has_limits:
            steps.append(("limits", self.limits))
        steps.append(("R cell", self.r))
        if self.settings.reticulate_python:
            steps.append(("R and Python", self.both_ways))
        return [*steps, ("JupyterHub server stops", self.stop)]

    def refusal(self) -> list[Step]:
        """That a wrong password gets nobody in, which takes as long as a right one does not."""
        return [("JupyterHub refuses a wrong password", self.is_refused)]

    def answers(self) -> str:
        """Wait for the sign-in page, for as long as the unit runs."""
        return wait_for(UNIT, lambda: self.hub.wait_until_ready(1), self.patience)

    def sign_in(self) -> str:
        self.hub.sign_in(self.user.name, self.user.password)
        return "a user of the group signs in"

    def is_refused(self) -> str:
        self.answers()
        other = self.hub.another()
        try:
            other.sign_in(self.user.name, "not-" + self.user.password)
        except SignInRefusedError as error:
            return str(error)
        raise WrongError("a wrong password lets in")

    def start(self) -> str:
        self.hub.start_server(self.patience)
        kernels = self.hub.kernels()
        if kernels[:1] != ["python3"] or "ir" not in kernels:
            raise WrongError(
                f"the kernels are {', '.join(kernels) or 'none'}; python3 and ir have to be there"
            )
        return f"kernels: {', '.join(kernels)}"

    def stop(self) -> str:
        self.hub.stop_server()
        return "stopped"

    def python(self) -> str:
        found = json.loads(self._cell("python3", PYTHON_CELL)[-1])
        self.groups = found.pop("groups")
        prefix = self.settings.python_prefix
        expected = {"answer": 42, "prefix": prefix, "user": self.user.name, "folder": str(self.user.home)}
        _compare(expected, found)
        return f"Python {found['version']} of {prefix}"

    def limits(self) -> str:
        """That the unit in which the cell ran has the limits of the image, and the kernel too."""
        unit = re.search(r"/([^/\n]+\.service)$", self.groups, re.MULTILINE)
        if unit is None:
            raise WrongError(f"the cell ran in no unit of its own: {self.groups}")
        has = system.show(unit[1], "MemoryMax", "CPUQuotaPerSecUSec")
        memory, cpu = memory_bytes(self.settings.memory_limit), self.settings.cpu_limit
        expected = {"memory": memory, "processors": cpu or None}
        limits = {"memory": number(has["MemoryMax"]), "processors": seconds(has["CPUQuotaPerSecUSec"])}
        if limits["memory"] and memory:
            limits["memory"] = memory if abs(limits["memory"] - memory) < 65536 else limits["memory"]
        _compare(expected, limits)
        said = ", ".join(f"{name} {value or 'without limit'}" for name, value in limits.items())
        path = re.search(r"^0::(/.+)$", self.groups, re.MULTILINE)
        file = Path(f"/sys/fs/cgroup{path[1] if path else ''}/memory.max")
        if not file.is_file():
            raise NotShownError(f"{unit[1]} has {said}; this kernel does not tell whether they count")
        _compare(
            {"memory.max": memory and has["MemoryMax"]}, {"memory.max": memory and file.read_text().strip()}
        )
        return said

    def r(self) -> str:
        names = ", ".join(json.dumps(name) for name in self.settings.r_packages)
        answer, inverse, user, missing, version = self._cell("ir", R_CELL % names)[-5:]
        expected = {"answer": "42", "inverse": "0.5", "user": self.user.name, "packages": "missing:"}
        _compare(expected, {"answer": answer, "inverse": inverse, "user": user, "packages": missing.strip()})
        return f"R {version} with {len(self.settings.r_packages)} packages that were asked for"

    def both_ways(self) -> str:
        answer, python = self._cell("ir", BOTH_WAYS_CELL)[-2:]
        _compare(
            {"answer": "42", "Python": self.settings.reticulate_python}, {"answer": answer, "Python": python}
        )
        return f"R and {python} call each other"

    def _cell(self, kernel: str, code: str) -> list[str]:
        try:
            cell = self.hub.run_cell(code, kernel=kernel, timeout=self.patience)
        except HubError as error:
            raise WrongError(f"the kernel {kernel} does not work: {error}") from error
        if cell.status != "ok":
            raise WrongError(f"the cell in {kernel} failed: {cell.error}")
        lines = cell.output.strip().splitlines()
        return ["", "", "", "", *lines]  # an answer that is too short is a wrong one


def wait_for(unit: str, look: Any, patience: float) -> str:
    """Look until it answers, unless its unit does not run any more."""
    end = time.monotonic() + patience
    while True:
        try:
            look()
            return f"{unit} answers"
        except Exception as error:
            if state := system.ended(unit):
                raise WrongError(f"{state}: journalctl --unit {unit}") from error
            if time.monotonic() > end:
                raise HubError(
                    f"{unit} runs, but does not answer within {patience:.0f} s: {error}"
                ) from error


def _compare(expected: dict[str, Any], found: dict[str, Any]) -> None:
    wrong = {name: value for name, value in expected.items() if found.get(name) != value}
    if wrong:
        raise WrongError(
            "; ".join(
                f"{name} is {found.get(name)!r} and should be {value!r}" for name, value in wrong.items()
            )
        )


def memory_bytes(limit: str) -> int | None:
    """A limit as the role jupyterhub has it (80%, 4G, 0) in bytes; None is no limit."""
    if limit.endswith("%"):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * int(limit[:-1]) // 100
    unit = {"K": 1, "M": 2, "G": 3, "T": 4}.get(limit[-1:])
    amount = int(float(limit[:-1]) * 1024**unit) if unit else int(float(limit))
    return amount or None


def number(text: str) -> int | None:
    """A limit as systemd prints it; None is no limit."""
    return int(text) if text.isdecimal() and int(text) < 2**63 else None


def seconds(text: str) -> float | None:
    """A time as systemd prints it (1.500s, 500ms, 1min 30s) in seconds; None is no limit."""
    parts = re.findall(r"([\d.]+)(us|ms|s|min)", text)
    sizes = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
    return round(sum(float(amount) * sizes[unit] for amount, unit in parts), 6) if parts else None
