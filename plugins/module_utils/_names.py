# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stacks and users may be called. Both become parts of names that AWS and Linux restrict."""

from __future__ import annotations

import re

STACK_NAME = re.compile(r"[a-z][a-z0-9-]{1,30}")
"""With it ``ds-stack-<stack>-<region>`` stays below the 64 characters that IAM takes for a role."""

USER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
"""What useradd takes, whose 32 characters are the kernel's and utmp's; it is also the last part of a
parameter's name, so that no slash gets in. The underscore in front is for the system's own accounts:
https://www.debian.org/doc/debian-policy/ch-opersys.html#users-and-groups"""

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
    "docker ds-stack ds-users jupyterhub nginx rstudio-server ssm-user".split()
)
"""The machine makes no account that its image has already, as a user or as a group: nobody gets in then."""

RESERVED_PREFIX = "systemd-"


def stack_name_problem(name: str) -> str | None:
    """Return what is wrong with a stack's name, as the rest of a sentence that begins with where it is."""
    if STACK_NAME.fullmatch(name):
        return None
    return (
        f"'{shown(name)}' cannot name a stack. Take 2 to 31 lower-case letters, digits and hyphens, "
        "beginning with a letter."
    )


def user_name_problem(name: str) -> str | None:
    """Return what is wrong with a login name, as the rest of a sentence that begins with where it is."""
    if not USER_NAME.fullmatch(name):
        return (
            f"'{shown(name)}' cannot be a login name. Take at most 32 lower-case letters, digits, hyphens "
            "and underscores, beginning with a letter."
        )
    if name in RESERVED_USERS or name.startswith(RESERVED_PREFIX):
        return f"'{name}' is an account or group of the machine's own system. Give that user another name."
    return None


def shown(text: str, longest: int = 60) -> str:
    """Return a text as a message can show it: on one line, not too much of it, and no private key."""
    if "PRIVATE KEY" in text:
        return "(a private key)"
    line = text.encode("unicode_escape").decode() if not text.isprintable() else text
    return line if len(line) <= longest else f"{line[:longest]}…"
