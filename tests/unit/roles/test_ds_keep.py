"""What ds-keep says, whatever it is asked."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROLES = Path(__file__).resolve().parents[3] / "roles"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 0, "What is idle is stopped."),
        (["8h"], 0, "Nothing of yours is stopped "),
        (["08m"], 0, "Nothing of yours is stopped "),
        (["off"], 0, "What is idle is stopped."),
        (["--help"], 0, "usage: ds-keep "),
        *[
            ([odd], 64, "usage: ds-keep ")
            for odd in ("0h", "000d", "8", "h", "8x", "-1h", "12345h", "8 h", "a")
        ],
        (["8h", "9h"], 64, "usage: ds-keep "),
    ],
)
def test_every_word_is_answered(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    ran = subprocess.run(
        ["sh", str(ROLES / "jupyterhub/files/ds-keep"), *words],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == code
    assert (ran.stderr if code else ran.stdout).startswith(said)
