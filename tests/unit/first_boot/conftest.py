"""The program of the role first_boot, as it is installed on the machine: without this collection."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "roles/first_boot/files"))
