"""Make ``wheels.txt`` anew from ``wheels.in``: ``python -m localcloud.mirror.lock_wheels``.

Resolves with pip for the target platform and writes names, versions and hashes, never addresses, so
that the lock is good with whatever package index a machine uses.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from localcloud.mirror.wheels import LOCK, Pin, platform_options
from localcloud.processes import run

HEADER = """\
# The wheels of the offline mirror. Made by `python -m localcloud.mirror.lock_wheels`
# from wheels.in and wheels-alone.in: do not edit.
"""


def pins_of(report: dict[str, Any]) -> list[Pin]:
    """The pins in pip's installation report."""
    return [
        Pin(
            canonicalize_name(item["metadata"]["name"]),
            item["metadata"]["version"],
            item["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for item in report["install"]
    ]


def resolve(requirements: Path, *options: str) -> list[Pin]:
    """The pins that pip chooses for a requirements file."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += [f"--target={folder}", f"--report={report}", f"--requirement={requirements}"]
        run(*command, *platform_options(), *options)
        return pins_of(json.loads(report.read_text(encoding="utf-8")))


def main() -> None:
    """Write the lock."""
    pins = resolve(LOCK.with_name("wheels.in")) + resolve(LOCK.with_name("wheels-alone.in"), "--no-deps")
    lines = sorted(f"{pin}\n" for pin in set(pins))
    LOCK.write_text(HEADER + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
