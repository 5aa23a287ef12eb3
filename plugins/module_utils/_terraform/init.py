# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The third stage: an initialized place, in the workspace that is asked for.

Terraform itself says when it has to be initialized: the next stage is begun, and after an init once more.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from .._run.secrets import SENSITIVE, is_credential
from . import provider_lock, workdir
from .errors import InitNeeded, TerraformError
from .place import Place, borrow_initialization, go_to_copy, link_state
from .rescued import push_rescued
from .state import NOTE, Backend, noted_backend, selected_workspace

T = TypeVar("T")


def initialized(place: Place, stage: Callable[[Place], T]) -> T | None:
    """What the next stage makes of the place, initialized when Terraform asks for it and in its workspace.

    None where there is nothing to destroy: no state, or no such workspace. Raises TerraformError.
    """
    if place.empty:
        return None
    remedies = [initialize]
    if place.options.check and not place.is_copy:
        remedies.insert(0, go_to_copy)
    if place.init_first:
        while remedies:
            place = remedies.pop(0)(place)
    while True:
        try:
            there = _select_workspace(place)
            if there is None:
                return None
            _save_rescued(there)
            return stage(there)
        except InitNeeded as needed:
            if not remedies:
                raise
            try:
                place = remedies.pop(0)(place)
            except TerraformError as error:
                if "migrat" in error.message:
                    error.message += _say_backends(place, needed)
                raise


def initialize(place: Place) -> Place:
    """Initialize, with the providers at hand. Raises TerraformError."""
    cli, options = place.cli, place.options
    args = ["init", "-json", "-input=false", *(["-upgrade"] if place.upgrade else [])]
    cli.progress.say("initializing")
    cache = None if options.check else options.plugin_cache_dir
    try:
        with cache_lock(cache), workdir.holding(cli.directory, options.providers):
            cli.events(args)
    except TerraformError as error:
        if options.providers and "provider" in error.message:
            error.message += provider_lock.said(options.providers)
        raise
    if place.is_copy:
        link_state(place)
    return place


@contextlib.contextmanager
def cache_lock(directory: Path | None) -> Iterator[None]:
    """One init at a time writes to a plugin cache: Terraform itself does not see to that."""
    if directory is None:
        yield
        return
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".terraform_stack.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _save_rescued(place: Place) -> None:
    """Save the state that the last run could not save: a plan from the one before would make things twice."""
    path = workdir.rescued_state(place.options.work_dir)
    if path is None:
        return
    what = f"The last run could not save its state where it is kept; it is in {path}."
    if place.options.check:
        raise TerraformError(f"{what} A run saves it before anything else; until then no plan would be true.")
    try:
        push_rescued(place.cli.text, path)
    except InitNeeded:
        raise
    except TerraformError as error:
        first = "It has to be saved before anything else, and nothing was changed."
        error.message = f"{what} {first}\n{error.message}"
        raise
    path.chmod(0o600)
    path.rename(path.with_name(f"errored-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.saved.tfstate"))
    place.cli.progress.say("saved the state that the last run could not save")


def _select_workspace(place: Place) -> Place | None:
    """Go to the workspace; None when it does not exist and nothing shall be made for it."""
    cli, options = place.cli, place.options
    if selected_workspace(cli.directory) == options.workspace:
        return place
    if not options.check and options.state == "present":
        cli.text(["workspace", "select", "-or-create", options.workspace])
        return place
    listed = cli.text(["workspace", "list"]).replace("*", " ").split()
    if options.workspace in listed:
        if options.check:
            return replace(place, cli=cli.in_workspace(options.workspace))
        cli.text(["workspace", "select", options.workspace])
        return place
    return None if options.state == "absent" else _go_to_empty_state(place)


def _go_to_empty_state(place: Place) -> Place:
    """In check mode, with a workspace that is still to be made: a copy without a state."""
    cli = place.cli
    top = place.private / "empty"
    top.mkdir(mode=0o700)
    empty = {"path": str(top / "none.tfstate"), "workspace_dir": str(top / "none")}
    tree = cli.tree.with_backend("local", empty)
    workdir.update(tree, top)
    root = top / tree.root
    borrow_initialization(cli.directory, root)
    for name in (NOTE, ".terraform/environment"):
        (root / name).unlink(missing_ok=True)
    elsewhere = replace(cli, directory=root, tree=tree)
    initialize(replace(place, cli=elsewhere))
    return replace(place, cli=elsewhere.in_workspace(place.options.workspace))


def _say_backends(place: Place, needed: InitNeeded) -> str:
    """Where the state is and where it is to be, if those are two places; else nothing.

    needed: what Terraform asked for the init with.
    """
    reason = re.search(r"Reason: (.*)", needed.message)
    if reason is None:
        return ""
    options = place.options
    noted = noted_backend(place.cli.directory)
    here = f"a file in {options.work_dir}, without a backend"
    named = re.findall(r'"([^"]+)"', reason[1])
    if options.backend is not None:
        new = _describe(Backend(options.backend["type"], options.backend.get("config") or {}))
    elif "Unsetting" in reason[1]:
        new = here
    elif named:
        new = f"{named[-1]}, as the configuration says"
    else:
        new = f"{noted.type if noted else 'a backend'} with other settings, as the configuration says"
    return (
        f"\nUntil now the state is kept by: {_describe(noted) if noted else here}. It is now to be kept by: "
        f"{new}. Nothing was changed. If this is not meant, give `backend` as it was."
    )


def _describe(backend: Backend) -> str:
    """Type and settings of a backend, without what may be secret."""
    settings = ", ".join(
        f"{name}={SENSITIVE if is_credential(name) else value}"
        for name, value in sorted(backend.config.items())
        if value not in (None, "", [], {})
    )
    return f"{backend.type} ({settings})" if settings else backend.type
