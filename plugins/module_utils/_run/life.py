# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of processes that hold among all machines, so that whoever reads one can tell whether it has ended.

It can be told on the machine where the process ran, and until that starts again. A copy of that machine, or a
container of the same host name, is another place.
"""

from __future__ import annotations

import re
from pathlib import Path

from .outcome import birth_of

BOOT = Path("/proc/sys/kernel/random/boot_id")
NUMBERS = Path("/proc/self/ns/pid")
"""Within which the numbers of processes are counted: a container has its own."""


def name_process(pid: int) -> str:
    """Return the name of a process that lives; empty where the system does not tell what that takes."""
    place, birth = _place(), birth_of(pid)
    return f"{place}/{pid}/{birth}" if place and birth else ""


def has_ended(name: str) -> bool:
    """Whether the process of this name has ended for certain; also False where nobody here can tell."""
    place, _slash, process = name.rpartition("/")[0].rpartition("/")
    return bool(place) and place == _place() and process.isdigit() and name_process(int(process)) != name


def number_of(name: str) -> str:
    """Return a process's number, for people; empty where there is none."""
    return name.split("/")[-2] if "/" in name else ""


def _place() -> str:
    try:
        numbers = re.sub(r"\D", "", str(NUMBERS.readlink()))
        return f"{BOOT.read_text(encoding='ascii').strip()}/{numbers}"
    except OSError:
        return ""
