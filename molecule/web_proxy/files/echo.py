"""A little service for the proxy's tests: it answers with what it was sent."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ADDRESS = ("127.0.0.1", 18000)


class Echo(BaseHTTPRequestHandler):
    """Answers every GET and POST with its path, the size of its body and its headers."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer; the same for both methods."""
        size = len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        body = json.dumps({"path": self.path, "size": size, "headers": dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


if __name__ == "__main__":
    ThreadingHTTPServer(ADDRESS, Echo).serve_forever()
