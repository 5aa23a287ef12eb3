"""Where the local cloud keeps things, and the fixed names of what it makes on this machine."""

import os
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
#: Programs that the project has fetched for itself; those in its folder bin stand first on PATH.
TOOLS = REPOSITORY / ".cache/tools"
CONTAINERS_CONF = Path(__file__).resolve().parent / "containers.conf"

#: Every podman object of the local cloud carries this label, every name of ours this prefix.
LABEL = "iac.ds_stack.localcloud=1"
PREFIX = "ds-stack-"


def cache_root() -> Path:
    """The cache folder: ``DS_STACK_CACHE``, or ``.cache`` in the checkout."""
    return Path(os.environ.get("DS_STACK_CACHE") or REPOSITORY / ".cache").resolve()


@dataclass(frozen=True)
class RunDir:
    """The folder of the one running account. It is removed together with the account."""

    path: Path

    @classmethod
    def default(cls) -> "RunDir":
        """The run folder inside the cache."""
        return cls(cache_root() / "localcloud" / "run")

    @property
    def pid(self) -> Path:
        """Process id of the server."""
        return self.path / "pid"

    @property
    def log(self) -> Path:
        """Log of the server."""
        return self.path / "log"

    @property
    def env(self) -> Path:
        """Environment for the product: KEY=VALUE lines."""
        return self.path / "env"

    @property
    def vars(self) -> Path:
        """Extra variables for ansible-playbook."""
        return self.path / "vars.yml"

    @property
    def terraform_rc(self) -> Path:
        """Terraform's CLI configuration."""
        return self.path / "terraform.rc"

    @property
    def notes(self) -> Path:
        """What is real in this account and what is a stand-in, as a text for people."""
        return self.path / "notes"

    @property
    def volumes(self) -> Path:
        """Folder of the files behind EBS volumes and snapshots."""
        return self.path / "volumes"

    @property
    def root_disks(self) -> Path:
        """Folder of the instances' root disks and of the images' layers."""
        return self.path / "disks"

    @property
    def stacks(self) -> Path:
        """Folder of the stacks' Terraform state, which is worth nothing without the account."""
        return self.path / "stacks"
