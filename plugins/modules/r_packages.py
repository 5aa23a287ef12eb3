#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: r_packages
short_description: Install R packages and prove that they load
version_added: 0.1.0
description:
  - Installs R packages, and what they need, from a repository such as a dated snapshot of CRAN.
  - R's own C(install.packages) only warns when a package could not be installed, and never tries to load a
    package that comes as a binary. This module asks the repository first, and afterwards loads every package
    of O(name) in a process of its own. A package that does not load is an error with R's own words, for
    example the name of the system library that is missing.
  - R sends its version and platform to the repository (C(HTTPUserAgent)), so that one that has binaries for
    them sends these.
  - R runs without the caller's C(R_*) variables, without a user's library and profile, and with the site's
    (C(Rprofile.site), C(Renviron.site)).
options:
  name:
    description:
      - Names of the packages, each with a least version if one is needed, for example V(jsonlite) or
        V(dplyr>=1.1).
      - An installed package that is new enough is not updated.
    type: list
    elements: str
    required: true
  locked:
    description:
      - What packages have to be, those of O(name) and those that they need. By its name, each has its
        C(version) and the C(sha256) of the repository's file, such as RV(files).
      - Where the repository has another version of one, none any more, or another file, that is an error
        before anything is installed. A package that is not named here is free.
    type: dict
    default: {}
  repository:
    description:
      - URL of the repository, the folder above C(src/contrib). Without it R's own option C(repos), as
        C(Rprofile.site) sets it, is used.
    type: str
  library:
    description:
      - Folder to install into; it is made if need be. Without it the first of R's own libraries is used.
      - A package that is already in one of R's other libraries is not installed again.
    type: path
  rscript:
    description:
      - The Rscript program, as a path or a name on the C(PATH).
    type: str
    default: Rscript
extends_documentation_fragment:
  - iac.ds_stack.attributes
attributes:
  check_mode:
    support: full
    details:
      - Nothing is installed. The repository is read, so a package that it does not have is an error here too.
      - Where R is not there yet, a change is reported with a warning.
  diff_mode:
    support: full
    details: Shows the packages, with those that they need, before and after.
author:
  - The iac.ds_stack developers (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Install packages from the repository that Rprofile.site names
  iac.ds_stack.r_packages:
    name:
      - data.table
      - dplyr>=1.1

- name: Install packages for one of several R versions, from a dated snapshot
  iac.ds_stack.r_packages:
    name: [IRkernel]
    rscript: /opt/R/4.5.3/bin/Rscript
    repository: https://packagemanager.posit.co/cran/__linux__/noble/2026-06-01
"""

RETURN = r"""
packages:
  description: The packages of O(name) that are installed. In check mode as they are now.
  returned: when R is there
  type: list
  elements: dict
  contains:
    name:
      description: Name of the package.
      type: str
    version:
      description: Its version.
      type: str
    library:
      description: The library that it lies in.
      type: str
installed:
  description: What was, or in check mode would be, installed or updated, each as name and version.
  returned: always
  type: list
  elements: str
  sample: [rlang 1.0.6, jsonlite 1.8.4]
files:
  description: From which files of the repository packages were installed, by their names.
  returned: when something was installed
  type: dict
  sample:
    jsonlite:
      version: 1.8.4
      sha256: 2e0d9e1d7f5e9a1d6f0f3b8c0d1ef5f9c5a3f7a2d2f1f1f6a0b8e9d3c4b5a697
library:
  description: The library that packages are installed into.
  returned: when R is there
  type: str
  sample: /usr/local/lib/R/site-library
r_version:
  description: Version of R.
  returned: when R is there
  type: str
  sample: "4.5.1"
output:
  description: All that R printed while it installed.
  returned: when something was installed, also when that failed
  type: str
  sample: "* installing *source* package 'rlang' ..."
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.iac.ds_stack.plugins.module_utils._software.r import (
    Answer,
    Fetched,
    Installed,
    Locked,
    R,
    RError,
    Wanted,
    changed_files,
    moved,
    note_file,
    parse_wanted,
    telling_lines,
    unavailable,
)

HOW_TO_RELOCK = (
    "The packages are locked. Where one has vanished or was changed, lock R anew: in a bake with "
    '-e \'{"ds_stack_relock": ["r"]}\'.'
)


@dataclass
class Outcome:
    """What was done, or in check mode would be."""

    before: Answer
    after: Answer
    planned: dict[str, str]
    output: str | None = None
    files: list[Fetched] = field(default_factory=list)

    @property
    def installed(self) -> dict[str, str]:
        """Name and version of all that is new."""
        if self.planned:
            return self.planned
        old = self.before.installed
        return {
            name: package.version
            for name, package in self.after.installed.items()
            if old.get(name) != package
        }


def unmet(wanted: list[Wanted], answer: Answer) -> list[Wanted]:
    """The wanted packages that are not installed or too old."""
    return [one for one in wanted if not one.is_met_by(version_of(answer.installed.get(one.name)))]


def version_of(package: Installed | None) -> str | None:
    """The version of a package that may not be there."""
    return package.version if package else None


def prove(wanted: list[Wanted], answer: Answer, output: str | None) -> None:
    """Raise RError unless every wanted package is there, is new enough and loads."""
    problems = [f"{name} does not load: {words}" for name, words in answer.failures.items()]
    for one in unmet(wanted, answer):
        version = version_of(answer.installed.get(one.name))
        problems.append(f"{one} was not installed" + (f" (there is {version})" if version else ""))
    if not problems:
        return
    if any("cannot open shared object file" in problem for problem in problems):
        problems.append("Install the Debian or Ubuntu package that has that library, then run this again.")
    lines = telling_lines(output or "")
    if lines:
        problems.append("While installing, R printed:\n  " + "\n  ".join(lines))
    details = {"output": output} if output is not None else {}
    raise RError("\n".join(problems), details)


def refuse(problems: list[str], repository: str) -> None:
    """Raise RError for a repository that has not what was locked."""
    if problems:
        raise RError(
            f"The repository {repository}: {', and '.join(problems)}. Nothing was installed.\n{HOW_TO_RELOCK}"
        )


def ensure(r: R, wanted: list[Wanted], check_mode: bool, locked: Mapping[str, Locked]) -> Outcome:
    """Install what is missing, from files that are as they were locked, and prove that everything loads."""
    names = [one.name for one in wanted]
    before = r.look(names)
    missing = unmet(wanted, before)
    if not missing:
        prove(wanted, before, None)
        return Outcome(before, before, {})
    lacking = [one.name for one in missing]
    offer = r.offer(lacking)
    repository = r.repository_of(offer)
    refuse(moved(locked, offer), repository)
    if problems := unavailable(missing, offer):
        raise RError(f"The repository {repository} {', and '.join(problems)}. Nothing was installed.")
    if check_mode:
        return Outcome(before, before, offer.available)
    with tempfile.TemporaryDirectory(prefix="ds-stack-r-") as folder:
        fetched, output = r.fetch(lacking, Path(folder))
        refuse(changed_files(locked, fetched), repository)
        output += r.install(lacking, Path(folder))
    after = r.look(names)
    prove(wanted, after, output)
    new = [one for one in fetched if version_of(after.installed.get(one.name)) == one.version]
    for one in new:
        note_file(Path(after.installed[one.name].library), one)
    return Outcome(before, after, {}, output, new)


def listing(packages: dict[str, str]) -> str:
    """Names and versions as text, one in a line."""
    return "".join(f"{name} {version}\n" for name, version in sorted(packages.items()))


def result_of(outcome: Outcome, wanted: list[Wanted]) -> dict[str, object]:
    """The outcome as the module's result."""
    new = outcome.installed
    before = {name: package.version for name, package in outcome.before.installed.items()}
    concerned = {one.name for one in wanted} | set(new)
    old = {name: version for name, version in before.items() if name in concerned}
    found = [outcome.after.installed[one.name] for one in wanted if one.name in outcome.after.installed]
    result: dict[str, object] = {
        "changed": bool(new),
        "installed": [f"{name} {version}" for name, version in sorted(new.items())],
        "packages": [{"name": one.name, "version": one.version, "library": one.library} for one in found],
        "library": outcome.before.library,
        "r_version": outcome.before.r_version,
        "diff": {"before": listing(old), "after": listing({**old, **new})},
    }
    if outcome.output is not None:
        result["output"] = outcome.output
        result["files"] = {one.name: {"version": one.version, "sha256": one.sha256} for one in outcome.files}
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "locked": {"type": "dict", "default": {}},
            "repository": {"type": "str"},
            "library": {"type": "path"},
            "rscript": {"type": "str", "default": "Rscript"},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    try:
        wanted = parse_wanted(parameters["name"])
        rscript = shutil.which(parameters["rscript"])
        if rscript is None:
            message = f"{parameters['rscript']} is not there"
            if module.check_mode:
                module.warn(f"{message} yet: what would be installed is not known.")
                module.exit_json(changed=bool(wanted), installed=[])
            raise RError(f"{message}. Install R first (the role r does), or set rscript to its path.")
        r = R(Path(rscript), parameters["library"], parameters["repository"])
        outcome = ensure(r, wanted, module.check_mode, Locked.parse(parameters["locked"]))
    except RError as error:
        module.fail_json(msg=str(error), **error.details)
    module.exit_json(**result_of(outcome, wanted))


if __name__ == "__main__":
    main()
