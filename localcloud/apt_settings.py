"""Which of the host's apt and CA settings the base image takes over: pure functions on their texts.

Nothing about this machine's package servers is written in the repository; it is read when the image
is built, so that apt works inside wherever it works outside.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

_DEFAULT = re.compile(r"https?://[\w.-]*debian\.org/debian\b")
_KEEP = re.compile(r"Acquire::(https?|ftp|Check-|Retries|ForceIPv|Languages|AllowInsecureRepositories)", re.I)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.S)


@dataclass(frozen=True)
class Source:
    """One package source.

    Attributes:
        uri: address of the archive.
        suite: for example ``bookworm-updates``.
        components: for example ``("main",)``.
        trusted: whether the host takes it without a signature.
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    trusted: bool = False

    def line(self) -> str:
        """The source in the one-line format of sources.list."""
        options = "[trusted=yes] " if self.trusted else ""
        return f"deb {options}{self.uri} {self.suite} {' '.join(self.components)}"


def sources(texts: Iterable[str], release: str) -> list[Source]:
    """The sources of one Debian release among the host's source files, in both of apt's formats.

    Sources of other vendors are left out: their suites are not the release's own.
    """
    found: list[Source] = []
    for text in texts:
        for source in [*_one_line(text), *_deb822(text)]:
            if (
                re.fullmatch(rf"{release}(-updates|-security|-backports)?", source.suite)
                and source not in found
            ):
                found.append(source)
    return found


def of_another_release(texts: Iterable[str], own: str, release: str) -> list[Source]:
    """The sources of a Debian release on a host that runs another: its own servers have both.

    Args:
        texts: the host's source files.
        own: code name of the host's release.
        release: code name of the wanted one.
    """
    return [
        replace(source, suite=f"{release}{source.suite.removeprefix(own)}") for source in sources(texts, own)
    ]


def default_sources(release: str, texts: Iterable[str]) -> list[Source]:
    """Debian's own servers, for a host that is not Debian.

    Args:
        release: the release's code name.
        texts: where to find their address: the program debootstrap and its scripts.
    """
    for text in texts:
        if match := _DEFAULT.search(text):
            mirror = match[0]
            return [
                Source(mirror, release, ("main",)),
                Source(mirror, f"{release}-updates", ("main",)),
                Source(f"{mirror}-security", f"{release}-security", ("main",)),
            ]
    return []


def _one_line(text: str) -> list[Source]:
    found = []
    for line in text.splitlines():
        match = re.match(
            r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<rest>.+)", line
        )
        if match:
            components = tuple(match["rest"].split("#")[0].split())
            found.append(
                Source(match["uri"], match["suite"], components, "trusted=yes" in (match["options"] or ""))
            )
    return found


def _deb822(text: str) -> list[Source]:
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.M))
        if "deb" not in fields.get("Types", "").split() or fields.get("Enabled", "yes").lower() == "no":
            continue
        for uri in fields.get("URIs", "").split():
            for suite in fields.get("Suites", "").split():
                components = tuple(fields.get("Components", "").split())
                found.append(Source(uri, suite, components, fields.get("Trusted", "no").lower() == "yes"))
    return found


def configuration(dump: str) -> str:
    """The lines of ``apt-config dump`` that say how to reach and trust servers (proxy, dates, languages)."""
    return "".join(
        f"{line}\n" for line in dump.splitlines() if _KEEP.match(line) and not line.endswith(' "";')
    )


def extra_certificates(host_bundle: str, image_bundle: str) -> list[str]:
    """The certificates that the host trusts and the image does not, in PEM."""
    known = {_body(pem) for pem in _CERTIFICATE.findall(image_bundle)}
    return [pem for pem in _CERTIFICATE.findall(host_bundle) if _body(pem) not in known]


def _body(pem: str) -> str:
    return "".join(pem.split())
