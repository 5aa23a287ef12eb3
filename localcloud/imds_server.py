"""The instance metadata service over HTTP, one server in each instance's network namespace."""

import secrets
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from localcloud.addresses import METADATA, METADATA_PORT
from localcloud.errors import LocalCloudError
from localcloud.imds import Metadata, answer
from localcloud.netns import inside
from localcloud.nftables import Nft
from localcloud.processes import run

TABLE = "ip localcloud_metadata"
CHAINS = f""" chain output {{
  type nat hook output priority -100;
  ip daddr {METADATA} tcp dport 80 dnat to {METADATA}:{METADATA_PORT}
 }}"""
MAXIMUM_TTL = 21600


class Tokens:
    """The session tokens of IMDSv2, with their expiry."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds."""
        self._clock = clock
        self._expiry: dict[str, float] = {}
        self._lock = threading.Lock()

    def make(self, ttl: str | None) -> str | None:
        """A new token, or None when the header's value is not 1 to 21600 seconds."""
        if not ttl or not ttl.isdigit() or not 1 <= int(ttl) <= MAXIMUM_TTL:
            return None
        token = secrets.token_urlsafe(40)
        with self._lock:
            self._expiry[token] = self._clock() + int(ttl)
        return token

    def valid(self, token: str | None) -> bool:
        """Whether a token was made here and has not expired."""
        with self._lock:
            return token is not None and self._expiry.get(token, 0) > self._clock()


class MetadataServer:
    """Answers at 169.254.169.254 inside one instance until it is closed."""

    def __init__(self, pid: int, nft: Nft, metadata: Callable[[], Metadata]) -> None:
        """Open the server in the network namespace of ``pid``, before its first process runs.

        ``metadata`` is asked at every request, so that tags and addresses are those of the moment.
        """
        run("nsenter", "--target", str(pid), "--net", "ip", "address", "add", f"{METADATA}/32", "dev", "lo")
        nft.load(TABLE, CHAINS)
        self._server = inside(pid, lambda: _Server(pid, metadata))
        threading.Thread(target=self._server.serve_forever, name=f"imds-{pid}", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, pid: int, metadata: Callable[[], Metadata]) -> None:
        super().__init__((METADATA, METADATA_PORT), _Handler)
        self.pid = pid
        self.metadata = metadata
        self.tokens = Tokens()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "EC2ws"
    sys_version = ""

    def log_message(self, format: str, *args: object) -> None:
        """No access log: the paths of credentials are of no use in it."""

    def do_PUT(self) -> None:
        """Hand out a token."""
        machine = self.server.metadata()
        if not machine.enabled:
            return self._reply(403)
        if self.path != "/latest/api/token":
            return self._reply(404)
        if self.headers.get("X-Forwarded-For"):
            return self._reply(403)
        ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        token = self.server.tokens.make(ttl)
        if token is None:
            return self._reply(400)
        return self._reply(200, token.encode(), {"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": ttl or ""})

    def do_GET(self) -> None:
        """Answer from the tree."""
        machine = self.server.metadata()
        if not machine.enabled:
            return self._reply(403)
        token = self.headers.get("X-aws-ec2-metadata-token")
        if token is not None and not self.server.tokens.valid(token):
            return self._reply(401)
        if token is None and machine.tokens_required and not self._asked_by_cloud_init():
            return self._reply(401)
        body = answer(machine, self.path, datetime.now(timezone.utc))
        return self._reply(404) if body is None else self._reply(200, body)

    def _asked_by_cloud_init(self) -> bool:
        """Whether the peer is cloud-init, which alone gets in without a token.

        cloud-init knows from DMI data that it is on AWS and only then asks for a token; a container has
        no DMI data.
        """
        port = self.client_address[1]
        try:
            sockets = run(
                "nsenter", "--target", str(self.server.pid), "--net",
                "ss", "--no-header", "--tcp", "--numeric", "--processes", "sport", "=", f":{port}",
            )  # fmt: skip
        except LocalCloudError:
            return False
        return '("cloud-init"' in sockets

    def _reply(self, code: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
