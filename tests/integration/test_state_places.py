"""Where Terraform's states are, and what becomes of a stack whose state is elsewhere or lost: on moto.

The data volume alone stands for a stack: it is what must never be made twice. The tests build on each
other in the order of the file.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.s3.exceptions import S3ClientError
from moto.s3.models import S3Backend, s3_backends

from tests import listings
from tests.faults.checker import look
from tests.faults.matrix import UNCHANGED, errors, shown
from tests.integration.moto_stacks import all_but_the_record, leave_volumes_without_a_snapshot, volumes
from tests.integration.operators import REGION, ROOT, Operator

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

NAME = "homes"
ACCOUNT = "123456789012"
BUCKET = f"ds-stack-state-{ACCOUNT}-{REGION}"
KEY = f"{NAME}/data.tfstate"
IMPORTED = "1 to import"

HOMES = {
    "hosts": "localhost",
    "gather_facts": False,
    "vars": {
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "preflight_stages": ["users"],
        "__stack_makes": True,
        "__stack_network": {"outputs": {"availability_zones": [f"{REGION}a"]}},
    },
    "vars_files": [str(ROOT / "playbooks/vars/stack.yml")],
    "module_defaults": {"group/amazon.aws.aws": {"region": REGION}},
    "roles": ["iac.ds_stack.preflight"],
    "tasks": [
        {"ansible.builtin.import_tasks": str(ROOT / "playbooks/tasks/state.yml")},
        {
            "iac.ds_stack.terraform_stack": {
                "protect": ["{{ __stack_volume_address }}"],
                **{
                    name: f"{{{{ __stack_parts.data.{name} }}}}"
                    for name in ("source", "work_dir", "overrides", "variables")
                },
                "backend": "{{ __stack_parts.data.backend or omit }}",
            },
            "register": "made",
        },
        {"ansible.builtin.debug": {"msg": "{{ made.changes | map(attribute='action') }}"}},
    ],
}
"""The playbooks' own way to a data volume, without the network and the machine."""


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Iterator[Operator]:
    someone = Operator.with_account(
        tmp_path_factory.mktemp("operator"),
        endpoint,
        ds_stack_name=NAME,
        ds_stack_state="s3",
        ds_stack_backups={"keep_days": 0},  # tests/integration/test_restore.py has them
    )
    (someone.folder.parent / "homes.yml").write_text(json.dumps([HOMES]))
    with pytest.MonkeyPatch.context() as monkeypatch:
        leave_volumes_without_a_snapshot(monkeypatch)
        yield someone


def homes(operator: Operator, *options: str, code: int = 0, **variables: Any) -> str:
    """Make the homes, or what is asked for; what was said."""
    play = Path(operator.environment["TF_CLI_CONFIG_FILE"]).with_name("homes.yml")
    return operator.run(str(play), *options, code=code, **variables).replace("\\n", "\n")


def keys(operator: Operator) -> list[str]:
    """The states in the bucket."""
    return [one["Key"] for one in operator.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def state(operator: Operator) -> dict[str, Any]:
    """The state of the homes in the bucket."""
    body = operator.client("s3").get_object(Bucket=BUCKET, Key=KEY)["Body"].read()
    found: dict[str, Any] = json.loads(body)
    return found


def test_a_state_of_a_folder_is_handed_over(operator: Operator) -> None:
    homes(operator, ds_stack_state="local")
    (volume,) = volumes(operator)
    s3 = operator.client("s3")
    assert s3.list_buckets()["Buckets"] == []
    work_dir = operator.folder / f".ds_stack/{NAME}/terraform/data"

    checked = homes(operator, "--check")
    assert s3.list_buckets()["Buckets"] == [], "check mode makes no bucket"
    assert (work_dir / "terraform.tfstate").exists()
    assert '"msg": []' in checked or "msg: []" in checked, "and plans with the state that counts"

    said = homes(operator)
    assert f"The state of data: it was handed over to s3://{BUCKET}/{NAME}." in said
    (kept,) = work_dir.glob("terraform.tfstate.moved-*")
    assert f"The file is kept as {kept}." in said
    assert not (work_dir / "terraform.tfstate").exists()
    assert keys(operator) == [KEY]
    assert volumes(operator) == [volume]
    assert [volume] == [one["instances"][0]["attributes"]["id"] for one in state(operator)["resources"]]


def test_the_bucket_is_private_and_keeps_versions(operator: Operator) -> None:
    s3 = operator.client("s3")
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    block = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    rules = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def test_another_region_is_named_and_nothing_is_made_there(operator: Operator) -> None:
    before = listings.account(operator.client)
    said = homes(operator, code=2, ds_stack_region="eu-west-1")
    assert f"has kept the state of data in s3://{BUCKET}/{KEY}" in said
    assert "Is eu-west-1 the region of homes? Name the right one with ds_stack_region" in said
    assert [one["Name"] for one in operator.client("s3").list_buckets()["Buckets"]] == [BUCKET]
    assert listings.account(operator.client) == before
    shown(
        "a folder of one region is worked with in another",
        stack=NAME,
        read=errors(said)[0],
        left=look(operator.client, NAME),
        then=UNCHANGED,
    )


def test_a_lost_state_is_made_again_of_the_volume_that_is_there(operator: Operator, tmp_path: Path) -> None:
    (volume,) = volumes(operator)
    operator.client("s3").delete_object(Bucket=BUCKET, Key=KEY)
    said = homes(operator.moved(tmp_path))
    assert volumes(operator) == [volume], "the same one, and no second"
    assert IMPORTED in said
    (resource,) = [one for one in state(operator)["resources"] if one["mode"] == "managed"]
    assert resource["instances"][0]["attributes"]["id"] == volume
    shown(
        "Terraform's state of the homes is lost",
        stack=NAME,
        read=IMPORTED,
        left=look(operator.client, NAME),
        then="has nothing to mend",
    )


def test_an_older_state_of_a_folder_does_not_win(operator: Operator) -> None:
    """Of the same origin the newer one counts; of another one nobody guesses."""
    work_dir = operator.folder / f".ds_stack/{NAME}/terraform/data"
    (old,) = work_dir.glob("terraform.tfstate.moved-*")
    mine = json.loads(old.read_text())
    there = state(operator)
    other = json.dumps(mine).replace(volumes(operator)[0], "vol-of-another-stack")
    (work_dir / "terraform.tfstate").write_text(other)
    said = homes(operator, code=2)
    assert "There are two states, and nothing was changed." in said
    assert mine["lineage"] in said
    assert there["lineage"] in said
    assert state(operator) == there
    shown(
        "two folders, each with a state of its own",
        stack=NAME,
        read=errors(said)[0],
        left=look(operator.client, NAME),
        then="the same, until one of the two is moved away",
    )

    stale = {**mine, "lineage": there["lineage"], "serial": 0}
    (work_dir / "terraform.tfstate").write_text(json.dumps(stale))
    said = homes(operator, "--check")
    assert "The state of data: the one in s3://" in said
    assert "counts, which is newer or the same; the one here would be set aside." in said
    assert state(operator) == there
    (work_dir / "terraform.tfstate").unlink()


def test_a_network_that_no_state_has_is_not_made_a_second_time(operator: Operator, tmp_path: Path) -> None:
    ec2 = operator.client("ec2")
    tags = [{"Key": "ds-stack:name", "Value": NAME}, {"Key": "ds-stack:part", "Value": "network"}]
    vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}])[
        "Vpc"
    ]["VpcId"]
    before = all_but_the_record(operator)
    someone = operator.moved(tmp_path)
    said = someone.run("network", code=2)
    assert f"does not have: network {vpc}. They would be made a second time." in said
    assert all_but_the_record(operator) == before
    shown(
        "a network is there that the state does not have",
        stack=NAME,
        read=errors(said)[0],
        left=look(operator.client, NAME),
        then="the same, until it is in the state or gone",
    )

    audit = someone.run("audit")
    assert f"  network           {vpc}\n" in audit
    assert f"aws ec2 delete-vpc --region {REGION} --vpc-id {vpc}" in audit
    ec2.delete_vpc(VpcId=vpc)


def test_the_last_destroy_takes_the_states_with_it(operator: Operator, tmp_path: Path) -> None:
    """From an empty folder, with nothing but the name."""
    someone = operator.moved(tmp_path)
    another = "other/data.tfstate"
    operator.client("s3").put_object(Bucket=BUCKET, Key=another, Body=b"{}")
    said = someone.run("destroy", ds_stack_destroy_data=True)
    assert volumes(operator) == []
    assert keys(operator) == [another]
    assert "homes is destroyed." in said
    assert "A last snapshot of the homes is kept until you remove it" in said
    assert (
        "the homes as they were when they were destroyed" in said.partition("What the account still has")[2]
    )

    (tmp_path / "another").mkdir()
    said = operator.moved(tmp_path / "another").run("destroy", ds_stack_region="eu-west-1")
    assert "There was nothing of homes in eu-west-1. Is it in another region?" in said
    assert "is destroyed" not in said


def test_a_bucket_of_somebody_else_is_refused(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of moto's accounts another one has it; nothing is read from it nor written to it."""
    mine = s3_backends[ACCOUNT]["aws"]
    theirs = s3_backends["111111111111"]["aws"]
    monkeypatch.setitem(theirs.buckets, BUCKET, mine.buckets[BUCKET])
    monkeypatch.delitem(mine.buckets, BUCKET)
    monkeypatch.setenv("MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS", "false")
    before = listings.account(operator.client)
    said = homes(operator.moved(tmp_path), code=2)
    assert f"The bucket {BUCKET} for Terraform's states belongs to another account than {ACCOUNT}" in said
    assert "ds_stack_state: local" in said
    assert listings.account(operator.client) == before
    shown(
        "the bucket for states is somebody else's",
        stack=NAME,
        read=errors(said)[0],
        left=look(operator.client, NAME),
        then=UNCHANGED,
    )


def test_who_may_make_no_bucket_reads_what_else_can_be_done(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise S3ClientError("AccessDenied", "no identity-based policy allows the s3:CreateBucket action")

    monkeypatch.delitem(s3_backends[ACCOUNT]["aws"].buckets, BUCKET)
    monkeypatch.delitem(s3_backends.bucket_accounts, BUCKET)
    monkeypatch.setattr(S3Backend, "create_bucket", refuse)
    said = homes(operator.moved(tmp_path), code=2)
    assert f"The bucket {BUCKET} for Terraform's states cannot be made, and nothing else was." in said
    assert "s3:CreateBucket" in said
    assert "-e ds_stack_state=local" in said
    assert volumes(operator) == []
    shown(
        "no right to make the bucket for states",
        stack=NAME,
        read=errors(said)[-1],
        left=look(operator.client, NAME),
        then=UNCHANGED,
    )
