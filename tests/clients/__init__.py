"""Clients that use the services as people do. The self-test of an image has most of them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "roles/smoke_test/files"))
