"""What is lost when a stack is destroyed, and what is not: on moto, with the real Terraform and provider.

The tests build on each other in the order of the file.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.splitter import parse_kv
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.elastic_block_store import EBSBackend

from tests.faults.checker import look
from tests.faults.matrix import UNCHANGED, ending, errors, shown
from tests.integration.moto_stacks import (
    all_but_the_record,
    data_tags,
    leave_volumes_without_a_snapshot,
    living_stack,
    machines,
    make_image,
    purpose,
    report,
    snapshot,
    snapshots,
    volumes,
)
from tests.integration.operators import REGION, ROOT, Operator

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

NAME = "lasting"
PATH = f"/ds-stack/{NAME}"
HOMES = "homes-alone"
AT_WORK: dict[str, str] = {}
"""Who is, on the machine."""


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Iterator[Operator]:
    """Somebody who has a stack with a machine."""
    someone = Operator.with_account(
        tmp_path_factory.mktemp("an operator"),
        endpoint,
        ds_stack_name=NAME,
        ds_stack_users=[{"name": "ada"}],
        ds_stack_state="local",
        ds_stack_backups={"keep_days": 0},  # tests/integration/test_restore.py has them
    )
    with living_stack(someone, AT_WORK):
        make_image(someone, "1")
        someone.run("network")
        (someone.folder / "said").write_text(someone.run("instance"))
        yield someone


@pytest.fixture
def made(operator: Operator) -> str:
    """What the playbook said that made the machine."""
    return (operator.folder / "said").read_text()


def parameters(operator: Operator) -> dict[str, tuple[str, int]]:
    """The stack's parameters but the status and the record: value and version."""
    found = operator.client("ssm").get_parameters_by_path(
        Path=f"/ds-stack/{operator.variables['ds_stack_name']}", Recursive=True, WithDecryption=True
    )
    # What a machine says of itself, it says when it likes; what runs say of themselves, they always say.
    return {
        one["Name"]: (one["Value"], one["Version"])
        for one in found["Parameters"]
        if "/machine/status/" not in one["Name"] and not one["Name"].endswith("/operator/stack")
    }


def runs(operator: Operator) -> list[dict[str, str]]:
    """What the record says of the last runs."""
    found = operator.client("ssm").get_parameter(Name=f"{PATH}/operator/stack")["Parameter"]["Value"]
    return list(json.loads(found)["runs"])


def refused(operator: Operator, **variables: Any) -> str:
    """Run a destroy that must stop before anything is changed, and return what it said."""
    before = all_but_the_record(operator), parameters(operator)
    said = operator.run("destroy", code=2, ds_stack_destroy_images=True, **variables)
    after = all_but_the_record(operator), parameters(operator)
    assert after == before
    assert f"{NAME} is destroyed" not in said
    return said.replace("\\n", "\n")


def test_another_folder_stops_it(operator: Operator, tmp_path: Path) -> None:
    """One that is named. Else the record knows the folder."""
    said = refused(operator, ds_stack_dir=f"{tmp_path}/.ds_stack/{NAME}")
    assert (runs(operator)[0]["playbook"], runs(operator)[0]["outcome"]) == ("destroy", "failed")
    assert f"{NAME} was not destroyed, and nothing was changed." in said
    assert re.search(rf"^  machine +{machines(operator)[0]['InstanceId']}$", said, re.MULTILINE)
    assert re.search(rf"^  data volume +{volumes(operator)[0]}$", said, re.MULTILINE)
    assert re.search(r"^  network +vpc-\w+$", said, re.MULTILINE)
    assert re.search(r"^  security group +sg-\w+$", said, re.MULTILINE)
    assert f"The state was expected in {tmp_path}/.ds_stack/{NAME}/terraform." in said
    assert "-e ds_stack_dir=" in said
    shown(
        "`destroy.yml` with another folder, of a stack with `ds_stack_state: local`",
        stack=NAME,
        read=errors(said)[0],
        left=look(operator.client, NAME),
        then=UNCHANGED,
    )


def test_another_region_stops_it(operator: Operator) -> None:
    said = refused(operator, ds_stack_region="eu-west-1", ds_stack_destroy_data=True)
    sentence = f"Nothing was done: {NAME} is in {REGION}, not in eu-west-1 (say -e ds_stack_region={REGION})."
    assert sentence in said
    shown(
        "`destroy.yml` with `ds_stack_destroy_data` in another region",
        stack=NAME,
        read=sentence,
        left=look(operator.client, NAME),
        then=UNCHANGED,
    )


def test_one_part_that_the_state_does_not_have_stops_it(operator: Operator) -> None:
    ec2 = operator.client("ec2")
    (known,) = volumes(operator)
    tagged = [{"ResourceType": "volume", "Tags": data_tags(operator)}]
    other = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1, TagSpecifications=tagged)["VolumeId"]
    said = refused(operator, ds_stack_destroy_data=True)
    ec2.delete_volume(VolumeId=other)
    assert re.search(rf"^  data volume +{other}$", said, re.MULTILINE)
    assert known not in said.partition("was not destroyed")[2]


@pytest.fixture
def ada_at_work(operator: Operator) -> Iterator[str]:
    """What is said of her."""
    AT_WORK["ada"] = "kernel python3"
    report(operator, AT_WORK)
    (machine,) = machines(operator)
    yield f"At work on {machine['InstanceId']}: ada (kernel python3)."
    AT_WORK.clear()
    report(operator, AT_WORK)


@pytest.mark.soak
def test_another_network_is_not_made(operator: Operator) -> None:
    """What Terraform would refuse is told before, by what an operator can change."""
    subnet = operator.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    before = all_but_the_record(operator)
    for wanted, mend in (
        ({"ds_stack_vpc_cidr": "10.78.0.0/16"}, "ds_stack_vpc_cidr at 10.77.0.0/16"),
        ({"ds_stack_subnet_id": subnet}, "ds_stack_subnet_id out"),
    ):
        said = " ".join(operator.run("network", code=2, **wanted).split())
        assert f"Leave {mend}, or run destroy.yml first, which keeps the homes." in said
    assert all_but_the_record(operator) == before


def test_somebody_at_work_stops_it(operator: Operator, ada_at_work: str) -> None:
    said = " ".join(refused(operator, ds_stack_destroy_data=True).split())
    assert f"Nothing was done. {ada_at_work} destroy.yml would destroy it, which ends what they run." in said


@pytest.mark.soak
def test_nobodys_machine_is_replaced_or_stopped_unasked(operator: Operator, ada_at_work: str) -> None:
    """By what the plan would do; and what leaves the machine as it is asks nobody."""
    image = make_image(operator, "2", "image-2")
    before = all_but_the_record(operator)
    said = " ".join(operator.run("instance", code=2).split())
    assert f"{ada_at_work} instance.yml would replace it" in said
    checked = " ".join(operator.run("instance", "--check").split())
    assert f"{ada_at_work} instance.yml would replace it, and stops before that" in checked
    assert all_but_the_record(operator) == before

    operator.client("ec2").deregister_image(ImageId=image)
    before = all_but_the_record(operator)
    said = " ".join(operator.run("instance", code=2, ds_stack_instance_type="t3.xlarge").split())
    assert f"{ada_at_work} instance.yml would stop it, to start it as a t3.xlarge" in said
    assert all_but_the_record(operator) == before


def test_printed_commands_are_about_this_stack(made: str, operator: Operator) -> None:
    """They do the same from wherever they are pasted, also with a space in the folder."""
    folder = operator.folder / ".ds_stack" / NAME
    for what, playbook in (("Passwords", "users"), ("Destroy with", "destroy")):
        (command,) = re.findall(rf"^  {what} +(.+)$", made, re.MULTILINE)
        program, name, *options = shlex.split(command)
        assert (program, name) == ("ansible-playbook", f"iac.ds_stack.{playbook}")
        assert options[::2] == ["-e"] * 3
        assert parse_kv(options[1]) | parse_kv(options[3]) | parse_kv(options[5]) == {
            "ds_stack_name": NAME,
            "ds_stack_region": REGION,
            "ds_stack_dir": str(folder),
        }


def test_passwords_stay_when_nobody_is_named(operator: Operator) -> None:
    """Whoever is named again has the home and the password; until then the machine lets nobody in."""
    before, config = parameters(operator), f"{PATH}/machine/config"
    AT_WORK["ada"] = "kernel python3"
    operator.run("instance", ds_stack_users=[], ds_stack_as_given=True)
    AT_WORK.clear()
    after = parameters(operator)
    assert {name: one for name, one in after.items() if name != config} == {
        name: one for name, one in before.items() if name != config
    }
    assert json.loads(before[config][0])["users"] == [{"name": "ada"}]
    assert json.loads(after[config][0])["users"] == []


def test_passwords_stay_while_the_homes_stay(operator: Operator, tmp_path: Path) -> None:
    """By somebody in an empty folder who knows nothing but the name."""
    (volume,) = volumes(operator)
    colleague = operator.elsewhere(tmp_path)
    snapshot(operator, volume, f"{NAME}: before the machine is replaced", purpose("before-replacement"))
    before, kept = parameters(operator), snapshots(operator)
    said = colleague.run("destroy")
    users = {f"{PATH}/operator/passwords/ada", f"{PATH}/machine/users/ada"}
    assert machines(operator) == []
    assert parameters(operator) == {name: before[name] for name in users}
    assert (runs(operator)[0]["playbook"], runs(operator)[0]["outcome"]) == ("destroy", "succeeded")
    assert snapshots(operator) == kept
    sentence = f"The data volume {volume} is kept, and its users' passwords"
    assert sentence in said
    shown(
        "`destroy.yml` by a colleague in an empty folder, with nothing but the name",
        stack=NAME,
        read=f"{sentence}.",
        left=look(operator.client, NAME),
        then="finds the homes and the passwords that people chose",
    )


@pytest.fixture
def homes(tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    """Somebody who has homes and users' passwords, and no machine."""
    leave_volumes_without_a_snapshot(monkeypatch)
    someone = Operator.with_account(
        tmp_path, endpoint, ds_stack_name=HOMES, ds_stack_state="local", ds_stack_backups={"keep_days": 0}
    )
    work_dir = someone.folder / f".ds_stack/{HOMES}/terraform/data"
    root = {"source": str(ROOT / "terraform/data"), "work_dir": str(work_dir)}
    zone = {"availability_zone": f"{REGION}a", "final_snapshot": False, "backups_keep_days": 0}
    tasks = [
        {"iac.ds_stack.terraform_stack": {**root, "variables": {"name": HOMES, "region": REGION, **zone}}},
        {"iac.ds_stack.user_credentials": {"stack": HOMES, "users": ["ada"], "region": REGION}},
    ]
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "tasks": tasks,
    }
    file = someone.folder.parent / "homes.yml"
    file.write_text(json.dumps([play]))
    with someone.running_provider():
        someone.run(str(file))
        yield someone


def test_a_final_snapshot_outlives_what_fails_and_what_follows(
    homes: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = homes
    (volume,) = volumes(operator)
    by_hand = snapshot(operator, volume, "by hand")
    snapshot(operator, volume, f"{HOMES}: before the machine is replaced", purpose("before-replacement"))
    before, users = snapshots(operator), parameters(operator)

    def refuse(*_arguments: Any) -> None:
        # Of VolumeInUse the provider would wait for the end.
        raise EC2ClientError("OperationNotPermitted", "somebody holds it")

    # Half-way: the volume cannot be removed. Passwords and all snapshots are there, and a final one.
    with monkeypatch.context() as patched:
        patched.setattr(EBSBackend, "delete_volume", refuse)
        failed = operator.run("destroy", code=2, ds_stack_destroy_data=True)
    left = look(operator.client, HOMES)
    assert volumes(operator) == [volume]
    assert parameters(operator) == users
    (first,) = snapshots(operator).keys() - before.keys()
    assert snapshots(operator) == {**before, first: "final"}

    said = operator.run("destroy", ds_stack_destroy_data=True)
    assert volumes(operator) == []
    assert parameters(operator) == {}
    (second,) = snapshots(operator).keys() - before.keys() - {first}
    assert f"A last snapshot of the homes is kept until you remove it: {second}" in said
    # Of the others only ours of before a replacement have gone.
    assert snapshots(operator) == {by_hand: "", first: "final", second: "final"}
    shown(
        "`destroy.yml` with `ds_stack_destroy_data` fails half-way, and AWS keeps the volume",
        stack=HOMES,
        read=ending(failed),
        left=left,
        then="makes another final snapshot and removes the volume. Final snapshots and your own stay: "
        f"{look(operator.client, HOMES)}",
    )
    (made,) = operator.client("ec2").describe_snapshots(SnapshotIds=[second])["Snapshots"]
    assert (made["State"], made["VolumeId"]) == ("completed", volume)
