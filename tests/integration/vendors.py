"""A server laid out as the vendors' are, with stand-ins for their programs."""

from __future__ import annotations

import hashlib
import http.server
import io
import ssl
import threading
import zipfile
from dataclasses import dataclass, field

from localcloud.tools.vendor import Release


def archive(product: str, version: str, arch: str, script: str | None = None) -> bytes:
    """What the vendor would serve, with a stand-in for the program that tells its version."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("LICENSE.txt", "a licence\n" * 5000)
        opened.writestr(
            product, script or f"#!/bin/sh\necho {product.capitalize()} v{version}\necho on linux_{arch}\n"
        )
    return content.getvalue()


@dataclass
class Vendor:
    """A server with the vendor's layout."""

    port: int = 0
    scheme: str = "http"
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    #: How many bytes of each answer come before the connection breaks.
    breaks_after: int | None = None
    says_length: bool = True

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def publish(self, product: str, version: str, script: str | None = None) -> Release:
        """Put a release on the server, and return it with its checksums."""
        digests = {}
        for arch in ("amd64", "arm64"):
            content = archive(product, version, arch, script)
            self.files[f"/{product}/{version}/{product}_{version}_linux_{arch}.zip"] = content
            digests[arch] = hashlib.sha256(content).hexdigest()
        return Release(product, version, digests)


def serve(vendor_: Vendor, context: ssl.SSLContext | None = None) -> http.server.ThreadingHTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            vendor_.asked.append(self.path)
            content = vendor_.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            if vendor_.says_length:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: vendor_.breaks_after])
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    vendor_.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
