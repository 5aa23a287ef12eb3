"""Name the image in which a scenario keeps its machine for others to begin with.

usage: layer.py keep|begin SCENARIO      begin: the base image's name where that image is not there

The name has a digest of all that decides what is in it; so a layer of other roles, another mirror or another
base image is never taken for it.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from localcloud import mirror  # noqa: E402
from localcloud.base_image import TAG  # noqa: E402
from localcloud.paths import cache_root  # noqa: E402
from localcloud.podman import image_exists, podman  # noqa: E402

REPOSITORY = "localhost/ds-stack-molecule"


def inputs(scenario: str) -> list[Path]:
    """Return the files that shape the machine."""
    folders = [ROOT / "roles", ROOT / "plugins", ROOT / "molecule" / scenario]
    found = [path for folder in folders for path in folder.rglob("*")]
    return sorted(path for path in found if path.is_file() and path.suffix != ".pyc")


def name(scenario: str) -> str:
    """Return the image's name."""
    digest = hashlib.sha256(podman("image", "inspect", "--format", "{{.Id}}", TAG).encode())
    digest.update(str(mirror.ensure(cache_root() / "localcloud", lambda _: None).name).encode())
    for path in inputs(scenario):
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return f"{REPOSITORY}-{scenario}:{digest.hexdigest()[:16]}"


def main(wanted: str, scenario: str) -> None:
    """Print the name."""
    layer = name(scenario)
    print(layer if wanted == "keep" or image_exists(layer) else TAG)


if __name__ == "__main__":
    main(*sys.argv[1:])
