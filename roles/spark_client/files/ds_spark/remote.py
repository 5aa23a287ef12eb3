"""Where the cluster is, as the machine's timer has written it (role first_boot)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ClusterError

FOLDER = Path("/etc/ds-stack/spark")
ADDRESS = re.compile(r"sc://(?P<host>[^:/;]+):(?P<port>\d+)/")
NONE = (
    "There is no Spark cluster now. Whoever runs this machine starts one with cluster.yml; "
    "a minute later it is known here."
)


@dataclass(frozen=True)
class Remote:
    """A cluster's address as Spark's clients take it, token included, and its certificate (PEM)."""

    url: str = field(repr=False)
    host: str
    port: int
    certificate: bytes = field(repr=False)


def read(folder: Path = FOLDER) -> Remote:
    """Return where the cluster is. Raises ClusterError where there is none, or none for this user."""
    try:
        url = (folder / "remote").read_text(encoding="utf-8").strip()
        certificate = (folder / "certificate.pem").read_bytes()
    except FileNotFoundError:
        raise ClusterError(NONE) from None
    except PermissionError:
        raise ClusterError(
            f"Your account may not use the Spark cluster: {folder / 'remote'} is not for you."
        ) from None
    found = ADDRESS.match(url)
    if not found:
        raise ClusterError(f"{folder / 'remote'} has no address of a Spark cluster. Run cluster.yml again.")
    return Remote(url, found["host"], int(found["port"]), certificate)
