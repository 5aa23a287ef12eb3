# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one rule for each kind of name: for the check of a configuration, and at the door of every module.

A name becomes part of a parameter's path, of a filter of EC2 and of an account on the machine. A slash, a
star or nothing at all in its place would reach what belongs to somebody else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

STACK_NAME = re.compile(r"[a-z][a-z0-9-]{1,30}")
LOGIN_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
INSTANCE_ID = re.compile(r"i-[0-9a-f]+")

OPERATOR_KEY = "alias/ds-stack-operator"
"""The KMS key of the passwords that is made where there is none."""

PASSWORD_OF_URL = re.compile(r"[^\s/:@]*:[^\s/@]+@")
"""With the name before it."""

RESERVED_USERS = frozenset(
    # Accounts and groups of every Debian and Ubuntu: /usr/share/base-passwd/{passwd,group}.master.
    "adm audio backup bin cdrom daemon dialout dip disk fax floppy games gnats irc kmem list lp mail man "  # noqa: SIM905
    "news nobody nogroup operator plugdev proxy root sasl shadow src staff sudo sync sys tape tty users utmp "
    "uucp video voice www-data "
    # Those that the packages of their images for EC2 make.
    "admin crontab debian dhcpcd ec2-instance-connect ec2-user fwupd-refresh input kvm landscape lxd "
    "messagebus netdev polkitd pollinate rdma render sgx ssh sshd ssl-cert syslog tcpdump tss ubuntu usbmux "
    "uuidd wheel "
    # Those of what a stack's image has beside them, and Session Manager's.
    "docker ds-processes ds-self-test ds-stack ds-stack-spark ds-users jupyterhub nginx "
    "rstudio-server ssm-user".split()
)
"""The machine makes no account that its image has already, as a user or as a group: nobody gets in then."""

RESERVED_BEGINNINGS = ("systemd-", "_")
"""Of the underscore: https://www.debian.org/doc/debian-policy/ch-opersys.html#users-and-groups"""


class OptionError(Exception):
    """An option of the task is wrong; the message names it and says what to give instead."""


def stack_problem(name: str) -> str | None:
    """Return what is wrong with the name of a stack."""
    if STACK_NAME.fullmatch(name):
        return None
    return (
        f"'{shown(name)}' cannot name a stack. Take 2 to 31 lower-case letters, digits and hyphens, "
        "beginning with a letter."
    )


def login_problem(name: str) -> str | None:
    """Return what is wrong with the name of a user."""
    if LOGIN_NAME.fullmatch(name):
        return None
    return (
        f"'{shown(name)}' cannot be a login name. Take 1 to 32 lower-case letters, digits, hyphens and "
        "underscores, beginning with a letter."
    )


def reserved_problem(name: str) -> str | None:
    """Return why a name that can be a login name is no user's: the machine's own system has it."""
    if name in RESERVED_USERS or name.startswith(RESERVED_BEGINNINGS):
        return f"'{name}' is an account or group of the machine's own system. Give that user another name."
    return None


def check_stack(name: str) -> str:
    """Return the option stack. Raises OptionError."""
    problem = stack_problem(name)
    if problem:
        raise OptionError(f"stack: {problem}")
    return name


def check_users(option: str, names: Iterable[str]) -> list[str]:
    """Return the users that an option names, sorted. Raises OptionError that tells all that are wrong."""
    found = sorted(set(names))
    problems = [problem for name in found if (problem := login_problem(name))]
    if problems:
        raise OptionError(f"{option}: {' '.join(problems)}")
    return found


def check_instance(instance_id: str) -> str:
    """Return the option instance_id. Raises OptionError."""
    if not INSTANCE_ID.fullmatch(instance_id):
        raise OptionError(f"instance_id: '{instance_id}' is no instance, such as i-0123456789abcdef0.")
    return instance_id


def check_tags(tags: Mapping[str, Any]) -> dict[str, str]:
    """Return tags as AWS keeps them: as texts, a number or a truth value as Terraform writes it.

    A tag that is null is left out: it is somebody else's to set. Raises OptionError.
    """
    texts = {}
    for name, value in tags.items():
        if isinstance(value, (Mapping, list, tuple)):
            raise OptionError(f"tags: the value of '{name}' is no text. Write it in quotes.")
        if value is not None:
            texts[str(name)] = value if isinstance(value, str) else json.dumps(value)
    for name, text in texts.items():
        if not 1 <= len(name) <= 128 or len(text) > 256 or name.lower().startswith("aws:"):
            raise OptionError(
                f"tags: AWS takes no tag '{shown(name)}: {shown(text)}'. A name has 1 to 128 characters and "
                "does not begin with aws:, a value has at most 256."
            )
    return texts


def shown(text: str, longest: int = 60) -> str:
    """Return a text as a message can show it: one line, not too much of it, no private key, no password."""
    if "PRIVATE KEY" in text:
        return "(a private key)"
    text = PASSWORD_OF_URL.sub("***@", text)
    line = text.encode("unicode_escape").decode() if not text.isprintable() else text
    return line if len(line) <= longest else f"{line[:longest]}…"
