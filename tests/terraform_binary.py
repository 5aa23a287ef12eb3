"""Which Terraform the tests run: that on PATH, or what DS_STACK_TEST_TERRAFORM names, be it a tofu."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

VARIABLE = "DS_STACK_TEST_TERRAFORM"

_GIVEN = os.environ.get(VARIABLE, "terraform")
_FOUND = shutil.which(_GIVEN)

if _FOUND is None:
    pytest.skip(f"there is no {_GIVEN}", allow_module_level=True)

BINARY = str(Path(_FOUND).absolute())
NAME = Path(BINARY).name
BY_HAND = NAME if shutil.which(NAME) == BINARY else BINARY
"""What people type."""
IS_TOFU = NAME.startswith("tofu")
