"""A stack of release 0.1.0, whose states lie in a folder, taken over by this one: on moto.

work_folders_of_0_1_0.json has what that release left in its work folders but for states, variables and logs:
the code of its root modules, in its own layout. The real Terraform makes the stack of it here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from moto.core.exceptions import JsonRESTError
from moto.kms.models import KmsBackend

from tests.faults.checker import look
from tests.integration.moto_stacks import (
    a_thread_for_the_machine,
    leave_volumes_without_a_snapshot,
    machines,
    make_image,
)
from tests.integration.operators import REGION, Operator

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

NAME = "older"
BUCKET = f"ds-stack-state-123456789012-{REGION}"
FOLDERS = json.loads(Path(__file__).with_name("work_folders_of_0_1_0.json").read_text())
KEY = "alias/ds-stack-operator"
PARTS = ("network", "data", "instance")


def made_by_0_1_0(operator: Operator, part: str, **variables: Any) -> dict[str, Any]:
    """Make a part of a stack, with its state in the folder; its outputs."""
    work_dir = operator.folder / ".ds_stack" / NAME / "terraform" / part
    for name, lines in FOLDERS.items():
        if name.startswith(f"{part}/"):
            file = work_dir.parent / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(lines) + "\n")
    given = {"name": NAME, "region": REGION, "tags": {}, **variables}
    (work_dir / "terraform_stack.auto.tfvars.json").write_text(json.dumps(given))

    def terraform(*arguments: str) -> str:
        return subprocess.run(
            ["terraform", *arguments],
            cwd=work_dir,
            env=operator.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    terraform("init", "-input=false")
    terraform("apply", "-input=false", "-auto-approve")
    return {name: one["value"] for name, one in json.loads(terraform("output", "-json")).items()}


def told_by_0_1_0(operator: Operator, volume: str) -> None:
    """Write the parameters as that release did: it kept no record and no lock."""
    ssm = operator.client("ssm")
    root, config = f"/ds-stack/{NAME}", {"schema": 1, "components": ["jupyterhub", "rstudio"]}
    texts = {
        f"{root}/operator/passwords/ada": "chosen long ago",
        f"{root}/machine/users/ada": json.dumps({"hash": "$6$her$own", "rotation": 1, "operator_version": 1}),
        f"{root}/machine/config": json.dumps(
            {**config, "data_volume_id": volume, "group": "ds-users", "users": [{"name": "ada"}]}
        ),
    }
    for name, text in texts.items():
        kind = "String" if name.endswith("/config") else "SecureString"
        tags = [{"Key": "ds-stack:name", "Value": NAME}]
        ssm.put_parameter(Name=name, Value=text, Type=kind, Tags=tags)


def refuse(*_arguments: Any, **_options: Any) -> None:
    raise JsonRESTError("AccessDeniedException", "no policy allows kms:CreateKey")


def test_its_states_are_handed_over_and_nothing_is_replaced(
    tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_volumes_without_a_snapshot(monkeypatch)
    operator = Operator.with_account(
        tmp_path,
        endpoint,
        ds_stack_name=NAME,
        ds_stack_users=[{"name": "ada"}],
        ds_stack_backups={"keep_days": 0},  # tests/integration/test_restore.py has them
    )
    with operator.running_provider(), a_thread_for_the_machine(operator):
        network = made_by_0_1_0(
            operator,
            "network",
            vpc_cidr="10.77.0.0/16",
            subnet_id=None,
            allowed_cidrs=[],
            ports={"jupyterhub": 8000, "rstudio": 8787},
        )
        zone = network["availability_zones"][0]
        data = made_by_0_1_0(
            operator, "data", availability_zone=zone, size_gib=50, final_snapshot=False, kms_key_id=None
        )
        told_by_0_1_0(operator, data["volume_id"])
        instance = made_by_0_1_0(
            operator,
            "instance",
            image_id=make_image(operator, "of 0.1.0"),
            instance_type="t3.large",
            root_volume_size_gib=20,
            subnet_id=network["subnet_ids"][zone],
            security_group_id=network["security_group_id"],
            volume_id=data["volume_id"],
            static_ip=False,
            policy_arns=[],
            permissions_boundary=None,
            kms_key_id=None,
        )
        before = look(operator.client, NAME)
        assert before.machines == (instance["instance_id"],)
        assert before.attachments == before.machines

        said = operator.run("network")
        with monkeypatch.context() as patched:
            patched.setattr(KmsBackend, "create_key", refuse)
            refused = " ".join(operator.run("instance", code=2).split())
        moved = " ".join(operator.run("instance").split())

    assert f"The KMS key {KEY} for the users' passwords cannot be made." in refused
    assert "-e ds_stack_operator_key=none" in refused
    assert "no policy allows kms:CreateKey" in refused
    assert f"The passwords of ada lie under {KEY} now, and are the same." in moved
    ssm = operator.client("ssm")
    of = [{"Key": "Path", "Option": "Recursive", "Values": [f"/ds-stack/{NAME}"]}]
    lie = {
        one["Name"]: one.get("KeyId") for one in ssm.describe_parameters(ParameterFilters=of)["Parameters"]
    }
    assert lie[f"/ds-stack/{NAME}/operator/passwords/ada"] == KEY
    assert lie[f"/ds-stack/{NAME}/machine/users/ada"] == "alias/aws/ssm"
    hers = ssm.get_parameter(Name=f"/ds-stack/{NAME}/machine/users/ada", WithDecryption=True)["Parameter"]
    assert json.loads(hers["Value"]) == {"hash": "$6$her$own", "rotation": 1, "operator_version": 2}
    key = operator.client("kms").describe_key(KeyId=KEY)["KeyMetadata"]["KeyId"]
    assert operator.client("kms").get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    assert f"The KMS key {key} ({KEY}) is for the passwords of all stacks" in operator.run("audit")
    after = replace(before, active=before.machines)
    there = replace(look(operator.client, NAME), hashes=before.hashes)  # hers is looked at above
    assert there == after, "the same machine, volume, network and passwords"
    assert [one["State"]["Name"] for one in machines(operator)] == ["running"]
    listed = operator.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    assert sorted(one["Key"] for one in listed) == sorted(f"{NAME}/{part}.tfstate" for part in PARTS)
    for part in PARTS:
        assert f"The state of {part}: it was handed over to s3://{BUCKET}/{NAME}." in said
        work_dir = operator.folder / ".ds_stack" / NAME / "terraform" / part
        (kept,) = work_dir.glob("terraform.tfstate*")
        assert f"The file is kept as {kept}." in said
    record = operator.client("ssm").get_parameter(Name=f"/ds-stack/{NAME}/operator/stack")["Parameter"]
    assert json.loads(record["Value"])["state"]["type"] == "s3"
