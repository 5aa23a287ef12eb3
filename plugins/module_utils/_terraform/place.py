# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second stage: the copy in which Terraform runs, the work_dir or, to change nothing, one of its own."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from os.path import normpath
from pathlib import Path

from .._run.lock import DirectoryLock
from .._run.log import Log, new_log_path
from .._run.progress import Progress
from .._run.secrets import Scrubber
from . import provider_lock, workdir
from .cli import Cli
from .errors import TerraformError
from .options import Options
from .record import Record
from .resolve import Asked
from .state import NOTE, Backend, local_paths, may_have_state, noted_backend, stray_state
from .tree import LOCK_FILE, PRIVATE, VARIABLES, Tree, read_tree

PLAN = "plan.tfplan"
SENSITIVE_VARIABLES = "sensitive.tfvars.json"

MakeCli = Callable[[Path, "Path | None"], Cli]
"""Of a directory and the path of a log."""


@dataclass(frozen=True)
class Place:
    """Where Terraform runs.

    private: our own folder: plan, variables, record. In check mode all that may be written to lies in it.
    upgrade: whether an init shall take the newest. init_first: whether there has to be one, also when
        Terraform does not ask for it. record: None in check mode.
    empty: it is known that there is no state. warnings: of what was found there.
    """

    asked: Asked
    cli: Cli
    private: Path
    upgrade: bool = False
    init_first: bool = False
    record: Record | None = None
    empty: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def options(self) -> Options:
        """Of the run."""
        return self.asked.options

    @property
    def plan_file(self) -> Path:
        """Where the plan is while it is needed."""
        return self.private / PLAN

    @property
    def is_copy(self) -> bool:
        """Whether it is a copy of the work_dir, where an init is no harm."""
        return self.cli.directory.is_relative_to(self.private)


@contextlib.contextmanager
def open_place(asked: Asked, progress: Progress) -> Iterator[Place]:
    """Copy the source, and see that nothing secret is left of the run at the end. Raises TerraformError."""
    options = asked.options
    tree = read_tree(options.source, options.work_dir, options.variables, options.backend, options.overrides)
    warnings = _warn_of_stray_state(options, tree)
    # The lock file of the source has moved: that is the version that is wanted.
    upgrade = options.upgrade and not workdir.follows_lock_file(tree, options.work_dir)
    locked = workdir.locked_providers(workdir.root_of(options.work_dir))
    moves = not provider_lock.keeps_to(locked, options.providers)
    scrubber = Scrubber(asked.secrets)

    def make_cli(directory: Path, log: Path | None) -> Cli:
        return Cli(
            asked.tool,
            directory,
            asked.environment,
            tree,
            Log(log, scrubber),
            scrubber,
            progress,
            deadline=asked.deadline,
        )

    if options.state == "absent" and not may_have_state(workdir.root_of(options.work_dir)):
        with _checking(asked, tree, make_cli) as place:
            if _keeps_state_here(place):
                yield replace(place, empty=True, warnings=warnings)
                return
    opened = (_checking if options.check else _working)(asked, tree, make_cli)
    with opened as place:
        there = replace(place, upgrade=upgrade, init_first=upgrade or moves)
        yield replace(there, warnings=(*warnings, *place.warnings))


def _keeps_state_here(place: Place) -> bool:
    """Whether the state is kept in the very directory, as Terraform does without any backend: it itself says
    so by not asking for an init."""
    try:
        place.cli.text(["workspace", "list"])
    except TerraformError as error:
        if error.interrupted is not None:
            raise
        return False
    return True


def _warn_of_stray_state(options: Options, tree: Tree) -> tuple[str, ...]:
    """See that a state in the source, which is not copied, does not go unnoticed."""
    given = options.backend and Backend(options.backend["type"], options.backend.get("config") or {})
    root = workdir.root_of(options.work_dir, options.work_dir / tree.root)
    stray = stray_state(options.source, root, options.workspace, given or None)
    if stray is None:
        return ()
    begin = f"{stray.path} is a state of runs by hand in the source. It is not used here:"
    if stray.twice and stray.instead:
        raise TerraformError(
            f"{begin} Terraform runs in {root}, so all that is in it would be made a second "
            f"time, or not be destroyed. To go on with it: mkdir -p {stray.instead.parent} && "
            f"cp {stray.path} {stray.instead} (then keep to this task, not to runs by hand in the source). "
            "To leave it behind, move it elsewhere."
        )
    where = f"in {stray.instead}" if stray.instead else "kept by a backend"
    return (f"{begin} the state of this stack is {where}. If it is of no use, move it elsewhere.",)


@contextlib.contextmanager
def _working(asked: Asked, tree: Tree, make_cli: MakeCli) -> Iterator[Place]:
    """The work_dir, brought up to date and locked."""
    options = asked.options
    options.work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    private = options.work_dir / PRIVATE
    private.mkdir(mode=0o700, exist_ok=True)
    purpose = f"terraform_stack, state {options.state}"
    with DirectoryLock(private / "lock", purpose, options.work_dir):
        cli = make_cli(options.work_dir / tree.root, new_log_path(private / "logs"))
        record = Record(private / "run.json")
        unseen = record.unseen()
        if unseen:
            cli.progress.say(unseen)
        _remove_secrets(private)
        workdir.update(tree, options.work_dir)
        var_files = [cli.directory / VARIABLES, private / SENSITIVE_VARIABLES]
        try:
            workdir.write_file(var_files[1], json.dumps(options.sensitive_variables).encode())
            cli = replace(cli, var_files=var_files, abandon=lambda: _remove_secrets(private))
            yield Place(asked, cli, private, record=record, warnings=(unseen,) if unseen else ())
        except TerraformError as error:
            # Whoever interrupts a run from outside does not see its result: keep it for the next run.
            # Of one that was killed the next run tells too: its state is to be looked at.
            if error.interrupted in (None, "timeout") and not error.killed:
                record.reported()
            raise
        else:
            record.reported()
        finally:
            _remove_secrets(private)
            with contextlib.suppress(OSError, TerraformError):  # the next run does it, and says why not
                workdir.settle(options.work_dir, cli.directory)
            cli.log.close()


def _remove_secrets(private: Path) -> None:
    """Remove what must not outlive a run."""
    for name in (PLAN, SENSITIVE_VARIABLES):
        with contextlib.suppress(OSError):
            (private / name).unlink()


@contextlib.contextmanager
def _checking(asked: Asked, tree: Tree, make_cli: MakeCli) -> Iterator[Place]:
    """A directory that goes away again, beside a work_dir in which nothing is changed.

    Terraform runs in the work_dir itself if that is as it should be but for values of variables, and goes to
    a copy when it asks for an init: so paths are what they will be, and nothing is initialized again.
    """
    options = asked.options
    with tempfile.TemporaryDirectory(prefix="terraform_stack-") as name:
        private = Path(name)
        abandon = functools.partial(shutil.rmtree, private, ignore_errors=True)
        var_files = [private / VARIABLES, private / SENSITIVE_VARIABLES]
        workdir.write_file(var_files[0], json.dumps(options.variables).encode())
        workdir.write_file(var_files[1], json.dumps(options.sensitive_variables).encode())
        cli = replace(make_cli(options.work_dir / tree.root, None), var_files=var_files, abandon=abandon)
        place = Place(asked, cli, private)
        yield place if _differs_by_values_only(options, tree) else go_to_copy(place)


def go_to_copy(place: Place) -> Place:
    """A copy of the work_dir as it is to be, where an init is no harm."""
    work_dir, tree = place.options.work_dir, place.cli.tree
    # As deep as the work_dir itself, for paths with `..`.
    top = place.private / "root" / str(work_dir).lstrip("/")
    root = top / tree.root
    root.mkdir(mode=0o700, parents=True)
    workdir.link_others(work_dir, root)
    if not workdir.follows_lock_file(tree, work_dir):
        tree = replace(tree, lock_file=None)
    borrow_initialization(workdir.root_of(work_dir), root)
    workdir.update(tree, top)
    there = replace(place, cli=replace(place.cli, directory=root))
    link_state(there)
    return there


def _differs_by_values_only(options: Options, tree: Tree) -> bool:
    differences = workdir.compare(tree, options.work_dir)
    if differences.remove or set(differences.write) - {str(tree.root / VARIABLES)}:
        return False
    if workdir.follows_lock_file(tree, options.work_dir) or not workdir.has_run(options.work_dir):
        return False
    # One that is taken away would still be read from there.
    return set(workdir.last_variables(options.work_dir)) <= set(options.variables)


def borrow_initialization(there: Path, root: Path) -> None:
    """Let another directory be initialized as one is, so that no provider or module is fetched again
    and Terraform sees what has changed since."""
    packages = (there / workdir.PACKAGES).glob("*/*/*/*/*")  # host/namespace/type/version/platform
    modules = (path for path in (there / ".terraform/modules").glob("*") if path.is_dir())
    for path in (*packages, *modules):
        link = root / path.relative_to(there)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())
    for name in (NOTE, ".terraform/environment", ".terraform/modules/modules.json", LOCK_FILE):
        if (there / name).exists():
            workdir.write_file(root / name, (there / name).read_bytes())


def link_state(place: Place) -> None:
    """Let a copy find a local state where the work_dir has it."""
    root, there = place.cli.directory, workdir.root_of(place.options.work_dir)
    for path in local_paths(noted_backend(root)) or ():
        link, state = (Path(normpath(directory / path)) for directory in (root, there))
        if link.is_relative_to(place.private) and state.exists() and not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(state)
