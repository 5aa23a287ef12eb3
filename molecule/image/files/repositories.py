"""Small repositories of our own, of conda, R and Debian, that offer one version of two packages each.

usage: repositories.py FOLDER VERSION DAY [NOTE KIND]      with another note in the files of one kind alone

The kinds are cran, conda and apt, and deb: files that apt's index does not know.

`lab` needs `tool`. The channel keeps what it had; R and Debian have an archive for each day, as true ones.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

NEEDS: dict[str, list[str]] = {"lab": ["tool"], "tool": []}


def pack(path: Path, files: dict[str, str]) -> bytes:
    """Write an archive that is the same whenever it is written, and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, f"w:{path.suffix.removeprefix('.')}") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return path.read_bytes()


def conda(folder: Path, version: str, note: str) -> None:
    """Write a channel, or add to it."""
    repodata = folder / "noarch/repodata.json"
    index = json.loads(repodata.read_text())["packages"] if repodata.exists() else {}
    for name, needs in NEEDS.items():
        record = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": needs}
        record |= {"noarch": "generic", "subdir": "noarch"}
        place, sha256 = f"share/{name}", hashlib.sha256(note.encode()).hexdigest()
        paths = [{"_path": place, "path_type": "hardlink", "sha256": sha256, "size_in_bytes": len(note)}]
        file = f"{name}-{version}-0.tar.bz2"
        data = pack(
            folder / "noarch" / file,
            {
                "info/index.json": json.dumps(record),
                "info/files": f"{place}\n",
                "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}),
                place: note,
            },
        )
        sums = {kind: hashlib.new(kind, data).hexdigest() for kind in ("md5", "sha256")}
        index[file] = {**record, **sums, "size": len(data)}
    repodata.write_text(json.dumps({"info": {"subdir": "noarch"}, "packages": index}))


def cran(folder: Path, version: str, note: str) -> None:
    """Write R's repository of a day."""
    shutil.rmtree(folder, ignore_errors=True)
    entries = []
    for name, needs in NEEDS.items():
        fields = {"Package": f"{name}r", "Version": version} | ({"Imports": "toolr"} if needs else {})
        about = {"Title": "T", "Author": "A", "Maintainer": "A <a@example.org>", "License": "GPL-3"}
        about |= {"Description": note, "Encoding": "UTF-8"}
        described = "".join(f"{key}: {value}\n" for key, value in {**fields, **about}.items())
        pack(
            folder / f"src/contrib/{name}r_{version}.tar.gz",
            {f"{name}r/DESCRIPTION": described, f"{name}r/NAMESPACE": "import(toolr)\n" if needs else "\n"},
        )
        entries.append("".join(f"{key}: {value}\n" for key, value in fields.items()))
    (folder / "src/contrib/PACKAGES").write_text("\n".join(entries))


def apt(folder: Path, version: str, day: str, note: str, indexed: bool = True) -> None:
    """Write the archive of a day, and one for security updates that has none."""
    for archive, suites in {"debian": ("", "-updates"), "debian-security": ("-security",)}.items():
        for suite in suites:
            place = folder / archive / f"{day.replace('-', '')}T000000Z"
            dist = place / f"dists/bookworm{suite}"
            (dist / "main/binary-amd64").mkdir(parents=True, exist_ok=True)
            packages = (
                ""
                if suite != "-updates"
                else "\n".join(_debian(place, name, version, note) for name in NEEDS)
            )
            if not indexed:
                continue
            (dist / "main/binary-amd64/Packages").write_text(packages)
            sha256 = hashlib.sha256(packages.encode()).hexdigest()
            (dist / "Release").write_text(
                f"Suite: bookworm{suite}\nCodename: bookworm{suite}\nComponents: main\nArchitectures: amd64\n"
                "Date: Sat, 28 Nov 2026 00:00:00 UTC\nValid-Until: Sun, 29 Nov 2026 00:00:00 UTC\n"
                f"SHA256:\n {sha256} {len(packages)} main/binary-amd64/Packages\n"
            )


def _debian(place: Path, name: str, version: str, note: str) -> str:
    needs = "".join(f"Depends: {need}-os\n" for need in NEEDS[name])
    control = (
        f"Package: {name}-os\nVersion: {version}\nArchitecture: all\nMaintainer: A <a@example.org>\n"
        f"{needs}Description: {note}\n"
    )
    with tempfile.TemporaryDirectory() as tree:
        Path(tree, "DEBIAN").mkdir(mode=0o755)
        Path(tree, "DEBIAN/control").write_text(control)
        Path(tree).chmod(0o755)
        file = place / f"{name}-os_{version}_all.deb"
        subprocess.run(["dpkg-deb", "--build", tree, file], check=True, stdout=subprocess.DEVNULL)
    data = file.read_bytes()
    return f"{control}Filename: {file.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"


def main(folder: Path, version: str, day: str, note: str = "as ever", kind: str = "") -> None:
    """Offer a version in all three, or in one."""
    os.umask(0o022)  # whatever this machine has
    if kind in ("", "conda"):
        conda(folder / "conda", version, note)
    if kind in ("", "cran"):
        cran(folder / "cran" / day, version, note)
    if kind in ("", "apt", "deb"):
        apt(folder / "apt", version, day, note, indexed=kind != "deb")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
