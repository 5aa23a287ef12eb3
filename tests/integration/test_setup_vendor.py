"""Fetching Terraform and Packer: from a server laid out as their vendor's, and Debian 12's Packer by apt.

The servers are stand-ins on this machine, and so are the programs in the archives, but for one: Debian's.
"""

from __future__ import annotations

import hashlib
import http.server
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud import base_image
from localcloud.errors import LocalCloudError
from localcloud.tools import debian, vendor
from localcloud.tools.programs import look_at
from localcloud.tools.vendor import Release
from tests.integration.vendors import Vendor, archive, serve


@pytest.fixture
def server() -> Iterator[Vendor]:
    found = Vendor()
    running = serve(found)
    yield found
    running.shutdown()
    running.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "tools"


def refused(release: Release, folder: Path, base: str, machine: str = "x86_64") -> str:
    """Why it cannot be fetched, in one line; nothing of it is left."""
    with pytest.raises(LocalCloudError) as caught:
        vendor.fetch(release, folder, base, machine)
    assert not folder.exists() or not list(folder.iterdir())
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("machine", "arch"), [("x86_64", "amd64"), ("aarch64", "arm64")])
@pytest.mark.parametrize("release_name", ["terraform 1.15.9", "packer 1.16.0"])
def test_a_release_is_fetched_for_the_processor(
    server: Vendor, folder: Path, release_name: str, machine: str, arch: str
) -> None:
    product, version = release_name.split()
    release = server.publish(product, version)
    path = vendor.fetch(release, folder, server.url, machine)
    assert path == folder / f"{product}-{version}" / product
    assert server.asked == [f"/{product}/{version}/{product}_{version}_linux_{arch}.zip"]
    assert subprocess.run([path], capture_output=True, text=True, check=True).stdout.splitlines() == [
        f"{product.capitalize()} v{version}",
        f"on linux_{arch}",
    ]
    assert [one.name for one in folder.iterdir()] == [f"{product}-{version}"]


def test_the_address_may_be_a_mirrors(server: Vendor, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = server.publish("packer", "1.16.0")
    monkeypatch.setenv(vendor.VARIABLE, f"{server.url}/")
    assert look_at("packer", vendor.fetch(release, folder)).version == (1, 16, 0)


def test_https_is_spoken_and_its_certificate_verified(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=vendor", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            key,
            "-out",
            certificate,
            *subject,
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    found = Vendor(scheme="https")
    running = serve(found, context)
    release = found.publish("terraform", "1.15.9")
    assert "CERTIFICATE_VERIFY_FAILED" in refused(release, folder, found.url)
    assert found.asked == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert look_at("terraform", vendor.fetch(release, folder, found.url)).version == (1, 15, 9)
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize("changed", ["one byte", "another release", "nothing in it"])
def test_what_is_not_the_pinned_file_is_refused(server: Vendor, folder: Path, changed: str) -> None:
    release = server.publish("packer", "1.16.0")
    (name,) = (name for name in server.files if "amd64" in name)
    content = server.files[name]
    server.files[name] = {
        "one byte": content[:-1] + bytes([content[-1] ^ 1]),
        "another release": archive("packer", "1.16.1", "amd64"),
        "nothing in it": b"",
    }[changed]
    digest = hashlib.sha256(server.files[name]).hexdigest()
    assert refused(release, folder, server.url) == (
        f"{server.url}{name} is not the pinned file: its SHA-256 is {digest}, "
        f"expected is {release.sha256['amd64']}"
    )


@pytest.mark.parametrize("says_length", [True, False])
@pytest.mark.parametrize("breaks_after", [0, 1, 200])
def test_a_download_that_breaks_off_leaves_nothing(
    server: Vendor, folder: Path, breaks_after: int, says_length: bool
) -> None:
    release = server.publish("terraform", "1.15.9")
    server.breaks_after, server.says_length = breaks_after, says_length
    (name,) = (name for name in server.files if "amd64" in name)
    said = refused(release, folder, server.url)
    if says_length:
        assert said == f"{server.url}{name} broke off after {breaks_after} of {len(server.files[name])} bytes"
    else:
        assert "is not the pinned file" in said


def test_a_server_that_is_gone_and_a_file_that_is(server: Vendor, folder: Path) -> None:
    release = Release("packer", "9.9.9", dict.fromkeys(("amd64", "arm64"), "0" * 64))
    name = "packer/9.9.9/packer_9.9.9_linux_arm64.zip"
    assert (
        refused(release, folder, server.url, "aarch64") == f"{server.url}/{name} cannot be had: 404 Not Found"
    )
    assert refused(release, folder, "http://127.0.0.1:9", "aarch64") == (
        f"http://127.0.0.1:9/{name} cannot be had: [Errno 111] Connection refused"
    )
    assert "cannot be had" in refused(release, folder, "not an address")
    said = refused(release, folder, "http://no-such-host.invalid")
    assert said.startswith(
        "http://no-such-host.invalid/packer/9.9.9/packer_9.9.9_linux_amd64.zip cannot be had: "
    )


def test_a_server_that_says_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor, "PATIENCE", 0.5)
    silent = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)  # never accepts
    release = Release("packer", "9.9.9", {"amd64": "0" * 64})
    said = refused(release, folder, f"http://127.0.0.1:{silent.server_address[1]}")
    silent.server_close()
    assert said.endswith("cannot be had: timed out")


def test_an_archive_without_the_program(server: Vendor, folder: Path) -> None:
    content = archive("something", "1.0.0", "amd64")
    server.files["/packer/1.0.0/packer_1.0.0_linux_amd64.zip"] = content
    release = Release("packer", "1.0.0", {"amd64": hashlib.sha256(content).hexdigest()})
    assert "holds no packer" in refused(release, folder, server.url)


def test_a_processor_without_a_pin(server: Vendor, folder: Path) -> None:
    release = server.publish("packer", "1.16.0")
    assert refused(release, folder, server.url, "riscv64") == (
        "packer 1.16.0 is pinned for amd64 and arm64 and not for riscv64"
    )
    assert server.asked == []


def test_debians_package_comes_by_apt_and_runs(folder: Path) -> None:
    path = debian.fetch(folder)
    assert look_at("packer", path).version == (1, 6, 6)
    assert [one.name for one in folder.iterdir()] == ["packer-1.6.6"]


def test_debians_package_is_pinned_too(folder: Path) -> None:
    other = Release("packer", "1.6.6", dict.fromkeys(("amd64", "arm64"), "0" * 64))
    with pytest.raises(LocalCloudError, match=r"packer_1\.6\.6.* cannot be had: .*[Hh]ash") as caught:
        debian.fetch(folder, release=other)
    assert "\n" not in str(caught.value)
    assert not list(folder.iterdir())


def test_archives_of_debian_are_tried_one_after_the_other(server: Vendor, folder: Path) -> None:
    archives = [server.url, "http://127.0.0.1:9/debian/", *debian.mirrors()]
    assert look_at("packer", debian.fetch(folder, archives)).version == (1, 6, 6)
    assert server.asked[0].startswith("/pool/main/p/packer/packer_1.6.6")
    with pytest.raises(LocalCloudError, match=r"127\.0\.0\.1:9/debian/pool.* cannot be had") as caught:
        debian.fetch(folder / "other", archives[:2])
    assert str(caught.value).count("cannot be had") == 2
    assert not list((folder / "other").iterdir())


def test_each_release_of_debian_has_sources_here() -> None:
    for release in base_image.RELEASES:
        sources = base_image.package_sources(release)
        assert sources[0].suite == release.codename
        assert {source.suite.partition("-")[0] for source in sources} == {release.codename}
