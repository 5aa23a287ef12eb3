"""The account knows the stack: each playbook by somebody in an empty folder who knows nothing but its name.

On moto, with a machine that was started by hand: nothing here gets as far as Terraform. The tests build on
each other in the order of the file.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import InstanceBackend

from tests.faults.checker import look
from tests.faults.matrix import UNCHANGED, errors, shown, warned
from tests.integration.moto_stacks import a_thread_for_the_machine, machines, make_image, report
from tests.integration.operators import REGION, ROOT, Operator
from tests.which_ansible import PLAYBOOK

NAME = "research"
PATH = f"/ds-stack/{NAME}"
SECRET = "hunter2-of-the-proxy"
APPLYING = ("site", "bake", "network", "instance", "rollback")
OTHERS = (
    *("status", "users", "stop", "start", "destroy", "audit", "snapshots", "restore", "restore_home"),
    *("cluster", "cluster_stop"),
)
OF_NO_STACK = {
    "image": "Packer runs it on a machine that is baked",
    "node_image": "the same",
    "cite": "works on files of this machine",
    "diff": "the same",
}
PARTS = {"restore_volume": "restore.yml is it, for all the homes"}


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Operator:
    """Somebody who has baked, with ports open to the office; and a machine that reports."""
    someone = Operator.with_account(
        tmp_path_factory.mktemp("operator"),
        endpoint,
        ds_stack_name=NAME,
        ds_stack_users=[{"name": "ada", "ssh_keys": []}, {"name": "grace"}],
        ds_stack_allowed_cidrs=["198.51.100.0/24"],
        ds_stack_components=["jupyterhub"],
        ds_stack_downloads={"r_cran_url": f"https://me:{SECRET}@mirror.example/cran"},
        ds_stack_take_over=False,
    )
    checked = someone.run("bake", "--check", "-v")
    fingerprint = re.search(r"\bfingerprint: '?([0-9a-f]{64})", checked)
    assert fingerprint, checked
    assert parameters(someone) == []  # check mode keeps no record
    image = make_image(someone, fingerprint[1])
    someone.run("bake")
    tags = {"ds-stack:name": NAME, "ds-stack:part": "instance"}
    someone.client("ec2").run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[
            {
                "ResourceType": "instance",
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            }
        ],
    )
    ssm = someone.client("ssm")
    ssm.put_parameter(Name=f"{PATH}/machine/config", Value="{}", Type="String")
    for user in ("ada", "eve"):
        ssm.put_parameter(Name=f"{PATH}/operator/passwords/{user}", Value=f"of {user}", Type="SecureString")
    report(someone)
    return someone


@pytest.fixture
def colleague(operator: Operator, tmp_path: Path) -> Operator:
    """Somebody else, in an empty folder."""
    return operator.elsewhere(tmp_path)


def parameters(operator: Operator, region: str = REGION) -> list[str]:
    """The names of the stack's parameters."""
    found = operator.client("ssm", region).get_parameters_by_path(Path=PATH, Recursive=True)["Parameters"]
    return sorted(one["Name"] for one in found)


def value(operator: Operator, name: str) -> dict[str, Any]:
    """A parameter of the operators'."""
    found = operator.client("ssm").get_parameter(Name=f"{PATH}/operator/{name}")["Parameter"]["Value"]
    return dict(json.loads(found))


def last_runs(operator: Operator) -> list[tuple[str, str]]:
    """Playbook and outcome of the last runs, the newest first."""
    return [(one["playbook"], one["outcome"]) for one in value(operator, "stack")["runs"]]


def error(said: str) -> str:
    """The one error that a playbook ended with."""
    (found,) = re.findall(r"^\[ERROR\]: Task failed: Module failed: ((?:.*\n)+?)Origin: ", said, re.MULTILINE)
    return str(found).rstrip("\n")


def begun(operator: Operator, playbook: str) -> subprocess.Popen[str]:
    """Start a playbook."""
    return subprocess.Popen(
        [PLAYBOOK, f"iac.ds_stack.{playbook}", "-e", json.dumps(operator.variables)],
        cwd=operator.folder,
        env=operator.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def move_the_lock(operator: Operator) -> None:
    """Have the lock that there is held from another machine."""
    held = {**value(operator, "lock"), "machine": "grace@another"}
    name = f"{PATH}/operator/lock"
    operator.client("ssm").put_parameter(Name=name, Value=json.dumps(held), Type="String", Overwrite=True)


@pytest.fixture
def starting(operator: Operator) -> Iterator[subprocess.Popen[str]]:
    """A start.yml that waits for a machine that says nothing."""
    ssm = operator.client("ssm")
    for one in ssm.get_parameters_by_path(Path=f"{PATH}/machine/status")["Parameters"]:
        ssm.delete_parameter(Name=one["Name"])
    process = begun(operator, "start")
    try:
        end = time.monotonic() + 120
        while ("start", "began") not in last_runs(operator)[:1]:
            assert time.monotonic() < end
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.3)
        yield process
    finally:
        process.kill()
        process.communicate()
        report(operator)


def test_no_playbook_is_forgotten() -> None:
    """A new one is tried here from then on, or is about no stack in the account."""
    playbooks = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    assert playbooks == {*APPLYING, *OTHERS, *OF_NO_STACK, *PARTS}


def test_the_record_is_what_was_given_and_no_secret(operator: Operator) -> None:
    found = value(operator, "stack")
    assert found["configuration"] == {
        "ds_stack_allowed_cidrs": ["198.51.100.0/24"],
        "ds_stack_base_image": operator.variables["ds_stack_base_image"],
        "ds_stack_components": ["jupyterhub"],
        "ds_stack_users": ["ada", "grace"],
    }
    assert found["withheld"] == {"ds_stack_downloads": ["r_cran_url"]}
    bucket = f"ds-stack-state-123456789012-{REGION}"
    assert found["state"] == {"type": "s3", "bucket": bucket, "prefix": NAME, "region": REGION}
    assert SECRET not in json.dumps(found)
    assert last_runs(operator) == [("bake", "succeeded")]
    assert f"{PATH}/operator/lock" not in parameters(operator)


def test_status_by_the_name_shows_the_addresses(operator: Operator, colleague: Operator) -> None:
    report(operator)  # as a machine does all the time
    said = colleague.run("status")
    (machine,) = machines(operator)
    assert f"\n{NAME}: ready\n" in said
    assert f"  jupyterhub   https://{machine['PublicIpAddress']}:8000\n" in said
    assert "://localhost" not in said
    assert "8787" not in said  # RStudio is not among its components
    assert re.search(r"^  Last run     bake by arn:\S+ \(\S+@\S+\) at 20\S+Z:\n +succeeded at 20", said, re.M)


def test_users_by_the_name_tells_who_is_not_named(colleague: Operator) -> None:
    said = colleague.run("users")
    assert re.search(r"^ada +of ada$", said, re.MULTILINE)
    assert re.search(r"^eve +of eve   \(is not named any more, and may not sign in\)$", said, re.MULTILINE)


def test_audit_by_the_name_tells_what_there_is(operator: Operator, colleague: Operator) -> None:
    said = colleague.run("audit")
    for name in (machines(operator)[0]["InstanceId"], f"{PATH}/operator/stack", f"{PATH}/machine/config"):
        assert name in said
    assert [*colleague.folder.iterdir()] == []


def test_a_mistyped_name_is_told_with_those_that_there_are(colleague: Operator) -> None:
    said = colleague.run("status", ds_stack_name="reserach")
    (warning,) = (one for one in warned(said) if "reserach" in one)
    assert f"Parameter Store in {REGION} knows no stack reserach. It knows {NAME}." in warning
    assert "reserach: no machine" in said
    shown(
        "`status.yml` with a mistyped name",
        stack=NAME,
        read=warning,
        left=look(colleague.client, NAME),
        then=UNCHANGED,
    )


def test_those_about_no_stack_do_nothing_and_say_what_they_take(colleague: Operator) -> None:
    for playbook, number in (("cite", 1), ("diff", 2)):
        said = " ".join(colleague.run(playbook, code=2).split())
        assert f"This takes {number} of an image's receipts, and 0 were found" in said
        assert "there is none: bake.yml leaves one with each image that it bakes." in said
    for playbook in ("image", "node_image"):
        assert "no hosts matched" in colleague.run(playbook)
    assert [*colleague.folder.iterdir()] == []


def test_what_is_not_mentioned_stops_those_that_apply(operator: Operator, colleague: Operator) -> None:
    before = value(operator, "stack")
    with ThreadPoolExecutor(2) as pool:
        said = dict(zip(APPLYING, pool.map(lambda one: colleague.run(one, code=2), APPLYING), strict=True))
    for playbook, text in said.items():
        told = error(text).splitlines()
        base = json.dumps(operator.variables["ds_stack_base_image"])
        assert told[1:-1] == [
            "  ds_stack_allowed_cidrs: 198.51.100.0/24",
            f"  ds_stack_base_image: {base}",
            "  ds_stack_components: jupyterhub",
            "  ds_stack_downloads: with r_cran_url (the values are not in the record)",
            "  ds_stack_users: ada, grace",
        ], playbook
        assert "ds_stack_as_given=true" in told[-1]
        assert " failed=1 " in text
    shown(
        "`site.yml` without the team's file",
        stack=NAME,
        read=errors(said["site"])[0],
        left=look(operator.client, NAME),
        then=UNCHANGED,
    )
    assert value(operator, "stack") == before
    assert f"{PATH}/operator/lock" not in parameters(operator)
    assert [*colleague.folder.iterdir()] == []


def test_in_parts_nothing_is_run(operator: Operator, colleague: Operator) -> None:
    before = value(operator, "stack"), parameters(operator)
    (said,) = errors(operator.run("site", "--tags", "network", code=2))
    assert said == (
        "Nothing was done. site.yml runs as a whole, and no part of it has a tag. Leave out --tags."
    )
    *_others, told = errors(colleague.run("stop", "--start-at-task", "Stop it", code=2))
    assert (
        told
        == "stop.yml runs from its beginning, where it looks at what there is. Leave out --start-at-task."
    )
    assert machines(operator)[0]["State"]["Name"] == "running"
    assert (value(operator, "stack"), parameters(operator)) == before


def test_with_an_image_that_is_named_no_bake_is_asked_for(operator: Operator) -> None:
    image = {"ds_stack_image_id": "ami-0123456789abcdef0"}
    (said,) = errors(operator.run("site", "--check", code=2, **image, ds_stack_rebake=True))
    assert said.startswith(
        "Nothing was done. With ds_stack_image_id site.yml bakes nothing, and ds_stack_rebake asks for a "
        "bake."
    )


def test_in_a_wrong_region_the_right_one_is_named(operator: Operator, colleague: Operator) -> None:
    before = value(operator, "stack"), parameters(operator)
    playbooks = (*APPLYING, *OTHERS) if os.environ.get("DS_STACK_SOAK") else ("site", "destroy", "stop")

    def run(playbook: str) -> str:
        extra = {"ds_stack_destroy_data": True} if playbook == "destroy" else {}
        return colleague.run(playbook, code=2, ds_stack_region="eu-west-1", **extra)

    with ThreadPoolExecutor(2) as pool:
        said = dict(zip(playbooks, pool.map(run, playbooks), strict=True))
    for playbook, text in said.items():
        sentence = error(text)
        assert sentence.startswith(
            f"Nothing was done: {NAME} is in {REGION}, not in eu-west-1 (say -e ds_stack_region={REGION}"
        ), playbook
        assert sentence.count(". ") == 0, playbook
        assert " changed=0 " in text
    shown(
        "any playbook in another region",
        stack=NAME,
        read=errors(said["stop"])[0],
        left=look(operator.client, NAME),
        then=UNCHANGED,
    )
    assert (value(operator, "stack"), parameters(operator)) == before
    assert parameters(operator, "eu-west-1") == []
    assert [*colleague.folder.iterdir()] == []


def test_the_second_of_two_operators_reads_who_was_first(
    operator: Operator, colleague: Operator, starting: subprocess.Popen[str]
) -> None:
    refused = error(colleague.run("stop", code=2))
    assert re.match(
        rf"Nothing was done\. {NAME} is locked: start has held it since 20\S+Z, run by arn:\S+ on \S+@\S+, "
        rf"process {starting.pid}\. ",
        refused,
    )
    shown(
        "two operators at once",
        stack=NAME,
        read=" ".join(refused.split()),
        left=look(operator.client, NAME),
        then="goes on as soon as the first has ended",
    )
    assert machines(operator)[0]["State"]["Name"] == "running"
    looked = colleague.run("status")
    assert re.search(r"^  Last run     start by .*:\n +it goes on$", looked, re.MULTILINE)
    assert "  Locked       by start, run by arn:" in looked

    report(operator)
    said, _ = starting.communicate(timeout=120)
    assert starting.returncode == 0, said
    assert f"https://{machines(operator)[0]['PublicIpAddress']}:8000" in said
    assert f"{PATH}/operator/lock" not in parameters(operator)
    assert last_runs(operator) == [("start", "succeeded"), ("bake", "succeeded")]


def test_after_a_kill_the_same_person_just_goes_on(
    operator: Operator, starting: subprocess.Popen[str]
) -> None:
    """The same command again, whatever the folder: that the run is over can be told on its own machine."""
    starting.send_signal(signal.SIGKILL)
    starting.wait(30)
    looked = operator.run("status")
    assert re.search(r"^  Last run     start by .*:\n +nothing was heard of its end$", looked, re.MULTILINE)
    assert re.search(
        r"^  Locked .*; that is over, and your next run from here takes the lock", looked, re.MULTILINE
    )
    report(operator)
    said = " ".join(operator.run("start").split())
    assert f"A run of {NAME} has not given its lock back: start has held it since 20" in said
    assert f"process {starting.pid}. It was yours, on this machine, and is over, so this run takes" in said
    assert f"{PATH}/operator/lock" not in parameters(operator)
    assert last_runs(operator)[:2] == [("start", "succeeded"), ("start", "began")]


@pytest.mark.soak
def test_nobody_is_stopped_unasked(operator: Operator, colleague: Operator) -> None:
    """Who is at work is said, and waited for or not, as was asked for; a silent machine is said to be one."""
    (machine,) = machines(operator)
    people = {"ada": "kernel python3, SSH", "grace": "R session"}
    report(operator, people)
    who = "ada (kernel python3, SSH) and grace (R session)"
    (said,) = errors(colleague.run("stop", code=2))
    assert f"Nothing was done. At work on {machine['InstanceId']}: {who}. stop.yml would stop it" in said
    assert "-e ds_stack_replace=when_idle" in said
    assert "-e ds_stack_replace=now" in said
    shown(
        "`stop.yml` while people are at work",
        stack=NAME,
        read=said,
        left=look(operator.client, NAME),
        then=UNCHANGED,
    )
    checked = " ".join(colleague.run("stop", "--check").split())
    assert f"{who}. stop.yml would stop it, and stops before that" in checked
    assert f"At work      {who}\n" in colleague.run("status")
    said = colleague.run("stop", code=2, ds_stack_replace="when_idle", ds_stack_replace_timeout=1)
    assert f"at work: {who}; waiting 1 seconds more at most\n" in said
    assert "They were still there after 1 seconds." in " ".join(said.split())

    report(operator, people, seconds=7300)
    (said,) = errors(colleague.run("stop", code=2, ds_stack_replace="when_idle"))
    assert "It is not known who is at work" in said
    assert "It has reported nothing for 2 hours." in said
    assert "ansible-playbook iac.ds_stack.status" in said
    (told,) = errors(colleague.run("status", code=2))
    assert "It has reported nothing for 2 hours: what it said last need not be so any more." in told
    shown(
        "a machine says nothing any more: `status.yml`, and `stop.yml`",
        stack=NAME,
        read=f"{told}\n{said}",
        left=look(operator.client, NAME),
        then=UNCHANGED,
    )
    assert machines(operator)[0]["State"]["Name"] == "running"

    report(operator, people)
    assert f"{NAME} is stopped" in colleague.run("stop", ds_stack_replace="now")
    assert "ds_stack_replace" not in value(operator, "stack")["configuration"]


def test_a_killed_run_leaves_a_lock_that_can_be_taken_over(
    operator: Operator, colleague: Operator, starting: subprocess.Popen[str]
) -> None:
    """By a colleague, who has to see for themselves that it is over."""
    starting.send_signal(signal.SIGKILL)
    starting.wait(30)
    assert last_runs(operator)[0] == ("start", "began")
    move_the_lock(operator)
    refused = error(colleague.run("stop", code=2))
    assert "-e ds_stack_take_over=true" in refused
    stopped = colleague.run("stop", ds_stack_take_over=True)
    assert f"{NAME} is stopped" in stopped
    shown(
        "a colleague's run was killed",
        stack=NAME,
        read=" ".join(refused.split()),
        left=look(operator.client, NAME),
        then="with `ds_stack_take_over`, what it is asked for",
    )
    assert f"{PATH}/operator/lock" not in parameters(operator)
    assert last_runs(operator)[:2] == [("stop", "succeeded"), ("start", "began")]
    # The switch is about that run alone, and the configuration still the bake's.
    assert set(value(operator, "stack")["configuration"]) == {
        "ds_stack_allowed_cidrs",
        "ds_stack_base_image",
        "ds_stack_components",
        "ds_stack_users",
    }


def test_without_room_for_it_the_machine_stays_stopped_and_types_are_named(
    operator: Operator, colleague: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise EC2ClientError("InsufficientInstanceCapacity", "We do not have sufficient capacity.")

    for running in machines(operator):
        operator.client("ec2").stop_instances(InstanceIds=[running["InstanceId"]])
    monkeypatch.setattr(InstanceBackend, "start_instances", refuse)
    said = " ".join(colleague.run("start", code=2).replace("\\n", " ").split())
    assert "could not be started, and is as it was." in said
    assert "We do not have sufficient capacity." in said
    assert re.search(r"AWS has no room for another \S+ in its zone at present\. Try again later", said)
    assert machines(operator) == []


def test_start_by_the_name_waits_and_tells_the_new_address(operator: Operator, colleague: Operator) -> None:
    with a_thread_for_the_machine(operator):
        said = colleague.run("start")
    assert f"https://{machines(operator)[0]['PublicIpAddress']}:8000" in said
    assert last_runs(operator)[0] == ("start", "succeeded")
    assert [*colleague.folder.iterdir()] == []


def test_a_run_that_fails_gives_the_lock_back_and_says_where(operator: Operator) -> None:
    folder = operator.folder / f".ds_stack/{NAME}/packer"
    kept = folder.rename(folder.with_name("packer.kept")) if folder.exists() else None
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("no folder")
    before = value(operator, "stack")["configuration"]
    try:
        said = operator.run("bake", code=2, ds_stack_users=[{"name": "eve"}], ds_stack_static_ip=True)
    finally:
        folder.unlink()
        if kept:
            kept.rename(folder)
    assert "\nbake.yml has not come to its end. Changed until then: nothing.\n" in said
    assert last_runs(operator)[0] == ("bake", "failed")
    assert value(operator, "stack")["runs"][0]["play"] == "Bake the image"
    assert value(operator, "stack")["configuration"] == before, (
        "of what did nothing nothing is to be mentioned"
    )
    assert f"{PATH}/operator/lock" not in parameters(operator)


@pytest.mark.soak
def test_a_run_as_given_replaces_what_the_record_has(operator: Operator, colleague: Operator) -> None:
    base = operator.variables["ds_stack_base_image"]
    overlay = operator.variables["ds_stack_packer_overlay"]
    colleague.run(
        "bake",
        "--check",
        ds_stack_as_given=True,
        ds_stack_base_image=base,
        ds_stack_packer_overlay=overlay,
    )
    assert "ds_stack_users" in value(operator, "stack")["configuration"]
    operator.run("bake", ds_stack_users=[])  # an empty list is an answer
    assert value(operator, "stack")["configuration"]["ds_stack_users"] == []


def test_what_terraform_needs_and_the_record_does_not_tell_is_asked_for(
    operator: Operator, colleague: Operator
) -> None:
    found = value(operator, "stack")
    found["withheld"]["ds_stack_terraform_overrides"] = ["provider"]
    operator.client("ssm").put_parameter(
        Name=f"{PATH}/operator/stack", Value=json.dumps(found), Type="String", Overwrite=True
    )
    said = " ".join(colleague.run("destroy", code=2).split())
    assert f"Nothing was done. {NAME} was made with ds_stack_terraform_overrides." in said
    assert f"{PATH}/operator/lock" not in parameters(operator)
