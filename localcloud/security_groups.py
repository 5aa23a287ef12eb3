"""Security groups as nftables rules: pure functions.

Security groups filter what reaches a machine and what it sends, are stateful, and allow only what a rule
names. The rules live in the instance's own network namespace.
"""

from collections.abc import Iterable
from dataclasses import dataclass

TABLE = "inet localcloud_security_groups"


@dataclass(frozen=True)
class Rule:
    """One allowed kind of traffic.

    Attributes:
        protocol: ``tcp``, ``udp``, ``icmp``, ``-1`` for all, or a protocol number.
        peers: addresses or CIDRs of the other side; none means that nothing is allowed.
        first_port: lowest port (for ICMP the type; -1: all), None for all.
        last_port: highest port.
    """

    protocol: str
    peers: tuple[str, ...]
    first_port: int | None = None
    last_port: int | None = None

    def matches(self, direction: str) -> list[str]:
        """The nft expressions, one a peer. ``direction`` is ``saddr`` or ``daddr``."""
        return [" ".join(filter(None, [_peer(peer, direction), *self._what()])) for peer in self.peers]

    def _what(self) -> list[str]:
        if self.protocol in ("tcp", "udp"):
            if self.first_port is None or (self.first_port, self.last_port) == (0, 65535):
                return [f"meta l4proto {self.protocol}"]
            ports = str(self.first_port)
            if self.last_port not in (None, self.first_port):
                ports += f"-{self.last_port}"
            return [f"{self.protocol} dport {ports}"]
        if self.protocol == "icmp":
            kind = [] if self.first_port in (None, -1) else [f"icmp type {self.first_port}"]
            return ["meta l4proto icmp", *kind]
        if self.protocol == "-1":
            return []
        return [f"meta l4proto {self.protocol}"]


def _peer(peer: str, direction: str) -> str:
    family = "ip6" if ":" in peer else "ip"
    if peer == "0.0.0.0/0":
        return "meta nfproto ipv4"
    if peer == "::/0":
        return "meta nfproto ipv6"
    return f"{family} {direction} {peer}"


def chains(ingress: Iterable[Rule], egress: Iterable[Rule]) -> str:
    """The two chains of the table. Equal sets of rules give equal texts."""
    return f"{_chain('input', 'iif', 'saddr', ingress)}\n{_chain('output', 'oif', 'daddr', egress)}"


def _chain(hook: str, interface: str, direction: str, rules: Iterable[Rule]) -> str:
    allowed = sorted({match for rule in rules for match in rule.matches(direction)})
    lines = [
        f"type filter hook {hook} priority 0; policy drop;",
        "ct state established,related accept",
        f'{interface} "lo" accept',
        *(f"{match} accept" for match in allowed),
    ]
    body = "\n".join(f"  {line}" for line in lines)
    return f" chain {hook} {{\n{body}\n }}"
