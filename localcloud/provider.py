"""Find the AWS provider for Terraform on this machine, and write Terraform's CLI configuration."""

import os
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from localcloud.errors import LocalCloudError

PROVIDER = "registry.terraform.io/hashicorp/aws"
REGISTRY = "https://registry.terraform.io/.well-known/terraform.json"
VARIABLE = "DS_STACK_PROVIDER_MIRROR"
#: Folders whose direct subfolders may be mirrors.
SHARED = (Path("/opt"), Path("/usr/local/share"))


def candidates(
    environment: Mapping[str, str], home: Path, shared: tuple[Path, ...] = SHARED
) -> Iterator[Path]:
    """Where a mirror may lie, in order: what the user names, Terraform's own folders, shared folders."""
    if environment.get(VARIABLE):
        yield Path(environment[VARIABLE])
        return  # a named folder is meant: nothing else is taken silently in its place
    yield home / ".terraform.d" / "plugins"
    data_home = environment.get("XDG_DATA_HOME")
    yield (Path(data_home) if data_home else home / ".local/share") / "terraform" / "plugins"
    for data in (environment.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":"):
        yield Path(data) / "terraform" / "plugins"
    for folder in shared:
        if folder.is_dir():
            yield from sorted(child for child in folder.iterdir() if child.is_dir())


def has_provider(mirror: Path) -> bool:
    """Whether a folder is a mirror with the AWS provider, unpacked or as archives."""
    folder = mirror / PROVIDER
    return folder.is_dir() and (
        any(folder.glob("*/*_*/terraform-provider-aws*")) or any(folder.glob("*.zip"))
    )


def versions(mirror: Path) -> list[str]:
    """The provider's versions in a mirror, for the message at start."""
    folder = mirror / PROVIDER
    packed = [file.name.split("_")[1] for file in folder.glob("terraform-provider-aws_*.zip")]
    return sorted([*(child.name for child in folder.iterdir() if child.is_dir()), *packed])


def find(environment: Mapping[str, str] = os.environ, home: Path | None = None) -> Path | None:
    """The mirror to use, or None when Terraform shall fetch the provider itself.

    Raises LocalCloudError when there is neither a mirror nor a registry.
    """
    for folder in candidates(environment, home or Path.home()):
        if has_provider(folder):
            return folder.resolve()
    named = environment.get(VARIABLE)
    if named:
        raise LocalCloudError(
            f"No AWS provider for Terraform was found in {named} ({VARIABLE}): no {PROVIDER} there."
        )
    if registry_answers():
        return None
    raise LocalCloudError(
        "No AWS provider for Terraform was found: registry.terraform.io does not answer, and no folder holds "
        f"{PROVIDER}. Set {VARIABLE} to a folder made by 'terraform providers mirror'."
    )


def registry_answers() -> bool:
    """Whether Terraform's registry can be reached."""
    try:
        with urllib.request.urlopen(REGISTRY, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def configuration(mirror: Path | None) -> str:
    """Terraform's CLI configuration (terraform.rc)."""
    text = "disable_checkpoint = true\n"
    if mirror:
        text += f"""
provider_installation {{
  filesystem_mirror {{
    path    = "{mirror}"
    include = ["{PROVIDER}"]
  }}
  direct {{
    exclude = ["{PROVIDER}"]
  }}
}}
"""
    return text
