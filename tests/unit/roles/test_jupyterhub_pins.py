"""What the role jupyterhub pins is what the offline mirror carries, or nothing could be installed."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]


def test_mirror_carries_the_pinned_versions() -> None:
    defaults = yaml.safe_load((ROOT / "roles/jupyterhub/defaults/main.yml").read_text())
    pinned = dict(
        spec.split("=")
        for spec in defaults["jupyterhub_environment_specs"]
        if re.fullmatch(r"[\w-]+=[\d.]+", spec)
    )
    carried = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "localcloud/mirror/wheels.in").read_text(), re.M))
    assert len(pinned) == 4
    assert {name: carried.get(name) for name in pinned} == pinned
