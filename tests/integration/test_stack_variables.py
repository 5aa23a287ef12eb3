"""What the user's ds_stack_ variables become: what Terraform and the roles of the image are given."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.which_ansible import PLAYBOOK

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("network", "data", "instance")
SHOWN = ", ".join(
    [
        *(f"'{name}': __stack_parts.{name}.variables" for name in PARTS),
        *(f"'{name}': __stack_{name}_variables" for name in ("image", "packer")),
    ]
)
PLAY = f"""
- hosts: localhost
  gather_facts: false
  vars_files:
    - {ROOT}/roles/preflight/defaults/main.yml
    - {ROOT}/roles/preflight/vars/main.yml
    - {ROOT}/playbooks/vars/stack.yml
    - {ROOT}/playbooks/vars/components.yml
  tasks:
    - ansible.builtin.copy:
        content: "{{{{ {{{SHOWN}}} | to_json }}}}"
        dest: "{{{{ result }}}}"
        mode: "0600"
      check_mode: false
"""
BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"
POLICIES = ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234"

IMAGE = {
    "ds_stack_components": ["jupyterhub", "rstudio"],
    "ds_stack_preset": "standard",
    "ds_stack_python_packages": [],
    "ds_stack_r_packages": [],
    "ds_stack_system_packages": [],
    "ds_stack_environments": [],
}
MADE = {
    "__stack_inventory": {
        "machines": [],
        "volumes": [],
        "volume_to_import": None,
        "backups_to_import": {},
    },
    "__stack_image": {"ami_id": "ami-1"},
    "__stack_baked_images": {"images": [{"image_id": "ami-1", "tags": {"ds-stack:stands-by": "true"}}]},
    "__stack_data": {"outputs": {"volume_id": "vol-1"}},
    "__stack_network": {
        "outputs": {
            "availability_zones": ["us-east-1a", "us-east-1b"],
            "subnet_ids": {"us-east-1a": "subnet-a", "us-east-1b": "subnet-b"},
            "security_group_id": "sg-1",
        }
    },
}
"""What the stages have handed on."""

HOMES_IN_B = {
    "machines": [],
    "volumes": [{"zone": "us-east-1b"}],
    "volume_to_import": "vol-1",
    "backups_to_import": {},
}


def variables(folder: Path, *options: str, shown: str = SHOWN, **given: Any) -> dict[str, dict[str, Any]]:
    """Return what the playbooks would give to each part."""
    playbook, result = folder / "play.yml", folder / "result.json"
    playbook.write_text(PLAY.replace(SHOWN, shown))
    extra = {"ds_stack_name": "demo", "ds_stack_region": "us-east-1", "result": str(result), **MADE, **given}
    played = subprocess.run(
        [PLAYBOOK, str(playbook), *options, "-e", json.dumps(extra)],
        cwd=folder,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stdout + played.stderr
    return dict(json.loads(result.read_text()))


def test_what_is_not_said_is_safe(tmp_path: Path) -> None:
    found = variables(tmp_path)
    assert found["network"]["subnet_id"] is None
    assert found["network"]["allowed_cidrs"] == []
    instance = found["instance"]
    assert (found["data"]["availability_zone"], instance["subnet_id"]) == ("us-east-1a", "subnet-a")
    assert instance["machines"] == {"a": {"image_id": "ami-1", "instance_type": "t3.large"}}
    assert instance["active"] == "a"
    assert (instance["static_ip"], instance["policy_arns"]) == (False, [])
    assert (instance["permissions_boundary"], instance["kms_key_id"]) == (None, None)
    assert found["image"] == IMAGE


def test_what_is_said_gets_where_it_belongs(tmp_path: Path) -> None:
    found = variables(
        tmp_path,
        ds_stack_components=["jupyterhub"],
        ds_stack_subnet_id="subnet-b",
        ds_stack_static_ip=True,
        ds_stack_policy_arns=POLICIES,
        ds_stack_permissions_boundary=BOUNDARY,
        ds_stack_kms_key_id=KEY,
        ds_stack_timezone="Europe/Berlin",
        ds_stack_locale="de_DE.UTF-8",
        ds_stack_user_aws_access=True,
        ds_stack_image_variables={"base_locale": "en_US.UTF-8"},
    )
    assert found["network"]["subnet_id"] == "subnet-b"
    expected = {
        "static_ip": True,
        "policy_arns": POLICIES,
        "permissions_boundary": BOUNDARY,
        "kms_key_id": KEY,
    }
    assert expected.items() <= found["instance"].items()
    assert found["data"]["kms_key_id"] == KEY
    assert found["image"] == {
        **IMAGE,
        "ds_stack_components": ["jupyterhub"],
        "base_timezone": "Europe/Berlin",
        "base_locale": "en_US.UTF-8",  # whoever names a role's variable means it
        "base_user_aws_access": True,
    }


def test_a_text_from_a_command_line_is_what_it_means(tmp_path: Path) -> None:
    """Another type would be another fingerprint of the image, and Terraform knows no ``no``."""
    as_written = variables(
        tmp_path,
        ds_stack_root_volume_size=30,
        ds_stack_data_volume_size=100,
        ds_stack_final_snapshot=False,
        ds_stack_static_ip=True,
        ds_stack_user_aws_access=False,
    )
    as_text = variables(
        tmp_path,
        ds_stack_root_volume_size="30",
        ds_stack_data_volume_size="100",
        ds_stack_final_snapshot="no",
        ds_stack_static_ip="yes",
        ds_stack_user_aws_access="off",
    )
    assert as_text == as_written
    assert as_text["packer"]["root_volume_size"] == as_text["instance"]["root_volume_size_gib"] == 30
    assert (as_text["data"]["size_gib"], as_text["data"]["final_snapshot"]) == (100, False)


@pytest.mark.parametrize(
    ("given", "zone", "subnet"),
    [
        ({"ds_stack_availability_zone": "us-east-1b"}, "us-east-1b", "subnet-b"),
        ({"__stack_inventory": HOMES_IN_B}, "us-east-1b", "subnet-b"),
        (
            {"__stack_inventory": HOMES_IN_B, "ds_stack_availability_zone": "us-east-1a"},
            "us-east-1b",
            "subnet-b",
        ),
    ],
)
def test_the_machine_goes_where_its_homes_are(
    tmp_path: Path, given: dict[str, Any], zone: str, subnet: str
) -> None:
    found = variables(tmp_path, **given)
    assert found["data"]["availability_zone"] == zone
    homes = given.get("__stack_inventory", MADE["__stack_inventory"])
    assert found["data"]["import_volume_id"] == homes["volume_to_import"]
    assert found["instance"]["subnet_id"] == subnet


def test_check_mode_knows_what_is_known_already(tmp_path: Path) -> None:
    found = variables(
        tmp_path,
        "--check",
        __stack_image={"reused": False},
        __stack_data={"outputs": {}},
        __stack_network={
            "outputs": {
                "availability_zones": ["us-east-1a", "us-east-1b"],
                "subnet_ids": {"us-east-1a": "subnet-a"},  # the other is to be made
                "security_group_id": "sg-1",
            }
        },
        ds_stack_availability_zone="us-east-1b",
    )
    assert found["instance"]["machines"]["a"]["image_id"] == "ami-known-after-bake"
    ids = ("volume_id", "subnet_id", "security_group_id")
    assert [found["instance"][name] for name in ids] == [
        "vol-known-after-data",
        "subnet-known-after-network",
        "sg-1",
    ]


def test_outside_of_check_mode_a_missing_id_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="object of type 'dict' has no attribute 'image'"):
        variables(tmp_path, __stack_image={"reused": False})


def test_a_part_asks_for_nothing_that_another_one_needs(tmp_path: Path) -> None:
    """destroy.yml has no image; whoever makes the network has no machine."""
    nothing_made: dict[str, Any] = {**{name: {} for name in MADE}, "__stack_inventory": {"machines": []}}
    found = variables(
        tmp_path,
        shown="'source': __stack_parts.instance.source, 'network': __stack_parts['network'].variables.name",
        **nothing_made,
        __stack_root="/collection",
    )
    assert found == {"source": "/collection/terraform/instance", "network": "demo"}
    with pytest.raises(AssertionError, match="has no attribute 'image'"):
        variables(tmp_path, shown="'instance': __stack_parts.instance.variables", **nothing_made)
