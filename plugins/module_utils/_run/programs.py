# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where programs are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def find_program(name: str) -> str | None:
    """The path of a program, from every folder; None when there is none that may be run.

    name: a name on the PATH, or a path, relative to here. Links stay: their name may tell the program, and
        what ``..`` means depends on them.
    """
    found = shutil.which(os.path.expanduser(name))  # noqa: PTH111 (Path would lose the dot of ./packer)
    return str(Path(found).absolute()) if found else None
