"""Addresses, NAT rules, disks, faults: the small pure pieces."""

from __future__ import annotations

import pytest

from localcloud.addresses import AddressPool
from localcloud.faults import Fault, Faults
from localcloud.host_network import nat_chains
from localcloud.machine import Disk, Spec


def test_a_public_address_is_not_reused_at_once() -> None:
    pool = AddressPool(10, 12)
    assert [pool.take(set()) for _ in range(4)] == [
        "100.64.113.10",
        "100.64.113.11",
        "100.64.113.12",
        "100.64.113.10",
    ]


def test_addresses_in_use_are_passed_over() -> None:
    pool = AddressPool(10, 12)
    assert pool.take({"100.64.113.10", "100.64.113.11"}) == "100.64.113.12"
    with pytest.raises(IndexError, match="no public address is free"):
        pool.take({"100.64.113.10", "100.64.113.11", "100.64.113.12"})


def test_nat_maps_one_to_one_and_keeps_others_out() -> None:
    text = nat_chains({"100.64.113.11": "10.77.0.5", "100.64.113.10": "10.77.0.4"})
    assert "elements = { 100.64.113.10 : 10.77.0.4, 100.64.113.11 : 10.77.0.5 };" in text
    assert 'iifname != "lo"' in text
    assert "ip daddr 100.64.113.0/24 drop" in text


def test_nat_without_addresses_has_an_empty_map() -> None:
    assert "elements" not in nat_chains({})


def test_a_disk_is_linked_as_udev_does_on_ec2() -> None:
    disk = Disk("vol-0123456789abcdef0", "/dev/sdf", "/dev/loop3", 1)
    assert disk.node == "/dev/nvme1n1"
    assert disk.links() == {
        "/dev/sdf": "/dev/nvme1n1",
        "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0": "/dev/nvme1n1",
        "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0_1": "/dev/nvme1n1",
    }


def test_a_container_is_named_after_its_instance() -> None:
    assert Spec("i-0abc", "host", "net", "10.0.0.1").container == "ds-stack-i-0abc"


def test_a_fault_happens_as_often_as_ordered() -> None:
    faults = Faults()
    faults.add(Fault.parse({"action": "RunInstances", "code": "InsufficientInstanceCapacity", "times": 2}))
    assert faults.take("action", "StopInstances") is None
    assert [bool(faults.take("action", "RunInstances")) for _ in range(3)] == [True, True, False]
    faults.add(Fault.parse({"boot": "no-sshd"}))
    faults.clear()
    assert faults.take("boot") is None


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({}, "exactly one"),
        ({"action": "X", "boot": "fail"}, "exactly one"),
        ({"boot": "sideways"}, "no-sshd, fail"),
        ({"snapshot": "completed"}, "pending, error"),
        ({"action": "X", "cod": "Y"}, "unknown: cod"),
    ],
)
def test_a_bad_order_says_what_is_wrong(order: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Fault.parse(order)
