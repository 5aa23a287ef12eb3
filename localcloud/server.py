"""The server process: the API, the mirror's files, and the control addresses below ``/_localcloud/``."""

import io
import json
import logging
import os
import signal
import sys
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from moto.core import DEFAULT_ACCOUNT_ID
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.ssm.models import ssm_backends
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from localcloud import base_layer
from localcloud.account_files import Operator, read_operator
from localcloud.addresses import API_PORT, HOST, MIRROR_PORT
from localcloud.api import dlm, gaps
from localcloud.api.backend import backends
from localcloud.authorization import (
    DEFAULT_KEY,
    Refusal,
    Secret,
    Signed,
    refuse_ssm,
    unknown_key,
    versions_asked,
)
from localcloud.cloud import Cloud, log
from localcloud.faults import Fault
from localcloud.paths import RunDir

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

#: EC2 actions that change nothing, so that nothing needs to be brought into force after them.
READS = ("Describe", "Get", "List")


class App:
    """The WSGI application."""

    def __init__(self, cloud: Cloud, operator: Operator) -> None:
        """Serve the account of ``cloud`` to the holder of ``operator``'s key and to instances."""
        self._cloud = cloud
        self._operator = operator
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        if request.path.startswith("/_localcloud/"):
            return self._control(request)(environ, start_response)
        if request.path.startswith("/moto-api"):  # its reset would forget machines that go on running
            return Response("not here\n", 404)(environ, start_response)
        body = request.get_data(cache=True)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        signed = Signed.parse(request.headers.get("Authorization"))
        target = request.headers.get("X-Amz-Target", "")
        form = _form(request, body)
        action = form.get("Action", "") or target.rpartition(".")[2]
        if signed and signed.service == "dlm":
            action = dlm.action(request.method, request.path)
        dry = form.get("DryRun") == "true"  # it is about rights alone: AWS does not look for capacity, say
        refusal = (not dry and self._injected(action)) or (signed and self._refusal(signed, target, body))
        if refusal:
            return _error(refusal, bool(target) or action in dlm.CALLS)(environ, start_response)
        changes = bool(signed and action and not action.startswith(READS))
        with self._cloud.lock:
            answer = list(
                self._moto(environ, _logging(start_response, action) if changes else start_response)
            )
            if changes and signed and signed.service in ("ec2", "elasticmapreduce"):
                for backend in backends()[:1]:
                    backend.synchronise()
        return answer

    def _injected(self, action: str) -> Refusal | None:
        fault = self._cloud.faults.take("action", action) if action else None
        if fault is None:
            return None
        time.sleep(fault.delay)
        return Refusal(fault.code, fault.message, fault.status) if fault.code else None

    def _refusal(self, signed: Signed, target: str, body: bytes) -> Refusal | None:
        if signed.key == self._operator.access_key_id:
            return None
        with self._cloud.lock:
            backend = iam_backends[DEFAULT_ACCOUNT_ID]["aws"]
            if any(
                key.access_key_id == signed.key for user in backend.users.values() for key in user.access_keys
            ):
                return None
            holder = self._cloud.credentials.holder(signed.key)
            if holder is None:
                return unknown_key(signed.service)
            if signed.service != "ssm":
                return None
            role = next((role for role in backend.roles.values() if role.name == holder.role), None)
            documents = list(_policies(role)) if role else []
            call = json.loads(body or b"{}")
            secrets = list(secrets_of(target, call, signed.region)) if call.get("WithDecryption") else []
        return refuse_ssm(holder, documents, target, call, signed.region, secrets=secrets)

    def _control(self, request: Request) -> Response:
        if request.path == "/_localcloud/status" and request.method == "GET":
            return Response(json.dumps(self._status()), content_type="application/json")
        if request.path == "/_localcloud/fault" and request.method == "POST":
            try:
                self._cloud.faults.add(Fault.parse(request.get_json(force=True)))
            except (ValueError, TypeError) as error:
                return Response(f"{error}\n", 400)
            return Response(status=204)
        if request.path == "/_localcloud/policies" and request.method == "POST":
            with self._cloud.lock:
                return Response(json.dumps(dlm.run_policies()), content_type="application/json")
        if request.path == "/_localcloud/fault" and request.method == "DELETE":
            self._cloud.faults.clear()
            return Response(status=204)
        return Response("not here\n", 404)

    def _status(self) -> dict[str, Any]:
        with self._cloud.lock:
            instances = [i for backend in backends() for i in backend.local_instances()]
            return {
                "pid": os.getpid(),
                "instances": [
                    {
                        "id": i.id,
                        "state": i.state,
                        "ssh": i.reachable,
                        "image": i.image_id,
                        "private_ip": i.private_ip,
                        "public_ip": i.public_ip,
                        "name": next((tag["value"] for tag in i.get_tags() if tag["key"] == "Name"), None),
                    }
                    for i in instances
                    if i.state != "terminated"
                ],
            }


def _policies(role: Any) -> Iterator[dict[str, Any]]:
    """The documents of a moto role: its own, and those attached to it in the version in force."""
    for text in role.policies.values():
        yield json.loads(urllib.parse.unquote(text))
    for policy in role.managed_policies.values():
        yield from (json.loads(version.document) for version in policy.versions if version.is_default)


def secrets_of(target: str, call: dict[str, Any], region: str) -> Iterator[Secret]:
    """What a call of Systems Manager would decrypt."""
    keys = kms_backends[DEFAULT_ACCOUNT_ID][region]
    parameters = ssm_backends[DEFAULT_ACCOUNT_ID][region]._parameters
    for one in versions_asked(target, call, parameters):
        if one.parameter_type == "SecureString":
            arn = f"arn:aws:ssm:{region}:{DEFAULT_ACCOUNT_ID}:parameter/{one.name.removeprefix('/')}"
            yield Secret(arn, keys.describe_key(one.keyid).arn, one.keyid == DEFAULT_KEY)


def _logging(start_response: StartResponse, action: str) -> StartResponse:
    """Note a call that changes something: its name and what became of it, nothing of its content."""

    def noted(status: str, *arguments: Any) -> Any:
        log.info("%s: %s", action, status)
        return start_response(status, *arguments)

    return noted


def _form(request: Request, body: bytes) -> dict[str, str]:
    if request.mimetype != "application/x-www-form-urlencoded":
        return {}
    return dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace")))


def _error(refusal: Refusal, as_json: bool) -> Response:
    """An error in the protocol of the call: JSON where there is an ``X-Amz-Target``, else XML."""
    request_id = str(uuid.uuid4())
    if as_json:
        text = json.dumps({"__type": refusal.code, "message": refusal.message})
        answer = Response(text, refusal.status, content_type="application/x-amz-json-1.1")
    else:
        # ErrorResponse (iam, sts) and Response/Errors (ec2) in one: clients read what they know.
        error = (
            f"<Error><Code>{escape(refusal.code)}</Code><Message>{escape(refusal.message)}</Message></Error>"
        )
        text = f"<Response><Errors>{error}</Errors>{error}<RequestID>{request_id}</RequestID></Response>"
        answer = Response(text, refusal.status, content_type="text/xml")
    answer.headers["x-amzn-RequestId"] = request_id
    return answer


class _QuietFiles(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """No access log."""


class _QuietApi(MotoRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *arguments: object) -> None:
        """No access log: the calls are many and say little."""


def serve(run: RunDir, mirror: Path | None) -> None:
    """Run until SIGTERM. What is left then (containers, loops, routes) the reaper removes."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(threadName)s %(message)s"
    )
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    base = base_layer.ensure(log.info)
    base.hold()
    cloud = Cloud(run, base)
    cloud.network.open()
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"  # AWS' own policies, which roles may have attached
    gaps.install(cloud)
    if mirror:
        files = partial(_QuietFiles, directory=str(mirror))
        mirror_server = ThreadingHTTPServer((str(HOST), MIRROR_PORT), files)
        threading.Thread(target=mirror_server.serve_forever, name="mirror", daemon=True).start()
    app = App(cloud, read_operator(run))
    api = make_server(str(HOST), API_PORT, app, threaded=True, request_handler=_QuietApi)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # jobs under way must not hold up the end
    log.info("serving on %s:%d", HOST, API_PORT)
    api.serve_forever()
