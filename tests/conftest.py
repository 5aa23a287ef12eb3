"""What all tests share: the collection under its real import path."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / ".cache/collections"))

# A machine that runs other tests besides may take its time for an example.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
