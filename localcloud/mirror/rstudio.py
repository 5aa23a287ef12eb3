"""The part ``rstudio_server``: a stand-in for the one package that cannot be had without the vendor."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

from localcloud.mirror.cran import parse_description
from localcloud.mirror.target import EPOCH
from localcloud.mirror.workshop import Workshop
from localcloud.processes import run

SOURCES = Path(__file__).with_name("rstudio_server")
HOME = "usr/lib/rstudio-server"

#: Where each of the sources goes in the package, with its mode.
LAYOUT = {
    "debian/control": ("DEBIAN/control", 0o644),
    "debian/postinst": ("DEBIAN/postinst", 0o755),
    "debian/prerm": ("DEBIAN/prerm", 0o755),
    "debian/postrm": ("DEBIAN/postrm", 0o755),
    "files/rserver": (f"{HOME}/bin/rserver", 0o755),
    "files/rsession": (f"{HOME}/standin/rsession", 0o755),
    "files/rstudio-server": (f"{HOME}/bin/rstudio-server", 0o755),
    "files/rstudio-server.service": (f"{HOME}/extras/systemd/rstudio-server.service", 0o644),
}


def build(workshop: Workshop) -> dict[str, Any]:
    """Build the package; returns its entry of the manifest."""
    tree = workshop.scratch / "package"
    for source, (target, mode) in LAYOUT.items():
        _install(SOURCES / source, tree / target, mode)
    for module in sorted((SOURCES / "standin").glob("*.py")):
        _install(module, tree / HOME / "standin" / module.name, 0o644)
    for folder in (tree, *(path for path in tree.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    fields = parse_description((SOURCES / "debian/control").read_text(encoding="utf-8"))
    version = fields["Version"]
    path = f"rstudio-server/rstudio-server-{version.replace('+', '-')}-amd64.deb"
    package = workshop.tree / path
    package.parent.mkdir(parents=True)
    # dpkg-deb takes every time from there, so two builds are the same bytes.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}
    run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(package), env=environment)
    sha256 = hashlib.sha256(package.read_bytes()).hexdigest()
    return {"rstudio_server": {"path": path, "sha256": sha256, "version": version, "stand_in": True}}


def _install(source: Path, target: Path, mode: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)
    os.utime(target, (EPOCH, EPOCH))
