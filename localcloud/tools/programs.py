"""What of Terraform and Packer lies on PATH, and whether this project can use it."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import LocalCloudError
from localcloud.paths import REPOSITORY, TOOLS

Version = tuple[int, ...]

OVERLAY = REPOSITORY / "localcloud/packer"
#: The one version that the overlay is for: that of Debian 12 and of Ubuntu.
OVERLAY_VERSION = (1, 6, 6)

#: What a program says first when it is asked for its version. cracklib has a program named packer, too.
_SAYS = {"packer": "Packer", "terraform": "Terraform"}
#: Files of the product that say which versions it takes.
_DEMANDS = {
    "packer": REPOSITORY / "packer/plugins.pkr.hcl",
    "terraform": REPOSITORY / "terraform/network/versions.tf",
}
#: Seconds; a program of the same name may wait for input for ever.
_PATIENCE = 30


@dataclass(frozen=True)
class Program:
    """A program of the one or the other name. version: None where it is something else of that name."""

    path: Path
    version: Version | None

    def __str__(self) -> str:
        return f"{self.path} {dotted(self.version)}" if self.version else str(self.path)


def dotted(version: Version) -> str:
    """A version as people write it."""
    return ".".join(map(str, version))


def minimum(name: str) -> Version:
    """The oldest version that the product takes, as its own code says it."""
    match = re.search(r'required_version\s*=\s*">=\s*([\d.]+)"', _DEMANDS[name].read_text())
    assert match, name  # noqa: S101 - a fault of ours
    return tuple(map(int, match[1].split(".")))


def overlay_for(packer: Program) -> Path | None:
    """The folder to lay over the product's template for this Packer; None where it takes the template alone.

    Raises LocalCloudError for one that takes neither.
    """
    if packer.version is None:
        raise LocalCloudError(f"{packer.path} is another program than HashiCorp's Packer")
    if packer.version >= minimum("packer"):
        return None
    if packer.version == OVERLAY_VERSION:
        return OVERLAY
    raise LocalCloudError(
        f"{packer} can be used neither with the product's template, which needs Packer "
        f"{dotted(minimum('packer'))} or later, nor with the local cloud's own, which is for "
        f"{dotted(OVERLAY_VERSION)} only"
    )


def check_terraform(terraform: Program) -> None:
    """Raise LocalCloudError for a Terraform that the product does not take."""
    if terraform.version is None:
        raise LocalCloudError(f"{terraform.path} is another program than HashiCorp's Terraform")
    if terraform.version < minimum("terraform"):
        raise LocalCloudError(f"{terraform} is older than {dotted(minimum('terraform'))}")


def all_on_path(name: str) -> list[Path]:
    """Each program of that name on PATH, the first one first; not those that the project has put there."""
    found = [shutil.which(name, path=folder) for folder in _folders()]
    return list(dict.fromkeys(Path(path) for path in found if path))


def which(name: str) -> Path | None:
    """The program that a shell would run if the project had put none there."""
    found = shutil.which(name, path=os.pathsep.join(_folders()))
    return Path(found) if found else None


def _folders() -> list[str]:
    own = (TOOLS / "bin").resolve()
    folders = os.environ.get("PATH", "").split(os.pathsep)
    return [folder for folder in folders if folder and Path(folder).resolve() != own]


def look_at(name: str, path: Path) -> Program:
    """Ask a program for its version."""
    # Settings for a run of Terraform would apply to this one too.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    try:
        said = subprocess.run(
            [path, "version"],
            env={**environment, "CHECKPOINT_DISABLE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return Program(path, None)
    match = re.search(rf"^{_SAYS[name]} v(\d+(?:\.\d+)*)", said, re.MULTILINE)
    return Program(path, tuple(map(int, match[1].split("."))) if match else None)
