"""What the tests against a simulated AWS account share."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from localcloud.api import dlm, emr


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of an AWS API with an account of its own, as moto simulates it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # one line a request would bury what matters
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"  # AWS' own policies, which roles may have attached
    dlm.install()  # which moto does not have
    emr.install()  # of which it has too little
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
