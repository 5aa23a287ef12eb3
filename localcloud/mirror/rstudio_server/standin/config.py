"""rserver.conf, as the real server reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

PATH = Path("/etc/rstudio/rserver.conf")

#: The options of the real server that machines use, with its defaults. Most do nothing here; an option
#: that is not among them is an error, as it is there.
DEFAULTS: Mapping[str, str] = {
    "auth-cookies-force-secure": "0",
    "auth-encrypt-password": "1",
    "auth-minimum-user-id": "auto",
    "auth-none": "0",
    "auth-pam-require-password-prompt": "1",
    "auth-pam-sessions-enabled": "0",
    "auth-required-user-group": "",
    "auth-stay-signed-in-days": "30",
    "auth-timeout-minutes": "60",
    "rsession-ld-library-path": "",
    "rsession-path": "",
    "rsession-which-r": "",
    "secure-cookie-key-file": "/var/lib/rstudio-server/secure-cookie-key",
    "server-daemonize": "1",
    "server-health-check-enabled": "0",
    "server-pid-file": "/run/rstudio-server.pid",
    "server-user": "rstudio-server",
    "verify-installation": "0",
    "www-address": "0.0.0.0",  # noqa: S104 (the real server's default)
    "www-enable-origin-check": "0",
    "www-allow-origin": "",
    "www-frame-origin": "none",
    "www-port": "8787",
    "www-root-path": "/",
    "www-same-site": "",
    "www-thread-pool-size": "2",
    "www-verify-user-agent": "1",
}


class ConfigError(Exception):
    """The configuration cannot be used."""


def parse(text: str, where: str = str(PATH)) -> dict[str, str]:
    """The options of a configuration file, over the defaults."""
    options = dict(DEFAULTS)
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            raise ConfigError(f"Error reading {where}: line {number} is not option=value")
        if name not in DEFAULTS:
            raise ConfigError(f"unrecognised option '{name}' in {where}")
        options[name] = value
    _check(options)
    return options


def read(arguments: Iterable[str] = (), path: Path = PATH) -> dict[str, str]:
    """The file's options, with those of the command line (``--option=value``) over them."""
    options = parse(path.read_text(encoding="utf-8") if path.exists() else "", str(path))
    for argument in arguments:
        name, equals, value = argument.removeprefix("--").partition("=")
        if equals and name in DEFAULTS:
            options[name] = value
    _check(options)
    return options


def _check(options: Mapping[str, str]) -> None:
    port = options["www-port"]
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"the argument ('{port}') for option '--www-port' is invalid")
