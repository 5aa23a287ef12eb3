"""The offline mirror as machines use it: its installer, its conda, its channel by file:// and http://.

Runs here, below a temporary folder, so it needs a C library as new as Debian 12's. The mirror is the cached
one; when there is none it is built first (a minute and a half).
"""

import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcloud.mirror import ensure, role_variables
from localcloud.paths import REPOSITORY, cache_root


@pytest.fixture(scope="module")
def mirror() -> Path:
    return ensure(cache_root() / "localcloud", print)


@pytest.fixture(scope="module")
def manifest(mirror: Path) -> dict[str, Any]:
    return dict(json.loads((mirror / "manifest.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def url(mirror: Path) -> Iterator[str]:
    handler = partial(Quiet, directory=str(mirror))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


class Conda:
    """A conda from the mirror's installer, run as on a machine: by its path, in a bare environment."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {"HOME": str(self.prefix), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **environment}
        command = [str(self.prefix / "bin/conda"), *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=300)

    def explicit(self, environment: Path) -> list[str]:
        lines = self("list", "--prefix", str(environment), "--explicit", "--md5").stdout.splitlines()
        return [line for line in lines if "://" in line]


@pytest.fixture(scope="module")
def conda(
    mirror: Path, manifest: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Conda]:
    folder = tmp_path_factory.mktemp("conda")
    installer = mirror / manifest["miniforge"]["path"]
    subprocess.run(["sh", str(installer), "-b", "-p", str(folder / "conda")], check=True, timeout=300)
    variables = role_variables(manifest, f"file://{mirror}")
    (folder / "conda/.condarc").write_text(
        json.dumps(
            {
                "channel_alias": variables["conda_channel_alias"],
                "channels": variables["conda_channels"],
                "solver": variables["conda_solver"],
                "number_channel_notices": 0,
            }
        ),
        encoding="utf-8",
    )
    yield Conda(folder / "conda")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def environment(conda: Conda) -> Path:
    prefix = conda.prefix / "envs/test"
    done = conda("create", "-y", "-q", "-p", str(prefix), "python", "numpy", "pygments")
    assert done.returncode == 0, done.stderr
    return prefix


def test_the_installed_conda_says_its_version(conda: Conda, manifest: dict[str, Any]) -> None:
    assert conda("--version").stdout == f"conda {manifest['packages']['conda']}\n"


def test_all_packages_of_the_channel_fit_together(conda: Conda, manifest: dict[str, Any]) -> None:
    specs = [f"{name}={version}" for name, version in manifest["packages"].items()]
    done = conda("create", "--dry-run", "--json", "-p", str(conda.prefix / "envs/all"), *specs)
    planned = json.loads(done.stdout)
    assert planned.get("success"), planned
    assert {package["name"] for package in planned["actions"]["LINK"]} == set(manifest["packages"])


def test_python_is_at_home_in_an_environment(environment: Path) -> None:
    code = """
import bz2, ctypes, curses, lzma, readline, sqlite3, ssl, uuid, zlib
import numpy, pip, pygments
import json, os, site, sys, sysconfig
print(json.dumps({
    "prefix": sys.prefix,
    "config": sysconfig.get_config_var("prefix"),
    "library": os.path.join(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("LDLIBRARY")),
    "purelib": sysconfig.get_path("purelib"),
    "site": os.path.realpath(site.getsitepackages()[0]),
    "path": sys.path[-1],
}))
"""
    python = str(environment / "bin/python")
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    found = json.loads(done.stdout)
    site_packages = str(environment / "lib/python3.11/site-packages")
    assert found["prefix"] == found["config"] == str(environment)
    assert found["purelib"] == found["site"] == found["path"] == site_packages
    assert Path(found["library"]).exists()  # reticulate loads it
    check = subprocess.run(
        [python, "-m", "pip", "check"], capture_output=True, text=True, check=False, timeout=60
    )
    assert check.stdout == "No broken requirements found.\n"


def test_an_environment_comes_again_from_its_lock(
    conda: Conda, environment: Path, mirror: Path, url: str, tmp_path: Path
) -> None:
    locked = conda.explicit(environment)
    assert all(line.startswith(f"file://{mirror}/conda/conda-forge/") for line in locked)
    for name, lines in {
        "file": locked,
        "http": [line.replace(f"file://{mirror}", url) for line in locked],
    }.items():
        lock, prefix = tmp_path / f"{name}.lock", tmp_path / name
        lock.write_text("\n".join(["@EXPLICIT", *lines, ""]), encoding="utf-8")
        packages = str(tmp_path / f"pkgs-{name}")  # nothing from the cache of the first environment
        done = conda("create", "-y", "-q", "-p", str(prefix), "--file", str(lock), CONDA_PKGS_DIRS=packages)
        assert done.returncode == 0, done.stderr
        assert conda.explicit(prefix) == lines
        for command in ("pygmentize", "numpy-config"):  # of a noarch package, and of a compiled one
            run = [str(prefix / "bin" / command), "--help"]
            assert "usage" in subprocess.run(run, capture_output=True, text=True, check=True).stdout


def test_an_environment_can_be_activated(conda: Conda, environment: Path) -> None:
    ran = conda("run", "--prefix", str(environment), "python", "-c", "import sys; print(sys.prefix)")
    assert ran.stdout.strip() == str(environment), ran.stderr
    env = {"PATH": "/usr/bin:/bin", "HOME": str(conda.prefix)}
    # As login shells do it, and as R's reticulate does.
    for code in ("etc/profile.d/conda.sh", "bin/activate"):
        script = f". {conda.prefix}/{code} && conda activate {environment} && command -v python"
        done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == (f"{environment}/bin/python\n", "")


def test_a_wrong_hash_is_refused_over_http(conda: Conda, environment: Path, url: str, tmp_path: Path) -> None:
    # Only over HTTP: conda does not verify files that it takes from file:// addresses.
    channel = next(line for line in conda.explicit(environment) if "/linux-64/numpy-" in line)
    address = url + "/conda/" + channel.partition("/conda/")[2].partition("#")[0]
    lock = tmp_path / "wrong.lock"
    lock.write_text(f"@EXPLICIT\n{address}#{'0' * 32}\n", encoding="utf-8")
    packages = str(tmp_path / "pkgs")
    done = conda("create", "-y", "-p", str(tmp_path / "e"), "--file", str(lock), CONDA_PKGS_DIRS=packages)
    assert done.returncode == 1
    assert "ChecksumMismatchError" in done.stderr


def test_the_mirror_has_what_the_hub_is_made_of_by_default(conda: Conda) -> None:
    role = yaml.safe_load((REPOSITORY / "roles/jupyterhub/defaults/main.yml").read_text(encoding="utf-8"))
    for name in ("jupyterhub_environment_specs", "jupyterhub_kernel_environment_specs"):
        done = conda("create", "--dry-run", "--json", "-p", str(conda.prefix / "envs/x"), *role[name])
        assert json.loads(done.stdout).get("success"), done.stdout
