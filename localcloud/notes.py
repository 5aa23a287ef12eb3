"""What is real on the local cloud and what stands in for something, as it and the end of the demo say it."""

import textwrap
from collections.abc import Mapping
from typing import Any

REAL = (
    "Terraform and its AWS provider, Packer, Ansible; the machines' Debian, systemd, SSH, cloud-init, file "
    "systems, and what is installed on them"
)
STAND_INS = (
    "the API (moto), instances (podman containers on this kernel, not a security boundary), volumes (loop "
    "devices, encryption only on paper), security groups (nftables), IAM (only what an instance may do with "
    "Systems Manager parameters is enforced), EMR (a real Spark, whose own master and workers stand for YARN)"
)
RSTUDIO = (
    "RStudio Server: a stand-in that signs users in as the real one does and has no IDE. The real package is "
    "to be had from its vendor only (MIRROR=vendor)"
)
MIRROR = (
    "an offline mirror: the real JupyterHub, conda, Python and R packages, built from PyPI, npm and Debian "
    "packages and not from the vendors' own files"
)


def notes(manifest: Mapping[str, Any] | None) -> str:
    """The text. ``manifest``: the offline mirror's; None where the vendors' own files are used."""
    shown = [("Real", REAL), ("Stand-ins", STAND_INS)]
    if manifest is None:
        shown.append(("Downloads", "the vendors' own"))
    else:
        if manifest["rstudio_server"].get("stand_in"):
            shown.append(("", RSTUDIO))
        shown.append(("Downloads", MIRROR))
    return "\n".join(["This is the local cloud, not AWS:", "", *(_entry(*one) for one in shown)])


def _entry(label: str, text: str) -> str:
    return textwrap.fill(
        f"{text}.",
        width=110,
        initial_indent=f"  {label:<12} ",
        subsequent_indent=" " * 15,
        break_on_hyphens=False,
    )
