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


def without(environ: Mapping[str, str], rules: Iterable[Rule]) -> dict[str, str]:
    """The environment without what the rules hold back."""
    rules = tuple(rules)
    return {
        name: value for name, value in environ.items() if not any(rule.holds_back(name) for rule in rules)
    }
