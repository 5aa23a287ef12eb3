"""The channel's ``conda`` and its solver's ``pycosat``.

conda is not on PyPI any more. The true one, 24.7.1, is carried by the wheel of conda-lock, with its imports
renamed; here they get their own names back. It comes without conda's shell code; a small
one of our own stands in for it (``conda.sh``).
"""

import re
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from localcloud.mirror import bytecode, conda_package, debian, elf
from localcloud.mirror.conda_package import Package, Recipe
from localcloud.mirror.debian import Deb
from localcloud.mirror.python_package import LIBRARY_FOLDERS
from localcloud.mirror.target import PLACEHOLDER, PYTHON, SITE_PACKAGES
from localcloud.mirror.wheel_package import Wheel

PYCOSAT_DEBS = ("picosat", "python3-pycosat")
SHELL_CODE = Path(__file__).with_name("conda.sh")
VENDORED = "conda_lock/_vendor/"
HOME = "https://conda.org/"
PYTHON_DEPENDS = f"python >={PYTHON},<3.12.0a0"

#: As conda 24.7.1's own recipe has them. ruamel.yaml below 0.19 because
#: later ones dropped what this conda imports.
DEPENDS = (
    "archspec >=0.2.3",
    "boltons >=23.0.0",
    "charset-normalizer",
    "conda-package-handling >=2.2.0",
    "distro >=1.5.0",
    "frozendict >=2.4.2",
    "jsonpatch >=1.32",
    "packaging >=23.0",
    "platformdirs >=3.10.0",
    "pluggy >=1.0.0",
    "pycosat >=0.6.3",
    PYTHON_DEPENDS,
    "requests >=2.28.0,<3",
    "ruamel.yaml >=0.11.14,<0.19",
    "setuptools >=60.0.0",
    "tqdm >=4",
    "truststore >=0.8.0",
    "zstandard >=0.19.0",
)

SCRIPT = f"""\
#!{PLACEHOLDER}/bin/python
import sys

if __name__ == "__main__":
    from conda.cli import main

    sys.exit(main())
"""

#: What login shells read: where this conda is, then the shell code.
PROFILE = f"""\
export CONDA_EXE='{PLACEHOLDER}/bin/conda'
export CONDA_PYTHON_EXE='{PLACEHOLDER}/bin/python'

"""

#: What R's reticulate reads before it activates an environment; as conda's own, but for its comments.
ACTIVATE = f"""\
. '{PLACEHOLDER}/etc/profile.d/conda.sh' || return
conda activate "$@"
"""

METADATA = """\
Metadata-Version: 2.1
Name: conda
Version: {version}
Summary: OS-agnostic, system-level binary package manager.
License: BSD-3-Clause
Home-page: {home}
"""


def version_of(text: str) -> str:
    """conda's version, from the text of its ``_version.py``. Raises ValueError."""
    match = re.search(r"^__version__ = version = '([0-9.]+)'", text, re.MULTILINE)
    if not match:
        raise ValueError("conda's _version.py does not tell its version")
    return match[1]


def restore_imports(source: bytes) -> bytes:
    """A vendored file with the imports that it had in conda."""
    return source.replace(b"conda_lock._vendor.conda", b"conda")


def build_conda(wheel: Wheel, python: Path, tree: Path, channel: Path) -> Package:
    """Write ``conda`` from conda-lock's wheel, in ``tree``. ``python``: the target's interpreter."""
    site_packages = tree / SITE_PACKAGES
    with zipfile.ZipFile(wheel.path) as archive:
        for name in archive.namelist():
            if name.startswith(f"{VENDORED}conda/") and not name.endswith("/"):
                target = site_packages / name.removeprefix(VENDORED)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(restore_imports(archive.read(name)))
    version = version_of((site_packages / "conda/_version.py").read_text(encoding="utf-8"))
    dist_info = site_packages / f"conda-{version}.dist-info"
    dist_info.mkdir()
    (dist_info / "METADATA").write_text(METADATA.format(version=version, home=HOME), encoding="utf-8")
    (dist_info / "INSTALLER").write_text("conda\n", encoding="utf-8")
    for name in ("bin/conda", "condabin/conda"):
        script = tree / name
        script.parent.mkdir()
        script.write_text(SCRIPT, encoding="utf-8")
        script.chmod(0o755)
    (tree / "bin/activate").write_text(ACTIVATE, encoding="utf-8")
    shell_code = SHELL_CODE.read_text(encoding="utf-8")
    for folder, text in ((site_packages / "conda/shell", shell_code), (tree, PROFILE + shell_code)):
        profile = folder / "etc/profile.d/conda.sh"
        profile.parent.mkdir(parents=True)
        profile.write_text(text, encoding="utf-8")
    bytecode.compile_tree(python, site_packages)
    recipe = Recipe(
        name="conda",
        version=version,
        build="py311_0",
        depends=list(DEPENDS),
        license="BSD-3-Clause",
        summary="OS-agnostic, system-level binary package and environment manager",
        home=HOME,
        source=f"the copy of conda in PyPI wheel {wheel.path.name}",
    )
    return conda_package.write(recipe, tree, channel)


def build_pycosat(debs: Sequence[Deb], unpacked: Path, tree: Path, channel: Path) -> Package:
    """Write ``pycosat`` from Debian's package, in ``tree``. ``unpacked``: the files of ``debs``."""
    versions = {deb.name: deb.version for deb in debs if deb.name in PYCOSAT_DEBS}
    site_packages = tree / SITE_PACKAGES
    site_packages.mkdir(parents=True)
    for file in (unpacked / "usr/lib/python3/dist-packages").glob("pycosat*"):
        shutil.copy(file, site_packages)
    elf.bundle(site_packages.glob("*.so"), [unpacked / folder for folder in LIBRARY_FOLDERS], tree / "lib")
    debian.copy_licences(PYCOSAT_DEBS, unpacked, tree / "share/licenses/pycosat")
    upstream, _, revision = versions["python3-pycosat"].partition("-")
    recipe = Recipe(
        name="pycosat",
        version=upstream.partition("+")[0],
        build=f"py311_{revision.replace('+', '_')}",
        depends=[PYTHON_DEPENDS],
        license="MIT",
        summary="Bindings to picosat (a SAT solver), with its library",
        home="https://github.com/conda/pycosat",
        source="Debian 12 packages " + ", ".join(f"{name} {versions[name]}" for name in sorted(versions)),
    )
    return conda_package.write(recipe, tree, channel)
