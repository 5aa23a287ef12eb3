# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the self-test went that a build ran on the machine, as it has written it down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class SelfTestError(Exception):
    """Nothing says that the machine has passed; the message tells why."""


@dataclass(frozen=True)
class Verdict:
    """A self-test that was passed.

    not_shown: what could not be tried on this machine.
    """

    not_shown: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"all but {', '.join(self.not_shown)}" if self.not_shown else "all"


def read(path: Path, image_name: str) -> Verdict:
    """The verdict about the machine of which an image was made.

    Raises SelfTestError when it has not passed, or nothing says so.
    """
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        image, passed, checks = found["image"], found["passed"], found["checks"]
        failed = [_words(check) for check in checks if check["outcome"] == "failed"]
        not_shown = tuple(check["name"] for check in checks if check["outcome"] == "not shown")
    except FileNotFoundError as error:
        raise SelfTestError(f"the build has left no {path.name}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SelfTestError(f"{path.name} cannot be read: {error!r}") from error
    if image != image_name:
        raise SelfTestError(f"{path.name} is about {image}")
    if passed is not True:
        raise SelfTestError("; ".join(failed) or "it does not say why")
    return Verdict(not_shown)


def _words(check: Mapping[str, Any]) -> str:
    return f"{check['name']}: {check['detail']}"
