"""The self-signed certificate: kept on the data volume, made anew when it no longer fits."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

from . import files
from .identity import Identity
from .process import run, run_for_code
from .settings import Settings

CERTIFICATE, KEY = "cert.pem", "key.pem"
DAYS = 825  # what browsers accept of a certificate
RENEW_SECONDS = 30 * 24 * 3600
LOCAL_NAMES, LOCAL_ADDRESSES = ("localhost",), ("127.0.0.1",)


def wanted_names(identity: Identity) -> tuple[str, ...]:
    """Return the alternative names of this machine's certificate, as openssl takes them."""
    names = [f"DNS:{name}" for name in (*identity.names, *LOCAL_NAMES)]
    addresses = [f"IP:{address}" for address in (*identity.addresses, *LOCAL_ADDRESSES)]
    return tuple(dict.fromkeys(names + addresses))


def parse_names(output: str) -> frozenset[str]:
    """Return the alternative names in what ``openssl x509 -ext subjectAltName`` wrote."""
    found = re.findall(r"(DNS|IP Address):([^,\s]+)", output)
    return frozenset(f"{'DNS' if kind == 'DNS' else 'IP'}:{name}" for kind, name in found)


def is_fitting(has: Collection[str], wanted: Collection[str], lives_on: bool) -> bool:
    """Return whether a certificate can be kept: just these names, and not near its end."""
    return frozenset(has) == frozenset(wanted) and lives_on


def ensure(settings: Settings, identity: Identity, log: Callable[[str], None]) -> bool:
    """Keep or make the certificate, and link it to where the proxy looks. Return whether it changed.

    Raises InitError.
    """
    folder = settings.state / "tls"
    files.make_folder(folder, 0o700)
    changed = False
    if not _fits(folder, wanted_names(identity)):
        _make(folder, wanted_names(identity))
        log("made a certificate for " + ", ".join(wanted_names(identity)))
        changed = True
    files.make_folder(settings.tls_folder, 0o755)
    for name in (CERTIFICATE, KEY):
        changed |= files.link(settings.tls_folder / name, str(folder / name))
    return changed


def _fits(folder: Path, wanted: Collection[str]) -> bool:
    certificate, key = folder / CERTIFICATE, folder / KEY
    if not (certificate.exists() and key.exists()):
        return False
    code, names = run_for_code(
        "openssl", "x509", "-in", str(certificate), "-noout", "-ext", "subjectAltName", ok=range(256)
    )
    lives = run_for_code(
        "openssl", "x509", "-in", str(certificate), "-noout", "-checkend", str(RENEW_SECONDS), ok=range(256)
    )[0]
    return code == 0 and is_fitting(parse_names(names), wanted, lives == 0) and _belong(certificate, key)


def _belong(certificate: Path, key: Path) -> bool:
    """Return whether the key is the certificate's, which a power cut between the two files could break."""
    code, of_certificate = run_for_code(
        "openssl", "x509", "-in", str(certificate), "-noout", "-pubkey", ok=range(256)
    )
    other, of_key = run_for_code("openssl", "pkey", "-in", str(key), "-pubout", ok=range(256))
    return code == other == 0 and of_certificate == of_key


def _make(folder: Path, names: Collection[str]) -> None:
    common = next(iter(names)).partition(":")[2][:64]
    with tempfile.TemporaryDirectory(dir=folder) as unfinished:  # of mode 0700
        certificate, key = Path(unfinished, CERTIFICATE), Path(unfinished, KEY)
        run(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-sha256", "-days", str(DAYS), "-subj", f"/CN={common}",
            "-addext", f"subjectAltName={','.join(names)}", "-addext", "extendedKeyUsage=serverAuth",
            "-keyout", str(key), "-out", str(certificate),
        )  # fmt: skip
        key.chmod(0o600)
        key.replace(folder / KEY)
        certificate.replace(folder / CERTIFICATE)
