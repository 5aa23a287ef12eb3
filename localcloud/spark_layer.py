"""Spark and Java as a folder that lies over an image's layers: what EMR puts on a node, where EMR puts it.

A cluster's nodes have it below their root disks: nothing is copied, and nothing of it is in any image.
"""

import fcntl
import hashlib
from collections.abc import Callable
from pathlib import Path

from localcloud.paths import cache_root
from localcloud.processes import run
from localcloud.root_disks import remove_tree

# What downloads is imported when it is wanted: the mirror's tools take a second to load.
# ruff: noqa: PLC0415

JAVA_HOME = "/usr/lib/jvm/java-17-openjdk-amd64"
SPARK_HOME = "/usr/lib/spark"
CONF = "/etc/spark/conf"
PROGRAMS = ("pyspark", "spark-class", "spark-shell", "spark-sql", "spark-submit")
#: It changes with anything that decides what is in the layer.
INPUTS = (Path(__file__), Path(__file__).with_name("spark_home.py"))
NAME = f"spark-{hashlib.sha256(b''.join(path.read_bytes() for path in INPUTS)).hexdigest()[:12]}"


def ensure(log: Callable[[str], None]) -> Path:
    """Return the layer's folder, making it first when it is not there. Raises LocalCloudError.

    Spark comes from PyPI (434 MB) and Java from Debian, once.
    """
    from localcloud import spark_home

    cache = cache_root() / "localcloud"
    layers = cache / "spark-layers"
    layers.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (layers / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        layer = layers / NAME
        if not layer.exists():
            home = spark_home.ensure(cache, log)
            unfinished = layers / "unfinished"
            remove_tree(unfinished)
            _lay_out(home, unfinished, log)
            unfinished.rename(layer)
            for other in layers.iterdir():  # one account at a time runs on a machine, and it wants this one
                if other.is_dir() and other != layer:
                    remove_tree(other)
    return layer


def _lay_out(home: Path, root: Path, log: Callable[[str], None]) -> None:
    from localcloud import spark_home
    from localcloud.mirror import debian

    root.mkdir()
    root.chmod(0o755)  # it is the node's own root folder
    debian.unpack(debian.download([spark_home.JAVA_PACKAGE], root / "debs", log), root)
    remove_tree(root / "debs")
    spark = root / SPARK_HOME.strip("/")
    run("cp", "--archive", "--link", str(home), str(spark))  # Java's package has made the folder above
    (spark / "conf").symlink_to(CONF)
    programs = root / "usr/bin"
    programs.mkdir(exist_ok=True)
    for name in PROGRAMS:
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {SPARK_HOME}/bin/{name} "$@"\n')
        program.chmod(0o755)
    (programs / "java").symlink_to(f"{JAVA_HOME}/bin/java")
