"""ds_spark: what it says of a cluster that cannot be used, and how soon."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from ds_spark import check, remote, session
from ds_spark.errors import ClusterError
from ds_spark.remote import Remote

NAME = "localhost"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Certificates with their keys: ours, another of the same name, and one of another name."""
    folder = tmp_path_factory.mktemp("tls")
    found = {}
    for kind, name in (("ours", NAME), ("theirs", NAME), ("elsewhere", "elsewhere.example")):
        certificate, key = folder / f"{kind}.pem", folder / f"{kind}.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "1", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", key,
             "-out", certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        found[kind] = certificate, key
    return found


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """Starts servers, each of which does one thing with every connection; returns the port."""
    listeners: list[socket.socket] = []

    def start(handle: Callable[[socket.socket], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def work() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with suppress(OSError):
                        handle(connection)

        threading.Thread(target=work, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for one in listeners:
        one.close()


def tls(pair: tuple[Path, Path], version: ssl.TLSVersion | None = None) -> Callable[[socket.socket], None]:
    """Return what speaks TLS with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    if version:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    return lambda connection: context.wrap_socket(connection, server_side=True).close()


def reach(port: int, certificate: Path, seconds: float = 5) -> None:
    found = Remote("", NAME, port, certificate.read_bytes())
    check.reach(found, time.monotonic() + seconds)


def test_the_cluster_is_reached(serve: Any, pairs: Any) -> None:
    reach(serve(tls(pairs["ours"])), pairs["ours"][0])


@pytest.mark.parametrize("kind", ["theirs", "elsewhere"])
def test_another_certificate(serve: Any, pairs: Any, kind: str) -> None:
    trusted = pairs["elsewhere" if kind == "elsewhere" else "ours"][0]
    with pytest.raises(
        ClusterError, match=r"has another certificate than the Spark cluster .*Nothing was sent"
    ):
        reach(serve(tls(pairs[kind])), trusted)


def test_an_old_tls(serve: Any, pairs: Any) -> None:
    with pytest.raises(ClusterError, match="is no Spark cluster"):
        reach(serve(tls(pairs["ours"], ssl.TLSVersion.TLSv1_1)), pairs["ours"][0])


def test_a_port_that_is_closed(pairs: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ClusterError, match=r"cannot be reached at localhost:\d+ \(Connection refused\)"):
        reach(port, pairs["ours"][0])


def test_no_tls(serve: Any, pairs: Any) -> None:
    port = serve(lambda one: one.sendall(b"220 mail.example\r\n"))
    with pytest.raises(ClusterError, match="is no Spark cluster"):
        reach(port, pairs["ours"][0])


def test_a_stranger_who_is_silent(serve: Any, pairs: Any) -> None:
    kept: list[socket.socket] = []
    began = time.monotonic()
    with pytest.raises(ClusterError, match=r"is no Spark cluster \(no answer in time\)"):
        reach(serve(kept.append), pairs["ours"][0], seconds=0.3)
    assert time.monotonic() - began < 2


def test_a_name_that_nobody_has(pairs: Any) -> None:
    found = Remote("", "spark.ds-stack.invalid", 15443, pairs["ours"][0].read_bytes())
    with pytest.raises(ClusterError, match=r"cannot be reached at spark.ds-stack.invalid:15443"):
        check.reach(found, time.monotonic() + 5)


@pytest.mark.parametrize("certificate", [b"", b"no certificate", b"\xff"])
def test_a_certificate_that_is_none(certificate: bytes) -> None:
    with pytest.raises(ClusterError, match="certificate of the Spark cluster here is none"):
        check.reach(Remote("", NAME, 9, certificate), time.monotonic() + 1)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("UNAUTHENTICATED", "refuses the token"),
        ("DEADLINE_EXCEEDED", "does not answer in time"),
        ("UNAVAILABLE", "does not run on the cluster"),
        ("INTERNAL", r"refuses to be used \(INTERNAL: why\)"),
    ],
)
def test_refusals(code: str, said: str) -> None:
    with pytest.raises(ClusterError, match=said):
        raise ClusterError(check._refusal(code, "why"))


def test_remote(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="There is no Spark cluster now"):
        remote.read(tmp_path)
    url = "sc://spark.ds-stack.internal:15443/;use_ssl=true;token=secret-word"
    (tmp_path / "certificate.pem").write_text("PEM")
    (tmp_path / "remote").write_text(f"{url}\n")
    found = remote.read(tmp_path)
    assert (found.url, found.host, found.port, found.certificate) == (
        url, "spark.ds-stack.internal", 15443, b"PEM",
    )  # fmt: skip
    assert "secret-word" not in repr(found)


@pytest.mark.parametrize("text", ["", "spark://x:1", "sc://x"])
def test_a_remote_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "certificate.pem").write_text("PEM")
    (tmp_path / "remote").write_text(text)
    with pytest.raises(ClusterError, match="has no address"):
        remote.read(tmp_path)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_time_that_is_none(timeout: float) -> None:
    with pytest.raises(ValueError, match=f"timeout: {timeout} is not possible"):
        session.connect(timeout)


def test_nothing_connects_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise ClusterError("used")

    monkeypatch.setattr(session, "connect", refuse)
    spark = session.Spark()
    assert repr(spark).startswith("<Spark session")
    assert "_repr_html_" not in dir(spark)
    with pytest.raises(AttributeError):
        _ = spark._repr_html_
    with pytest.raises(ClusterError, match="used"):
        _ = spark.range


def test_a_notebook_shows_the_message_alone() -> None:
    assert ClusterError("no cluster")._render_traceback_() == ["ClusterError: no cluster"]
