"""Command line of the local cloud."""

import argparse
import sys
from collections.abc import Sequence

from localcloud.errors import LocalCloudError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Errors of ours end in one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m localcloud", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("base-image", help="build or find the Debian 12 base image; prints its tag")
    options = parser.parse_args(arguments)
    try:
        return COMMANDS[options.command](options)
    except LocalCloudError as error:
        print(f"localcloud: {error}", file=sys.stderr)
        return 1


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _base_image(_options: argparse.Namespace) -> int:
    from localcloud import base_image  # noqa: PLC0415 (commands import only what they need)

    print(base_image.ensure(_say))
    return 0


COMMANDS = {"base-image": _base_image}
