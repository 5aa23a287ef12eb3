"""Debian 12's Packer on a system that has no package of it: it needs nothing but the C library."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from localcloud import base_image
from localcloud.errors import LocalCloudError
from localcloud.processes import run
from localcloud.tools.vendor import Release, architecture, place, put

#: Verifies, and reaches servers as apt does: with its proxies, credentials and certificates.
APT_HELPER = "/usr/lib/apt/apt-helper"
#: Debian's version, beside the program's own.
REVISION = "+ds2-1+b1"
PACKER = Release(
    "packer",
    "1.6.6",
    {
        "amd64": "7b690f62b30ba76e14769c4d40a2b883e1be6807c95f7fca22190c6f319c18c5",
        "arm64": "af531504e27c919da4da9adf3eff216e0b5e7a4f7ddcb47e0764ab769a41d7c7",
    },
)


def mirrors() -> list[str]:
    """The archives that apt knows on this machine and that have Debian 12. Raises LocalCloudError."""
    release = base_image.DEBIAN_12
    sources = base_image.package_sources(release)
    return list(dict.fromkeys(source.uri for source in sources if source.suite == release.codename))


def fetch(
    folder: Path, archives: Iterable[str] | None = None, machine: str | None = None, release: Release = PACKER
) -> Path:
    """Fetch the package and unpack its program, which is there as a whole or not at all.

    Raises LocalCloudError with what went wrong, as a part of a sentence.
    """
    target = place(release, folder)
    arch = architecture(release.sha256, f"Debian's {release.product} {release.version}", machine)
    name = f"{release.product}_{release.version}{REVISION}_{arch}.deb"
    folder.mkdir(parents=True, exist_ok=True)
    reasons = []
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as scratch:
        for archive in mirrors() if archives is None else archives:
            url = f"{archive.rstrip('/')}/pool/main/p/{release.product}/{name}"
            package = Path(scratch) / name
            try:
                run(APT_HELPER, "download-file", url, str(package), f"SHA256:{release.sha256[arch]}")
            except LocalCloudError as error:
                reasons.append(f"{url} cannot be had: {_reason(str(error))}")
                continue
            run("dpkg-deb", "--extract", str(package), f"{scratch}/files")
            made = Path(scratch) / target.parent.name
            made.mkdir()
            (Path(scratch) / "files/usr/bin" / release.product).rename(made / release.product)
            put(made, target.parent)
            return target
    raise LocalCloudError("; ".join(reasons) or "no archive of Debian is known here")


def _reason(words: str) -> str:
    """The first of the errors among apt's words."""
    errors = [line.strip()[2:].strip() for line in words.splitlines() if line.strip().startswith("E:")]
    return (errors or words.split("\n"))[0]
