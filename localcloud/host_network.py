"""The host's side of the network: one bridge per VPC, public addresses by 1:1 NAT."""

import shutil
import threading
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

from localcloud.addresses import HOST, PUBLIC_NETWORK
from localcloud.nftables import Nft
from localcloud.paths import LABEL, PREFIX
from localcloud.podman import podman
from localcloud.processes import run, succeeds

TABLE = "ip localcloud_nat"
NETWORK_PREFIX = f"{PREFIX}vpc-"
CNI_LEASES = Path("/var/lib/cni/networks")


def nat_chains(addresses: Mapping[str, str]) -> str:
    """The chains of the NAT table (pure).

    Args:
        addresses: public address → private address.

    A guard in front keeps everybody out who does not come from this machine or its containers: nothing
    of the local cloud can be reached from another machine.
    """
    elements = ", ".join(f"{public} : {private}" for public, private in sorted(addresses.items()))
    content = f" elements = {{ {elements} }};" if elements else ""
    foreign = 'iifname != "lo" iifname != "cni-podman*" iifname != "podman*"'
    return (
        f" map public {{ type ipv4_addr : ipv4_addr;{content} }}\n"
        f" chain guard {{ type filter hook prerouting priority -300;"
        f" {foreign} ip daddr {PUBLIC_NETWORK} drop; }}\n"
        " chain arriving { type nat hook prerouting priority -110; dnat to ip daddr map @public; }\n"
        " chain leaving { type nat hook output priority -110; dnat to ip daddr map @public; }"
    )


def network_name(cidr: str) -> str:
    """Name of the podman network of a VPC's CIDR."""
    return NETWORK_PREFIX + cidr.translate(str.maketrans("./", "--"))


def remove_network(name: str) -> bool:
    """Remove a podman network and its leases, which podman forgets; False when it is not there or used."""
    if not succeeds("podman", "network", "rm", name):
        return False
    shutil.rmtree(CNI_LEASES / name, ignore_errors=True)
    return True


class HostNetwork:
    """What the local cloud adds to the host's network, and takes away again."""

    def __init__(self) -> None:
        """Nothing is changed yet; see `open`."""
        self._nft: Nft | None = None
        self._lock = threading.Lock()

    def open(self) -> None:
        """Bring up our address, and the route that keeps unassigned public addresses on this machine."""
        run("ip", "address", "replace", f"{HOST}/32", "dev", "lo")
        run("ip", "route", "replace", str(PUBLIC_NETWORK), "dev", "lo", "src", str(HOST))
        self._nft = Nft()
        self.map_public_addresses({})

    def map_public_addresses(self, addresses: Mapping[str, str]) -> None:
        """Make exactly these public addresses (→ private ones) reachable, once the network is open."""
        if self._nft:
            self._nft.load(TABLE, nat_chains(addresses))

    def vpc_network(self, cidr: str) -> str:
        """The podman network of a VPC's CIDR, made when it is first needed. Returns its name.

        VPCs with the same CIDR share a bridge; only security groups keep them apart there.
        """
        name = network_name(cidr)
        with self._lock:
            if not succeeds("podman", "network", "exists", name):
                podman(
                    "network", "create", "--label", LABEL, "--disable-dns", "--subnet", cidr,
                    "--gateway", str(ip_network(cidr)[1]), name,
                )  # fmt: skip
        return name

    def remove_vpc_network(self, cidr: str) -> None:
        """Remove the podman network of a VPC's CIDR; nothing happens when there is none or it is used."""
        with self._lock:
            remove_network(network_name(cidr))

    def close(self) -> None:
        """Take everything away but the podman networks, which the reaper removes."""
        if self._nft:
            self._nft.close()
            self._nft = None
        remove_host_addresses()


def remove_host_addresses() -> None:
    """Remove our route and our address if they are there."""
    succeeds("ip", "route", "del", str(PUBLIC_NETWORK), "dev", "lo")
    succeeds("ip", "address", "del", f"{HOST}/32", "dev", "lo")
