"""The part ``cran``: Debian's R packages as a CRAN repository of built packages, for Debian 12's R 4.2."""

import gzip
import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.errors import LocalCloudError
from localcloud.mirror import debian
from localcloud.mirror.target import EPOCH
from localcloud.mirror.workshop import Workshop

#: Below the mirror's root.
REPOSITORY = "cran"

#: Names of Debian packages without their r-cran-, one in a line.
LIST = Path(__file__).with_name("r-packages.txt")

#: Where Debian installs R packages; the recommended ones (MASS, Matrix...) lie in the second.
LIBRARIES = ("usr/lib/R/site-library", "usr/lib/R/library")

#: What the HTML pages of rmarkdown are made with: Debian's R packages have links there, and no copies.
LINKED = (
    "fonts-font-awesome",
    "fonts-glyphicons-halflings",
    "libjs-bootstrap",
    "libjs-bootstrap4",
    "libjs-highlight.js",
    "libjs-jquery",
    "libjs-jquery-ui",
    "libjs-modernizr",
    "libjs-prettify",
    "node-bootstrap-sass",
    "node-html5shiv",
    "r-cran-shiny",
)

#: Packages that are R itself.
# fmt: off
BASE = frozenset({
    "R", "base", "compiler", "datasets", "graphics", "grDevices", "grid", "methods", "parallel",
    "splines", "stats", "stats4", "tcltk", "tools", "utils",
})
# fmt: on

#: The fields of an index, in the order that CRAN has them.
INDEXED = (
    "Package",
    "Version",
    "Priority",
    "Depends",
    "Imports",
    "LinkingTo",
    "Suggests",
    "Enhances",
    "License",
    "NeedsCompilation",
)


@dataclass(frozen=True)
class RPackage:
    """One built R package in the repository."""

    path: Path
    fields: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.fields["Package"]

    @property
    def imports(self) -> set[str]:
        """The packages that it cannot be loaded without."""
        return {
            name
            for field in ("Depends", "Imports")
            for entry in self.fields.get(field, "").split(",")
            if (name := entry.split("(")[0].strip()) and name not in BASE
        }

    def index_entry(self) -> str:
        """Its entry in PACKAGES."""
        md5 = hashlib.md5(self.path.read_bytes(), usedforsecurity=False).hexdigest()
        lines = [f"{field}: {self.fields[field]}" for field in INDEXED if field in self.fields]
        return "\n".join([*lines, f"MD5sum: {md5}", ""])


def build(workshop: Workshop) -> dict[str, Any]:
    """Build the repository; returns its entry of the manifest."""
    names = [line for line in LIST.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    workshop.log(f"mirror: packing {len(names)} R packages of Debian")
    wanted = [*(f"r-cran-{name}" for name in names), *LINKED]
    debs = debian.download(wanted, workshop.scratch / "debs", workshop.log)
    unpacked = workshop.scratch / "debian"
    debian.unpack(debs, unpacked)
    contrib = workshop.tree / REPOSITORY / "src/contrib"
    contrib.mkdir(parents=True)
    folders = sorted(folder for library in LIBRARIES for folder in (unpacked / library).glob("*"))
    packages = [pack(folder, contrib) for folder in folders if folder.name.lower() in names]
    check_complete(packages)
    write_index(packages, contrib)
    versions = {package.name: package.fields["Version"] for package in packages}
    return {"cran": {"path": REPOSITORY, "packages": dict(sorted(versions.items()))}}


def parse_description(text: str) -> dict[str, str]:
    """The fields of a DESCRIPTION file; lines that go on are joined by a space."""
    joined = re.sub(r"\n[ \t]+", " ", text)
    pairs = (line.split(":", 1) for line in joined.splitlines() if ":" in line)
    return {field.strip(): value.strip() for field, value in pairs}


def pack(folder: Path, contrib: Path) -> RPackage:
    """Pack an installed package as R CMD INSTALL takes it. Two runs make the same bytes.

    What it links to outside of it is packed in the link's place, and a link that leads nowhere is left out.
    """
    fields = parse_description((folder / "DESCRIPTION").read_text(encoding="utf-8", errors="replace"))
    if "Built" not in fields:
        raise LocalCloudError(f"{folder.name} is no built R package")
    path = contrib / f"{fields['Package']}_{fields['Version']}.tar.gz"
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.GNU_FORMAT, dereference=True) as archive:
        for file in sorted(_files(folder)):
            archive.add(file, str(file.relative_to(folder.parent)), recursive=False, filter=_anonymous)
    with path.open("wb") as stream, gzip.GzipFile("", "wb", 6, stream, mtime=0) as zipped:
        zipped.write(content.getvalue())
    return RPackage(path, fields)


def _files(folder: Path) -> Iterator[Path]:
    for parent, _folders, names in os.walk(folder, followlinks=True):
        yield Path(parent)
        yield from (path for name in names if (path := Path(parent, name)).exists())


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = EPOCH
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def check_complete(packages: Iterable[RPackage]) -> None:
    """Raise LocalCloudError when a package imports one that is not there."""
    everything = list(packages)
    present = {package.name for package in everything}
    lost = sorted(
        f"{name} (for {package.name})" for package in everything for name in package.imports - present
    )
    if lost:
        raise LocalCloudError(f"the CRAN repository is not complete: {', '.join(lost)}")


def write_index(packages: Iterable[RPackage], contrib: Path) -> None:
    """Write PACKAGES and PACKAGES.gz."""
    text = "\n".join(package.index_entry() for package in sorted(packages, key=lambda package: package.name))
    (contrib / "PACKAGES").write_text(text, encoding="utf-8")
    with (
        (contrib / "PACKAGES.gz").open("wb") as stream,
        gzip.GzipFile("", "wb", 9, stream, mtime=0) as zipped,
    ):
        zipped.write(text.encode())
