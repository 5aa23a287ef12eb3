"""The rules about a stack's configuration, and the one list of variables that they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.iac.ds_stack.plugins.module_utils._configuration import find_problems

ROLE = Path(__file__).resolve().parents[3] / "roles/preflight"
OPTIONS = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["configuration"][
    "options"
]
DEFAULTS = yaml.safe_load((ROLE / "defaults/main.yml").read_text())


def problems(**values: Any) -> list[str]:
    return find_problems(
        OPTIONS, {"ds_stack_name": "demo", **{f"ds_stack_{name}": value for name, value in values.items()}}
    )


def test_a_name_is_enough() -> None:
    assert problems() == []


def test_a_whole_configuration_is_accepted() -> None:
    assert (
        problems(
            users=[{"name": "ada", "ssh_keys": ["ssh-ed25519 AAAA"]}],
            allowed_cidrs=["198.51.100.0/24"],
            components=["jupyterhub"],
            data_volume_size=500,
            policy_arns=["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"],
            subnet_id="subnet-0123456789abcdef0",
            timezone="Europe/Berlin",
            tags={"team": "research"},
        )
        == []
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"nmae": "demo"}, "ds_stack_nmae is no variable of this collection. Did you mean ds_stack_name?"),
        ({"zzzzzz": 1}, "ds_stack_zzzzzz is no variable of this collection."),
        ({"name": "Demo"}, "'Demo' cannot name a stack"),
        ({"name": "d"}, "'d' cannot name a stack"),
        ({"components": ["jupyter"]}, "Got no match for: jupyter"),
        ({"components": "jupyterhub"}, """write -e '{"ds_stack_components": [...]}'"""),
        ({"tags": "a=b"}, """write -e '{"ds_stack_tags": {...}}'"""),
        ({"data_volume_size": "big"}, "unable to convert to int"),
        ({"data_volume_size": 0}, "ds_stack_data_volume_size: 0 GiB is too small. Take 1 or more."),
        ({"root_volume_size": 4}, "Take 8 or more."),
        ({"subnet_id": "vpc-1"}, "ds_stack_subnet_id: 'vpc-1' is not of the form subnet-0123456789abcdef0."),
        ({"policy_arns": ["AmazonS3FullAccess"]}, "'AmazonS3FullAccess' is not of the form arn:aws:iam::"),
        (
            {"permissions_boundary": "Boundary"},
            "ds_stack_permissions_boundary: 'Boundary' is not of the form",
        ),
        ({"kms_key_id": "alias/mine"}, "ds_stack_kms_key_id: 'alias/mine' is not of the form arn:aws:kms:"),
        ({"policy_arns": "arn:aws:iam::aws:policy/ReadOnlyAccess"}, "ds_stack_policy_arns is a list."),
        ({"users": [{"name": "Al ice"}]}, "'Al ice' cannot be a login name"),
        ({"users": [{"name": "team/ada"}]}, "ds_stack_users: 'team/ada' cannot be a login name"),
        (
            {"users": [{"name": "ada", "ssh_keys": ["ssh-rsa " + "A" * 4089]}]},
            "ds_stack_users: The SSH keys of 'ada' take 4097 bytes, and a parameter holds 4096.",
        ),
        (
            {"users": [{"name": "ada", "ssh_keys": ["ssh-rsa A\nssh-rsa B"]}]},
            "ds_stack_users: An SSH key of 'ada' is empty or has several lines.",
        ),
        ({"users": [{"name": f"user-{number}"} for number in range(200)]}, "200 users are more than one"),
        ({"tags": {"team": ["a", "b"]}}, "ds_stack_tags: the value of 'team' is no text."),
        ({"users": [{"name": "ada"}, {"name": "ada"}]}, "'ada' is there twice"),
        ({"users": [{"name": "ada", "shel": "zsh"}]}, "ds_stack_users.shel"),
        ({"allowed_cidrs": ["10.0.0.1"]}, "write 10.0.0.1/32"),
        ({"allowed_cidrs": ["10.0.0.1/24"]}, "Did you mean 10.0.0.0/24?"),
        ({"allowed_cidrs": ["10.0.0.0/33"]}, "is no IPv4 network"),
        ({"allowed_cidrs": ["home/32"]}, "is no IPv4 network"),
        ({"bake_source_cidrs": ["home"]}, "ds_stack_bake_source_cidrs: 'home' has no prefix length"),
        ({"allowed_cidrs": ["0.0.0.0/0"]}, "opens the machine to the whole internet"),
        ({"allowed_cidrs": ["0.0.0.0/1", "128.0.0.0/1"]}, "opens the machine to the whole internet"),
        ({"allowed_cidrs": ["10.0.0.0/8", "64.0.0.0/2"]}, "opens the machine to 64.0.0.0/2"),
        ({"allowed_cidrs": [f"{first}.0.0.0/8" for first in range(8, 12)]}, "to 8.0.0.0/6"),
        ({"allowed_cidrs": ["::/0"]}, "'::/0' is an IPv6 network, and a stack has IPv4 addresses only"),
        ({"bake_source_cidrs": ["0.0.0.0/0"]}, "opens the bake's SSH port to the whole internet"),
        ({"vpc_cidr": "10.0.0.0/8"}, "Take a network between /16 and /24"),
        ({"tls": "maybe"}, "value of ds_stack_tls must be one of"),
    ],
)
def test_each_mistake_is_told(values: dict[str, Any], said: str) -> None:
    found = problems(**values)
    assert len(found) == 1
    assert said in found[0]


def test_all_mistakes_are_told_at_once() -> None:
    found = problems(name="Demo", allowed_cidrs=["0.0.0.0/0", "10.0.0.1"], users=[{"name": "Ada"}])
    assert len(found) == 4


def test_a_missing_name_is_told() -> None:
    assert find_problems(OPTIONS, {}) == ["missing required arguments: ds_stack_name"]


@pytest.mark.parametrize("networks", [["0.0.0.0/0"], ["0.0.0.0/1", "128.0.0.0/1"]])
def test_the_whole_internet_takes_its_second_switch(networks: list[str]) -> None:
    assert problems(allowed_cidrs=networks, allow_world=True) == []


def test_a_network_of_ones_own_takes_no_switch() -> None:
    assert problems(allowed_cidrs=["10.0.0.0/8", "192.168.0.0/16"]) == []


def test_documented_defaults_are_the_real_ones() -> None:
    documented = {name: option["default"] for name, option in OPTIONS.items() if "default" in option}
    computed = {name for name, value in DEFAULTS.items() if isinstance(value, str) and "{{" in value}
    assert documented.items() <= DEFAULTS.items()
    assert DEFAULTS.keys() - documented.keys() - computed - {"ds_stack_base_image"} == set()
