"""Run other programs, turning their failures into one exception with their own words."""

import subprocess
from pathlib import Path

from localcloud.errors import LocalCloudError


def run(
    *command: str, stdin: str | None = None, env: dict[str, str] | None = None, cwd: Path | None = None
) -> str:
    """Run a command and return its standard output without the final newline.

    Raises LocalCloudError with the command's standard error when it fails or does not exist.
    """
    try:
        done = subprocess.run(
            command, input=stdin or "", capture_output=True, text=True, env=env, cwd=cwd, check=False
        )
    except OSError as error:
        raise LocalCloudError(f"cannot run {command[0]}: {error.strerror}") from error
    if done.returncode:
        words = done.stderr.strip() or done.stdout.strip() or "no output"
        raise LocalCloudError(f"{' '.join(command)} failed ({done.returncode}): {words}")
    return done.stdout.rstrip("\n")


def succeeds(*command: str) -> bool:
    """Whether a command exits with 0. Its output is dropped; False also when it does not exist."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0
