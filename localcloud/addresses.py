"""The addresses of the local cloud, and which public address the next machine gets."""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network

#: Free on these machines, never routed to the Internet (RFC 6598).
PUBLIC_NETWORK = IPv4Network("100.64.113.0/24")
#: The host's own address in it, on ``lo``: API, mirror, and the source of the host's connections.
HOST = IPv4Address("100.64.113.1")
API_PORT = 5600
MIRROR_PORT = 5601
API_URL = f"http://{HOST}:{API_PORT}"
MIRROR_URL = f"http://{HOST}:{MIRROR_PORT}"

METADATA = "169.254.169.254"
#: Not 80: a listener there would stop nginx inside the instance from binding 0.0.0.0:80.
METADATA_PORT = 61679


class AddressPool:
    """Hands out 100.64.113.10 to .250 in turn, so that an address is not reused at once."""

    def __init__(self, first: int = 10, last: int = 250) -> None:
        """Use the hosts numbered ``first`` to ``last`` of the public network."""
        self._addresses = [PUBLIC_NETWORK[number] for number in range(first, last + 1)]
        self._next = 0

    def take(self, in_use: Collection[str]) -> str:
        """The next address that is not in use. Raises IndexError when there is none."""
        for offset in range(len(self._addresses)):
            position = (self._next + offset) % len(self._addresses)
            address = str(self._addresses[position])
            if address not in in_use:
                self._next = position + 1
                return address
        raise IndexError("no public address is free")
