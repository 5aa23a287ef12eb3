"""Taking Debian's changes to CPython back."""

import subprocess
from pathlib import Path

import pytest

from localcloud.mirror import conda_itself, python_package, python_patches
from localcloud.mirror.target import PLACEHOLDER

SITE = """\
        if os.sep == '/':
            libdirs = [sys.platlibdir]

            if is_virtual_environment:
                sitepackages.append(os.path.join(prefix, "lib",
                                                 "site-packages"))
            sitepackages.append(os.path.join(prefix, "lib",
                                             "python3",
                                             "dist-packages"))
            # this one is deprecated for Debian
            for libdir in libdirs:
                path = os.path.join(prefix, libdir,
                                    "python%d.%d" % sys.version_info[:2],
                                    "dist-packages")
                sitepackages.append(path)
"""

SITE_UPSTREAM = """\
        if os.sep == '/':
            libdirs = [sys.platlibdir]

            for libdir in libdirs:
                path = os.path.join(prefix, libdir,
                                    "python%d.%d" % sys.version_info[:2],
                                    "site-packages")
                sitepackages.append(path)
"""


def test_site() -> None:
    assert python_patches.site(SITE) == SITE_UPSTREAM


def test_another_site_is_noticed() -> None:
    with pytest.raises(ValueError, match="expected once"):
        python_patches.site(SITE_UPSTREAM)


def test_frozen_site_keeps_every_length() -> None:
    binary = b"doc: lib/dist-packages, /usr/local/lib/x\0dist-packages\0\0\xff\0local/lib\0rest"
    patched = python_patches.frozen_site(binary)
    assert patched == b"doc: lib/dist-packages, /usr/local/lib/x\0site-packages\0\0\xff\0./././lib\0rest"
    assert len(patched) == len(binary)


def test_another_interpreter_is_noticed() -> None:
    with pytest.raises(ValueError, match="found 2 times"):
        python_patches.frozen_site(b"\0dist-packages\0\0dist-packages\0")


def test_sysconfig() -> None:
    text = "        else:\n            prefix_scheme = 'posix_local'\n"
    assert python_patches.sysconfig(text) == "        else:\n            prefix_scheme = 'posix_prefix'\n"


@pytest.mark.parametrize(
    ("debian", "environment"),
    [
        ("'/usr'", "'@'"),
        ("'/usr/bin'", "'@/bin'"),
        ("'/usr/bin/install -c'", "'/usr/bin/install -c'"),
        ("'/usr/lib/x86_64-linux-gnu'", "'@/lib'"),
        ("'/usr/lib/x86_64-linux-gnu/pkgconfig'", "'@/lib/pkgconfig'"),
        ("'/usr/lib/python3.11/lib-dynload'", "'@/lib/python3.11/lib-dynload'"),
        ("'/usr /usr/lib/python3.11 '", "'@ @/lib/python3.11 '"),
        ("'/usr/include/python3.11'", "'@/include/python3.11'"),
        ("'/usr/share/zoneinfo:/etc/zoneinfo'", "'/usr/share/zoneinfo:/etc/zoneinfo'"),
        ("'/usr/share/python-wheels/'", "'@/share/python-wheels/'"),
    ],
)
def test_sysconfigdata(debian: str, environment: str) -> None:
    head = " 'prefix': '/usr',\n"
    patched = python_patches.sysconfigdata(f"{head} 'X': {debian},\n").replace(PLACEHOLDER, "@")
    assert patched == f" 'prefix': '@',\n 'X': {environment},\n"


def test_another_sysconfigdata_is_noticed() -> None:
    with pytest.raises(ValueError, match="not the build configuration"):
        python_patches.sysconfigdata("build_time_vars = {}")


def test_the_python_package_tells_debians_revision() -> None:
    names = (*python_package.PYTHON_DEBS, *python_package.COMPLEMENT_DEBS, *python_package.LIBRARY_DEBS)
    recipe = python_package.recipe(dict.fromkeys(names, "3.11.2-6+deb12u6"))
    assert recipe.stem == "python-3.11.2-6_deb12u6_cpython"
    assert "libssl3 3.11.2-6+deb12u6" in recipe.source


def test_conda_gets_its_own_imports_back() -> None:
    source = b"from conda_lock._vendor.conda.base import context\n"
    assert conda_itself.restore_imports(source) == b"from conda.base import context\n"


def test_conda_activate_takes_what_conda_says_into_this_shell(tmp_path: Path) -> None:
    conda = tmp_path / "conda"
    conda.write_text("#!/bin/sh\necho \"export ACTIVE='$*'\"\n")
    conda.chmod(0o755)
    source = f"CONDA_EXE={conda}; . {conda_itself.SHELL_CODE}"
    script = f"set -eu; {source}; conda activate ds; echo $ACTIVE; conda info"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "shell.posix activate ds\nexport ACTIVE='info'\n"


def test_condas_version() -> None:
    text = "version: str\n__version__ = version = '24.7.1'\n__version_tuple__ = (24, 7, 1)\n"
    assert conda_itself.version_of(text) == "24.7.1"
    with pytest.raises(ValueError, match="version"):
        conda_itself.version_of("")
