"""Thin layer over the podman command: always with our containers.conf, always with our label."""

import os

from localcloud.paths import CONTAINERS_CONF, LABEL
from localcloud.processes import run, succeeds

# The server and every podman it starts read the same settings, whatever the caller's environment says.
os.environ["CONTAINERS_CONF"] = str(CONTAINERS_CONF)


def podman(*arguments: str, stdin: str | None = None) -> str:
    """Run podman and return its output. Raises LocalCloudError."""
    return run("podman", *arguments, stdin=stdin)


def image_exists(image: str) -> bool:
    """Whether podman has an image of that name."""
    return succeeds("podman", "image", "exists", image)


def container_exists(name: str) -> bool:
    """Whether podman has a container of that name."""
    return succeeds("podman", "container", "exists", name)


def labelled(kind: str) -> list[str]:
    """Names of all our objects of one kind: ``container`` or ``network``."""
    if kind == "container":
        out = podman("ps", "--all", "--filter", f"label={LABEL}", "--format", "{{.Names}}")
    else:
        out = podman("network", "ls", "--filter", f"label={LABEL}", "--format", "{{.Name}}")
    return out.split()
