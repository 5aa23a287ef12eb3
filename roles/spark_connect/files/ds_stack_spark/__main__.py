"""The command ds-stack-spark-connect.

usage: ds-stack-spark-connect start --stack NAME --region REGION   (the cluster's step, as root)
       ds-stack-spark-connect stop
       ds-stack-spark-connect watch                                (ds-stack-spark-idle.service)
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from . import document, idle, runtime, settings, units
from .errors import ConnectError

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
#: Between two readings of the document, which says for how long nobody may use the server.
READ_SECONDS = 60.0


def start(stack: str, region: str) -> None:
    """Start the server and what is in front of it, with what SSM says. Raises ConnectError."""
    here = settings.load()
    changed = runtime.write(document.read(here, stack, region), stack, region)
    # Who is connected stays so, unless token or certificate are others now.
    verb = "restart" if changed - runtime.UNREAD else "start"
    units.systemctl(verb, units.CONNECT)
    units.wait_for(units.CONNECT, here.connect_port, here.start_seconds)
    units.systemctl(verb, units.PROXY)
    units.systemctl("restart" if changed else "start", units.IDLE)
    units.wait_for(units.PROXY, here.port, here.start_seconds)
    print(f"Spark Connect listens on port {here.port}.")


def stop() -> None:
    """Stop everything and forget the secrets. Raises ConnectError."""
    units.systemctl("stop", units.PROXY, units.CONNECT)
    runtime.remove()


def watch() -> None:
    """Stop the server when nobody has used it for as long as SSM says by then. Raises ConnectError."""
    here = settings.load()
    stack, region = runtime.where()
    read = time.monotonic()
    clock = idle.Clock(runtime.idle_seconds(), read)
    while units.is_active(units.CONNECT):
        time.sleep(here.check_seconds)
        if time.monotonic() - read >= READ_SECONDS:
            read = time.monotonic()
            _read_again(here, stack, region, clock)
        tables = "".join(table.read_text() for table in TABLES if table.exists())
        connected = bool(idle.connections(tables, here.port))
        if clock.look(connected, idle.jobs(idle.pages(tables, here.ui_port)), time.monotonic()):
            _say(f"Nobody has used Spark Connect for {clock.seconds / 60:g} minutes: it stops.")
            stop()
            return


def _read_again(here: settings.Settings, stack: str, region: str, clock: idle.Clock) -> None:
    """Have the clock be as the document says now. What cannot be read changes nothing."""
    try:
        # Once: a look that comes late may miss a client.
        found = document.read(here, stack, region, attempts=1)
    except ConnectError as error:
        _say(f"It stays {clock.seconds / 60:g} minutes that nobody may use Spark Connect. {error}")
        return
    if clock.set(found.idle_minutes * 60, time.monotonic()):
        _say(f"From now on nobody may use Spark Connect for {found.idle_minutes:g} minutes.")


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    """Run a command and return the exit code: 1 after an error, which is printed."""
    parser = argparse.ArgumentParser(
        prog="ds-stack-spark-connect", description="Spark Connect of this cluster."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("start", help="start it, with what SSM says of the stack")
    starting.add_argument("--stack", required=True, help="the stack's name")
    starting.add_argument("--region", required=True, help="its region")
    commands.add_parser("stop", help="stop it")
    commands.add_parser("watch", help="stop it when nobody has used it for long enough")
    given = parser.parse_args()
    os.umask(0o077)
    try:
        if given.command == "start":
            start(given.stack, given.region)
        else:
            {"stop": stop, "watch": watch}[given.command]()
    except ConnectError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
