"""What the control machine wants of the server: the parameter /ds-stack/STACK/cluster/connect."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass, field
from typing import Any

from .errors import ConnectError
from .settings import Settings

SCHEMA = 1
# As it goes into a file of variables and into a header; `secrets.token_urlsafe` makes such.
TOKEN = re.compile(r"[A-Za-z0-9_-]{32,}")


@dataclass(frozen=True)
class Document:
    """Token, certificate and key (both PEM), and for how many minutes nobody may use the server."""

    token: str = field(repr=False)
    certificate: str
    private_key: str = field(repr=False)
    idle_minutes: float


def name(stack: str) -> str:
    """Return the parameter's name."""
    return f"/ds-stack/{stack}/cluster/connect"


def parse(text: str) -> Document:
    """Return what a JSON text says. Raises ConnectError, which never holds any of the text."""
    try:
        found: dict[str, Any] = json.loads(text)
        schema = found["schema"]
        document = Document(
            str(found["token"]),
            str(found["certificate"]),
            str(found["private_key"]),
            float(found["idle_minutes"]),
        )
    except (ValueError, KeyError, TypeError):
        raise ConnectError(_wrong("it cannot be read")) from None
    if schema != SCHEMA:
        raise ConnectError(_wrong("it is of another release of iac.ds_stack: bake the node image again"))
    if not TOKEN.fullmatch(document.token):
        raise ConnectError(_wrong("its token is none"))
    if not ("BEGIN CERTIFICATE" in document.certificate and "PRIVATE KEY" in document.private_key):
        raise ConnectError(_wrong("certificate or key are not in PEM"))
    if not (math.isfinite(document.idle_minutes) and document.idle_minutes > 0):  # JSON of Python's has NaN
        raise ConnectError(_wrong("its idle_minutes are not above 0"))
    return document


def _wrong(what: str) -> str:
    return f"The parameter of Spark Connect in SSM is wrong: {what}. Run cluster.yml again."


def read(settings: Settings, stack: str, region: str, attempts: int = 5) -> Document:
    """Return the stack's document, read with the credentials of the node's role. Raises ConnectError."""
    # boto3 asks the same metadata service, and nothing else: what an administrator may have configured
    # for root is not the node's.
    os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = settings.metadata_url
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull

    # The rest of the program, and its tests, do without boto3.
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    limits = Config(
        connect_timeout=5, read_timeout=15, retries={"mode": "standard", "max_attempts": attempts}
    )
    try:
        client = boto3.session.Session().client(
            "ssm", region_name=region, endpoint_url=settings.endpoint_url, config=limits
        )
        answer = client.get_parameter(Name=name(stack), WithDecryption=True)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown error")
        raise ConnectError(f"SSM refuses {name(stack)}: {code}. Run cluster.yml again.") from None
    except BotoCoreError as error:
        raise ConnectError(f"SSM cannot be reached for {name(stack)}: {error}.") from None
    return parse(answer["Parameter"]["Value"])
