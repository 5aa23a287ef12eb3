"""Faults that tests order, by ``POST /_localcloud/fault`` with one JSON object.

* ``{"action": "RunInstances", "code": "InsufficientInstanceCapacity", "times": 2}``: the next two calls of
  that action fail with the code; ``"status"`` sets the HTTP status (default 503), ``"delay"`` seconds of
  waiting before (alone: the call is only late), ``"message"`` the text. Dry runs do not count: they are
  about rights.
* ``{"boot": "no-sshd"}``: the next boot has no sshd. ``{"boot": "fail"}``: the next boot fails, and the
  instance ends as terminated with a state reason.
* ``{"snapshot": "pending"}``: the next snapshot of a volume is not completed for hours, that is as long as
  the cloud runs; ``{"snapshot": "error"}``: it fails.

``times`` is 1 when it is not given.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NAMES = {"action": None, "boot": ("no-sshd", "fail"), "snapshot": ("pending", "error")}
"""Kinds of faults, and what they may be; None for anything."""


@dataclass
class Fault:
    """One ordered fault; see the module's text for the fields."""

    kind: str
    name: str
    times: int = 1
    code: str | None = None
    status: int = 503
    delay: float = 0
    message: str = "injected by a test"

    @classmethod
    def parse(cls, order: Mapping[str, Any]) -> "Fault":
        """Read an order. Raises ValueError with what is wrong."""
        kinds = [kind for kind in NAMES if kind in order]
        if len(kinds) != 1:
            raise ValueError(f"give exactly one of {', '.join(NAMES)}")
        fields = {key: value for key, value in order.items() if key != kinds[0]}
        unknown = set(fields) - {"times", "code", "status", "delay", "message"}
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        possible = NAMES[kinds[0]]
        if possible and order[kinds[0]] not in possible:
            raise ValueError(f"{kinds[0]} is one of {', '.join(possible)}")
        return cls(kind=kinds[0], name=order[kinds[0]], **fields)


class Faults:
    """The faults still to come."""

    def __init__(self) -> None:
        """No faults."""
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Order a fault."""
        with self._lock:
            self._faults.append(fault)

    def take(self, kind: str, name: str | None = None) -> Fault | None:
        """The first fault that fits, used up once. ``name`` None fits all of the kind."""
        with self._lock:
            for fault in self._faults:
                if fault.kind == kind and name in (None, fault.name) and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()
