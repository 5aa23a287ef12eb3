"""moto's security groups as `security_groups.Rule`s."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from localcloud.security_groups import Rule

if TYPE_CHECKING:
    from localcloud.api.instances import LocalInstance


def rules_of(instance: "LocalInstance", egress: bool) -> Iterator[Rule]:
    """All rules of an instance's groups. A group as the other side means its members' addresses."""
    for group in instance.security_groups:
        for rule in group.egress_rules if egress else group.ingress_rules:
            yield Rule(
                protocol=rule.ip_protocol or "-1",
                peers=tuple(_peers(instance, rule)),
                first_port=rule.from_port,
                last_port=rule.to_port,
            )


def _peers(instance: "LocalInstance", rule: Any) -> Iterator[str]:
    if rule.cidr_ipv4:
        yield rule.cidr_ipv4
    if rule.cidr_ipv6:
        yield rule.cidr_ipv6
    if rule.source_group:
        wanted = rule.source_group.get("GroupId")
        for other in instance.ec2_backend.all_instances():
            if other.state != "terminated" and any(group.id == wanted for group in other.security_groups):
                yield str(other.private_ip)
    if rule.prefix_list_id:
        yield from _prefix_list(instance, rule.prefix_list_id)


def _prefix_list(instance: "LocalInstance", identifier: str) -> Iterator[str]:
    prefixes = instance.ec2_backend.managed_prefix_lists.get(identifier)
    for entry in prefixes.entries.get(prefixes.version, []) if prefixes else []:
        yield entry["Cidr"]
