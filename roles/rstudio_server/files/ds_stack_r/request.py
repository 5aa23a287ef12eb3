"""What a session is started with, as it is told from one program to the next."""

from __future__ import annotations

import json
import os
import resource
from dataclasses import asdict, dataclass, field
from pathlib import Path

SOCKET = "/run/ds-stack-r.socket"
SESSION = "/usr/lib/rstudio-server/bin/rsession"
"""RStudio's own program."""
MOST_BYTES = 4 * 1024 * 1024
"""Of a request: more than the kernel takes as arguments and environment."""
LIMITS = tuple(sorted(name for name in dir(resource) if name.startswith("RLIMIT_")))


@dataclass(frozen=True)
class Request:
    """A program's surroundings.

    Attributes:
        arguments: without the program's name.
        environment: has a secret that RStudio shares with its sessions.
        limits: name of a limit, as the module ``resource`` has it → soft and hard one.
    """

    arguments: list[str]
    environment: dict[str, str] = field(repr=False)
    folder: str
    umask: int
    limits: dict[str, tuple[int, int]]

    @classmethod
    def own(cls, arguments: list[str]) -> Request:
        """Return that of this process."""
        umask = os.umask(0o077)
        os.umask(umask)
        limits = {name: resource.getrlimit(getattr(resource, name)) for name in LIMITS}
        return cls(arguments, dict(os.environ), str(Path.cwd()), umask, limits)

    def dump(self) -> bytes:
        """Return it as a line. What is no UTF-8 comes through as it is."""
        return json.dumps(asdict(self)).encode() + b"\n"


def load(data: bytes) -> Request:
    """Return what was dumped. Raises ValueError, TypeError."""
    return Request(**json.loads(data))
