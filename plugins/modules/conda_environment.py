#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conda_environment
short_description: Make, change or remove a conda environment
version_added: 0.1.0
description:
  - Makes a conda environment hold exactly the packages of an explicit lock (O(lock)), or the packages that
    conda solves for a list of specs (O(specs)).
  - With O(lock) the environment is compared with the lock by file name and MD5 before any work is done.
    Conda packages that the lock does not name are removed. What C(pip) or a person put there is left alone.
  - With O(specs) the request and a digest of the packages it ended in are kept in the environment, in
    C(conda-meta/ds_stack_request). While both are unchanged, conda is not asked to solve again. Otherwise
    conda solves, and only a solution that differs from what is installed counts as a change.
  - A spec that is taken out of O(specs) stays installed and conda keeps honouring it; the module warns. Use
    O(lock), or O(state=absent) first, for an environment without it.
  - An environment that cannot be made in full is removed again. When a change to an existing environment
    fails, the error says whether its packages are as they were.
  - Conda is called by its path, never through a shell's activation, and without the variables C(CONDA_*),
    C(MAMBA_*), C(PYTHON*) and C(LD_*) of the caller. Configure conda in its C(.condarc).
options:
  prefix:
    description:
      - Folder of the environment, an absolute path.
      - Where it is a link, the environment is what it leads to. V(absent) of O(state) removes the link too; a
        folder behind it that conda did not make stays.
    type: path
    required: true
  conda:
    description:
      - The conda program.
    type: path
    default: /opt/conda/bin/conda
  lock:
    description:
      - An explicit lock on the managed machine, as C(conda list --explicit --md5) prints it. Every package
        line must carry its MD5. The text is UTF-8, with or without a byte order mark.
      - The MD5 of packages on C(file://) URLs is checked by the module, since conda does not.
    type: path
  specs:
    description:
      - Packages as conda's match specs, for example V(python=3.12) or V(conda-forge::numpy>=2).
    type: list
    elements: str
  locked:
    description:
      - With O(specs), what the environment was locked as. None of its packages gets another version, build or
        file.
      - Where O(specs) are those of O(locked.specs), the packages of O(locked.packages) are installed as from
        a lock, and nothing is solved. Where they are others, conda solves with these packages pinned. So only
        what is new is chosen, and what nothing needs any more is left out.
      - A package that is not to be had any more, or whose file is another one, is an error.
    type: dict
    suboptions:
      specs:
        description: What conda had solved the environment for.
        type: list
        elements: str
        required: true
      packages:
        description: The package lines of an explicit lock, each C(URL#md5), such as RV(explicit).
        type: list
        elements: str
        required: true
  channels:
    description:
      - Channels to search, the first one preferred. Empty means those of conda's configuration.
      - Only with O(specs); the URLs of a lock need none.
      - A URL with a password or a token is refused, since everybody can read command lines. Put it into
        conda's configuration.
    type: list
    elements: str
    default: []
  override_channels:
    description:
      - Search only O(channels), not also those of conda's configuration.
      - Without effect while O(channels) is empty.
    type: bool
    default: true
  state:
    description:
      - V(present) makes the environment as asked for, V(absent) removes it with everything in its folder.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment:
  - iac.ds_stack.attributes
attributes:
  check_mode:
    support: full
    details:
      - Nothing is written. With O(specs) conda still reads its channels to solve.
      - Where the conda program or the lock is not there yet, a change is reported with a warning.
  diff_mode:
    support: full
    details: Shows the packages before and after.
author:
  - The iac.ds_stack developers (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Make the environment of the hub from its lock
  iac.ds_stack.conda_environment:
    prefix: /opt/conda/envs/jupyterhub
    lock: /etc/ds-stack/conda/jupyterhub.lock

- name: Make an environment from specs
  iac.ds_stack.conda_environment:
    prefix: /opt/conda/envs/ds
    specs:
      - python=3.12
      - pandas>=2
      - ipykernel
    channels:
      - conda-forge

- name: Remove an environment
  iac.ds_stack.conda_environment:
    prefix: /opt/conda/envs/ds
    state: absent
"""

RETURN = r"""
packages:
  description: The packages of the environment. In check mode those it has now.
  returned: when O(state=present) and conda is there
  type: list
  elements: dict
  contains:
    name:
      description: Name of the package.
      type: str
    version:
      description: Its version.
      type: str
    build:
      description: Its build string.
      type: str
    channel:
      description: URL of the channel that it came from.
      type: str
explicit:
  description: The environment as the package lines of an explicit lock, each C(URL#md5), credentials masked.
  returned: when O(state=present) and conda is there
  type: list
  elements: str
  sample:
    - https://conda.example.org/conda-forge/noarch/tzdata-2025b-h78e105d_0.conda#4222072737ccff51314b5ece9c7d6f5a
added:
  description: Packages (C(name-version-build)) that were, or in check mode would be, installed.
  returned: when O(state=present)
  type: list
  elements: str
  sample: [tzdata-2025b-h78e105d_0]
removed:
  description: Packages (C(name-version-build)) that were, or in check mode would be, removed or replaced.
  returned: always
  type: list
  elements: str
  sample: [tzdata-2024a-h0c530f3_0]
exception_name:
  description: Conda's own name for what went wrong, such as V(PackagesNotFoundError).
  returned: when conda failed and said so
  type: str
  sample: PackagesNotFoundError
stderr:
  description: What conda wrote to its error output.
  returned: when conda failed
  type: str
  sample: "PackagesNotFoundError: The following packages are not available"
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.iac.ds_stack.plugins.module_utils._run.urls import mask
from ansible_collections.iac.ds_stack.plugins.module_utils._software.conda import (
    Changes,
    Conda,
    CondaError,
    Locked,
    Package,
    Record,
    Request,
    decode_lock,
    differences,
    digest,
    is_environment,
    missing_packages,
    parse_lock,
    read_record,
    spec_name,
    surplus_names,
    verify_local_files,
    write_record,
)

HOW_TO_RELOCK = (
    "The environment is locked. Where a package of it has vanished, was changed, or stands in the way of "
    'what is asked for, lock conda anew: in a bake with -e \'{"ds_stack_relock": ["conda"]}\'.'
)


@dataclass
class Outcome:
    """What was done, or in check mode would be."""

    changes: Changes
    before: list[Package]
    after: list[Package]
    changed: bool
    warnings: tuple[str, ...] = ()


class Environment:
    """One environment on the disk, with a mark beside it while it is being made.

    The mark outlives a kill of the module, so that the next run knows half an environment from a whole one.
    It lies beside the prefix because conda wants to make the prefix itself.
    """

    def __init__(self, conda: Conda, prefix: Path) -> None:
        self.conda = conda
        # What a link leads to is the environment; a folder cannot be made, nor its tree removed, through it.
        self.link = prefix if prefix.is_symlink() else None
        self.prefix = Path(os.path.realpath(prefix)) if self.link else prefix
        self.mark = self.prefix.parent / f".{self.prefix.name}.ds-stack-incomplete"

    @property
    def exists(self) -> bool:
        return is_environment(self.prefix) and not self.mark.exists()

    def packages(self) -> list[Package]:
        return self.conda.installed(self.prefix) if self.exists else []

    def pinned(self, packages: tuple[Package, ...]) -> Environment:
        """The same environment, for a conda that moves none of these packages."""
        return Environment(replace(self.conda, pins=tuple(package.pin for package in packages)), self.prefix)

    def refuse_foreign_folder(self) -> None:
        """Never build into, or remove, a folder that conda did not make."""
        if is_environment(self.prefix) or self.mark.exists() or not self.prefix.exists():
            return
        if not self.prefix.is_dir() or any(self.prefix.iterdir()):
            raise CondaError(
                f"{self.prefix} is there and is no conda environment. Choose another prefix, or move it away."
            )

    def create(self, arguments: list[str], check: Callable[[], None]) -> None:
        """Create the environment; leave nothing of one that failed or that ``check`` rejects."""
        self.remove_folder()
        self.prefix.parent.mkdir(parents=True, exist_ok=True)
        self.mark.touch()
        try:
            self.conda.change("create", "--prefix", str(self.prefix), *arguments)
            check()
        except CondaError as error:
            self.remove_folder()
            self.mark.unlink()
            raise CondaError(
                f"{self.prefix} could not be made, and nothing of it was left. {error}", error.details
            ) from error
        self.mark.unlink()

    def update(self, before: list[Package], steps: list[list[str]], check: Callable[[], None]) -> None:
        """Change an existing environment; when that fails, say what state it is in."""
        try:
            for step in steps:
                self.conda.change(step[0], "--prefix", str(self.prefix), *step[1:])
            check()
        except CondaError as error:
            raise CondaError(f"{self._condition(before)} {error}", error.details) from error

    def _condition(self, before: list[Package]) -> str:
        try:
            changes = differences(before, self.packages())
        except CondaError:
            return f"{self.prefix} could not be changed and is damaged: make it anew (state absent first)."
        if changes:
            return f"{self.prefix} was changed in part ({changes})."
        return f"{self.prefix} could not be changed; its packages are as they were."

    @property
    def has_traces(self) -> bool:
        return bool(self.link) or self.prefix.exists() or self.mark.exists()

    def remove(self, by_conda: bool) -> None:
        """Remove it, with the link to it. Behind a link, a folder that conda did not make is left alone."""
        ours = not self.link or is_environment(self.prefix) or self.mark.exists()
        if by_conda and self.exists:
            # conda also forgets it in its list of environments
            self.conda.change("remove", "--all", "--prefix", str(self.prefix))
        if ours:
            self.remove_folder()
        self.mark.unlink(missing_ok=True)
        if self.link:
            self.link.unlink()

    def remove_folder(self) -> None:
        if self.prefix.exists():
            shutil.rmtree(self.prefix)


def ensure_lock(environment: Environment, wanted: list[Package], check_mode: bool) -> Outcome:
    """Make the environment hold exactly the packages of a lock."""
    before = environment.packages()
    exists = environment.exists
    changes = differences(before, wanted)
    if exists and not changes:
        return Outcome(changes, before, before, changed=False)
    if check_mode:
        return Outcome(changes, before, before, changed=True)
    to_install = missing_packages(before, wanted)
    verify_local_files(to_install)
    after: list[Package] = []

    def check() -> None:
        after[:] = environment.conda.installed(environment.prefix)
        left = differences(after, wanted)
        if left:
            raise CondaError(f"conda reported success, yet the packages differ from the lock: {left}.")

    with tempfile.TemporaryDirectory() as folder:
        # The module's own copy: what was checked is what is installed, and only what is missing.
        explicit = Path(folder, "explicit.txt")
        lines = ["@EXPLICIT", *(package.line for package in to_install)]
        explicit.write_text("\n".join(lines) + "\n", encoding="utf-8")
        if exists:
            steps = []
            if to_install:
                steps.append(["install", "--file", str(explicit)])
            surplus = surplus_names(before, wanted)
            if surplus:
                steps.append(["remove", "--force-remove", *surplus])
            environment.update(before, steps, check)
        else:
            environment.create(["--file", str(explicit)], check)
    return Outcome(changes, before, after, changed=True)


def ensure_locked(environment: Environment, request: Request, locked: Locked, check_mode: bool) -> Outcome:
    """Make the environment hold what was locked for the specs, and what others of them need beside it."""
    try:
        if request.specs != locked.specs:
            return ensure_specs(environment.pinned(locked.packages), request, check_mode, locked)
        outcome = ensure_lock(environment, list(locked.packages), check_mode)
    except CondaError as error:
        raise CondaError(f"{error}\n{HOW_TO_RELOCK}", error.details) from error
    if not check_mode:
        write_record(environment.prefix, Record(request, digest(outcome.after)))
    return outcome


def ensure_specs(
    environment: Environment, request: Request, check_mode: bool, locked: Locked | None = None
) -> Outcome:
    """Make the environment hold what conda solves for the specs, and nothing that was locked as another."""
    before = environment.packages()
    record = read_record(environment.prefix) if environment.exists else None
    if record == Record(request, digest(before)):
        return Outcome(Changes(), before, before, changed=False)

    def check() -> None:
        if locked and (moved := locked.moved(environment.conda.installed(environment.prefix))):
            raise CondaError(f"The packages differ from the lock: {'; '.join(moved)}.")

    warnings = dropped_specs(record, request)
    prefix = ["--prefix", str(environment.prefix)]
    if not environment.exists:
        if check_mode:
            # A prefix of its own: at the real one there may be half an environment.
            with tempfile.TemporaryDirectory() as folder:
                prefix = ["--prefix", str(Path(folder, "environment"))]
                changes = environment.conda.plan("create", *prefix, *request.arguments())
            return Outcome(changes, before, before, changed=True)
        environment.create(["--no-default-packages", *request.arguments()], check)
    else:
        try:
            changes = environment.conda.plan("install", *prefix, *request.arguments())
        except CondaError as error:
            message = f"{environment.prefix} is as it was, since conda cannot solve the request. {error}"
            raise CondaError("\n".join([message, *warnings]), error.details) from error
        if check_mode:
            return Outcome(changes, before, before, bool(changes), warnings)
        if changes:
            environment.update(before, [["install", *request.arguments()]], check)
    after = environment.packages()
    write_record(environment.prefix, Record(request, digest(after)))
    changes = differences(before, after)
    return Outcome(changes, before, after, bool(changes) or not before, warnings)


def dropped_specs(record: Record | None, request: Request) -> tuple[str, ...]:
    """A warning about packages that were asked for once and no longer are."""
    if record is None:
        return ()
    asked = {spec_name(spec) for spec in request.specs}
    dropped = sorted({spec_name(spec) for spec in record.request.specs} - asked)
    if not dropped:
        return ()
    return (
        f"No longer asked for, but still installed and still honoured by conda: {', '.join(dropped)}. "
        "Use a lock, or remove the environment first, to be rid of them.",
    )


def ensure_absent(environment: Environment, check_mode: bool) -> Outcome:
    """Remove the environment, whole or half."""
    if Path(os.path.realpath(environment.prefix)) == environment.conda.root:
        raise CondaError(f"{environment.prefix} is conda's own base environment and cannot be removed.")
    if not environment.has_traces:
        return Outcome(Changes(), [], [], changed=False)
    by_conda = environment.conda.path.exists()
    before = environment.packages() if by_conda else []
    if not check_mode:
        environment.remove(by_conda)
    return Outcome(differences(before, []), before, [], changed=True)


def result_of(outcome: Outcome, present: bool) -> dict[str, object]:
    """The outcome as the module's result."""
    before = {package.label for package in outcome.before}
    result: dict[str, object] = {
        "changed": outcome.changed,
        "removed": list(outcome.changes.removed),
        "diff": {
            "before": listing(before),
            "after": listing(before.difference(outcome.changes.removed).union(outcome.changes.added)),
        },
    }
    if present:
        result["added"] = list(outcome.changes.added)
        result["packages"] = [package.as_result() for package in outcome.after]
        result["explicit"] = [mask(package.line) for package in outcome.after]
    return result


def listing(labels: set[str]) -> str:
    """Labels as text, one in a line."""
    return "".join(f"{label}\n" for label in sorted(labels))


def unready(module: AnsibleModule, conda: Conda) -> str | None:
    """What a run in check mode cannot know yet, because an earlier task would have made it."""
    if not os.access(conda.path, os.X_OK):
        return f"{conda.path} is not there yet"
    lock = module.params["lock"]
    if lock and not Path(lock).exists():
        return f"{lock} is not there yet"
    return None


def run(module: AnsibleModule) -> Outcome:
    """Do what the parameters ask for."""
    parameters = module.params
    if not Path(parameters["prefix"]).is_absolute():
        raise CondaError(f"prefix: '{parameters['prefix']}' is no absolute path.")
    conda = Conda(Path(parameters["conda"]))
    environment = Environment(conda, Path(parameters["prefix"]))
    environment.refuse_foreign_folder()
    if parameters["state"] == "absent":
        return ensure_absent(environment, module.check_mode)
    if parameters["lock"] == "":
        raise CondaError("lock: it is empty. Name a file, or leave it out and give specs.")
    missing = unready(module, conda)
    if missing and module.check_mode:
        return Outcome(Changes(), [], [], changed=True, warnings=(f"{missing}: the packages are not known.",))
    if missing:
        raise CondaError(f"{missing}. Install Miniforge and write the lock first (the role conda does both).")
    if parameters["lock"]:
        text = decode_lock(Path(parameters["lock"]).read_bytes(), parameters["lock"])
        return ensure_lock(environment, parse_lock(text, parameters["lock"]), module.check_mode)
    request = Request.of(parameters["specs"], parameters["channels"], parameters["override_channels"])
    if parameters["locked"]:
        locked = Locked.of(parameters["locked"]["specs"], parameters["locked"]["packages"])
        return ensure_locked(environment, request, locked, module.check_mode)
    return ensure_specs(environment, request, module.check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "prefix": {"type": "path", "required": True},
            "conda": {"type": "path", "default": "/opt/conda/bin/conda"},
            "lock": {"type": "path"},
            "specs": {"type": "list", "elements": "str"},
            "locked": {
                "type": "dict",
                "options": {
                    "specs": {"type": "list", "elements": "str", "required": True},
                    "packages": {"type": "list", "elements": "str", "required": True},
                },
            },
            "channels": {"type": "list", "elements": "str", "default": []},
            "override_channels": {"type": "bool", "default": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        mutually_exclusive=[("lock", "specs")],
        required_by={"locked": "specs"},
        required_if=[("state", "present", ("lock", "specs"), True)],
        supports_check_mode=True,
    )
    try:
        outcome = run(module)
    except CondaError as error:
        module.fail_json(msg=str(error), **error.details)
    except OSError as error:
        module.fail_json(msg=f"{error.filename or module.params['prefix']}: {error.strerror}.")
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(**result_of(outcome, present=module.params["state"] == "present"))


if __name__ == "__main__":
    main()
