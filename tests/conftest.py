"""What all tests share: the collection under its real import path."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / ".cache/collections"))

# A machine that runs other tests besides may take its time for an example.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# Started in the background of a shell, this ignores SIGINT, and so would all that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
