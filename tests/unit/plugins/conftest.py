"""What is done once for all tests of plugins, as it takes longer than most of them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def descriptions_read_once() -> Iterator[None]:
    """Let all clients share botocore's descriptions of services: EC2's alone is megabytes of JSON."""
    from botocore.loaders import JSONFileLoader

    read = JSONFileLoader.load_file
    loader = JSONFileLoader()

    @functools.cache
    def once(path: str) -> Any:
        return read(loader, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _loader, path: once(path))
        yield
