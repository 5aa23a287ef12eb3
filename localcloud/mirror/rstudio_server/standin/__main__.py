"""The program rserver."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from . import accounts, config
from .application import Application
from .cookies import Signer, load_key
from .rsa import Key
from .server import make_server
from .sessions import Sessions

_PR_SET_NAME = 15


class Refusal(Exception):
    """The server cannot start."""


def find_r(options: Mapping[str, str]) -> str:
    """The R that sessions would use."""
    path = options["rsession-which-r"] or shutil.which("R", path="/usr/local/bin:/usr/bin:/bin")
    if not path or not os.access(path, os.X_OK):
        raise Refusal(
            "Unable to find an installation of R on the system (which R didn't return valid output)"
            + (f"; {path} does not exist" if path else "")
        )
    return path


def verify_installation(options: Mapping[str, str]) -> None:
    """Start R once."""
    done = subprocess.run(
        [find_r(options), "--vanilla", "--no-echo", "-e", "cat(1+1)"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.stdout != "2":
        raise Refusal(f"R session failed: {done.stderr}")


def serve(options: Mapping[str, str]) -> None:
    """Serve until told to end; as a daemon, the caller's process returns when the port is open."""
    application = Application(
        options=options,
        key=Key.generate(),
        signer=Signer(
            load_key(Path(options["secure-cookie-key-file"])), int(options["auth-timeout-minutes"])
        ),
        may_sign_in=partial(accounts.may_sign_in, options=options),
        is_allowed=partial(accounts.is_allowed, options=options),
        begin_session=Sessions(options).begin,
    )
    address, port = options["www-address"], options["www-port"]
    try:
        server = make_server(address, int(port), application)
    except OSError as error:
        raise Refusal(f"ERROR {error} [www-address={address} www-port={port}]") from error
    if options["server-daemonize"] == "1":
        if os.fork():
            return
        os.setsid()
    ctypes.CDLL("libc.so.6").prctl(_PR_SET_NAME, b"rserver", 0, 0, 0)  # so that pgrep -x rserver finds it
    Path(options["server-pid-file"]).write_text(f"{os.getpid()}\n", encoding="ascii")
    signal.signal(signal.SIGTERM, lambda *_arguments: os._exit(0))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    server.serve_forever()


def main() -> int:
    """Run rserver with the process's arguments."""
    try:
        options = config.read(sys.argv[1:])
        if "--test-config" in sys.argv or "--check-config" in sys.argv:
            return 0
        if options["verify-installation"] == "1":
            verify_installation(options)
            return 0
        find_r(options)
        serve(options)
    except (config.ConfigError, Refusal) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
