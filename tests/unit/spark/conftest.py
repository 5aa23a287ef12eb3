"""What the roles spark_connect and spark_client install, as on the machines: without this collection."""

from __future__ import annotations

import sys
from pathlib import Path

ROLES = Path(__file__).parents[3] / "roles"
sys.path[:0] = [str(ROLES / role / "files") for role in ("spark_connect", "spark_client")]
