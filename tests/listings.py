"""What there is, to be compared before and after something that must change nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

EC2_LISTS: dict[str, tuple[str, dict[str, Any]]] = {
    "describe_addresses": ("Addresses", {}),
    "describe_images": ("Images", {"Owners": ["self"]}),
    "describe_internet_gateways": ("InternetGateways", {}),
    "describe_key_pairs": ("KeyPairs", {}),
    "describe_network_interfaces": ("NetworkInterfaces", {}),
    "describe_route_tables": ("RouteTables", {}),
    "describe_security_group_rules": ("SecurityGroupRules", {}),
    "describe_security_groups": ("SecurityGroups", {}),
    "describe_snapshots": ("Snapshots", {"OwnerIds": ["self"]}),
    "describe_subnets": ("Subnets", {}),
    "describe_tags": ("Tags", {}),
    "describe_volumes": ("Volumes", {}),
    "describe_vpcs": ("Vpcs", {}),
}
"""The calls that list what a stack may be made of; the key of the answer and the arguments."""


def account(client: Callable[[str], Any]) -> dict[str, Any]:
    """Return all that an account has of such things; ``client`` makes an API client of a service."""
    ec2, iam, ssm = client("ec2"), client("iam"), client("ssm")
    found = {call: getattr(ec2, call)(**arguments)[key] for call, (key, arguments) in EC2_LISTS.items()}
    found["instances"] = [
        instance
        for reservation in ec2.describe_instances()["Reservations"]
        for instance in reservation["Instances"]
    ]
    found["roles"] = [
        {
            **role,
            "inline": iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"],
            "attached": iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"],
        }
        for role in iam.list_roles()["Roles"]
    ]
    found["profiles"] = iam.list_instance_profiles()["InstanceProfiles"]
    found["buckets"] = client("s3").list_buckets()["Buckets"]
    # What a machine says of itself, it says when it likes.
    found["parameters"] = [
        parameter
        for page in ssm.get_paginator("describe_parameters").paginate()
        for parameter in page["Parameters"]
        if "/machine/status" not in parameter["Name"]
    ]
    return found


def folder(path: Path) -> dict[str, str]:
    """Return the folders, links and files below a folder, these with a hash of their content."""
    return {
        str(one.relative_to(path)): f"-> {one.readlink()}"
        if one.is_symlink()
        else "folder"
        if one.is_dir()
        else hashlib.sha256(one.read_bytes()).hexdigest()
        for one in sorted(path.rglob("*"))
    }
