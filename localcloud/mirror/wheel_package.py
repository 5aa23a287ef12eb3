"""Turn a wheel into a conda package."""

import re
import stat
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_string
from email.message import Message
from pathlib import Path

from packaging.utils import canonicalize_name

from localcloud.mirror import bytecode, conda_package, convert
from localcloud.mirror.conda_package import Package, Recipe
from localcloud.mirror.target import PLACEHOLDER, PYTHON, SITE_PACKAGES

#: A console command of a package that is not noarch (conda writes those of noarch packages itself).
SCRIPT = """\
#!{prefix}/bin/python
import re
import sys

from {module} import {name}

if __name__ == "__main__":
    sys.argv[0] = re.sub(r"(-script\\.pyw?|\\.exe)?$", "", sys.argv[0])
    sys.exit({function}())
"""


@dataclass(frozen=True)
class Wheel:
    """A wheel's file with what it says about itself."""

    path: Path
    dist_info: str  #: name of its ``.dist-info`` folder
    metadata: Message
    wheel: Message

    @classmethod
    def read(cls, path: Path) -> "Wheel":
        """Read METADATA and WHEEL."""
        with zipfile.ZipFile(path) as archive:
            members = [
                name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)
            ]
            dist_info = members[0].partition("/")[0]
            metadata = message_from_string(archive.read(f"{dist_info}/METADATA").decode())
            wheel = message_from_string(archive.read(f"{dist_info}/WHEEL").decode())
        return cls(path, dist_info, metadata, wheel)

    @property
    def noarch(self) -> bool:
        """Whether it runs on every platform."""
        return convert.is_noarch(self.wheel)


def recipe(wheel: Wheel, closure: Mapping[str, Message]) -> Recipe:
    """What the conda package of a wheel says about itself. ``closure``: see convert.depends."""
    metadata, tags = wheel.metadata, wheel.wheel.get_all("Tag") or []
    entry_points = _entry_points(wheel) if wheel.noarch else []
    return Recipe(
        name=convert.conda_name(metadata["Name"]),
        version=convert.conda_version(metadata["Version"]),
        build="py_0" if wheel.noarch else "py311_0",
        depends=[*convert.depends(metadata, closure), convert.python_spec(metadata, tags)],
        license=convert.licence(metadata),
        summary=metadata["Summary"] or "",
        home=convert.home_page(metadata),
        source=f"PyPI wheel {wheel.path.name}",
        noarch="python" if wheel.noarch else None,
        entry_points=[str(point) for point in entry_points],
    )


def build(wheel: Wheel, closure: Mapping[str, Message], python: Path, channel: Path) -> Package:
    """Write the conda package of a wheel into the channel. ``python``: the target's interpreter."""
    with tempfile.TemporaryDirectory(prefix="ds-stack-wheel-") as folder:
        tree = Path(folder)
        unpack(wheel, tree)
        if not wheel.noarch:  # conda itself compiles those, when it installs them
            bytecode.compile_tree(python, tree / SITE_PACKAGES)
        return conda_package.write(recipe(wheel, closure), tree, channel)


def unpack(wheel: Wheel, tree: Path) -> None:
    """Lay a wheel's files out as its conda package has them.

    Noarch packages have ``site-packages`` and ``python-scripts``, which conda puts where the
    environment's Python wants them; the others have their final places.
    """
    site_packages = tree / ("site-packages" if wheel.noarch else SITE_PACKAGES)
    scripts = tree / ("python-scripts" if wheel.noarch else "bin")
    project = canonicalize_name(wheel.metadata["Name"])
    schemes = {
        "data": tree,
        "headers": tree / f"include/python{PYTHON}/{project}",
        "platlib": site_packages,
        "purelib": site_packages,
        "scripts": scripts,
    }
    with zipfile.ZipFile(wheel.path) as archive:
        for member in archive.infolist():
            if member.is_dir() or member.filename == f"{wheel.dist_info}/RECORD":
                continue
            data = archive.read(member)
            target = site_packages / member.filename
            executable = bool((member.external_attr >> 16) & stat.S_IXUSR)
            if match := re.match(r"[^/]+\.data/([a-z]+)/(.+)", member.filename):
                scheme, rest = match.groups()
                target = schemes[scheme] / rest
                if scheme == "scripts":
                    executable = True
                    data = re.sub(rb"\A#!pythonw?", b"#!" + PLACEHOLDER.encode() + b"/bin/python", data)
            _put(target, data, executable)
    _put(site_packages / wheel.dist_info / "INSTALLER", b"conda\n")
    if not wheel.noarch:
        for point in _entry_points(wheel):
            name = point.function.partition(".")[0]
            text = SCRIPT.format(prefix=PLACEHOLDER, module=point.module, name=name, function=point.function)
            _put(scripts / point.name, text.encode(), executable=True)


def _entry_points(wheel: Wheel) -> list[convert.EntryPoint]:
    with zipfile.ZipFile(wheel.path) as archive:
        try:
            text = archive.read(f"{wheel.dist_info}/entry_points.txt").decode()
        except KeyError:
            return []
    return convert.console_scripts(text)


def _put(path: Path, data: bytes, executable: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o755 if executable else 0o644)
