# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Terraform runs: the work_dir or, to change nothing, a copy of it; initialized, in its workspace."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible_collections.iac.ds_stack.plugins.module_utils._run import process as _process
from ansible_collections.iac.ds_stack.plugins.module_utils._run.progress import Progress
from ansible_collections.iac.ds_stack.plugins.module_utils._run.secrets import (
    SENSITIVE,
    Scrubber,
    credentials_in,
    is_credential,
    secrets_in,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform import workdir as workdirs
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.cli import (
    PLAN,
    SENSITIVE_VARIABLES,
    Cli,
    Log,
    Record,
    clean_environment,
    new_log_path,
    private_directory,
    remove_secrets,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.errors import InitNeeded, TerraformError
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.events import Digest
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.state import (
    DEFAULT_WORKSPACE,
    NOTE,
    Backend,
    local_outputs,
    local_paths,
    may_have_state,
    noted_backend,
    selected_workspace,
    stray_state,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.tool import (
    ToolError,
    find_binary,
    find_tool,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.tree import (
    LOCK_FILE,
    VARIABLES,
    Tree,
    check_apart,
    read_tree,
)

MakeCli = Callable[[Path, "Path | None"], Cli]
"""Of a directory and the path of a log."""


@dataclass(frozen=True)
class Options:
    """The module's options, see its documentation. Durations in seconds."""

    source: Path
    work_dir: Path
    state: str = "present"
    variables: Mapping[str, Any] = field(default_factory=dict)
    sensitive_variables: Mapping[str, Any] = field(default_factory=dict, repr=False)
    backend: Mapping[str, Any] | None = field(default=None, repr=False)
    overrides: Mapping[str, Any] = field(default_factory=dict, repr=False)
    workspace: str = DEFAULT_WORKSPACE
    targets: Sequence[str] = ()
    replace: Sequence[str] = ()
    refresh: bool = True
    upgrade: bool = False
    parallelism: int | None = None
    lock_timeout: int = 0
    timeout: float | None = None
    binary: str | None = None
    plugin_cache_dir: Path | None = None
    max_destroys: int | None = None
    protect: Sequence[str] = ()
    confirm: bool = False
    reveal_outputs: Sequence[str] = ()
    check: bool = False


@dataclass
class Result:
    """What the module returns, and what it must keep out of it.

    given: strings that must not appear in the result. found: likewise, but for what Terraform itself shows.
    revealed: names of sensitive outputs that are returned as they are.
    """

    changed: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    diff: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    terraform_warnings: list[str] = field(default_factory=list)
    given: set[str] = field(default_factory=set, repr=False)
    found: set[str] = field(default_factory=set, repr=False)
    revealed: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Site:
    """Where Terraform runs.

    private: our own folder: plan, variables, record.
    remedies: what helps when Terraform asks for an init, one after the other; each returns where to go on.
    record: None in check mode.
    """

    cli: Cli
    private: Path
    remedies: Sequence[Callable[[Site], Site]] = ()
    record: Record | None = None

    @property
    def plan_file(self) -> Path:
        """Where the plan is while it is needed."""
        return self.private / PLAN


@contextlib.contextmanager
def open_site(
    options: Options, progress: Progress, environ: Mapping[str, str], result: Result
) -> Iterator[Site | None]:
    """Make the place where Terraform runs, and see that nothing secret is left of it at the end.

    Yields None when there can be nothing to destroy. Raises TerraformError, also for what the operating
    system refuses.
    """
    deadline = None if options.timeout is None else time.monotonic() + options.timeout
    # Whatever way a path is spelled, it is one place from here on.
    options = replace(options, source=options.source.resolve(), work_dir=options.work_dir.resolve())
    options = _with_last_options(options)
    environment, warnings = clean_environment(environ)
    result.warnings += warnings
    result.values.update(workspace=options.workspace, log_path=None)
    result.given = secrets_in(
        [options.sensitive_variables, *credentials_in([options.overrides, options.backend])]
    )
    scrubber = Scrubber(result.given)
    try:
        _check_directories(options)
        tree = read_tree(
            options.source, options.work_dir, options.variables, options.backend, options.overrides
        )
        _check_for_stray_state(options, tree, result)
        tool = find_tool(options.binary, environment)
        result.values["version"] = tool.version
        if options.upgrade and workdirs.follows_lock_file(tree, options.work_dir):
            options = replace(options, upgrade=False)  # the lock file has moved already
        if options.plugin_cache_dir is not None and not options.check:
            environment["TF_PLUGIN_CACHE_DIR"] = str(options.plugin_cache_dir)
            # Without this a stack that has no lock file yet downloads every provider in spite of the cache.
            environment["TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE"] = "1"

        def make_cli(directory: Path, log: Path | None) -> Cli:
            return Cli(
                tool,
                directory,
                environment,
                tree,
                Log(log, scrubber),
                scrubber,
                progress,
                deadline=deadline,
            )

        with contextlib.ExitStack() as stack:
            if options.state == "absent" and not may_have_state(workdirs.root_of(options.work_dir)):
                with _checking(options, tree, make_cli) as site:
                    if _keeps_state_here(site):
                        yield None
                        return
            site = stack.enter_context(
                _checking(options, tree, make_cli)
                if options.check
                else _working(options, tree, make_cli, result)
            )
            result.values["log_path"] = str(site.cli.log.path) if site.cli.log.path else None
            yield site
    except (_process.DirectoryLocked, ToolError) as error:
        raise TerraformError(str(error)) from error
    except OSError as error:
        raise TerraformError(f"{error.filename or 'The file system'}: {error.strerror or error}") from error
    finally:
        result.found = set(scrubber.secrets) - result.given


def _with_last_options(options: Options) -> Options:
    """To destroy, what was last applied with counts for what is not given."""
    if options.state != "absent":
        return options
    backend = options.backend
    if backend is None and not _name_backend(options.overrides):
        backend = workdirs.last_backend(options.work_dir)
    return replace(
        options,
        variables={**workdirs.last_variables(options.work_dir), **options.variables},
        backend=backend,
        overrides=options.overrides or workdirs.last_overrides(options.work_dir),
    )


def _name_backend(overrides: Mapping[str, Any]) -> bool:
    """Whether overrides say where the state is."""
    settings = overrides.get("terraform")
    blocks = settings if isinstance(settings, list) else [settings]
    return any(isinstance(block, dict) and {"backend", "cloud"} & block.keys() for block in blocks)


def _keeps_state_here(site: Site) -> bool:
    """Whether the state is kept in the very directory, as Terraform does without any backend: it itself says
    so by not asking for an init."""
    try:
        site.cli.text(["workspace", "list"])
    except TerraformError as error:
        if error.interrupted is not None:
            raise
        return False
    return True


def _check_directories(options: Options) -> None:
    if not options.source.is_dir():
        raise TerraformError(f"source: {options.source} is no directory.")
    check_apart(options.source, options.work_dir)


def _check_for_stray_state(options: Options, tree: Tree, result: Result) -> None:
    """See that a state in the source, which is not copied, does not go unnoticed."""
    given = options.backend and Backend(options.backend["type"], options.backend.get("config") or {})
    root = options.work_dir / tree.root
    if workdirs.has_run(options.work_dir):
        root = workdirs.root_of(options.work_dir)
    stray = stray_state(options.source, root, options.workspace, given or None)
    if stray is None:
        return
    begin = f"{stray.path} is a state of runs by hand in the source. It is not used here:"
    if stray.twice and stray.instead:
        raise TerraformError(
            f"{begin} Terraform runs in {options.work_dir}, so all that is in it would be made a second "
            f"time, or not be destroyed. To go on with it: mkdir -p {stray.instead.parent} && "
            f"cp {stray.path} {stray.instead} (then keep to this task, not to runs by hand in the source). "
            "To leave it behind, move it elsewhere."
        )
    where = f"in {stray.instead}" if stray.instead else "kept by a backend"
    result.warnings.append(
        f"{begin} the state of this stack is {where}. If it is of no use, move it elsewhere."
    )


@contextlib.contextmanager
def _working(options: Options, tree: Tree, make_cli: MakeCli, result: Result) -> Iterator[Site]:
    """The work_dir, brought up to date and locked."""
    private = private_directory(options.work_dir)
    purpose = f"terraform_stack, state {options.state}"
    with _process.DirectoryLock(private / "lock", purpose, options.work_dir):
        cli = make_cli(options.work_dir / tree.root, new_log_path(private / "logs"))
        record = Record(private / "run.json")
        if unseen := record.report():
            cli.progress.say(unseen)
            result.warnings.append(unseen)
        remove_secrets(private)
        workdirs.update(cli.tree, options.work_dir)
        var_files = [cli.directory / VARIABLES, private / SENSITIVE_VARIABLES]
        try:
            workdirs.write_file(var_files[1], json.dumps(options.sensitive_variables).encode())
            cli = replace(cli, var_files=var_files, abandon=lambda: remove_secrets(private))
            yield Site(cli, private, [functools.partial(initialize, options)], record)
        except TerraformError as error:
            # Whoever interrupts a run from outside does not see its result: keep it for the next run.
            # Of one that was killed the next run tells too: its state is to be looked at.
            if error.interrupted in (None, "timeout") and not error.killed:
                record.clear()
            raise
        else:
            record.clear()
        finally:
            remove_secrets(private)
            workdirs.settle(options.work_dir, cli.directory)
            cli.log.close()


@contextlib.contextmanager
def _checking(options: Options, tree: Tree, make_cli: MakeCli) -> Iterator[Site]:
    """A directory that goes away again, beside a work_dir in which nothing is changed.

    Terraform runs in the work_dir itself if that is as it should be but for values of variables, and goes to
    a copy when it asks for an init: so paths are what they will be, and nothing is initialized again.
    """
    with tempfile.TemporaryDirectory(prefix="terraform_stack-") as name:
        private = Path(name)
        abandon = functools.partial(shutil.rmtree, private, ignore_errors=True)
        var_files = [private / VARIABLES, private / SENSITIVE_VARIABLES]
        workdirs.write_file(var_files[0], json.dumps(options.variables).encode())
        workdirs.write_file(var_files[1], json.dumps(options.sensitive_variables).encode())
        cli = replace(make_cli(options.work_dir / tree.root, None), var_files=var_files, abandon=abandon)
        remedies = [functools.partial(_go_to_copy, options), functools.partial(initialize, options)]
        site = Site(cli, private, remedies)
        if not _differs_by_values_only(options, tree):
            site = replace(_go_to_copy(options, site), remedies=remedies[1:])
        yield site


def _go_to_copy(options: Options, site: Site) -> Site:
    """A copy of the work_dir as it is to be, where an init is no harm."""
    # As deep as the work_dir itself, for paths with `..`.
    top = site.private / "root" / str(options.work_dir).lstrip("/")
    tree = site.cli.tree
    root = top / tree.root
    root.mkdir(mode=0o700, parents=True)
    workdirs.link_others(options.work_dir, root)
    if not workdirs.follows_lock_file(tree, options.work_dir):
        tree = replace(tree, lock_file=None)
    there = workdirs.root_of(options.work_dir)
    _borrow_initialization(there, root)
    workdirs.update(tree, top)
    _link_state(there, root, site.private)
    return replace(site, cli=replace(site.cli, directory=root))


def _differs_by_values_only(options: Options, tree: Tree) -> bool:
    differences = workdirs.compare(tree, options.work_dir)
    if differences.remove or set(differences.write) - {str(tree.root / VARIABLES)}:
        return False
    if workdirs.follows_lock_file(tree, options.work_dir):
        return False
    old = workdirs.last_variables(options.work_dir)
    # One that is taken away would still be read from there.
    return workdirs.has_run(options.work_dir) and set(old) <= set(options.variables)


def _borrow_initialization(work_dir: Path, root: Path) -> None:
    """Let another directory be initialized as a work_dir is, so that no provider or module is fetched again
    and Terraform sees what has changed since."""
    packages = (work_dir / ".terraform/providers").glob("*/*/*/*/*")  # host/namespace/type/version/platform
    modules = (path for path in (work_dir / ".terraform/modules").glob("*") if path.is_dir())
    for path in (*packages, *modules):
        link = root / path.relative_to(work_dir)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())
    for name in (NOTE, ".terraform/environment", ".terraform/modules/modules.json", LOCK_FILE):
        if (work_dir / name).exists():
            workdirs.write_file(root / name, (work_dir / name).read_bytes())


def _link_state(work_dir: Path, root: Path, within: Path) -> None:
    """Let a copy of a work_dir find a local state where the work_dir has it, below `within`."""
    for path in local_paths(noted_backend(root)) or ():
        link, state = (Path(os.path.normpath(directory / path)) for directory in (root, work_dir))
        if link.is_relative_to(within) and state.exists() and not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(state)


def initialize(options: Options, site: Site) -> Site:
    """Initialize, with the providers at hand. Raises TerraformError."""
    cli = site.cli
    args = ["init", "-json", "-input=false"]
    if options.upgrade:
        args.append("-upgrade")
    cli.progress.say("initializing")
    with _cache_lock(None if options.check else options.plugin_cache_dir):
        cli.events(args)
    if cli.directory.is_relative_to(site.private):
        _link_state(workdirs.root_of(options.work_dir), cli.directory, site.private)
    return site


@contextlib.contextmanager
def _cache_lock(directory: Path | None) -> Iterator[None]:
    """One init at a time writes to a plugin cache: Terraform itself does not see to that."""
    if directory is None:
        yield
        return
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".terraform_stack.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _select_workspace(options: Options, site: Site) -> Site | None:
    """Go to the workspace; None when it does not exist and nothing shall be made for it."""
    cli = site.cli
    if selected_workspace(cli.directory) == options.workspace:
        return site
    if not options.check and options.state == "present":
        cli.text(["workspace", "select", "-or-create", options.workspace])
        return site
    listed = cli.text(["workspace", "list"]).replace("*", " ").split()
    if options.workspace in listed:
        if options.check:
            return replace(site, cli=cli.in_workspace(options.workspace))
        cli.text(["workspace", "select", options.workspace])
        return site
    if options.state == "absent":
        return None
    # Check mode with a workspace that is still to be made: plan against an empty state.
    top = site.private / "empty"
    top.mkdir(mode=0o700)
    empty = {"path": str(top / "none.tfstate"), "workspace_dir": str(top / "none")}
    tree = cli.tree.with_backend("local", empty)
    workdirs.update(tree, top)
    root = top / tree.root
    _borrow_initialization(cli.directory, root)
    for name in (NOTE, ".terraform/environment"):
        (root / name).unlink(missing_ok=True)
    elsewhere = replace(cli, directory=root, tree=tree)
    initialize(options, replace(site, cli=elsewhere))
    return replace(site, cli=elsewhere.in_workspace(options.workspace))


def common_arguments(options: Options) -> list[str]:
    """What plan and apply have in common."""
    args = ["-json", "-input=false"]
    if options.parallelism is not None:
        args.append(f"-parallelism={options.parallelism}")
    if options.check:
        args.append("-lock=false")
    elif options.lock_timeout:
        args.append(f"-lock-timeout={options.lock_timeout}s")
    return args


@dataclass(frozen=True)
class Planned:
    """A plan that was made. site: where, with the workspace selected. anything: it is not empty."""

    site: Site
    anything: bool
    digest: Digest

    def document(self) -> dict[str, Any]:
        """The plan as JSON; starts the providers once more."""
        shown: dict[str, Any] = self.site.cli.document(["show", "-json", str(self.site.plan_file)])
        return shown


def make_plan(options: Options, site: Site, *arguments: str) -> Planned | None:
    """Go to the workspace and plan, initialize when Terraform asks for it; None when there is no such
    workspace."""
    remedies = list(site.remedies)
    if options.upgrade:
        while remedies:
            site = remedies.pop(0)(site)
    while True:
        try:
            there = _select_workspace(options, site)
            return None if there is None else _plan(options, there, arguments)
        except InitNeeded as needed:
            if not remedies:
                raise
            try:
                site = remedies.pop(0)(site)
            except TerraformError as error:
                if "migrat" in error.message:
                    error.message += _say_backends(options, site, needed)
                raise


def _say_backends(options: Options, site: Site, needed: InitNeeded) -> str:
    """Where the state is and where it is to be, if those are two places; else nothing.

    needed: what Terraform asked for the init with.
    """
    reason = re.search(r"Reason: (.*)", needed.message)
    if reason is None:
        return ""
    noted = noted_backend(site.cli.directory)
    old = _describe(noted) if noted else f"a file in {options.work_dir}, without a backend"
    named = re.findall(r'"([^"]+)"', reason[1])
    if options.backend is not None:
        new = _describe(Backend(options.backend["type"], options.backend.get("config") or {}))
    elif "Unsetting" in reason[1]:
        new = f"a file in {options.work_dir}, without a backend"
    elif named:
        new = f"{named[-1]}, as the configuration says"
    else:
        new = f"{noted.type if noted else 'a backend'} with other settings, as the configuration says"
    return (
        f"\nUntil now the state is kept by: {old}. It is now to be kept by: {new}. Nothing was changed. If "
        "this is not meant, give `backend` as it was."
    )


def _describe(backend: Backend) -> str:
    """Type and settings of a backend, without what may be secret."""
    settings = ", ".join(
        f"{name}={SENSITIVE if is_credential(name) else value}"
        for name, value in sorted(backend.config.items())
        if value not in (None, "", [], {})
    )
    return f"{backend.type} ({settings})" if settings else backend.type


def _plan(options: Options, site: Site, arguments: Sequence[str]) -> Planned:
    workdirs.write_file(site.plan_file, b"")  # so that Terraform finds it there, with mode 0600
    args = [
        "plan",
        *common_arguments(options),
        "-detailed-exitcode",
        f"-out={site.plan_file}",
        *arguments,
    ]
    code, digest = site.cli.events(args, accept=(0, 2))
    return Planned(site, code == 2, digest)


def read_outputs(
    work_dir: Path, binary: str | None, workspace: str | None, environ: Mapping[str, str]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The outputs in a state, without a plan: name → {"value", "sensitive", ...}; and warnings.

    workspace: None is the selected one. Raises TerraformError.
    """
    if not work_dir.is_dir():
        raise TerraformError(f"{work_dir} is no directory.")
    try:
        if binary is not None:  # one that is not there is a mistake, needed or not
            find_binary(binary)
    except ToolError as error:
        raise TerraformError(str(error)) from error
    root = workdirs.root_of(work_dir.resolve())
    found = local_outputs(root, workspace or selected_workspace(root))
    if found is not None:
        return found, []
    environment, warnings = clean_environment(environ)
    if workspace is not None:
        environment["TF_WORKSPACE"] = workspace
    scrubber = Scrubber()
    # Lookups run in Ansible's own processes, where a fork or a signal handler would be a liberty.
    try:
        tool = find_tool(binary, environment)
    except ToolError as error:
        raise TerraformError(str(error)) from error
    cli = Cli(
        tool,
        root,
        environment,
        Tree(),
        Log(None, scrubber),
        scrubber,
        Progress(None),
        supervised=False,
    )
    outputs: dict[str, dict[str, Any]] = cli.document(["output", "-json"])
    return outputs, warnings
