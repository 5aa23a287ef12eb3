"""What the bake wrote down for this program: /etc/ds-stack/self-test.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATH = Path("/etc/ds-stack/self-test.json")


@dataclass(frozen=True)
class Settings:
    """The role's variables, whose argument specs describe them."""

    services: tuple[str, ...]
    group: str
    hub_url: str
    rstudio_url: str
    python_prefix: str
    r_packages: tuple[str, ...]
    reticulate_python: str
    memory_limit: str
    cpu_limit: float
    has_limits: bool


def parse(found: Mapping[str, Any]) -> Settings:
    """The settings in a JSON object. Raises KeyError, TypeError and ValueError for others."""
    return Settings(
        services=tuple(found["services"]),
        group=str(found["group"]),
        hub_url=str(found["hub_url"]),
        rstudio_url=str(found["rstudio_url"]),
        python_prefix=str(found["python_prefix"]),
        r_packages=tuple(found["r_packages"]),
        reticulate_python=str(found["reticulate_python"]),
        memory_limit=str(found["memory_limit"]),
        cpu_limit=float(found["cpu_limit"]),
        has_limits=bool(found["has_limits"]),
    )


def load(path: Path = PATH) -> Settings:
    """This machine's settings. Raises OSError as well."""
    return parse(json.loads(path.read_text(encoding="utf-8")))
