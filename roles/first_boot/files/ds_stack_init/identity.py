"""Which machine of which stack this is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .errors import InitError

STACK_TAG = "ds-stack:name"
PART_TAG = "ds-stack:part"
ACTIVE_TAG = "ds-stack:active"


@dataclass(frozen=True)
class Identity:
    """What EC2 says of this machine.

    Attributes:
        stack: name of the stack.
        names: DNS names, as far as it has any.
        addresses: IPv4 addresses, private and public.
    """

    instance_id: str
    image_id: str
    region: str
    stack: str
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


def stands_by(get: Callable[[str], str | None]) -> bool:
    """Return whether another machine of the stack has the data volume, and this one is to take its place.

    Raises InitError when EC2 does not answer.
    """
    return get(f"tags/instance/{ACTIVE_TAG}") == "false"


def discover(get: Callable[[str], str | None]) -> Identity | None:
    """Return who this machine is, or None when it is no machine of a stack (but one that bakes an image).

    ``get`` returns the metadata at a path, or None. Raises InitError when EC2 does not tell what it must.
    """
    stack = get(f"tags/instance/{STACK_TAG}")
    if not stack or get(f"tags/instance/{PART_TAG}") != "instance":
        return None

    def known(path: str) -> str:
        found = get(path)
        if not found:
            raise InitError(f"The instance metadata service does not tell {path}.")
        return found

    def several(*paths: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(found for path in paths if (found := get(path))))

    return Identity(
        instance_id=known("instance-id"),
        image_id=known("ami-id"),
        region=known("placement/region"),
        stack=stack,
        names=several("public-hostname", "local-hostname"),
        addresses=several("public-ipv4", "local-ipv4"),
    )
