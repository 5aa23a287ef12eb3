"""The instance metadata service, version 2 (IMDSv2)."""

from __future__ import annotations

import time
import urllib.request

from .errors import InitError

TOKEN_SECONDS = 300
PATIENCE_SECONDS = 60
PAUSE_SECONDS = 2.0
HEADER = "X-aws-ec2-metadata-token"


class Metadata:
    """A client that asks for a token once and waits while the service does not answer."""

    def __init__(self, url: str, patience: float = PATIENCE_SECONDS, pause: float = PAUSE_SECONDS) -> None:
        """Ask the service at ``url``; try for ``patience`` seconds with ``pause`` seconds between tries."""
        self._url = url.rstrip("/")
        self._patience = patience
        self._pause = pause
        self._token: str | None = None
        # Never through a proxy, whatever the environment says: the answers are about this machine alone.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str) -> str | None:
        """Return the text at a path below ``meta-data``, or None where there is nothing.

        Raises InitError when the service does not answer.
        """
        if self._token is None:
            lifetime = {f"{HEADER}-ttl-seconds": str(TOKEN_SECONDS)}
            self._token = self._ask("PUT", "/latest/api/token", lifetime)
        return self._ask("GET", f"/latest/meta-data/{path}", {HEADER: self._token or ""})

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> str | None:
        request = urllib.request.Request(self._url + path, method=method, headers=headers)  # noqa: S310
        end = time.monotonic() + self._patience
        while True:
            try:
                with self._opener.open(request, timeout=5) as answer:
                    return str(answer.read().decode())
            except OSError as error:  # HTTPError is one too
                if getattr(error, "code", None) == 404:
                    return None
                if time.monotonic() >= end:
                    raise InitError(
                        f"The instance metadata service does not answer at {self._url}{path} ({error}). "
                        "Is this an EC2 instance whose metadata options enable it?"
                    ) from error
            time.sleep(self._pause)
