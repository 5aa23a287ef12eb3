"""A simulated AWS account on this machine, for trying and testing the stack without costs."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from localcloud import downloads
from localcloud.errors import LocalCloudError
from localcloud.paths import TOOLS, RunDir, cache_root

# The commands import what they need when they run: moto and the mirror's tools take a second to load.
# ruff: noqa: PLC0415


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Errors of ours end in one line on standard error."""
    options = _parser().parse_args(arguments)
    os.environ["PATH"] = f"{TOOLS / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        return options.run(options)
    except LocalCloudError as error:
        print(f"localcloud: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localcloud", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str | None
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text) if text else commands.add_parser(name)
        added.set_defaults(run=run)
        return added

    start = command("start", _start, "start the account (as root), or find that it runs")
    start.add_argument(
        "--downloads",
        metavar="|".join(downloads.WANTED),
        default=os.environ.get(downloads.VARIABLE) or "auto",
        help="the vendors' own servers or the offline mirror (auto: the vendors' where all of them answer); "
        f"by default what {downloads.VARIABLE} in the environment says, else auto",
    )
    command("status", _status, "say what runs; exit code 3 when nothing does")
    command("notes", _notes, "say what is real and what is a stand-in")
    command("run-policies", _run_policies, "have the lifecycle policies make and retire their snapshots now")
    command("stop", _stop, "stop the account; nothing of it is left")
    command("base-image", _base_image, "build or find the Debian 12 base image; prints its tag")
    mirror = command("mirror", _mirror, "build or find the offline mirror; prints its folder")
    mirror.add_argument("--role-variables", metavar="BASE_URL", help="print the roles' variables instead")
    serve = command("serve", _serve, None)  # what `start` runs in the background
    serve.add_argument("--mirror", type=Path)
    return parser


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _start(options: argparse.Namespace) -> int:
    from localcloud import daemon

    daemon.start(RunDir.default(), options.downloads, _say)
    return 0


def _notes(_options: argparse.Namespace) -> int:
    try:
        print(RunDir.default().notes.read_text(), end="")
    except FileNotFoundError:
        raise LocalCloudError("No local cloud runs here: python -m localcloud start.") from None
    return 0


def _status(_options: argparse.Namespace) -> int:
    from localcloud import daemon

    found = daemon.status()
    if found is None:
        print("No local cloud runs.")
        return 3
    print(f"The local cloud runs (pid {found['pid']}); instances: {len(found['instances'])}")
    for instance in found["instances"]:
        ssh = "ssh answers" if instance["ssh"] else "ssh does not answer"
        shown = [instance["id"], instance["state"], instance["private_ip"], instance["public_ip"] or "-", ssh]
        print("  " + "  ".join([*shown, instance["name"] or ""]).rstrip())
    return 0


def _stop(_options: argparse.Namespace) -> int:
    from localcloud import daemon

    daemon.stop(RunDir.default(), _say)
    return 0


def _run_policies(_options: argparse.Namespace) -> int:
    from localcloud import daemon

    made = daemon.run_policies()
    print("\n".join(made) if made else "No policy has anything to do.")
    return 0


def _base_image(_options: argparse.Namespace) -> int:
    from localcloud import base_image

    print(base_image.ensure(_say))
    return 0


def _mirror(options: argparse.Namespace) -> int:
    import yaml

    from localcloud import mirror
    from localcloud.account_files import downloads_of

    folder = mirror.ensure(cache_root() / "localcloud", _say)
    if options.role_variables:
        print(yaml.safe_dump(dict(downloads_of(folder, options.role_variables)), sort_keys=False), end="")
    else:
        print(folder)
    return 0


def _serve(options: argparse.Namespace) -> int:
    from localcloud.server import serve

    serve(RunDir.default(), options.mirror)
    return 0
