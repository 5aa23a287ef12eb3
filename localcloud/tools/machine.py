"""The ways to Terraform and Packer on this machine, and the link that puts the chosen one on PATH."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

from localcloud.errors import LocalCloudError
from localcloud.paths import REPOSITORY, TOOLS
from localcloud.processes import run
from localcloud.tools import choice, debian, vendor
from localcloud.tools.programs import Program, all_on_path, look_at, overlay_for, which

#: The product's template.
TEMPLATE = REPOSITORY / "packer"
#: Seconds for Packer to fetch its plugins.
PLUGINS_PATIENCE = 300


def ensure(log: Callable[[str], None]) -> None:
    """Have a Terraform and a Packer that can be used, and put them on the project's PATH.

    What is fetched goes into a folder of the project. Raises LocalCloudError, one sentence for each that
    cannot be had.
    """
    errors = []
    for name, choose in (("terraform", choose_terraform), ("packer", choose_packer)):
        try:
            chosen = choose()
        except LocalCloudError as error:
            errors.append(str(error))
            continue
        if chosen.passed_over:
            log(f"{name}: {'; '.join(chosen.passed_over)}. Taking {chosen.program} in its place.")
        link(name, chosen.program.path)
    if errors:
        raise LocalCloudError("\n".join(errors))


def choose_terraform() -> choice.Chosen:
    """Choose Terraform: PATH's, else the vendor's."""
    return choice.terraform([*_there("terraform", vendor.TERRAFORM), partial(_vendors, vendor.TERRAFORM)])


def choose_packer() -> choice.Chosen:
    """Choose Packer: PATH's, else the distribution's package, else the vendor's, else Debian 12's."""
    there = _there("packer", vendor.PACKER, debian.PACKER)
    return choice.packer([*there, _distributions_packer, _vendors_packer, _debians_packer], fetch_plugins)


def _there(name: str, *releases: vendor.Release) -> list[choice.Way]:
    """What lies on PATH, and what was fetched before and is still what is pinned."""
    fetched = [vendor.place(release, TOOLS) for release in releases]
    paths = [*all_on_path(name), *(path for path in fetched if path.exists())]
    return [partial(look_at, name, path) for path in paths]


def fetch_plugins(packer: Program) -> None:
    """Have Packer fetch the template's plugins, if it has not got them. Raises LocalCloudError."""
    try:
        done = subprocess.run(
            [packer.path, "init", str(TEMPLATE)],
            env={**os.environ, "CHECKPOINT_DISABLE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PLUGINS_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LocalCloudError(f"{packer} does not get its plugins: {error}") from error
    if done.returncode:
        words = " ".join((done.stderr + done.stdout).split()) or f"exit code {done.returncode}"
        raise LocalCloudError(f"{packer} does not get its plugins: {words}")


def _distributions_packer() -> Program:
    """Install the distribution's package, if it has one that can be used. Raises LocalCloudError."""
    offered = _offered(run("apt-cache", "policy", "packer"))
    if offered is None:
        raise LocalCloudError("the system's package sources have no package packer")
    overlay_for(Program(Path("the package packer"), offered))
    if os.geteuid() != 0:
        raise LocalCloudError("the package packer can be installed by root only")
    settings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "install", "-q", "-y", "--no-install-recommends", "packer", env=settings)
    return look_at("packer", Path("/usr/bin/packer"))


def _vendors_packer() -> Program:
    """The vendor's Packer. Its plugins come from another server; without them it is not kept."""
    packer = _vendors(vendor.PACKER)
    try:
        fetch_plugins(packer)
    except LocalCloudError:
        shutil.rmtree(packer.path.parent)
        raise
    return packer


def _vendors(release: vendor.Release) -> Program:
    return look_at(release.product, vendor.fetch(release, TOOLS))


def _debians_packer() -> Program:
    return look_at("packer", debian.fetch(TOOLS))


def _offered(policy: str) -> tuple[int, ...] | None:
    """The program's version in apt's candidate, by what `apt-cache policy` says; None without a candidate."""
    match = re.search(r"^\s*Candidate: (?:\d+:)?(\d+(?:\.\d+)*)", policy, re.MULTILINE)
    return tuple(map(int, match[1].split("."))) if match else None


def link(name: str, program: Path, folder: Path = TOOLS / "bin") -> None:
    """Have a program run under this name where the folder stands first on PATH."""
    target = folder / name
    if which(name) == program:
        target.unlink(missing_ok=True)  # a shell finds it by itself
        return
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f".{name}-{os.getpid()}"
    made.symlink_to(program)
    made.replace(target)
