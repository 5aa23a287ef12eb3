# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Terraform runs: the work_dir or, to change nothing, a copy of it; initialized, in its workspace."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible_collections.iac.ds_stack.plugins.module_utils import _process
from ansible_collections.iac.ds_stack.plugins.module_utils import _terraform_mirror as mirrors
from ansible_collections.iac.ds_stack.plugins.module_utils._progress import Progress
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_cli import (
    PLAN,
    SENSITIVE_VARIABLES,
    Cli,
    InitNeeded,
    Log,
    Record,
    TerraformError,
    clean_environment,
    find_binary,
    new_log_path,
    private_directory,
    remove_secrets,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_config import BUILT_IN, Backend
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_events import Digest
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_masks import Scrubber, secrets_in
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_state import (
    DEFAULT_WORKSPACE,
    local_outputs,
    selected_workspace,
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

    secrets: strings that must not appear in the result. revealed: values that the user wants to see.
    """

    changed: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    diff: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    terraform_warnings: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list, repr=False)
    revealed: list[Any] = field(default_factory=list, repr=False)


@dataclass(frozen=True)
class Site:
    """Where Terraform runs.

    private: our own folder: plan, variables, record. var_files: to be given with -var-file.
    initialized: no `terraform init` is necessary, as far as we can tell. record: None in check mode.
    """

    cli: Cli
    private: Path
    var_files: Sequence[Path]
    initialized: bool = False
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
    options = _with_last_variables(options)
    environment, warnings = clean_environment(environ)
    result.warnings += warnings
    result.values.update(workspace=options.workspace, log_path=None)
    scrubber = Scrubber(secrets_in([options.sensitive_variables]))
    try:
        _check_directories(options)
        mirror = mirrors.plan_mirror(
            options.source, options.work_dir, options.variables, options.backend, options.overrides
        )
        if options.state == "absent" and _cannot_have_state(options, mirror):
            yield None
            return
        binary = find_binary(options.binary)
        if options.plugin_cache_dir is not None and not options.check:
            environment["TF_PLUGIN_CACHE_DIR"] = str(options.plugin_cache_dir)
            # Without this a stack that has no lock file yet downloads every provider in spite of the cache.
            environment["TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE"] = "1"

        def make_cli(directory: Path, log: Path | None) -> Cli:
            return Cli(
                binary, directory, environment, mirror, Log(log, scrubber), scrubber, progress, deadline
            )

        with contextlib.ExitStack() as stack:
            site = stack.enter_context(
                _checking(options, mirror, make_cli) if options.check else _working(options, make_cli, result)
            )
            result.values["log_path"] = str(site.cli.log.path) if site.cli.log.path else None
            yield site
    except _process.DirectoryLocked as error:
        raise TerraformError(str(error)) from error
    except OSError as error:
        raise TerraformError(f"{error.filename or 'The file system'}: {error.strerror or error}") from error
    finally:
        result.secrets = scrubber.secrets


def _with_last_variables(options: Options) -> Options:
    """To destroy, what was last applied with counts for every variable that is not given."""
    if options.state != "absent":
        return options
    try:
        last = json.loads((options.work_dir / mirrors.VARIABLES).read_bytes())
    except (OSError, ValueError):
        return options
    return replace(options, variables={**last, **options.variables})


def _cannot_have_state(options: Options, mirror: mirrors.Mirror) -> bool:
    """Whether nothing can have been made from this work_dir: its state would be local and is not there."""
    local = mirror.backend is None or (mirror.backend.type == "local" and not mirror.backend.config)
    names = (mirrors.DEFAULT_STATE, mirrors.DEFAULT_WORKSPACE_DIR)
    return local and not any((options.work_dir / name).exists() for name in names)


def _check_directories(options: Options) -> None:
    if not options.source.is_dir():
        raise TerraformError(f"source: {options.source} is no directory.")
    source, work_dir = options.source.resolve(), options.work_dir.resolve()
    if work_dir == source or source.is_relative_to(work_dir):
        raise TerraformError(
            f"work_dir ({work_dir}) must not be or contain the source ({source}): "
            "it holds a copy of the source, the source itself is never written to."
        )


@contextlib.contextmanager
def _working(options: Options, make_cli: MakeCli, result: Result) -> Iterator[Site]:
    """The work_dir, brought up to date and locked."""
    private = private_directory(options.work_dir)
    purpose = f"terraform_stack, state {options.state}"
    with _process.DirectoryLock(private / "lock", purpose, options.work_dir):
        cli = make_cli(options.work_dir, new_log_path(private / "logs"))
        record = Record(private / "run.json")
        if unseen := record.report():
            cli.progress.say(unseen)
            result.warnings.append(unseen)
        remove_secrets(private)
        mirrors.write(cli.mirror, mirrors.compare(cli.mirror, options.work_dir), options.work_dir)
        var_files = [options.work_dir / mirrors.VARIABLES, private / SENSITIVE_VARIABLES]
        try:
            mirrors.write_file(var_files[1], json.dumps(options.sensitive_variables).encode())
            initialized = not options.upgrade and _is_initialized(options, cli, private)
            cli = replace(cli, abandon=lambda: remove_secrets(private))
            yield Site(cli, private, var_files, initialized, record)
        except TerraformError as error:
            # Whoever interrupts a run from outside does not see its result: keep it for the next run.
            if error.interrupted in (None, "timeout"):
                record.clear()
            raise
        else:
            record.clear()
        finally:
            remove_secrets(private)
            cli.log.close()


@contextlib.contextmanager
def _checking(options: Options, mirror: mirrors.Mirror, make_cli: MakeCli) -> Iterator[Site]:
    """A directory that goes away again, beside a work_dir in which nothing is changed.

    Terraform runs in the work_dir itself if that is as it should be but for values of variables: so it
    need not be initialized again, and paths are what they will be.
    """
    with tempfile.TemporaryDirectory(prefix="terraform_stack-") as name:
        private = Path(name)
        abandon = functools.partial(shutil.rmtree, private, ignore_errors=True)
        var_files = [private / mirrors.VARIABLES, private / SENSITIVE_VARIABLES]
        mirrors.write_file(var_files[0], json.dumps(options.variables).encode())
        mirrors.write_file(var_files[1], json.dumps(options.sensitive_variables).encode())
        cli = replace(make_cli(options.work_dir, None), abandon=abandon)
        usable = _is_initialized(options, cli, options.work_dir / mirrors.PRIVATE)
        selected = selected_workspace(options.work_dir) == options.workspace
        if usable and selected and _differs_by_values_only(options, mirror):
            yield Site(cli, private, var_files, initialized=True)
            return
        root = private / "root"
        root.mkdir(mode=0o700)
        if _state_is_local(mirror):
            mirror = mirror.with_backend(_absolute(mirror.backend, options.work_dir))
        mirrors.write(mirror, mirrors.compare(mirror, root), root)
        _borrow_providers(options.work_dir, root)
        yield Site(replace(cli, directory=root), private, var_files)


def _state_is_local(mirror: mirrors.Mirror) -> bool:
    return mirror.backend is None or mirror.backend.type == "local"


def _absolute(backend: Backend | None, work_dir: Path) -> Backend:
    """The local backend of a work_dir, as seen from elsewhere."""
    config = backend.config if backend else {}
    return Backend(
        "local",
        {
            "path": str(work_dir / config.get("path", mirrors.DEFAULT_STATE)),
            "workspace_dir": str(work_dir / config.get("workspace_dir", mirrors.DEFAULT_WORKSPACE_DIR)),
        },
    )


def _differs_by_values_only(options: Options, mirror: mirrors.Mirror) -> bool:
    differences = mirrors.compare(mirror, options.work_dir)
    if differences.remove or set(differences.write) - {mirrors.VARIABLES}:
        return False
    try:
        old = json.loads((options.work_dir / mirrors.VARIABLES).read_bytes())
    except (OSError, ValueError):
        return False
    return set(old) <= set(options.variables)  # one that is taken away would still be read from there


def _borrow_providers(work_dir: Path, root: Path) -> None:
    """Let another directory use the providers that a work_dir has, so that none is fetched again."""
    installed = work_dir / ".terraform" / "providers"
    for package in installed.glob("*/*/*/*/*"):  # host/namespace/type/version/platform
        link = root / package.relative_to(work_dir)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(package.resolve())
    if (work_dir / mirrors.LOCK_FILE).exists():
        shutil.copyfile(work_dir / mirrors.LOCK_FILE, root / mirrors.LOCK_FILE)


def _init_digest(cli: Cli, options: Options) -> str:
    """A hash of all that `terraform init` depends on."""
    binary = Path(cli.binary).stat()
    lock_file = cli.directory / mirrors.LOCK_FILE
    inputs = [
        *sorted(cli.mirror.init_inputs),
        f"{cli.binary} {binary.st_size} {binary.st_mtime_ns}",
        f"{options.plugin_cache_dir}",
        lock_file.read_text(encoding="utf-8") if lock_file.exists() else "no lock file",
        # There is none where nothing but built-in providers is used.
        f"{(cli.directory / '.terraform').is_dir()}",
    ]
    return hashlib.sha256("\0".join(inputs).encode()).hexdigest()


def _is_initialized(options: Options, cli: Cli, private: Path) -> bool:
    if _has_nothing_to_initialize(cli):
        return True
    try:
        known = (private / "init.sha256").read_text(encoding="utf-8")
    except OSError:
        return False
    return known == _init_digest(cli, options)


def _has_nothing_to_initialize(cli: Cli) -> bool:
    """Whether there is no backend, no module, and no provider but the one that is part of Terraform."""
    plain = cli.mirror.backend is None and cli.mirror.init_inputs <= BUILT_IN
    return plain and not (cli.directory / ".terraform").exists()


def _init(options: Options, site: Site) -> None:
    args = ["init", "-json", "-input=false"]
    if options.upgrade:
        args.append("-upgrade")
    marker = site.private / "init.sha256"
    marker.unlink(missing_ok=True)
    site.cli.progress.say("initializing")
    with _cache_lock(None if options.check else options.plugin_cache_dir):
        site.cli.events(args)
    mirrors.write_file(marker, _init_digest(site.cli, options).encode())


def initialize(options: Options, site: Site) -> None:
    """See that the directory is initialized, with its providers at hand. Raises TerraformError."""
    if not site.initialized:
        _init(options, site)


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
    root = site.private / "empty"
    root.mkdir(mode=0o700)
    empty = Backend("local", {"path": str(root / "none.tfstate"), "workspace_dir": str(root / "none")})
    mirror = cli.mirror.with_backend(empty)
    mirrors.write(mirror, mirrors.compare(mirror, root), root)
    _borrow_providers(cli.directory, root)
    elsewhere = replace(cli, directory=root, mirror=mirror)
    _init(options, replace(site, cli=elsewhere))
    return replace(site, cli=elsewhere.in_workspace(options.workspace))


def common_arguments(options: Options, site: Site) -> list[str]:
    """What plan and apply have in common."""
    args = ["-json", "-input=false"]
    args += [f"-var-file={path}" for path in site.var_files]
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
    """Initialize what needs it, go to the workspace and plan; None when there is no such workspace."""
    initialize(options, site)
    there = _select_workspace(options, site)
    if there is None:
        return None
    try:
        return _plan(options, there, arguments)
    except InitNeeded:
        if not site.initialized or options.check:
            raise
        _init(options, there)
        return _plan(options, there, arguments)


def _plan(options: Options, site: Site, arguments: Sequence[str]) -> Planned:
    mirrors.write_file(site.plan_file, b"")  # so that Terraform finds it there, with mode 0600
    args = [
        "plan",
        *common_arguments(options, site),
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
    program = find_binary(binary)
    found = local_outputs(work_dir, workspace or selected_workspace(work_dir))
    if found is not None:
        return found, []
    environment, warnings = clean_environment(environ)
    if workspace is not None:
        environment["TF_WORKSPACE"] = workspace
    scrubber = Scrubber()
    mirror = mirrors.Mirror({}, frozenset(), None, None)
    # Lookups run in Ansible's own processes, where a fork or a signal handler would be a liberty.
    cli = Cli(
        program,
        work_dir,
        environment,
        mirror,
        Log(None, scrubber),
        scrubber,
        Progress(None),
        supervised=False,
    )
    outputs: dict[str, dict[str, Any]] = cli.document(["output", "-json"])
    return outputs, warnings
