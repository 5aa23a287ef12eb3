"""A real Spark from PyPI, unpacked once as a cluster's nodes have it: ``python -m localcloud.spark_home``.

It prints the folder, which is SPARK_HOME: programs, classes and Python. Java comes from Debian.
"""

import fcntl
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from localcloud.errors import LocalCloudError
from localcloud.mirror.wheels import Pin, sha256
from localcloud.paths import cache_root
from localcloud.processes import run

#: Sources in name only: the whole of Spark is in it.
PIN = Pin("pyspark", "4.0.2", "938b4a1883383374d331ebfcb5d92debfa1891cf3d7a6d730520a1a2d23f1a90")
#: Java that Spark of this version runs on, as Debian calls it.
JAVA_PACKAGE = "openjdk-17-jre-headless"

#: Where the archive has what, and where SPARK_HOME has it.
LAYOUT = {"deps/bin": "bin", "deps/sbin": "sbin", "deps/jars": "jars", "lib": "python/lib"}


def ensure(cache: Path, log: Callable[[str], None]) -> Path:
    """Return SPARK_HOME, downloaded (434 MB) and unpacked first when it is not there.

    ``cache``: the local cloud's folder in the cache. Raises LocalCloudError.
    """
    root = cache / "spark"
    home = root / f"{PIN.name}-{PIN.version}"
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.is_dir():
            log(f"downloading Spark {PIN.version} (434 MB)")
            with tempfile.TemporaryDirectory(dir=root, prefix=".unpacking-") as folder:
                _lay_out(_download(Path(folder)), Path(folder)).rename(home)
    return home


def _download(folder: Path) -> Path:
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{PIN}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    run(*command, "--no-deps", "--require-hashes", f"--dest={folder}", f"--requirement={requirements}")
    found = folder / f"{PIN.name}-{PIN.version}.tar.gz"
    if not found.is_file() or sha256(found) != PIN.sha256:
        raise LocalCloudError(f"pip has downloaded another file than {PIN}")
    return found


def _lay_out(archive: Path, folder: Path) -> Path:
    home = folder / "home"
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    for source, target in LAYOUT.items():
        (home / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / f"{PIN.name}-{PIN.version}" / source, home / target)
    home.chmod(0o755)
    return home


if __name__ == "__main__":
    print(ensure(cache_root() / "localcloud", lambda line: print(line, file=sys.stderr)))
