"""An account that stops answering in the middle of a run: credentials expire, it throttles, it is down."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

CODES = {
    "expired": {
        "ssm": (400, "ExpiredTokenException"),
        "ec2": (400, "RequestExpired"),
        "": (400, "ExpiredToken"),
    },
    "throttled": {
        "ssm": (400, "ThrottlingException"),
        "ec2": (503, "RequestLimitExceeded"),
        "s3": (503, "SlowDown"),
        "": (400, "Throttling"),
    },
    "down": {"ec2": (503, "Unavailable"), "": (503, "ServiceUnavailable")},
}
"""How AWS says it: by service, with the status."""

BODIES = {
    "ssm": '{{"__type": "{code}", "message": "{code}"}}',
    "ec2": "<Response><Errors><Error><Code>{code}</Code><Message/></Error></Errors></Response>",
    "s3": "<Error><Code>{code}</Code><Message/></Error>",
    "": "<ErrorResponse><Error><Code>{code}</Code><Message/></Error></ErrorResponse>",
}


@dataclass(frozen=True)
class Request:
    """A call of AWS: by which service, by whom, and which one."""

    service: str
    key: str
    text: str

    @classmethod
    def of(cls, environ: dict[str, Any]) -> Request:
        """Read one, and leave its body to be read."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        scope = re.search(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        key, service = scope.groups() if scope else ("", "")
        target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        form = {} if service == "s3" else parse_qs(body.decode("latin-1"))
        (action,) = form.get("Action", [""])
        path = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        name = json.loads(body).get("Name", "") if target else "(dry run)" if "DryRun" in form else ""
        return cls(service, key, f"{service} {target or action or path} {name}".rstrip())


@contextmanager
def noticing(what: str, key: str, act: Callable[[], None]) -> Iterator[None]:
    """Act whenever AWS has answered the holder of an access key a request that matches."""
    answer = DomainDispatcherApplication.__call__

    def call(
        self: DomainDispatcherApplication, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        request = Request.of(environ)
        answered = answer(self, environ, start_response)
        if request.key == key and re.search(what, request.text):
            act()
        return answered

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(DomainDispatcherApplication, "__call__", call)
        yield


@contextmanager
def refusing(why: str, last: str, key: str) -> Iterator[list[str]]:
    """Refuse the holder of an access key everything that comes after a request that matches.

    Yields what was refused.
    """
    refused: list[str] = []
    over = threading.Event()
    answer = DomainDispatcherApplication.__call__

    def call(
        self: DomainDispatcherApplication, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        request = Request.of(environ)
        if request.key != key or not over.is_set():
            answered = answer(self, environ, start_response)
            if request.key == key and re.search(last, request.text):
                over.set()
            return answered
        refused.append(request.text)
        status, code = CODES[why].get(request.service, CODES[why][""])
        body = BODIES.get(request.service, BODIES[""]).format(code=code).encode()
        start_response(f"{status} no", [("Content-Length", str(len(body)))])
        return [body]

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(DomainDispatcherApplication, "__call__", call)
        yield refused
