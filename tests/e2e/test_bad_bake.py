"""A bake in which a role fails: what the user is told, and that nothing of it is left in the account."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Stack, client

pytestmark = pytest.mark.e2e

WRONG = "0" * 64


@pytest.mark.soak
def test_a_download_with_a_wrong_checksum_names_role_task_and_url_and_leaves_nothing(
    cloud: None, tmp_path: Path
) -> None:
    ec2 = client("ec2")
    groups = {group["GroupId"] for group in ec2.describe_security_groups()["SecurityGroups"]}
    stack = Stack("bad-bake", tmp_path)
    variables = {"conda_installer_checksum": f"sha256:{WRONG}"}
    bake = stack.begin("bake", ds_stack_image_variables=variables)
    said, _ = bake.communicate()

    assert bake.returncode == 2, said
    error = " ".join(said[said.index("The bake failed.") :].split())
    assert "Task 'iac.ds_stack.conda : Download the installer' failed" in error or (
        "Task 'conda : Download the installer' failed" in error
    ), said
    assert f"did not match {WRONG}; it was " in error
    assert "URL: http" in error
    assert "It left no instance, key pair, security group, volume or image in the account." in error

    # The account remembers that it was tried, and from where.
    assert stack.left() == {"parameter": [f"/ds-stack/{stack.name}/operator/stack"]}
    assert ec2.describe_key_pairs()["KeyPairs"] == []
    assert {group["GroupId"] for group in ec2.describe_security_groups()["SecurityGroups"]} == groups
    states = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
    assert ec2.describe_instances(Filters=states)["Reservations"] == []
