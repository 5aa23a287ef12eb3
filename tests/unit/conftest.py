"""What unit tests may not do, though it works for each of them alone."""

from __future__ import annotations

import sys

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse a test that brings Ansible's controller into this process, which takes the modules' warnings."""
    if "ansible.constants" in sys.modules:
        raise pytest.UsageError("A unit test imports a plugin of the control machine: not here, integration.")
