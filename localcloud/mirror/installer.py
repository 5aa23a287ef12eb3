"""The part ``installer``: a self-extracting script with Miniforge's name and options."""

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from localcloud.mirror import conda_package
from localcloud.mirror.channel import CHANNEL
from localcloud.mirror.target import EPOCH, SITE_PACKAGES, SUBDIR
from localcloud.mirror.workshop import Workshop

SCRIPT = Path(__file__).with_name("installer.sh")

#: What the base environment is asked to have; what that needs follows.
SPECS = ("conda", "pip", "python")

CONDARC = """\
channels:
  - conda-forge
solver: classic
"""


def build(workshop: Workshop) -> dict[str, Any]:
    """Build the installer from the channel; returns its entry of the manifest."""
    channel = workshop.needed["conda"].tree / CHANNEL
    packages = {}
    for subdir in (SUBDIR, "noarch"):
        index = json.loads((channel / subdir / "repodata.json").read_text(encoding="utf-8"))
        for file, record in index["packages.conda"].items():
            packages[record["name"]] = {**record, "fn": file}
    base = closure(SPECS, packages)
    payload = workshop.scratch / "payload"
    _lay_out([packages[name] for name in base], channel, payload)

    version = f"{packages['conda']['version']}-0"
    path = f"miniforge/Miniforge3-{version}-Linux-x86_64.sh"
    script = workshop.tree / path
    script.parent.mkdir()
    text = SCRIPT.read_text(encoding="utf-8").replace("@VERSION@", version)
    script.write_bytes(text.encode() + _tar_gz(payload))
    script.chmod(0o755)
    digest = hashlib.sha256(script.read_bytes()).hexdigest()
    return {"miniforge": {"path": path, "version": version, "sha256": digest}}


def closure(names: Iterable[str], packages: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The named packages and all they depend on, each after what it depends on.

    ``packages``: index entries by name; the channel has one version of each, so names decide. Virtual
    packages (``__glibc``) are left out. Raises KeyError for a package that the channel does not have.
    """
    result: list[str] = []
    visited: set[str] = set()

    def visit(name: str) -> None:
        if name in visited or name.startswith("__"):
            return
        visited.add(name)
        for spec in packages[name]["depends"]:
            visit(spec.partition(" ")[0])
        result.append(name)

    for name in names:
        visit(name)
    return result


def _lay_out(records: Iterable[Mapping[str, Any]], channel: Path, payload: Path) -> None:
    """The payload: the packages, the list of them, and the same unpacked into a Python that can run conda."""
    (payload / "packages").mkdir(parents=True)
    python = payload / "python"
    lines = []
    for record in records:
        source = channel / record["subdir"] / record["fn"]
        os.link(source, payload / "packages" / record["fn"])
        lines.append(f"{record['fn']}#{record['md5']}\n")
        conda_package.extract(source, python)
        if record.get("noarch"):
            shutil.copytree(python / "site-packages", python / SITE_PACKAGES, dirs_exist_ok=True)
            shutil.rmtree(python / "site-packages")
    (payload / "packages/explicit").write_text("".join(lines), encoding="utf-8")
    (payload / "condarc").write_text(CONDARC, encoding="utf-8")


def _tar_gz(folder: Path) -> bytes:
    """The folder as a compressed archive, the same bytes whenever and by whomever it is made."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", filename="", mtime=EPOCH, compresslevel=6) as stream,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as tar,
    ):
        for path in sorted(folder.rglob("*")):
            tar.add(path, str(path.relative_to(folder)), recursive=False, filter=conda_package.anonymous)
    return buffer.getvalue()
