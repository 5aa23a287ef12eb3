"""What the roles download by their own defaults, as Ansible makes it of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.ansible_values import value_of

ROOT = Path(__file__).resolve().parents[2]
ROLES = ROOT / "roles"

#: What the roles know about a machine, of each kind that they are made for.
MACHINES = tuple(
    {
        "distribution": distribution,
        "distribution_major_version": major,
        "distribution_release": release,
        "os_family": "Debian",
        "architecture": architecture,
    }
    for distribution, major, release in (
        ("Ubuntu", "24", "noble"),
        ("Debian", "12", "bookworm"),
        ("Debian", "13", "trixie"),
    )
    for architecture in ("x86_64", "aarch64")
)

#: The roles that download, with the files of their variables, the stronger ones last.
VARIABLES = {
    "base": ("defaults/main.yml", "vars/main.yml", "vars/debian.yml"),
    "conda": ("defaults/main.yml", "vars/main.yml"),
    "r": ("defaults/main.yml", "vars/main.yml"),
    "rstudio_server": ("defaults/main.yml", "vars/main.yml"),
}

#: What is fetched, as expressions over these. A file has a checksum; an index changes, and has none.
EXPRESSION = """{{ [
  {'name': 'Miniforge ' ~ conda_version ~ ' for ' ~ ansible_facts.architecture,
   'url': conda_installer_url, 'checksum': conda_installer_checksum},
  {'name': 'agent of Session Manager ' ~ base_ssm_agent_version ~ ' for ' ~ ansible_facts.architecture,
   'url': base_ssm_agent_url, 'checksum': base_ssm_agent_checksum},
  {'name': 'conda channel ' ~ conda_channels[0],
   'url': conda_channel_alias ~ '/' ~ conda_channels[0] ~ '/noarch/repodata.json.zst', 'checksum': ''},
  {'name': 'CRAN of ' ~ r_snapshot_date ~ ' for ' ~ ansible_facts.distribution_release,
   'url': r_cran_url ~ '/src/contrib/PACKAGES.gz', 'checksum': ''},
] + ([
  {'name': 'R ' ~ r_version, 'url': r_builds_url, 'checksum': r_builds_checksum},
] if r_source == 'r_builds' and r_builds_checksum else []) + ([
  {'name': 'RStudio Server ' ~ rstudio_server_version,
   'url': rstudio_server_url, 'checksum': rstudio_server_checksum},
] if ansible_facts.architecture == 'x86_64' else []) }}"""


@dataclass(frozen=True)
class File:
    """One file of a vendor's. checksum: ``sha256:...``, or empty for an index."""

    name: str
    url: str
    checksum: str


def files(machine: Mapping[str, str]) -> Iterator[File]:
    """Yield what the roles download on a machine with these facts."""
    paths = [ROLES / role / name for role, names in VARIABLES.items() for name in names]
    for found in value_of(EXPRESSION, paths, {"ansible_facts": machine}):
        yield File(**found)


@cache
def all_files() -> tuple[File, ...]:
    """What the roles download on any machine that they are made for, each once."""
    return tuple(dict.fromkeys(file for machine in MACHINES for file in files(machine)))
