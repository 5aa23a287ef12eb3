"""Running the system's own programs."""

from __future__ import annotations

import subprocess
from collections.abc import Collection

from .errors import InitError

SECONDS = 120


def run(*command: str, stdin: str | None = None, ok: Collection[int] = (0,), seconds: int = SECONDS) -> str:
    """Return what a program wrote to its standard output.

    Secrets are given in ``stdin`` and never as arguments, which every user of the machine can read. What a
    program that was given some complains about is left out of the error, in case it repeats them.

    Raises InitError when the program is missing, takes longer than ``seconds`` or ends with a code that is
    not in ``ok``.
    """
    return run_for_code(*command, stdin=stdin, ok=ok, seconds=seconds)[1]


def run_for_code(
    *command: str, stdin: str | None = None, ok: Collection[int] = (0,), seconds: int = SECONDS
) -> tuple[int, str]:
    """Like `run`, and return the exit code as well."""
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise InitError(f"The program {command[0]} is missing from the image.") from error
    except subprocess.TimeoutExpired:
        # Not chained: the exception's text holds what the program wrote.
        raise InitError(f"{_shown(command)} did not end within {seconds} seconds.") from None
    if done.returncode not in ok:
        said = " ".join(done.stderr.split()) if stdin is None else "(its output is not shown)"
        raise InitError(f"{_shown(command)} failed with exit code {done.returncode}: {said[-500:]}")
    return done.returncode, done.stdout


def _shown(command: Collection[str]) -> str:
    return "'" + " ".join(command)[:200] + "'"
