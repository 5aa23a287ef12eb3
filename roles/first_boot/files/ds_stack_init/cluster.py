"""The stack's Spark cluster: where users find it, and what proves both sides, as long as there is one.

The package ds_spark (role spark_client) reads these files. The token is in one for the users' group alone.
"""

from __future__ import annotations

import grp
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from . import files, memory
from .errors import InitError
from .parameters import Parameters
from .settings import Settings

SCHEMA = 1
REMOTE, CERTIFICATE, BUNDLE = "remote", "certificate.pem", "ca-bundle.pem"
APPLIED = "cluster"
"""In memory.FOLDER: the version of what was applied."""

NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
TOKEN = re.compile(r"[A-Za-z0-9_-]{32,}")
MARK = "# Written by ds-stack-init: the stack's Spark cluster"
AUTHORITIES = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt"))


@dataclass(frozen=True)
class Cluster:
    """A cluster: its primary's address, the name in its certificate (PEM), and the token that it takes."""

    host: str
    port: int
    server_name: str
    token: str = field(repr=False)
    certificate: str

    @property
    def remote(self) -> str:
        """Its address as Spark's clients take it."""
        return f"sc://{self.server_name}:{self.port}/;use_ssl=true;token={self.token}"


def parse(text: str) -> Cluster:
    """Return the cluster that a JSON text tells of. Raises InitError, which never holds any of the text."""
    try:
        found: dict[str, Any] = json.loads(text)
        right = found["schema"] == SCHEMA
        host = str(IPv4Address(found["host"]))
        cluster = Cluster(
            host, int(found["port"]), found["server_name"], found["token"], found["certificate"]
        )
        right = right and bool(NAME.fullmatch(cluster.server_name) and TOKEN.fullmatch(cluster.token))
        right = right and 0 < cluster.port < 65536 and "BEGIN CERTIFICATE" in cluster.certificate
    except (ValueError, KeyError, TypeError):
        right = False
    if not right:
        raise InitError("What SSM tells of the Spark cluster cannot be read. Run cluster.yml again.")
    return cluster


def with_host(hosts: str, cluster: Cluster | None) -> str:
    """Return the text of /etc/hosts with the cluster's line, and with none of another; None is no cluster."""
    lines = [line for line in hosts.splitlines() if not line.endswith(MARK)]
    if cluster:
        lines.append(f"{cluster.host} {cluster.server_name} {MARK}")
    return "".join(f"{line}\n" for line in lines)


def contents(cluster: Cluster, authorities: str) -> Mapping[str, str]:
    """Return the files by their names. ``authorities``: the system's own, in PEM."""
    return {
        CERTIFICATE: cluster.certificate,
        BUNDLE: f"{authorities.rstrip()}\n{cluster.certificate}",
        REMOTE: f"{cluster.remote}\n",
    }


def refresh(settings: Settings, parameters: Parameters, log: Callable[[str], None]) -> None:
    """Apply what SSM says of the cluster, if it says something else than before. Raises InitError."""
    version = parameters.cluster_version()
    if files.read(memory.FOLDER / APPLIED) == str(version) and _as_applied(settings, version is not None):
        return
    found = parameters.cluster() if version is not None else None
    if found:
        _write(settings, parse(found.value))
        log("users have a Spark cluster")
    elif _remove(settings):
        log("users have no Spark cluster any more")
    files.write(memory.FOLDER / APPLIED, str(found.version if found else None), 0o600)


def _as_applied(settings: Settings, there: bool) -> bool:
    """Return whether files and line are as they were made: cloud-init may have taken the line away."""
    hosts = files.read(settings.hosts) or ""
    return ((settings.spark_folder / REMOTE).exists(), MARK in hosts) == (there, there)


def _write(settings: Settings, cluster: Cluster) -> None:
    files.make_folder(settings.spark_folder, 0o755)
    authorities = next((text for path in AUTHORITIES if (text := files.read(path))), "")
    _write_hosts(settings.hosts, cluster)
    # The remote last: who finds it finds the rest.
    for name, text in contents(cluster, authorities).items():
        path = settings.spark_folder / name
        files.write(path, text, 0o640 if name == REMOTE else 0o644)
        if name == REMOTE:
            os.chown(path, -1, grp.getgrnam(settings.users_group).gr_gid)


def _remove(settings: Settings) -> bool:
    was_there = (settings.spark_folder / REMOTE).exists()
    for name in (REMOTE, BUNDLE, CERTIFICATE):
        (settings.spark_folder / name).unlink(missing_ok=True)
    _write_hosts(settings.hosts, None)
    return was_there


def _write_hosts(path: Path, cluster: Cluster | None) -> None:
    before = files.read(path) or ""
    wanted = with_host(before, cluster)
    if wanted != before:
        try:
            files.write(path, wanted, 0o644)
        except OSError:
            path.write_text(wanted, encoding="utf-8")  # a file that is mounted there, as in containers
