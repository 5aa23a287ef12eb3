"""What the tests against a simulated AWS account share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from localcloud.api import dlm


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of an AWS API with an account of its own, as moto simulates it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # one line a request would bury what matters
    dlm.install()  # which moto does not have
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
