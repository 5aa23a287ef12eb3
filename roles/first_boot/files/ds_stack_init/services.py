"""Starting the stack's services and seeing whether they answer."""

from __future__ import annotations

import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .process import run
from .settings import Service
from .status import Check

READY_UNIT = "ds-stack-ready.service"
PAUSE_SECONDS = 2.0
# A unit in between, such as one that systemd itself is about to start again, is "activating".
DOWN = ("inactive", "failed")


def start(services: tuple[Service, ...]) -> None:
    """Ask systemd to start the services, and what reports on them. Raises InitError.

    Without waiting: they start when this program's own unit is done.
    """
    run("systemctl", "--no-block", "start", *(service.name for service in services), READY_UNIT)


def is_due(unit: str) -> bool:
    """Return whether systemd is going to start a unit, or is about to."""
    return bool(run("systemctl", "list-jobs", "--no-legend", unit, ok=range(256)).strip())


def keep(services: tuple[Service, ...], log: Callable[[str], None]) -> None:
    """Have the services started that are down, whatever the reason. Raises InitError."""
    for name in dict.fromkeys(service.name for service in services):
        state = run("systemctl", "is-active", name, ok=range(256)).strip()
        if state in DOWN:
            log(f"starting {name}, which was {state}")
            # It may have failed too often for systemd to start it once more.
            run("systemctl", "reset-failed", name, ok=range(256))
            run("systemctl", "--no-block", "start", name)


def check_all(
    services: tuple[Service, ...],
    look: Callable[[Service], Check],
    seconds: float,
    pause: float = PAUSE_SECONDS,
) -> list[Check]:
    """Look at all services until every one works or the time is up, and return how it ended."""
    end = time.monotonic() + seconds
    while True:
        checks = [look(service) for service in services]
        if all(one.ok for one in checks) or time.monotonic() >= end:
            return checks
        time.sleep(pause)


def check(service: Service, scheme: str, certificate: Path) -> Check:
    """Look at one service: its unit, and its URL if it has one."""
    state = run("systemctl", "is-active", service.name, ok=range(256)).strip()
    if state != "active":
        return Check(service.name, False, f"the unit is {state or 'unknown'}")
    if service.url is None:
        return Check(service.name, True, "the unit is active")
    return _answers(service.name, service.url.replace("{scheme}", scheme), certificate)


def _answers(name: str, url: str, certificate: Path) -> Check:
    handlers: list[Any] = [urllib.request.ProxyHandler({}), _NoRedirect()]
    if url.startswith("https:"):
        # Signed by itself, so it is its own authority: what is checked is that just this one is served.
        handlers.append(
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(certificate)))
        )
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=10) as answer:
            code = answer.status
    except urllib.error.HTTPError as error:
        code = error.code
    except (OSError, ValueError) as error:
        return Check(name, False, f"{url} does not answer: {getattr(error, 'reason', error)}")
    return Check(name, code < 400, f"{url} answers {code}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer; what it leads to may not exist on this machine."""

    def redirect_request(self, *_: Any) -> None:
        """Do not follow."""
