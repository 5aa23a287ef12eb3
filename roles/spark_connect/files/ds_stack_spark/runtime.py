"""The files that the units read, in memory alone: systemd gives the token to the server, nginx reads the key.

Both do so as root, so nobody else reads them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .document import Document

FOLDER = Path("/run/ds-stack-spark")


def contents(document: Document) -> dict[str, str]:
    """Return the files by their names."""
    return {
        # The server, and no program that it starts for a user, takes the token from here.
        "environment": f"SPARK_CONNECT_AUTHENTICATE_TOKEN={document.token}\n",
        "certificate.pem": document.certificate,
        "key.pem": document.private_key,
        "idle_minutes": f"{document.idle_minutes}\n",
    }


def write(document: Document, folder: Path = FOLDER) -> bool:
    """Write the files. Return whether anything changed."""
    folder.mkdir(mode=0o700, exist_ok=True)
    changed = False
    for file, text in contents(document).items():
        path = folder / file
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
        changed = True
    return changed


def idle_seconds(folder: Path = FOLDER) -> float:
    """Return after how many seconds without use the server stops."""
    return float((folder / "idle_minutes").read_text(encoding="utf-8")) * 60


def remove(folder: Path = FOLDER) -> None:
    """Remove all of it."""
    shutil.rmtree(folder, ignore_errors=True)
