# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine and a Spark cluster need to trust each other, as two parameters. Nothing here calls AWS.

The nodes' parameter holds the token, the certificate of Spark Connect and its key. The machine's holds the
token and the certificate alone, and where the cluster is. The certificate is for a fixed name, which the
machine knows for the cluster's address: so it outlives every cluster.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from ipaddress import IPv4Address
from typing import Any

from .._run.files import parse_object
from .names import OptionError
from .names import shown as shown_text
from .spark import IDLE_MINUTES

SCHEMA = 1
SERVER_NAME = "spark.ds-stack.internal"
PORT = 15443

TOKEN_BYTES = 32
LIFE = timedelta(days=3650)
LEFT = timedelta(days=90)
"""With less of its life left a certificate is made anew: longer than any cluster runs."""
SKEW = timedelta(days=1)
"""How much a node's clock may be behind."""

Document = dict[str, Any]


@dataclass(frozen=True)
class Secrets:
    """The token of the stack's users, and the certificate with its key, both as PEM."""

    token: str = field(repr=False)
    certificate: str
    private_key: str = field(repr=False)

    def of_nodes(self, idle_minutes: int) -> Document:
        """The document of the nodes' parameter."""
        return {
            "schema": SCHEMA,
            "token": self.token,
            "certificate": self.certificate,
            "private_key": self.private_key,
            "idle_minutes": idle_minutes,
        }

    def of_machine(self, host: str, port: int, spark: str) -> Document:
        """The document of the machine's parameter."""
        return {
            "schema": SCHEMA,
            "host": host,
            "port": port,
            "server_name": SERVER_NAME,
            "token": self.token,
            "certificate": self.certificate,
            "spark": spark,
        }

    @property
    def hidden(self) -> set[str]:
        """All that nobody shall see, also as it is in a JSON document."""
        return {self.token, self.private_key, json.dumps(self.private_key)[1:-1]}


def require() -> None:
    """Raise ImportError where no certificate can be made."""
    import cryptography.x509  # noqa: F401, PLC0415


def make(now: datetime) -> Secrets:
    """Return a new token and a new certificate, whose key nobody else has."""
    # Late, so that the module can say which package is missing.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, SERVER_NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME)]), critical=False)
        # Whoever gets the key can be this server, and signs no other's certificate.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Secrets(
        secrets.token_urlsafe(TOKEN_BYTES),
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )


def parse(text: str) -> Document:
    """Return the document of a parameter; an empty one for what is none."""
    return parse_object(text) or {}


def usable(document: Mapping[str, Any], now: datetime) -> Secrets | None:
    """Return the secrets of the nodes' document, or None where they have to be made anew."""
    texts = [document.get(name) for name in ("token", "certificate", "private_key")]
    if document.get("schema") != SCHEMA or not all(isinstance(text, str) and text for text in texts):
        return None
    found = Secrets(*map(str, texts))
    return found if _is_valid(found, now) else None


def _is_valid(found: Secrets, now: datetime) -> bool:
    """Whether the certificate is that of the key, for our name, and lasts for another cluster."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    try:
        certificate = x509.load_pem_x509_certificate(found.certificate.encode())
        key = serialization.load_pem_private_key(found.private_key.encode(), password=None)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return (
        certificate.public_key() == key.public_key()
        and names.get_values_for_type(x509.DNSName) == [SERVER_NAME]
        and certificate.not_valid_before_utc <= now
        and certificate.not_valid_after_utc - now >= LEFT
    )


def expires(certificate: str) -> str:
    """The day after which a certificate is no longer valid."""
    from cryptography import x509  # noqa: PLC0415

    return x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc.strftime("%Y-%m-%d")


def shown(document: Mapping[str, Any]) -> Document:
    """Return a document as a difference shows it: of what is secret, that it is there."""
    public = {name: value for name, value in document.items() if name not in ("token", "private_key")}
    if isinstance(public.get("certificate"), str):
        public["certificate"] = f"SHA-256 {hashlib.sha256(public['certificate'].encode()).hexdigest()[:16]}"
    return public


def check_port(port: int) -> int:
    """Return the option port. Raises OptionError."""
    return _within("port", port, 1, 65535)


def check_idle_minutes(minutes: int) -> int:
    """Return the option idle_minutes. Raises OptionError."""
    return _within("idle_minutes", minutes, *IDLE_MINUTES)


def _within(option: str, number: int, least: int, most: int) -> int:
    # Ansible takes true and false for numbers.
    if isinstance(number, bool) or not least <= number <= most:
        raise OptionError(f"{option}: {number} is not possible. Take a number from {least} to {most}.")
    return number


def check_spark(version: str) -> str:
    """Return the option spark. Raises OptionError."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+){2}", version):
        raise OptionError(f"spark: '{shown_text(version)}' is no version, such as 4.0.2.")
    return version


def check_host(host: str) -> str:
    """Return the option host. Raises OptionError: it comes into a file of the machine's system."""
    try:
        return str(IPv4Address(host))
    except ValueError:
        raise OptionError(f"host: '{shown_text(host)}' is no IPv4 address, such as 10.77.240.10.") from None


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(timezone.utc)
