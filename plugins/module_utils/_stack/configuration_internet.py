# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a machine's way to the internet: its proxy, and the authorities that it trusts."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, urlsplit

from .names import shown

PROXY = "ds_stack_proxy"
DIRECT = "ds_stack_no_proxy"

EXAMPLE = "http://proxy.example.org:3128"
HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*", re.IGNORECASE)

BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def internet_problems(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield one sentence for each thing that is wrong.

    Args:
        values: the ``ds_stack_`` variables, of the right types.
    """
    if PROXY in values and (problem := _proxy_problem(values[PROXY])):
        yield f"{PROXY}: {problem}"
    direct = values.get(DIRECT, [])
    problems = [problem for text in direct if (problem := _direct_problem(text))]
    yield from (f"{DIRECT}: {problem}" for problem in problems)
    if direct and not problems and PROXY not in values:
        yield (
            f"{DIRECT} names what is reached without a proxy, and there is none. Set {PROXY}, or leave it "
            "out."
        )


def _proxy_problem(text: str) -> str | None:
    if "@" in text:
        # Not shown: it would be in the log.
        return (
            "it holds a name or a password, which everybody on the machine could read. Name a proxy that "
            f"lets the machine's address through, like {EXAMPLE}."
        )
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if parts.scheme not in ("http", "https") or not text.isprintable() or not _is_host(host):
        return f"'{shown(text)}' is no address of a proxy. {_proxy_hint(text, parts)}"
    if _is_own(host):
        return f"'{shown(text)}' would be the machine itself. Name the proxy as the machine reaches it."
    wrong = (
        "has no port, for which programs take different ones"
        if not port
        else "has more than an address and a port"
        if parts.path not in ("", "/") or parts.query or parts.fragment
        else ""
    )
    return f"'{shown(text)}' {wrong}. Write it like {EXAMPLE}." if wrong else None


def _proxy_hint(text: str, parts: SplitResult) -> str:
    if parts.scheme.startswith("socks"):
        return "apt and R speak no SOCKS: take a proxy for HTTP."
    if "://" not in text and not _proxy_problem(f"http://{text}"):
        return f"Did you mean http://{text}?"
    return f"Write it like {EXAMPLE}."


def _direct_problem(text: str) -> str | None:
    if text == "*":
        return "* is everything, so that no proxy would be used. Name what is reached without it."
    if "://" in text or re.fullmatch(r"[^:]+:[0-9]+", text):
        return (
            f"'{shown(text)}' is an address of a page or a port. Write the name alone, such as .example.org."
        )
    if text.startswith("*."):
        return f"'{shown(text)}' has a * that programs do not know. Write {shown(text[1:])}."
    if "/" in text and _is_network(text):
        return None
    if not _is_host(text.removeprefix(".")):
        return (
            f"'{shown(text)}' is no name, domain, address or network. Write it like mirror.example.org, "
            ".example.org or 10.0.0.0/8."
        )
    return None


def _is_host(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return HOST.fullmatch(text) is not None and not re.fullmatch(r"[0-9.]+", text)
    return True


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _is_own(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return address.is_loopback or address.is_link_local or address.is_unspecified


def bundle_problem(text: str) -> str | None:
    """Return why a text is no list of authorities to trust, as the rest of a sentence, or None."""
    if "PRIVATE KEY-----" in text:
        return "it holds a private key, which has no place in an image. Name a file with certificates alone."
    if BEGIN not in text:
        return f"it has no line {BEGIN}. Name a file of certificates in PEM."
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found = [rest.partition(END)[0] for rest in text.split(BEGIN)[1:]]
    for number, body in enumerate(found, 1):
        before = context.cert_store_stats()
        try:
            context.load_verify_locations(cadata=f"{BEGIN}{body}{END}\n")
        except (ssl.SSLError, ValueError):
            return f"certificate {number} of it cannot be read. Get the file anew."
        after = context.cert_store_stats()
        if after["x509"] > before["x509"] and after["x509_ca"] == before["x509_ca"]:
            return (
                f"certificate {number} of it is no authority's, but a server's. Name the certificate of the "
                "authority that signed it."
            )
    for one in context.get_ca_certs():
        if ssl.cert_time_to_seconds(str(one["notAfter"])) < time.time():
            return f"a certificate of it was valid until {one['notAfter']}. Get the one that took its place."
    return None
