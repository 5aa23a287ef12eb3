"""Users of a stack's machine, who come through its public address."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clients.jupyterhub import Hub
from tests.clients.rstudio import RStudio
from tests.e2e.conftest import Stack


@contextmanager
def signed_in(stack: Stack, folder: Path, user: str = "alice", password: str = "") -> Iterator[Hub]:
    """Sign a user in through the machine's public address, with JupyterLab running.

    By default with the password that was made for the user.
    """
    hub = hub_of(stack, folder)
    hub.sign_in(user, password or stack.passwords()[user])
    hub.start_server()
    try:
        yield hub
    finally:
        hub.stop_server()


def hub_of(stack: Stack, folder: Path) -> Hub:
    """Return a browser at the hub."""
    url, certificate = address_of(stack, 8000, folder)
    hub = Hub(url, ca_file=certificate)
    hub.wait_until_ready()
    return hub


def rstudio_of(stack: Stack, folder: Path) -> RStudio:
    """Return a browser at RStudio Server."""
    url, certificate = address_of(stack, 8787, folder)
    browser = RStudio(url, ca_file=certificate)
    browser.wait_until_ready()
    return browser


def address_of(stack: Stack, port: int, folder: Path) -> tuple[str, Path]:
    """Return the address of a port of the machine, and the certificate that it shows now, to be trusted."""
    address = stack.machine()["PublicIpAddress"]
    certificate = folder / f"{port}.pem"
    certificate.write_text(ssl.get_server_certificate((address, port)))
    return f"https://{address}:{port}", certificate


def run_cell(hub: Hub, code: str, kernel: str = "python3", timeout: float = 60) -> str:
    """Run code in a kernel and return what it printed."""
    cell = hub.run_cell(code, kernel=kernel, timeout=timeout)
    assert cell.status == "ok", cell.error
    return cell.output.strip()
