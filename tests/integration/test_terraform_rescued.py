"""A backend that takes no state at the end of an apply, as when credentials expire: nothing is lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.integration.terraform_stacks import DRIFT, Stack, isolated_stack

CONFIG = """
variable "spent" {}
resource "terraform_data" "x" {
  provisioner "local-exec" {
    command = "touch ${var.spent}"
  }
}
"""


class Backend(ThreadingHTTPServer):
    """Keeps a state and its lock as Terraform's backend `http` wants it.

    spent: answer 403 to whoever wants to write while there is this file.
    """

    def __init__(self, spent: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.spent = spent
        self.state: bytes | None = None
        self.lock: bytes | None = None

    @property
    def expired(self) -> bool:
        """Whether nothing may be written any more."""
        return self.spent.exists()

    @property
    def option(self) -> dict[str, Any]:
        """The option `backend` of terraform_stack."""
        address = f"http://127.0.0.1:{self.server_port}/"
        config = {"address": address, "lock_address": address, "unlock_address": address, "retry_max": 0}
        return {"type": "http", "config": config}

    @property
    def resources(self) -> int:
        """How many the state has."""
        return len(json.loads(self.state or b'{"resources": []}')["resources"])


class Handler(BaseHTTPRequestHandler):
    server: Backend

    def answer(self, code: int, content: bytes = b"") -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self.answer(200 if self.server.state else 404, self.server.state or b"")

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.server.expired:
            self.server.state = content
        self.answer(403 if self.server.expired else 200)

    def do_LOCK(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        free = self.server.lock is None
        if free:
            self.server.lock = content
        self.answer(200 if free else 423, self.server.lock or b"")

    def do_UNLOCK(self) -> None:
        if not self.server.expired:
            self.server.lock = None
        self.answer(403 if self.server.expired else 200)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    with Backend(tmp_path / "spent") as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    stack = isolated_stack(tmp_path, monkeypatch)
    stack.write(CONFIG)
    return stack


@pytest.mark.fault(22)
def test_a_state_that_could_not_be_saved_is_saved_by_the_next_run(stack: Stack, backend: Backend) -> None:
    def asked() -> dict[str, Any]:
        return {"backend": backend.option, "variables": {"spent": str(backend.spent)}}

    failed = stack.fail(**asked())
    kept = stack.work_dir / "errored.tfstate"
    assert failed["changed"] is True
    assert f"The state is kept in {kept}, and nothing is lost from sight." in failed["msg"]
    assert "run this task again: it saves that state before anything else" in failed["msg"]
    assert backend.resources == 0

    backend.spent.unlink()  # new credentials, and nobody could free the lock
    locked = stack.fail(**asked())
    assert locked["msg"].startswith(
        f"The last run could not save its state where it is kept; it is in {kept}."
    )
    # Of such a backend Terraform does not tell whose lock it is.
    assert backend.lock
    assert locked["msg"].count(f"force-unlock {json.loads(backend.lock)['ID']}") == 1
    backend.lock = None
    assert "A run saves it before anything else" in stack.fail(check=True, **asked())["msg"]
    assert "A run saves it before anything else" in stack.fail(main=DRIFT, **asked())["msg"]
    assert kept.exists()

    again = stack.apply(**asked())
    assert (again["changed"], again["changes"]) == (False, [])
    assert backend.resources == 1
    assert not kept.exists()
    (copy,) = stack.work_dir.glob("errored-*.saved.tfstate")
    assert copy.stat().st_mode & 0o777 == 0o600


@pytest.mark.fault(22)
def test_what_failed_half_way_is_a_change_though_its_state_could_not_be_saved(
    stack: Stack, backend: Backend
) -> None:
    stack.write(CONFIG.replace("touch ${var.spent}", "touch ${var.spent} && exit 1"))
    variables = {"spent": str(backend.spent)}
    failed = stack.fail(backend=backend.option, variables=variables)
    assert "local-exec provisioner error" in failed["msg"]
    assert failed["changed"] is True
    assert backend.resources == 0


@pytest.mark.fault(22)
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}"])
def test_what_is_no_whole_state_is_left_alone(stack: Stack, backend: Backend, content: bytes) -> None:
    asked = {"backend": backend.option, "variables": {"spent": str(stack.source / "nothing")}}
    stack.apply(**asked)
    (stack.work_dir / "errored.tfstate").write_bytes(content)
    assert stack.apply(**asked)["changed"] is False
    assert (stack.work_dir / "errored.tfstate").read_bytes() == content


@pytest.mark.fault(22)
def test_a_state_that_is_not_this_ones_stops_the_run(stack: Stack, backend: Backend) -> None:
    asked = {"backend": backend.option, "variables": {"spent": str(stack.source / "nothing")}}
    stack.apply(**asked)
    before = backend.state
    other = '{"version": 4, "terraform_version": "1.11.4", "serial": 1, "lineage": "of another"}'
    (stack.work_dir / "errored.tfstate").write_text(other)
    assert "It has to be saved before anything else, and nothing was changed." in stack.fail(**asked)["msg"]
    assert "nothing was changed" in stack.fail(**asked, state="absent")["msg"]
    assert backend.state == before
