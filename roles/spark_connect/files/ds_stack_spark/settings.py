"""What the bake wrote down for this program: /etc/ds-stack/spark-connect/settings.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .errors import ConnectError

PATH = Path("/etc/ds-stack/spark-connect/settings.json")


@dataclass(frozen=True)
class Settings:
    """The role's variables, whose argument specs describe them."""

    endpoint_url: str | None
    metadata_url: str
    port: int
    connect_port: int
    ui_port: int
    start_seconds: float
    check_seconds: float


def load(path: Path = PATH) -> Settings:
    """Return this node's settings. Raises ConnectError."""
    try:
        return Settings(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ConnectError(
            f"{path} is not as the bake writes it: {error}. Bake the node image again."
        ) from error
