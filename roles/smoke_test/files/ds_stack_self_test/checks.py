"""What was tried, and how it went."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from .hub import HubError
from .rstudio import RStudioError

PASSED, FAILED, NOT_SHOWN = "passed", "failed", "not shown"


class WrongError(Exception):
    """Something is not as it must be; the message says what."""


class NotShownError(Exception):
    """This cannot be tried on this machine; the message says why."""


@dataclass(frozen=True)
class Check:
    """One thing that was tried.

    Attributes:
        outcome: ``passed``, ``failed`` or ``not shown``.
        detail: how that shows.
        seconds: that it took.
    """

    name: str
    outcome: str
    detail: str
    seconds: float


#: A name, and what tries it: it returns how it shows that it works.
Step = tuple[str, Callable[[], str]]


def run(chains: Sequence[Sequence[Step]]) -> list[Check]:
    """Try all chains at once, each in its order: what follows on something that failed is left out."""
    with ThreadPoolExecutor(max(len(chains), 1)) as pool:
        return [check for chain in pool.map(_in_order, chains) for check in chain]


def _in_order(chain: Sequence[Step]) -> list[Check]:
    done: list[Check] = []
    for name, attempt in chain:
        done.append(_try(name, attempt))
        if done[-1].outcome == FAILED:
            break
    return done


def _try(name: str, attempt: Callable[[], str]) -> Check:
    began = time.monotonic()
    try:
        outcome, detail = PASSED, attempt()
    except NotShownError as error:
        outcome, detail = NOT_SHOWN, str(error)
    except (WrongError, HubError, RStudioError, OSError) as error:
        outcome, detail = FAILED, str(error)
    except Exception as error:  # an answer of another form than was expected
        outcome, detail = FAILED, repr(error)
    return Check(name, outcome, " ".join(detail.split()), round(time.monotonic() - began, 1))


def passed(checks: Sequence[Check]) -> bool:
    """Whether something could be tried, and nothing is wrong."""
    return bool(checks) and all(check.outcome != FAILED for check in checks)


def document(checks: Sequence[Check], image: str, last_words: Sequence[str] = ()) -> dict[str, Any]:
    """The result as it is written down, about the image of that name. last_words: of the services."""
    return {
        "image": image,
        "passed": passed(checks),
        "checks": [asdict(check) for check in checks],
        "last_words": list(last_words),
    }
