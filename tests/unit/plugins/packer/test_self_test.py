"""What a build says of its machine's self-test: believed only where it says so of this image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.images import Image
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.self_test import SelfTestError, read

CHECKS = [
    {"name": "sign-in", "outcome": "passed", "detail": ""},
    {"name": "RStudio session", "outcome": "not shown", "detail": "a stand-in"},
]
PASSED = {"image": "demo-1", "passed": True, "checks": CHECKS}
FAILED = {"name": "kernel ir", "outcome": "failed", "detail": "it died"}


def write(folder: Path, content: Any) -> Path:
    path = folder / "self-test.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_what_was_not_shown_is_told(tmp_path: Path) -> None:
    assert str(read(write(tmp_path, PASSED), "demo-1")) == "all but RStudio session"
    assert str(read(write(tmp_path, {**PASSED, "checks": CHECKS[:1]}), "demo-1")) == "all"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({**PASSED, "passed": False, "checks": [*CHECKS, FAILED]}, "kernel ir: it died"),
        ({**PASSED, "passed": False}, "it does not say why"),
        ({**PASSED, "passed": "false"}, "it does not say why"),
        ({**PASSED, "image": "demo-0"}, "is about demo-0"),
        ({"image": "demo-1", "passed": True}, "cannot be read: KeyError"),
        ("[]", "cannot be read: TypeError"),
        ('{"image": "demo-1"', "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_nothing_else_is_taken_for_a_yes(tmp_path: Path, content: Any, why: str) -> None:
    with pytest.raises(SelfTestError, match=why):
        read(write(tmp_path, content), "demo-1")


def test_neither_is_no_word_at_all(tmp_path: Path) -> None:
    with pytest.raises(SelfTestError, match=r"has left no self-test\.json"):
        read(tmp_path / "self-test.json", "demo-1")


@pytest.mark.parametrize(
    ("tags", "strict", "lenient"),
    [
        ({}, "ami-1 has not passed a self-test", ""),
        ({"ds-stack:verified": "all"}, "", ""),
        ({"ds-stack:verified": "all", "ds-stack:failed": "x"}, *["a machine of ami-1 has failed (x)"] * 2),
    ],
)
def test_what_speaks_against_an_image(tags: dict[str, str], strict: str, lenient: str) -> None:
    described = {"ImageId": "ami-1", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
    image = Image.parse(described)
    assert image.objection(must_be_verified=True) == strict
    assert image.objection(must_be_verified=False) == lenient
