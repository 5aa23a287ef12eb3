# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the caller's environment does not reach the tools, and why. All else does.

A tool gets the variables of its caller, without which it finds neither network nor credentials. But those
that change what the tool does were not written for this run, and nobody sees them in the play.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Rule:
    """Variables that are held back.

    names: a regular expression that a name has to match as a whole.
    why: the reason, for the person who wonders.
    """

    names: str
    why: str

    def holds_back(self, name: str) -> bool:
        """Whether it is about a variable of this name."""
        return re.fullmatch(self.names, name) is not None


PACKER = (
    Rule(r"PKR_VAR_.*", "they change what is built, and the fingerprint does not tell"),
    Rule(r"PACKER_LOG(?:_PATH)?", "the text may hold secrets, and the log has all that people need"),
    Rule(
        r"AWS_(?:MAX_ATTEMPTS|POLL_DELAY_SECONDS|TIMEOUT_SECONDS)",
        "boto3 reads the first as tries of one call, Packer as looks at an image that takes many minutes; "
        "how long Packer waits is the template's and the option timeout's to say",
    ),
    Rule(
        r"_?ANSIBLE_.*",
        "they are meant for the play that runs here; the one that runs in the bake has other hosts, another "
        "user and an output that is read (what it needs, the template says in ansible_env_vars)",
    ),
)
"""For Packer, and the Ansible that its provisioner runs."""

TERRAFORM = (
    Rule(r"TF_CLI_ARGS(?:_\w+)?", "they are options of every call; the task's are those that people see"),
    Rule(r"TF_WORKSPACE", "the option `workspace` says which"),
    Rule(r"TF_DATA_DIR", "what Terraform notes of a stack has its place in the work_dir"),
    Rule(r"TF_LOG(?:_\w+)?", "the text holds secrets, and stands where Terraform's own output is read"),
)
"""For Terraform and OpenTofu. TF_VAR_* reach it: variables of the task win over them."""

PATHS = (
    "TF_CLI_CONFIG_FILE",
    "TERRAFORM_CONFIG",
    "TF_PLUGIN_CACHE_DIR",
    "PACKER_CONFIG",
    "PACKER_CONFIG_DIR",
    "PACKER_CACHE_DIR",
    "PACKER_PLUGIN_PATH",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
"""Variables with a path. One that is relative is meant from where the play runs; a tool that runs in a folder
of its own would look for it there, find nothing, and some go on without a word."""


def clean(environ: Mapping[str, str], rules: Iterable[Rule]) -> dict[str, str]:
    """The environment for a tool: without what its rules hold back, with paths that mean the same there."""
    return absolute(without(environ, rules))


def absolute(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with paths that mean the same from every folder."""
    given = {name: environ[name] for name in PATHS if environ.get(name)}
    return {**environ, **{name: str(Path(path).absolute()) for name, path in given.items()}}


def without(environ: Mapping[str, str], rules: Iterable[Rule]) -> dict[str, str]:
    """The environment without what the rules hold back."""
    rules = tuple(rules)
    return {
        name: value for name, value in environ.items() if not any(rule.holds_back(name) for rule in rules)
    }
