"""The host's apt and CA settings as the base image takes them over."""

from __future__ import annotations

import pytest

from localcloud.apt_settings import (
    configuration,
    default_sources,
    extra_certificates,
    of_another_release,
    sources,
)

DEB822 = """\
Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
"""


def lines(*texts: str) -> list[str]:
    return [source.line() for source in sources(texts, "bookworm")]


def test_deb822_stanzas_give_one_source_a_suite() -> None:
    assert lines(DEB822) == [
        "deb http://mirror.example/debian bookworm main contrib",
        "deb http://mirror.example/debian bookworm-updates main contrib",
        "deb http://mirror.example/security bookworm-security main",
    ]


def test_a_host_of_another_release_gets_it_from_where_it_gets_its_own() -> None:
    texts = [DEB822, "deb [trusted=yes] http://m/d bookworm-backports main\ndeb http://v/apt stable main"]
    assert [source.line() for source in of_another_release(texts, "bookworm", "trixie")] == [
        "deb http://mirror.example/debian trixie main contrib",
        "deb http://mirror.example/debian trixie-updates main contrib",
        "deb http://mirror.example/security trixie-security main",
        "deb [trusted=yes] http://m/d trixie-backports main",
    ]
    assert of_another_release(texts, "trixie", "bookworm") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("deb http://m/debian bookworm main # fast", ["deb http://m/debian bookworm main"]),
        (
            "deb [trusted=yes arch=amd64] http://m/d bookworm main",
            ["deb [trusted=yes] http://m/d bookworm main"],
        ),
        ("deb [arch=amd64] http://m/d bookworm main", ["deb http://m/d bookworm main"]),
        ("# deb http://m/d bookworm main", []),
        ("deb-src http://m/d bookworm main", []),
        ("deb https://vendor.example/apt cloud-sdk-bookworm main", []),
        ("deb http://m/d trixie main", []),
        ("Types: deb\nEnabled: no\nURIs: http://m/d\nSuites: bookworm\nComponents: main\n", []),
        ("Types: deb-src\nURIs: http://m/d\nSuites: bookworm\nComponents: main\n", []),
        ("Types: deb\nURIs: https://vendor.example\nSuites: nodistro\nComponents: main\n", []),
    ],
)
def test_only_the_releases_own_enabled_binary_sources_count(text: str, expected: list[str]) -> None:
    assert lines(text) == expected


def test_a_source_named_twice_counts_once() -> None:
    assert lines("deb http://m/d bookworm main", "deb http://m/d bookworm main") == [
        "deb http://m/d bookworm main"
    ]


def test_defaults_come_from_debootstrap_and_cover_updates_and_security() -> None:
    texts = ["#!/bin/sh", 'DEF_MIRROR="http://mirror.debian.org/debian"\n']
    assert [source.line() for source in default_sources("bookworm", texts)] == [
        "deb http://mirror.debian.org/debian bookworm main",
        "deb http://mirror.debian.org/debian bookworm-updates main",
        "deb http://mirror.debian.org/debian-security bookworm-security main",
    ]


def test_without_any_address_there_are_no_defaults() -> None:
    assert default_sources("bookworm", ['DEF_MIRROR="http://mirror.example/ubuntu"']) == []


def test_only_settings_about_servers_are_kept() -> None:
    dump = """\
APT::Install-Recommends "1";
Acquire::http "";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::https::CaInfo "/etc/ca.pem";
Acquire::Check-Valid-Until "false";
Acquire::IndexTargets::deb::Packages::Optional "0";
DPkg::Post-Invoke:: "rm -rf /";
"""
    assert configuration(dump).splitlines() == [
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::https::CaInfo "/etc/ca.pem";',
        'Acquire::Check-Valid-Until "false";',
    ]


def test_certificates_of_the_host_alone_are_extra() -> None:
    def pem(body: str) -> str:
        return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"

    host = f"# comment\n{pem('AAAA')}{pem('BB BB')}{pem('CCCC')}"
    image = pem("CCCC") + pem("AAAA")
    assert extra_certificates(host, image) == [pem("BB BB")]
