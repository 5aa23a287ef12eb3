"""A client of JupyterHub that goes a user's way: the sign-in form, the server, a cell in a kernel."""

from __future__ import annotations

import http.cookiejar
import json
import re
import ssl
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import HTTPCookieProcessor, HTTPSHandler, Request, build_opener

import websocket

POLL_SECONDS = 0.5
#: States of a kernel that will not answer any more what it was asked.
GONE = ("dead", "restarting")


class HubError(Exception):
    """The hub did not do what it should; the message says what it did."""


class SignInRefusedError(HubError):
    """The hub refused this user or password; the message is the one of its page."""


@dataclass(frozen=True)
class Cell:
    """What came of a cell.

    Attributes:
        status: ``ok`` or ``error``.
        output: what it printed and displayed, as plain text.
        error: the exception's name and message; empty without one.
        kinds: the MIME types of what it displayed, beside plain text.
    """

    status: str
    output: str
    error: str = ""
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """An HTTP answer after redirects."""

    status: int
    url: str
    text: str

    def json(self) -> Any:
        """The body read as JSON."""
        return json.loads(self.text)


def trust(ca_file: Path | None, check_hostname: bool) -> ssl.SSLContext:
    """A TLS context that trusts the given certificate only, or, without one, the system's authorities."""
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = check_hostname
    return context


class Hub:
    """One user's browser at one hub.

    Args:
        url: the hub's address, for example ``https://198.51.100.7:8000``.
        ca_file: the certificate to trust for https; the system's authorities without it.
        check_hostname: whether the certificate must name the address.
        timeout: seconds that one request may take.
    """

    def __init__(
        self, url: str, *, ca_file: Path | None = None, check_hostname: bool = True, timeout: float = 60
    ) -> None:
        self.url = url.rstrip("/")
        self.user = ""
        self.cookies = http.cookiejar.CookieJar()
        self._timeout = timeout
        self._ca_file, self._check_hostname = ca_file, check_hostname
        self._tls = trust(ca_file, check_hostname)
        self._opener = build_opener(HTTPCookieProcessor(self.cookies), HTTPSHandler(context=self._tls))

    def another(self) -> Hub:
        """A browser at the same hub that knows nothing of this one's session."""
        return Hub(
            self.url, ca_file=self._ca_file, check_hostname=self._check_hostname, timeout=self._timeout
        )

    def request(
        self, method: str, path: str, *, data: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a request with the session's cookies; any HTTP status is an answer.

        Raises:
            HubError: nothing answered at the address.
        """
        request = Request(self.url + path, data=data, method=method, headers=headers or {})  # noqa: S310
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return Answer(answer.status, answer.geturl(), answer.read().decode(errors="replace"))
        except HTTPError as error:
            with error:
                return Answer(error.code, error.geturl() or path, error.read().decode(errors="replace"))
        except (OSError, HTTPException) as error:
            raise HubError(f"{method} {self.url}{path}: {error}") from error

    def wait_until_ready(self, timeout: float = 60) -> None:
        """Wait for the sign-in page; until the hub has registered, its proxy answers 404 and nginx 503."""
        deadline = time.monotonic() + timeout
        last: object = None
        while time.monotonic() < deadline:
            try:
                last = self.request("GET", "/hub/login").status
            except HubError as error:
                last = error
            if last == 200:
                return
            time.sleep(POLL_SECONDS)
        raise HubError(f"no sign-in page at {self.url} within {timeout:.0f} s: {last}")

    def sign_in(self, user: str, password: str) -> None:
        """Sign in by the form.

        Raises:
            SignInRefusedError: the hub refused.
            HubError: the hub answered neither yes nor no.
        """
        self.request("GET", "/hub/login")
        form = {"username": user, "password": password, "_xsrf": self._xsrf("/hub/")}
        answer = self.request("POST", "/hub/login?next=%2Fhub%2Fhome", data=urlencode(form).encode())
        if answer.status == 403:
            raise SignInRefusedError(_page_error(answer.text))
        if answer.status != 200 or not answer.url.endswith("/hub/home"):
            raise HubError(f"signing in: HTTP {answer.status} at {answer.url}: {_page_error(answer.text)}")
        self.user = user

    def start_server(self, timeout: float = 180) -> None:
        """Start the user's server unless it runs, and open JupyterLab.

        Raises:
            HubError: the server did not start in time.
        """
        if not self._server().get("ready"):
            answer = self._api("POST", f"/hub/api/users/{quote(self.user)}/server")
            if answer.status not in (201, 202):
                raise HubError(f"starting the server: HTTP {answer.status}: {answer.text[:300]}")
        deadline = time.monotonic() + timeout
        while not (server := self._server()).get("ready"):
            if not server:
                raise HubError("the server failed to start; the hub's log says why")
            if time.monotonic() > deadline:
                raise HubError(f"the server was not ready within {timeout:.0f} s: {server}")
            time.sleep(POLL_SECONDS)
        lab = self.request("GET", f"{self._home}lab")
        if lab.status != 200 or "jupyter-config-data" not in lab.text:
            raise HubError(f"opening JupyterLab: HTTP {lab.status} at {lab.url}: {_page_error(lab.text)}")

    def stop_server(self) -> None:
        """Stop the user's server.

        Raises:
            HubError: the hub did not stop it.
        """
        answer = self._api("DELETE", f"/hub/api/users/{quote(self.user)}/server")
        if answer.status not in (202, 204):
            raise HubError(f"stopping the server: HTTP {answer.status}: {answer.text[:300]}")

    def kernels(self) -> list[str]:
        """The names of the kernels that can be started, the default one first."""
        answer = self._api("GET", f"{self._home}api/kernelspecs").json()
        return sorted(answer["kernelspecs"], key=lambda name: (name != answer["default"], name))

    @contextmanager
    def kernel(self, name: str = "python3", folder: str = "") -> Iterator[str]:
        """A fresh kernel of that name in a folder of the home, shut down at the end; gives its id.

        Raises:
            HubError: it could not be started.
        """
        wanted = json.dumps({"name": name, "path": folder}).encode()
        answer = self._api("POST", f"{self._home}api/kernels", data=wanted)
        if answer.status != 201:
            raise HubError(f"starting the kernel {name}: HTTP {answer.status}: {answer.text[:300]}")
        kernel_id = answer.json()["id"]
        try:
            yield kernel_id
        finally:
            self._api("DELETE", f"{self._home}api/kernels/{kernel_id}")

    def run_cell(self, code: str, *, kernel: str = "python3", timeout: float = 60) -> Cell:
        """Run one cell in a fresh kernel of that name."""
        with self.kernel(kernel) as kernel_id:
            return self.run_in(kernel_id, code, timeout=timeout)

    def run_in(self, kernel_id: str, code: str, *, timeout: float = 60) -> Cell:
        """Run one cell in a running kernel, over its websocket.

        Raises:
            HubError: the websocket broke, or the kernel did not finish in time.
        """
        message = _execute_request(code, self.user)
        with self.socket(f"api/kernels/{kernel_id}/channels", timeout) as channels:
            channels.send(json.dumps(message))
            return _collect(channels, message["header"]["msg_id"], time.monotonic() + timeout)

    @contextmanager
    def socket(self, path: str, timeout: float = 60) -> Iterator[websocket.WebSocket]:
        """A websocket of the user's server, closed at the end.

        Args:
            path: below the server's address.
            timeout: seconds that it may be silent.

        Raises:
            HubError: it could not be opened, or broke.
        """
        whole = self._home + path
        try:
            connection = websocket.create_connection(
                "ws" + self.url.removeprefix("http") + whole,
                cookie="; ".join(f"{c.name}={c.value}" for c in self.cookies if whole.startswith(c.path)),
                origin=self.url,
                timeout=timeout,
                sslopt={"context": self._tls},
            )
            try:
                yield connection
            finally:
                connection.close()
        except (OSError, websocket.WebSocketException) as error:
            raise HubError(f"the websocket {path}: {error}") from error

    def server(self, method: str, path: str, data: Any = None) -> Answer:
        """Send a request to the user's own server, with JSON where there is data."""
        body = None if data is None else json.dumps(data).encode()
        return self._api(method, self._home + path, data=body)

    @property
    def _home(self) -> str:
        return f"/user/{quote(self.user)}/"

    def _server(self) -> dict[str, Any]:
        answer = self._api("GET", f"/hub/api/users/{quote(self.user)}")
        if answer.status != 200:
            raise HubError(f"asking about {self.user}: HTTP {answer.status}: {answer.text[:300]}")
        server: dict[str, Any] = answer.json()["servers"].get("", {})
        return server

    def _api(self, method: str, path: str, data: bytes | None = None) -> Answer:
        scope = "/hub/" if path.startswith("/hub/") else self._home
        headers = {"X-XSRFToken": self._xsrf(scope), "Content-Type": "application/json"}
        return self.request(method, path, data=data, headers=headers)

    def _xsrf(self, scope: str) -> str:
        """The token of one part of the site: the hub and each server have a cookie of their own."""
        tokens = (c.value for c in self.cookies if c.name == "_xsrf" and c.path == scope)
        return next(tokens, None) or ""


def _page_error(html: str) -> str:
    """The message of the hub's sign-in or error page, or the beginning of the page."""
    found = re.search(r'class="(?:login_error|error)[^"]*"[^>]*>(.*?)</(?:p|div)>', html, re.S)
    text = re.sub(r"<[^>]+>", " ", found[1] if found else html)
    return " ".join(unescape(text).split())[:300]


def _execute_request(code: str, user: str) -> dict[str, Any]:
    return {
        "channel": "shell",
        "header": {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "username": user,
            "session": uuid.uuid4().hex,
            "date": "",
            "version": "5.3",
        },
        "parent_header": {},
        "metadata": {},
        "buffers": [],
        "content": {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        },
    }


def _collect(channels: websocket.WebSocket, request_id: str, deadline: float) -> Cell:
    """Gather a cell's output until its reply and its kernel's "idle" are both there, in either order."""
    output: list[str] = []
    kinds: set[str] = set()
    reply: dict[str, Any] | None = None
    idle = False
    while reply is None or not idle:
        if time.monotonic() > deadline:
            raise HubError(f"the cell did not end in time; so far it printed: {''.join(output)[-300:]}")
        message = json.loads(channels.recv())
        # Of the kernel itself, and so in answer to nothing.
        if message["content"].get("execution_state") in GONE:
            raise HubError(f"the kernel died; until then it printed: {''.join(output)[-300:]}")
        if message.get("parent_header", {}).get("msg_id") != request_id:
            continue
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                output.append(content["text"])
            case "execute_result" | "display_data":
                output.append(content["data"].get("text/plain", ""))
                kinds |= content["data"].keys() - {"text/plain"}
            case "status":
                idle = content["execution_state"] == "idle"
            case "execute_reply":
                reply = content
    error = "" if reply["status"] == "ok" else f"{reply.get('ename')}: {reply.get('evalue')}"
    return Cell(reply["status"], "".join(output), error, tuple(sorted(kinds)))
