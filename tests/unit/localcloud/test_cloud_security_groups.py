"""Security groups as nftables text."""

from __future__ import annotations

import pytest

from localcloud.security_groups import Rule, chains


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule("tcp", ("10.0.0.0/8",), 22, 22), ["ip saddr 10.0.0.0/8 tcp dport 22"]),
        (Rule("tcp", ("0.0.0.0/0",), 8000, 8787), ["meta nfproto ipv4 tcp dport 8000-8787"]),
        (Rule("tcp", ("0.0.0.0/0",), 0, 65535), ["meta nfproto ipv4 meta l4proto tcp"]),
        (Rule("udp", ("::/0",), 53, 53), ["meta nfproto ipv6 udp dport 53"]),
        (Rule("udp", ("fd00::/8",), 53, 53), ["ip6 saddr fd00::/8 udp dport 53"]),
        (Rule("-1", ("10.1.2.3", "10.1.2.4")), ["ip saddr 10.1.2.3", "ip saddr 10.1.2.4"]),
        (Rule("icmp", ("10.0.0.0/8",), -1, -1), ["ip saddr 10.0.0.0/8 meta l4proto icmp"]),
        (Rule("icmp", ("10.0.0.0/8",), 8, 0), ["ip saddr 10.0.0.0/8 meta l4proto icmp icmp type 8"]),
        (Rule("50", ("10.0.0.0/8",)), ["ip saddr 10.0.0.0/8 meta l4proto 50"]),
        (Rule("tcp", (), 22, 22), []),
    ],
)
def test_a_rule_is_one_match_a_peer(rule: Rule, expected: list[str]) -> None:
    assert rule.matches("saddr") == expected


def test_without_rules_nothing_but_replies_and_loopback_passes() -> None:
    text = chains([], [])
    assert text.count("policy drop") == 2
    assert [line.strip() for line in text.splitlines() if line.endswith("accept")] == [
        "ct state established,related accept",
        'iif "lo" accept',
        "ct state established,related accept",
        'oif "lo" accept',
    ]


def test_egress_looks_at_the_destination() -> None:
    assert "ip daddr 10.0.0.1 tcp dport 443 accept" in chains([], [Rule("tcp", ("10.0.0.1",), 443, 443)])


def test_equal_sets_of_rules_give_equal_texts() -> None:
    first, second = Rule("tcp", ("10.0.0.1",), 22, 22), Rule("tcp", ("10.0.0.2",), 80, 80)
    assert chains([first, second, first], []) == chains([second, first], [])
