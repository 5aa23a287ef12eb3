"""What the bake wrote down for this program: /etc/ds-stack/init.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InitError

PATH = Path("/etc/ds-stack/init.json")
SCHEMA = 1


@dataclass(frozen=True)
class Service:
    """A service that the stack offers.

    Attributes:
        name: of the systemd unit.
        url: answers when the service works; None checks the unit only. ``{scheme}`` in it is http or https.
    """

    name: str
    url: str | None = None


@dataclass(frozen=True)
class StateFolder:
    """A folder that lives on the data volume.

    Attributes:
        name: below ``state`` on the volume.
        path: where the service looks for it.
        optional: whether it is left alone where the image has no such folder.
    """

    name: str
    path: Path
    optional: bool = False


@dataclass(frozen=True)
class Settings:
    """The role's variables, whose argument specs describe them, and the places it shares with other roles."""

    region: str | None
    endpoint_url: str | None
    metadata_url: str
    users_group: str
    first_uid: int
    data_mount: Path
    services: tuple[Service, ...]
    state_folders: tuple[StateFolder, ...]
    volume_seconds: int
    services_seconds: int

    guard: bool = False
    metadata_guard: bool = False
    self_test: str = ""
    spark: bool = False
    tls_folder: Path = Path("/etc/ds-stack/tls")
    keys_folder: Path = Path("/etc/ds-stack/authorized_keys")
    proxy_folder: Path = Path("/etc/nginx/ds-stack")
    spark_folder: Path = Path("/etc/ds-stack/spark")
    hosts: Path = Path("/etc/hosts")

    @property
    def home(self) -> Path:
        """Where the users' homes are."""
        return self.data_mount / "home"

    @property
    def state(self) -> Path:
        """What is root's on the data volume."""
        return self.data_mount / "state"


def parse(text: str) -> Settings:
    """Return the settings in a JSON text; keys that are not known are left alone.

    Raises InitError.
    """
    try:
        found: dict[str, Any] = json.loads(text)
        if found["schema"] != SCHEMA:
            raise InitError(f"{PATH} has schema {found['schema']}, and this image knows {SCHEMA}.")
        return Settings(
            region=found["region"],
            endpoint_url=found["endpoint_url"],
            metadata_url=found["metadata_url"],
            users_group=found["users_group"],
            first_uid=int(found["first_uid"]),
            data_mount=Path(found["data_mount"]),
            services=tuple(Service(one["name"], one.get("url")) for one in found["services"]),
            state_folders=tuple(
                StateFolder(one["name"], Path(one["path"]), bool(one.get("optional")))
                for one in found["state_folders"]
            ),
            volume_seconds=int(found["volume_seconds"]),
            services_seconds=int(found["services_seconds"]),
            guard=bool(found.get("guard", False)),
            metadata_guard=bool(found.get("metadata_guard", False)),
            self_test=str(found.get("self_test", "")),
            spark=bool(found.get("spark", False)),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InitError(f"{PATH} is not as the bake writes it: {error!r}. Bake again.") from error


def load(path: Path = PATH) -> Settings:
    """Return this machine's settings. Raises InitError."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InitError(f"Cannot read {path}: {error.strerror}. Bake again.") from error
