"""What all tests share: the collection under its real import path."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / ".cache/collections"))

# A machine that runs other tests besides may take its time for an example.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# Started in the background of a shell, this ignores SIGINT, and so would all that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes too long for each change, unless `make soak` asks for it."""
    if os.environ.get("DS_STACK_SOAK"):
        return
    left_out = [item for item in items if item.get_closest_marker("soak")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
