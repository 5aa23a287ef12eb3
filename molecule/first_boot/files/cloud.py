"""SSM and the instance metadata service of one machine, for the tests: cloud.py ADDRESS FOLDER

Goes to the background once both answer, with ``cloud.pid`` and ``cloud.json`` (the two addresses) in the
folder. What the metadata service says is read from ``metadata.json`` there at each question.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from moto.server import ThreadedMotoServer

TOKEN = "a-token"  # noqa: S105 - for nothing but these tests
CREDENTIALS = {
    "Code": "Success",
    "Type": "AWS-HMAC",
    "AccessKeyId": "machine",
    "SecretAccessKey": "secret",
    "Token": "token",
    "Expiration": (datetime.now(timezone.utc) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
}
MACHINE = {
    "instance-id": "i-0123456789abcdef0",
    "ami-id": "ami-0123456789abcdef0",
    "placement/region": "eu-central-1",
    "local-hostname": "ip-10-77-0-10.eu-central-1.compute.internal",
    "local-ipv4": "10.77.0.10",
    "tags/instance/ds-stack:name": "demo",
    "tags/instance/ds-stack:part": "instance",
    "iam/security-credentials/": "machine",
    "iam/security-credentials/machine": json.dumps(CREDENTIALS),
}


class Metadata(BaseHTTPRequestHandler):
    """IMDSv2: nothing without a token."""

    folder = Path()

    def do_PUT(self) -> None:
        """Give a token."""
        asked = self.path == "/latest/api/token" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        self._answer(200 if asked else 400, TOKEN)

    def do_GET(self) -> None:
        """Tell what is at the path."""
        known = {**MACHINE, **json.loads((self.folder / "metadata.json").read_text())}
        found = known.get(self.path.removeprefix("/latest/meta-data/"))
        if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
            self._answer(401, "")
        else:
            self._answer(404 if found is None else 200, found or "")

    def _answer(self, code: int, text: str) -> None:
        self.send_response(code)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(address: str, folder: Path) -> None:
    """Serve until killed."""
    os.setsid()
    log = os.open(folder / "cloud.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream, target in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
        os.dup2(target, stream)
    Metadata.folder = folder
    metadata = ThreadingHTTPServer((address, 0), Metadata)
    ssm = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
    ssm.start()
    ports = {"endpoint_url": ssm.get_host_and_port()[1], "metadata_url": metadata.server_port}
    found = {name: f"http://{address}:{port}" for name, port in ports.items()}
    (folder / "cloud.pid").write_text(str(os.getpid()))
    (folder / "cloud.json.new").write_text(json.dumps(found))
    (folder / "cloud.json.new").rename(folder / "cloud.json")
    metadata.serve_forever()


def main(address: str, folder: Path) -> int:
    """Start serving in the background and return when both services answer."""
    (folder / "metadata.json").write_text("{}")
    (folder / "cloud.json").unlink(missing_ok=True)
    if os.fork() == 0:
        serve(address, folder)
    end = time.monotonic() + 30
    while not (folder / "cloud.json").exists():
        if time.monotonic() > end:
            print(f"not up within 30 seconds, see {folder}/cloud.log", file=sys.stderr)
            return 1
        time.sleep(0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
