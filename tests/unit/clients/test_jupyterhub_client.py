"""What the JupyterHub client makes of answers, without a hub."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.clients import jupyterhub  # isort: skip (finds the next one)
from ds_stack_self_test import hub

REQUEST = "the-request"


class Channels:
    """A kernel's websocket that says what it was told to say."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self._messages = list(messages)

    def recv(self) -> str:
        """The next message."""
        return json.dumps(self._messages.pop(0))


def message(kind: str, parent: str = REQUEST, **content: Any) -> dict[str, Any]:
    """A message of the kernel in answer to a request."""
    return {"msg_type": kind, "parent_header": {"msg_id": parent}, "content": content}


def collect(*messages: dict[str, Any]) -> jupyterhub.Cell:
    """What comes of a cell whose kernel sends these messages."""
    return hub._collect(Channels(*messages), REQUEST, time.monotonic() + 60)


IDLE = message("status", execution_state="idle")
OK = message("execute_reply", status="ok")
ANSWER = message("stream", text="42\n")


@pytest.mark.parametrize(
    "messages",
    [(ANSWER, OK, IDLE), (ANSWER, IDLE, OK), (OK, ANSWER, IDLE)],
    ids=["in order", "idle before the reply", "output after the reply"],
)
def test_output_is_complete_in_any_order(messages: tuple[dict[str, Any], ...]) -> None:
    assert collect(*messages) == jupyterhub.Cell("ok", "42\n")


def test_other_cells_messages_are_not_ours() -> None:
    other = [
        message(kind, parent="other", **content)
        for kind, content in (
            ("stream", {"text": "theirs"}),
            ("execute_reply", {"status": "ok"}),
            ("status", {"execution_state": "idle"}),
        )
    ]
    assert collect(*other, ANSWER, OK, IDLE).output == "42\n"


def test_results_are_taken_as_text() -> None:
    result = message("execute_result", data={"text/html": "<b>42</b>", "text/plain": "42"})
    picture = message("display_data", data={"image/png": "..."})
    assert collect(result, picture, OK, IDLE).output == "42"


def test_an_error_has_name_and_message() -> None:
    reply = message("execute_reply", status="error", ename="ValueError", evalue="no")
    assert collect(reply, IDLE) == jupyterhub.Cell("error", "", "ValueError: no")


def test_a_cell_that_never_ends_is_an_error_with_its_output() -> None:
    with pytest.raises(jupyterhub.HubError, match="so far it printed: 42"):
        hub._collect(_after_deadline(), REQUEST, time.monotonic() + 0.05)


def _after_deadline() -> Channels:
    class Slow(Channels):
        def recv(self) -> str:
            time.sleep(0.03)
            return json.dumps(ANSWER)

    return Slow()


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (
            '<p class="login_error">\n Invalid <b>username</b> or&nbsp;password\n</p><p>more</p>',
            "Invalid username or password",
        ),
        ('<div class="error"><h1>403 : Forbidden</h1></div>', "403 : Forbidden"),
        ("<html>something else</html>", "something else"),
    ],
)
def test_page_error_is_readable(page: str, text: str) -> None:
    assert hub._page_error(page) == text


def test_nothing_at_the_address_is_an_error_that_names_it(unused_tcp_address: str) -> None:
    hub = jupyterhub.Hub(unused_tcp_address)
    with pytest.raises(jupyterhub.HubError, match=f"no sign-in page at {unused_tcp_address}"):
        hub.wait_until_ready(timeout=0.2)


@pytest.fixture
def unused_tcp_address() -> str:
    """An address on this machine where nothing listens."""
    return "http://127.0.0.1:1"


def test_the_program_reports_as_json_without_the_password(
    unused_tcp_address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JUPYTERHUB_PASSWORD", "open-Sesame-7")
    assert jupyterhub.main([unused_tcp_address, "alice", "--wait", "0.2"]) == 3
    output = capsys.readouterr().out
    assert json.loads(output)["signed_in"] is False
    assert "open-Sesame-7" not in output
