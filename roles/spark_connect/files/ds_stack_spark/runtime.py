"""The files that the units read, in memory alone: systemd gives the token to the server, nginx reads the key.

Both do so as root, so nobody else reads them.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from .document import Document

FOLDER = Path("/run/ds-stack-spark")
IDLE_MINUTES = "idle_minutes"
WHERE = "where"
#: What no program that runs has read.
UNREAD = {IDLE_MINUTES, WHERE}


def contents(document: Document, stack: str, region: str) -> dict[str, str]:
    """Return the files by their names."""
    return {
        # The server, and no program that it starts for a user, takes the token from here.
        "environment": f"SPARK_CONNECT_AUTHENTICATE_TOKEN={document.token}\n",
        "certificate.pem": document.certificate,
        "key.pem": document.private_key,
        IDLE_MINUTES: f"{document.idle_minutes}\n",
        WHERE: json.dumps([stack, region]),
    }


def write(document: Document, stack: str, region: str, folder: Path = FOLDER) -> set[str]:
    """Write the files. Return the names of those that have changed."""
    folder.mkdir(mode=0o700, exist_ok=True)
    changed = set()
    for file, text in contents(document, stack, region).items():
        path = folder / file
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
        changed.add(file)
    return changed


def idle_seconds(folder: Path = FOLDER) -> float:
    """Return after how many seconds without use the server stops."""
    return float((folder / IDLE_MINUTES).read_text(encoding="utf-8")) * 60


def where(folder: Path = FOLDER) -> tuple[str, str]:
    """Return the stack and the region whose document the files are from."""
    stack, region = json.loads((folder / WHERE).read_text(encoding="utf-8"))
    return stack, region


def remove(folder: Path = FOLDER) -> None:
    """Remove all of it."""
    shutil.rmtree(folder, ignore_errors=True)
