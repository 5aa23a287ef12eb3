"""The kernels in conda environments and virtual environments, found where people have these.

An environment with ipykernel (or another kernel) in it has a kernel in its own ``share/jupyter``. It is
offered under the environment's name and started as in the activated environment.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from traitlets import List, Unicode, default

KERNELS = "share/jupyter/kernels"
VIRTUAL = (".venv", "*", "*/.venv", "*/venv", ".virtualenvs/*", ".venvs/*")
"""Where in a home virtual environments are: by themselves, in projects, and where reticulate makes them."""
ACTIVATE = (
    'for one in "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do [ -r "$one" ] && . "$one"; done; exec "$@"'
)
"""What ``conda activate`` does beside setting variables, without a conda that takes a second to start."""


@dataclass(frozen=True)
class Found:
    """A kernel of an environment."""

    prefix: Path
    folder: Path
    conda: bool

    @property
    def name(self) -> str:
        """The kernel's name: the environment's, its own, and what tells it from others of the same names."""
        text = f"{label(self.prefix)}-{self.folder.name}".lower()
        digest = hashlib.sha256(bytes(self.folder)).hexdigest()[:6]
        return "env-" + re.sub(r"[^a-z0-9._-]+", "-", text) + f"-{digest}"


def label(prefix: Path) -> str:
    """Return what people call an environment: the project's name where it lies in a project."""
    return prefix.parent.name if prefix.name in (".venv", "venv") else prefix.name


def environments(home: Path, shared: Path) -> Iterator[tuple[Path, bool]]:
    """Yield the folders of environments that there may be, and whether they are conda's.

    Args:
        home: the user's home. conda notes in ``.conda/environments.txt`` what it made elsewhere.
        shared: the folder of everybody's conda environments.
    """
    noted: list[str] = []
    with contextlib.suppress(OSError, ValueError):  # nobody has made an environment yet
        noted = (home / ".conda/environments.txt").read_text(encoding="utf-8").split("\n")
    made = [*sorted(shared.glob("*")), *sorted((home / ".conda/envs").glob("*"))]
    for prefix in [*made, *(Path(line.strip()) for line in noted if line.strip())]:
        if (prefix / "conda-meta").is_dir():
            yield prefix, True
    elsewhere = os.environ.get("WORKON_HOME")
    virtual = [path for pattern in VIRTUAL for path in sorted(home.glob(pattern))]
    for prefix in [*virtual, *(sorted(Path(elsewhere).glob("*")) if elsewhere else ())]:
        if (prefix / "pyvenv.cfg").is_file():
            yield prefix, False


def kernels(home: Path, shared: Path, hidden: frozenset[Path]) -> dict[str, Found]:
    """Return the kernels of all environments but the hidden ones, by their names."""
    found: dict[str, Found] = {}
    seen: set[Path] = set(hidden)
    for prefix, conda in environments(home, shared):
        real = prefix.resolve()
        if real in seen:
            continue
        seen.add(real)
        for specification in sorted((prefix / KERNELS).glob("*/kernel.json")):
            one = Found(prefix, specification.parent, conda)
            found[one.name] = one
    return found


def specification(one: Found, given: dict[str, Any]) -> dict[str, Any]:
    """Return the kernel's specification, so that it starts in its environment."""
    program, *arguments = given["argv"]
    own = one.prefix / "bin" / Path(program).name
    argv = [str(own) if own.exists() else program, *arguments]
    variables = {"PATH": f"{one.prefix / 'bin'}:${{PATH}}"}
    if one.conda:
        variables |= {"CONDA_PREFIX": str(one.prefix), "CONDA_DEFAULT_ENV": one.prefix.name}
        argv = ["/bin/bash", "-c", ACTIVATE, "kernel", *argv]
    else:
        variables["VIRTUAL_ENV"] = str(one.prefix)
    name = str(given.get("display_name", one.folder.name)).removesuffix(" (ipykernel)")
    return {
        **given,
        "argv": argv,
        "display_name": f"{name} ({label(one.prefix)})",
        "env": {**variables, **given.get("env", {})},
    }


class EnvironmentKernels(KernelSpecManager):
    """Jupyter's own finder of kernels, which also looks into environments."""

    shared = Unicode("/opt/conda/envs", help="The folder of everybody's conda environments.").tag(config=True)
    hidden = List(Unicode(), help="Environments that are no user's affair.").tag(config=True)

    def find_kernel_specs(self) -> dict[str, str]:
        """Return the folders of all kernels by their names; what is installed as a kernel comes first."""
        found: dict[str, str] = super().find_kernel_specs()
        return {**{name: str(one.folder) for name, one in self._found().items()}, **found}

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return one kernel's specification. Raises NoSuchKernel."""
        one = self._found().get(kernel_name)
        if one is None:
            return super().get_kernel_spec(kernel_name)
        try:
            given = json.loads((one.folder / "kernel.json").read_text(encoding="utf-8"))
            return KernelSpec(resource_dir=str(one.folder), **specification(one, given))
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.log.warning("The kernel in %s cannot be read: %r", one.folder, error)
            raise NoSuchKernel(kernel_name) from error

    def _found(self) -> dict[str, Found]:
        return kernels(
            Path.home(), Path(self.shared), frozenset(Path(path).resolve() for path in self.hidden)
        )


class EnvironmentKernelManager(AsyncKernelManager):
    """What starts a kernel for a command such as ``jupyter execute``: those of environments too."""

    @default("kernel_spec_manager")
    def _environments(self) -> EnvironmentKernels:
        return EnvironmentKernels(parent=self)
