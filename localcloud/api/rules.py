"""moto's security groups as `security_groups.Rule`s."""

from collections.abc import Iterable, Iterator
from typing import Any

from moto.ec2.models import security_groups as moto_groups

from localcloud.security_groups import Rule


def rules_of(groups: Iterable[Any], account: Any, egress: bool) -> Iterator[Rule]:
    """All rules of groups. A group as the other side means its members' addresses.

    groups: moto's.
    account: moto's EC2 backend, which knows the members.
    """
    for group in groups:
        for rule in group.egress_rules if egress else group.ingress_rules:
            yield Rule(
                protocol=rule.ip_protocol or "-1",
                peers=tuple(_peers(account, rule)),
                first_port=rule.from_port,
                last_port=rule.to_port,
            )


def _peers(account: Any, rule: Any) -> Iterator[str]:
    if rule.cidr_ipv4:
        yield rule.cidr_ipv4
    if rule.cidr_ipv6:
        yield rule.cidr_ipv6
    if rule.source_group:
        wanted = rule.source_group.get("GroupId")
        for other in account.all_instances():
            if other.state != "terminated" and any(group.id == wanted for group in other.security_groups):
                yield str(other.private_ip)
    if rule.prefix_list_id:
        yield from _prefix_list(account, rule.prefix_list_id)


def _prefix_list(account: Any, identifier: str) -> Iterator[str]:
    prefixes = account.managed_prefix_lists.get(identifier)
    for entry in prefixes.entries.get(prefixes.version, []) if prefixes else []:
        yield entry["Cidr"]


class LocalSecurityGroupRule(moto_groups.SecurityGroupRule):
    """A rule that keeps its description also when the other side is a group, where moto loses it."""

    __module__ = "moto.ec2.models"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if description := self.source_group.pop("Description", None):
            self.ip_range = {"Description": description}


def keep_descriptions() -> None:
    """Make moto use our class of rules."""
    moto_groups.SecurityGroupRule = LocalSecurityGroupRule
