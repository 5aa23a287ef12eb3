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


def start(stack: str, region: str) -> None:
    """Start the server and what is in front of it, with what SSM says. Raises ConnectError."""
    here = settings.load()
    changed = runtime.write(document.read(here, stack, region))
    # Who is connected stays so, unless token or certificate are others now.
    units.systemctl("restart" if changed else "start", units.CONNECT)
    units.wait_for(units.CONNECT, here.connect_port, here.start_seconds)
    units.systemctl("restart" if changed else "start", units.PROXY, units.IDLE)
    units.wait_for(units.PROXY, here.port, here.start_seconds)
    print(f"Spark Connect listens on port {here.port}.")


def stop() -> None:
    """Stop everything and forget the secrets. Raises ConnectError."""
    units.systemctl("stop", units.PROXY, units.CONNECT)
    runtime.remove()


def watch() -> None:
    """Stop the server when nobody has used it for long enough. Raises ConnectError."""
    here = settings.load()
    seconds = runtime.idle_seconds()
    clock = idle.Clock(seconds, time.monotonic())
    while units.is_active(units.CONNECT):
        time.sleep(here.check_seconds)
        connected = sum(idle.connections(table.read_text(), here.port) for table in TABLES if table.exists())
        used = bool(connected or idle.running_jobs(f"http://127.0.0.1:{here.ui_port}"))
        if clock.look(used, time.monotonic()):
            print(f"Nobody has used Spark Connect for {seconds / 60:g} minutes: it stops.", flush=True)
            stop()
            return


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
