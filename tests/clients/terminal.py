"""A terminal of JupyterLab, over its websocket, as its page has it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import websocket

from tests.clients.jupyterhub import Hub, HubError

#: What terminals say to move the cursor and to colour.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x07]*\x07|\r")


class Terminal:
    """A shell that somebody types into."""

    def __init__(self, socket: websocket.WebSocket) -> None:
        self._socket = socket
        self._commands = 0

    def type(self, text: str) -> None:
        """Type without waiting for what comes of it."""
        self._socket.send(json.dumps(["stdin", text]))

    def read_until(self, pattern: str, timeout: float = 60) -> str:
        """Return what the terminal shows up to a pattern. Raises HubError when that does not come."""
        deadline, shown = time.monotonic() + timeout, ""
        while not (found := re.search(pattern, shown)):
            if time.monotonic() > deadline:
                raise HubError(f"the terminal does not show {pattern}, but: {shown[-2000:]}")
            kind, *content = json.loads(self._socket.recv())
            if kind == "stdout":
                shown = ESCAPES.sub("", shown + content[0])
        return shown[: found.start()]

    def run(self, command: str, timeout: float = 60) -> str:
        """Run a command, of one line or many, and return what it printed."""
        self._commands += 1
        number = self._commands
        # In two halves, so that its echo is not taken for it.
        self.type(f"{command}\nprintf '%s-%s\\n' done {number}\n")
        return self.read_until(rf"(^|\n)?done-{number}\n", timeout).strip()


@contextmanager
def terminal(hub: Hub, timeout: float = 180) -> Iterator[Terminal]:
    """A fresh terminal of the user's server, gone at the end."""
    name = hub.server("POST", "api/terminals", {}).json()["name"]
    try:
        with hub.socket(f"terminals/websocket/{name}", timeout) as socket:
            one = Terminal(socket)
            one.run(
                "stty -echo; PS1= PS2= PROMPT_COMMAND=; bind 'set enable-bracketed-paste off' 2>/dev/null"
            )
            yield one
    finally:
        hub.server("DELETE", f"api/terminals/{name}")
