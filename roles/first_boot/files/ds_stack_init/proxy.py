"""Whether the proxy speaks TLS: one link, as the role web_proxy has laid it out."""

from __future__ import annotations

from collections.abc import Callable

from . import certificate, files
from .identity import Identity
from .process import run
from .settings import Settings

SERVICE = "nginx"
FOLDERS = {"none": "plain", "self_signed": "tls"}


def scheme(tls: str) -> str:
    """Return the scheme of the URLs under which the proxy answers."""
    return "https" if tls == "self_signed" else "http"


def configure(settings: Settings, identity: Identity, tls: str, log: Callable[[str], None]) -> None:
    """Make the certificate if one is wanted, choose plain HTTP or TLS, and tell a running proxy.

    Raises InitError.
    """
    changed = certificate.ensure(settings, identity, log) if tls == "self_signed" else False
    if not settings.proxy_folder.exists():
        return  # an image without the proxy
    if files.link(settings.proxy_folder / "active", FOLDERS[tls]):
        log(f"the proxy speaks {scheme(tls)} now")
        changed = True
    if changed:
        # Without waiting: while the machine boots, the proxy's start waits for this program.
        run("systemctl", "--no-block", "try-reload-or-restart", SERVICE)
