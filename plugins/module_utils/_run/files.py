# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that nobody else may read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def open_private(path: Path, flags: int) -> int:
    """A descriptor of a file which, if it is made, only its owner may read."""
    return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, at once as a whole; also where one with other rights is."""
    partial = path.with_name(path.name + PARTIAL)
    partial.unlink(missing_ok=True)
    try:
        with os.fdopen(open_private(partial, os.O_WRONLY | os.O_EXCL), "wb") as file:
            file.write(content)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


PARTIAL = ".partial"
"""What the name of a file ends in that is being written."""


def write_private_json(path: Path, value: Any) -> None:
    """Write a value so that people can read it, too."""
    write_private(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())


def parse_object(text: str) -> dict[str, Any] | None:
    """The object in a text that others may have written; None when there is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def read_json(path: Path) -> Any:
    """What is in a file of ours; None when there is none, or it is broken."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
