"""Which Ansible the tests run that run plays.

It is the checkout's own, which is the oldest supported, unless DS_STACK_TEST_ANSIBLE names the folder of
another one's programs (scripts/under-newest-ansible).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

IS_OWN = not os.environ.get("DS_STACK_TEST_ANSIBLE")
PROGRAMS = Path(os.environ.get("DS_STACK_TEST_ANSIBLE") or Path(sys.executable).parent)
PLAYBOOK = str(PROGRAMS / "ansible-playbook")
VAULT = str(PROGRAMS / "ansible-vault")
PYTHON = str(PROGRAMS / "python")
"""Runs Ansible itself, and on a "remote" host its modules."""
