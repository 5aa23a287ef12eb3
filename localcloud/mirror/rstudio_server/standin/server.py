"""HTTP around the application."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .application import Application, Request

MOST_BYTES = 65536  # of a form


def make_server(address: str, port: int, application: Application) -> ThreadingHTTPServer:
    """A server that listens; the caller runs it. Raises OSError when the address is taken."""

    class Handler(BaseHTTPRequestHandler):
        server_version = "RStudio-standin"
        sys_version = ""

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            length = min(int(self.headers.get("Content-Length") or 0), MOST_BYTES)
            request = Request(
                method=self.command,
                target=self.path,
                cookies=self._cookies(),
                body=self.rfile.read(length).decode(errors="replace"),
                secure=self.headers.get("X-RStudio-Request", "").startswith("https:")
                or self.headers.get("X-Forwarded-Proto") == "https",
            )
            response = application.answer(request)
            content = response.body.encode()
            self.send_response(response.status)
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            if response.location is not None:
                self.send_header("Location", response.location)
            if response.cookie is not None:
                self.send_header("Set-Cookie", response.cookie)
            self.end_headers()
            self.wfile.write(content)

        def _cookies(self) -> dict[str, str]:
            try:
                jar: SimpleCookie = SimpleCookie(self.headers.get("Cookie", ""))
            except CookieError:
                return {}
            return {name: morsel.value for name, morsel in jar.items()}

        def log_message(self, *_arguments: object) -> None:
            """Nothing: a form's content must not get into a log."""

    return ThreadingHTTPServer((address, port), Handler)
