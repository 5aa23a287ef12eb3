"""The channel's ``python``: Debian 12's CPython, made relocatable, with conda's idea of site-packages."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from localcloud.mirror import bytecode, conda_package, debian, elf, python_patches
from localcloud.mirror.conda_package import Package, Recipe
from localcloud.mirror.debian import Deb
from localcloud.mirror.target import GLIBC, PYTHON, SITE_PACKAGES
from localcloud.processes import run

PYTHON_DEBS = (
    f"libpython{PYTHON}",
    f"libpython{PYTHON}-minimal",
    f"libpython{PYTHON}-stdlib",
    f"python{PYTHON}-minimal",
    "python3-pip-whl",
    "python3-setuptools-whl",
)
#: Their licences are those of the packages above.
COMPLEMENT_DEBS = (f"libpython{PYTHON}-dev", f"python{PYTHON}-venv")
#: The libraries that Python's modules are linked with. They go into the package, as conda-forge has them
#: in packages of its own, so that environments run on other distributions than Debian 12 too.
LIBRARY_DEBS = (
    "libbz2-1.0",
    "libcrypt1",
    "libexpat1",
    "libffi8",
    "liblzma5",
    "libncursesw6",
    "libreadline8",
    "libsqlite3-0",
    "libssl3",
    "libtinfo6",
    "libuuid1",
    "zlib1g",
)
LIBRARY_FOLDERS = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")

#: Not in the package: Debian's own hooks, its unfinished distutils (setuptools brings a whole one),
#: modules whose libraries are not bundled, and tests.
LEFT_OUT = (
    "EXTERNALLY-MANAGED",
    "_distutils_system_mod.py",
    "distutils",
    f"config-{PYTHON}-x86_64-linux-gnu",
    "sitecustomize.py",
    "test",
    "lib-dynload/_ctypes_test.*",
    "lib-dynload/_dbm.*",
    "lib-dynload/_test*",
    "lib-dynload/_xxtestfuzz.*",
    "lib-dynload/nis.*",
    "lib-dynload/ossaudiodev.*",
    "lib-dynload/xxlimited*",
)


#: What must hold in the made tree: the folders are conda's, and every module finds its library.
CHECK = """
import bz2, ctypes, curses, lzma, os, readline, site, sqlite3, ssl, sys, sysconfig, uuid, zlib
prefix, site_packages = sys.argv[1:]
assert sys.prefix == prefix, sys.prefix
assert sys.path[-1] == site_packages, sys.path
assert os.path.samefile(site.getsitepackages()[0], site_packages), site.getsitepackages()
assert sysconfig.get_path("purelib") == site_packages, sysconfig.get_paths()
"""


def build(debs: Sequence[Deb], unpacked: Path, tree: Path, channel: Path) -> Package:
    """Write the package. ``unpacked``: the files of ``debs``; ``tree``: a folder to make it in.

    The tree stays usable as a Python: the other packages are compiled with it.
    """
    versions = {deb.name: deb.version for deb in debs}
    _lay_out(unpacked, tree)
    interpreters = [tree / f"bin/python{PYTHON}", tree / f"lib/libpython{PYTHON}.so.1.0"]
    _restore_upstream(tree / f"lib/python{PYTHON}", interpreters)
    modules = (tree / f"lib/python{PYTHON}/lib-dynload").glob("*.so")
    elf.bundle([*interpreters, *modules], [unpacked / folder for folder in LIBRARY_FOLDERS], tree / "lib")
    _check(tree)
    debian.copy_licences((*PYTHON_DEBS, *LIBRARY_DEBS), unpacked, tree / "share/licenses/python")
    bytecode.compile_tree(tree / f"bin/python{PYTHON}", tree / f"lib/python{PYTHON}")
    return conda_package.write(recipe(versions), tree, channel)


def recipe(versions: dict[str, str]) -> Recipe:
    """What the package says about itself. ``versions``: Debian's, of all packages that are in it."""
    upstream, _, revision = versions[f"python{PYTHON}-minimal"].partition("-")
    names = sorted({*PYTHON_DEBS, *COMPLEMENT_DEBS, *LIBRARY_DEBS})
    content = ", ".join(f"{name} {versions[name]}" for name in names)
    return Recipe(
        name="python",
        version=upstream,
        # 6+deb12u6 → 6_deb12u6: another Debian revision is another file, which a lock does not mistake.
        build=f"{revision.replace('+', '_')}_cpython",
        depends=[f"__glibc >={GLIBC},<3.0.a0"],
        license="Python-2.0 AND Apache-2.0 AND BSD-3-Clause AND GPL-3.0-or-later AND LGPL-2.1-or-later "
        "AND MIT AND Zlib AND blessing",
        summary="General purpose programming language (without tkinter and dbm)",
        home="https://www.python.org/",
        source=f"Debian 12 packages {content}",
    )


def _lay_out(unpacked: Path, tree: Path) -> None:
    """Copy Debian's files to the places that they have in an environment."""
    (tree / "bin").mkdir(parents=True)
    shutil.copy(unpacked / f"usr/bin/python{PYTHON}", tree / "bin")
    for name in ("python", "python3"):
        (tree / "bin" / name).symlink_to(f"python{PYTHON}")
    library = tree / f"lib/python{PYTHON}"
    shutil.copytree(unpacked / f"usr/lib/python{PYTHON}", library, symlinks=True)
    for pattern in LEFT_OUT:
        for path in library.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    # For ensurepip, and so for `python -m venv`; and the headers for packages that are compiled.
    shutil.copytree(unpacked / "usr/share/python-wheels", tree / "share/python-wheels")
    headers = tree / f"include/python{PYTHON}"
    shutil.copytree(unpacked / f"usr/include/python{PYTHON}", headers)
    shutil.copy(unpacked / f"usr/include/x86_64-linux-gnu/python{PYTHON}/pyconfig.h", headers)
    name = f"libpython{PYTHON}.so"
    shutil.copy(unpacked / f"usr/lib/x86_64-linux-gnu/{name}.1.0", tree / "lib")
    (tree / "lib" / name).symlink_to(f"{name}.1.0")
    readme = tree / SITE_PACKAGES / "README.txt"
    readme.parent.mkdir()
    readme.write_text("Python packages of this environment.\n", encoding="utf-8")


def _restore_upstream(library: Path, interpreters: Iterable[Path]) -> None:
    """Take Debian's changes back, in place."""
    for interpreter in interpreters:
        interpreter.write_bytes(python_patches.frozen_site(interpreter.read_bytes()))
    changes = {
        "site.py": python_patches.site,
        "sysconfig.py": python_patches.sysconfig,
        "_sysconfigdata__x86_64-linux-gnu.py": python_patches.sysconfigdata,
    }
    for name, change in changes.items():
        file = library / name
        file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")


def _check(tree: Path) -> None:
    """Try the made Python here. Raises LocalCloudError."""
    python, site_packages = tree / f"bin/python{PYTHON}", tree / SITE_PACKAGES
    run(str(python), "-I", "-B", "-c", CHECK, str(tree), str(site_packages))
