"""The module stack_record against a simulated Parameter Store."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry, RetryingBotoClientWrapper
from ansible_collections.iac.ds_stack.plugins.module_utils._run.life import name_process
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import preflight_account
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.parameters import ParameterStore, Paths
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.record import Lock
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.record_store import RecordStore
from ansible_collections.iac.ds_stack.plugins.modules import stack_record, user_credentials
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

REGION = "eu-central-1"
PATH = "/ds-stack/demo"
RECORD = f"{PATH}/operator/stack"
LOCK = f"{PATH}/operator/lock"
KNOWN = ["ds_stack_users", "ds_stack_allowed_cidrs", "ds_stack_downloads", "ds_stack_tls"]
TEAM = [f"user-{number:027}" for number in range(100)]

Run = Callable[..., dict[str, Any]]
Call = Callable[[BaseClient, str, dict[str, Any]], Any]


@cache
def shared(service: str, region: str) -> Any:
    """A client of all tests: making one reads megabytes of descriptions."""
    return boto3.client(service, region_name=region, aws_access_key_id="x", aws_secret_access_key="y")


own_clients = stack_record.client_maker
all_regions = preflight_account.enabled_regions


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Simulate an account."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "y"), ("REGION", REGION)):
        monkeypatch.setenv(f"AWS_{name}", value)
    # Each region takes a client: those that a test has parameters in will do.
    few = dict.fromkeys((REGION, "eu-west-1", "us-east-1", "us-east-2"), True)
    monkeypatch.setattr(stack_record.aws, "enabled_regions", lambda *_arguments: few)
    monkeypatch.setattr(stack_record, "client_maker", lambda _module: shared)
    with mock_aws():
        yield


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the module as a playbook of the kind "applies" does."""

    def play(state: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        options = {"stack": "demo", "playbook": "site", "kind": "applies", "known": KNOWN, **options}
        with (
            patch_module_args({"state": state, **options, "_ansible_check_mode": check}),
            pytest.raises(SystemExit),
        ):
            stack_record.main()
        return dict(json.loads(capsys.readouterr().out))

    return play


def client(region: str = REGION) -> Any:
    return shared("ssm", region)


def names(region: str = REGION) -> list[str]:
    pages = client(region).get_paginator("get_parameters_by_path").paginate(Path="/", Recursive=True)
    return sorted(one["Name"] for page in pages for one in page["Parameters"])


def stored(name: str = RECORD) -> dict[str, Any]:
    return dict(json.loads(client().get_parameter(Name=name)["Parameter"]["Value"]))


def put(name: str, value: str, region: str = REGION) -> None:
    client(region).put_parameter(Name=name, Value=value, Type="String", Overwrite=True)


def applied(run: Run, **configuration: Any) -> str:
    """Run a whole site.yml; the id of the run."""
    begun = run("begun", mentioned=list(configuration), as_given=True)
    place = {"type": "s3", "bucket": "states", "prefix": "demo", "region": REGION}
    run("noted", run=begun["run"], configuration=configuration, place=place)
    run("ended", run=begun["run"], succeeded=True)
    return str(begun["run"])


def refuse(monkeypatch: pytest.MonkeyPatch, answer: Call) -> None:
    """Put something between the module and AWS; it returns what AWS returns, or raises."""
    real = BaseClient._make_api_call
    monkeypatch.setattr(
        BaseClient,
        "_make_api_call",
        lambda self, operation, options: answer(self, operation, options) or real(self, operation, options),
    )


def failing(code: str, *operations: str) -> Call:
    def answer(_client: BaseClient, operation: str, _options: dict[str, Any]) -> None:
        if operation in operations:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)

    return answer


def test_a_run_is_noted_from_its_beginning_to_its_end(run: Run) -> None:
    begun = run("begun", mentioned=["ds_stack_users"])
    assert (begun["changed"], begun["record"], begun["problem"]) == (False, {}, "")
    lock = stored(LOCK)
    assert (lock["run"], lock["playbook"]) == (begun["run"], "site")
    assert lock["holder"].startswith("arn:aws:sts::123456789012:")
    assert "@" in lock["machine"]
    assert names() == [LOCK]

    run(
        "noted",
        run=begun["run"],
        configuration={"ds_stack_users": ["ada"]},
        withheld={"ds_stack_downloads": ["r_repository"]},
        place={"type": "local", "folder": "/home/ada"},
    )
    found = stored()
    assert found["configuration"] == {"ds_stack_users": ["ada"]}
    assert found["withheld"] == {"ds_stack_downloads": ["r_repository"]}
    assert found["state"] == {
        "type": "local",
        "folder": "/home/ada",
        "host": socket.gethostname(),
    }
    (noted,) = found["runs"]
    assert (noted["outcome"], noted["who"], noted["began"]) == ("began", lock["holder"], lock["since"])

    ended = run("ended", run=begun["run"], succeeded=False, play="Make the network")
    assert ended["changed"] is False
    (failed,) = stored()["runs"]
    assert (failed["outcome"], failed["play"]) == ("failed", "Make the network")
    assert names() == [RECORD]


def test_a_run_that_learns_later_where_the_state_is_notes_it_again(run: Run) -> None:
    applied(run)
    begun = run("begun", kind="changes", playbook="destroy")
    note = {"run": begun["run"], "kind": "changes", "playbook": "destroy"}
    run("noted", **note)
    before = stored()
    assert before["state"]["type"] == "s3"
    run("noted", **note, place={"type": "local", "folder": "/home/ada"})
    after = stored()
    assert after["state"] == {"type": "local", "folder": "/home/ada", "host": socket.gethostname()}
    assert after["runs"] == before["runs"]
    assert [one["outcome"] for one in after["runs"]] == ["began", "succeeded"]


def test_the_next_run_reads_it(run: Run) -> None:
    first = applied(run, ds_stack_users=["ada"], ds_stack_tls="self_signed")
    begun = run("begun", mentioned=["ds_stack_users", "ds_stack_tls"])
    assert begun["record"]["state"] == {
        "type": "s3",
        "bucket": "states",
        "prefix": "demo",
        "region": REGION,
    }
    assert [one["run"] for one in begun["record"]["runs"]] == [first]
    assert begun["record"]["runs"][0]["outcome"] == "succeeded"
    assert begun["variables"] == {}  # an applying run takes nothing but what it is given


def test_what_is_not_mentioned_stops_a_run_before_it_has_the_lock(run: Run) -> None:
    applied(run, ds_stack_users=["ada", "grace"], ds_stack_tls="self_signed", ds_stack_of_old=1)
    refused = run("begun", mentioned=["ds_stack_name"])
    assert "\n  ds_stack_tls: self_signed\n  ds_stack_users: ada, grace\n" in refused["msg"]
    assert "ds_stack_of_old" not in refused["msg"]
    assert names() == [RECORD]
    assert "ds_stack_users" in run("begun", check=True, mentioned=["ds_stack_tls"])["msg"]
    assert run("begun", mentioned=["ds_stack_users", "ds_stack_tls"])["run"]


def test_the_run_as_given_is_what_the_record_has_next(run: Run) -> None:
    applied(run, ds_stack_users=["ada"])
    applied(run, ds_stack_tls="none")
    assert stored()["configuration"] == {"ds_stack_tls": "none"}


@pytest.mark.parametrize("kind", ["reads", "changes"])
def test_other_runs_need_no_more_than_the_name(run: Run, kind: str) -> None:
    applied(run, ds_stack_users=["ada"], ds_stack_allowed_cidrs=["198.51.100.0/24"], ds_stack_of_old=1)
    begun = run("begun", kind=kind, mentioned=["ds_stack_name"])
    # Users are in the record by name alone, without their keys, and are nobody's to set.
    assert begun["variables"] == {"ds_stack_allowed_cidrs": ["198.51.100.0/24"]}
    assert bool(begun["run"]) is (kind == "changes")
    given = run("begun", kind="reads", mentioned=["ds_stack_allowed_cidrs"])
    assert given["variables"] == {}


def test_values_that_are_withheld_are_named(run: Run) -> None:
    begun = run("begun")
    run("noted", run=begun["run"], withheld={"ds_stack_downloads": ["r_repository"]})
    run("ended", run=begun["run"], succeeded=True)
    assert run("begun", kind="reads")["not_known"] == ["ds_stack_downloads"]
    assert run("begun", kind="reads", mentioned=["ds_stack_downloads"])["not_known"] == []


def test_the_folder_of_the_state_is_found_on_the_same_machine_alone(run: Run, tmp_path: Any) -> None:
    begun = run("begun")
    folder = tmp_path / "demo/terraform"
    folder.mkdir(parents=True)
    run("noted", run=begun["run"], place={"type": "local", "folder": str(folder)})
    run("ended", run=begun["run"], succeeded=True)
    assert run("begun", kind="reads")["variables"] == {"ds_stack_dir": str(folder.parent)}
    assert run("begun", kind="reads", mentioned=["ds_stack_dir"])["variables"] == {}
    for state in ({"host": "another"}, {"folder": f"{folder}/gone"}):
        found = stored()
        put(RECORD, json.dumps({**found, "state": {**found["state"], **state}}))
        assert run("begun", kind="reads")["variables"] == {}
        put(RECORD, json.dumps(found))


def test_of_two_operators_the_second_reads_who_was_first(run: Run) -> None:
    first = run("begun")
    second = run("begun", kind="changes", playbook="stop")
    assert second["msg"].startswith("Nothing was done. demo is locked: site has held it since 20")
    assert "arn:aws:sts::123456789012:" in second["msg"]
    assert "-e ds_stack_take_over=true" in second["msg"]
    assert stored(LOCK)["run"] == first["run"]
    run("noted", run=first["run"])
    run("ended", run=first["run"], succeeded=True)
    assert run("begun", kind="changes", playbook="stop")["run"]


def test_who_only_looks_is_told_and_let_in(run: Run) -> None:
    first = run("begun")
    looked = run("begun", kind="reads", playbook="status")
    assert (looked["run"], looked["lock"]["run"]) == ("", first["run"])
    checked = run("begun", check=True)
    assert (checked["run"], checked["lock"]["playbook"]) == ("", "site")
    assert any("demo is locked: site has held it" in str(warning) for warning in checked["warnings"])
    assert names() == [LOCK]


def test_a_lock_that_is_taken_over_is_not_given_back_by_the_one_before(run: Run) -> None:
    first = run("begun")
    run("noted", run=first["run"])
    second = run("begun", take_over=True, playbook="destroy", kind="changes")
    assert second["run"] != first["run"]
    late = run("noted", run=first["run"])
    assert "This run of site has lost its lock: destroy has held it since" in late["msg"]
    ended = run("ended", run=first["run"], succeeded=True)
    assert any("was taken over: destroy has held it" in str(warning) for warning in ended["warnings"])
    assert stored(LOCK)["run"] == second["run"]
    assert [one["outcome"] for one in stored()["runs"]] == ["succeeded"]


def test_a_lock_that_nobody_holds_is_taken_over_too(run: Run) -> None:
    begun = run("begun", take_over=True)
    assert begun["run"] == stored(LOCK)["run"]


@pytest.fixture
def ended() -> str:
    """The name of a process of this machine that has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        name = name_process(process.pid)
        process.kill()
    return name


def test_the_lock_of_ones_own_run_that_is_over_is_taken_over(run: Run, ended: str) -> None:
    killed = run("begun", process=ended)
    run("noted", run=killed["run"])
    looked = run("begun", kind="reads", playbook="status")
    assert (looked["lock"]["run"], looked["lock"]["ended"]) == (killed["run"], True)
    begun = run("begun", process=name_process(os.getpid()))
    assert stored(LOCK)["run"] == begun["run"]
    assert any("yours, on this machine, and is over" in str(warning) for warning in begun["warnings"])
    # This one lives.
    assert f"process {os.getpid()}." in run("begun")["msg"]
    assert run("begun", kind="reads")["lock"]["ended"] is False
    assert stored(LOCK)["run"] == begun["run"]


@pytest.mark.parametrize(
    "other", [{"machine": "grace@another"}, {"process": ""}, {"process": "of-another-boot/4026531836/1/2"}]
)
def test_a_lock_of_which_nobody_can_tell_is_not(run: Run, ended: str, other: dict[str, str]) -> None:
    run("begun", process=ended)
    put(LOCK, json.dumps({**stored(LOCK), **other}))
    assert "-e ds_stack_take_over=true" in run("begun")["msg"]
    assert run("begun", kind="reads")["lock"]["ended"] is False


def test_of_a_run_that_changed_nothing_the_record_keeps_the_end_alone(run: Run) -> None:
    applied(run, ds_stack_users=["ada"])
    tried = run("begun", mentioned=["ds_stack_users", "ds_stack_tls"])
    run("noted", run=tried["run"], configuration={"ds_stack_users": ["ada"], "ds_stack_tls": "none"})
    before = {name: tried["record"][name] for name in ("configuration", "withheld")}
    run("ended", run=tried["run"], play="Make the network", unchanged=True, **before)
    assert [one["outcome"] for one in stored(RECORD)["runs"]] == ["failed", "succeeded"]
    assert stored(RECORD)["configuration"] == {"ds_stack_users": ["ada"]}
    assert "msg" not in run("begun", mentioned=["ds_stack_users"])


def test_a_killed_run_shows_in_the_record(run: Run) -> None:
    killed = run("begun")
    run("noted", run=killed["run"], configuration={"ds_stack_tls": "none"})
    begun = run("begun", mentioned=["ds_stack_tls"], take_over=True)
    (before,) = begun["record"]["runs"]
    assert (before["run"], before["outcome"]) == (killed["run"], "began")
    assert "ended" not in before


def test_a_damaged_lock_can_be_taken_over(run: Run) -> None:
    put(LOCK, "nonsense")
    assert "its parameter is damaged" in run("begun")["msg"]
    begun = run("begun", take_over=True)
    assert begun["run"] == stored(LOCK)["run"]


def test_of_many_at_once_one_gets_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS makes a parameter for one of those who ask at once; moto is made to do so here."""
    one_at_a_time = threading.Lock()
    real = BaseClient._make_api_call

    def call(self: BaseClient, operation: str, options: dict[str, Any]) -> Any:
        with one_at_a_time:
            return real(self, operation, options)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    store = ParameterStore(RetryingBotoClientWrapper(client(), AWSRetry.jittered_backoff()))
    records = RecordStore(store, Paths("demo"))
    got: dict[str, Lock | None] = {}
    start = threading.Barrier(8)

    def take(number: str) -> None:
        start.wait()
        got[number] = records.take(Lock(number, "somebody", "somewhere", "now", "site"))

    threads = [threading.Thread(target=take, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [number for number, other in got.items() if other is None]
    assert {other.run for other in got.values() if other} == {winner}


def test_a_lock_that_vanishes_while_it_is_looked_at_is_taken(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(LOCK, Lock("1", "somebody", "somewhere", "now", "site").text())
    looks: list[str] = []

    def answer(self: BaseClient, operation: str, options: dict[str, Any]) -> None:
        if operation == "GetParameter" and options["Name"] == LOCK and not looks:
            looks.append(LOCK)
            client().delete_parameter(Name=LOCK)

    refuse(monkeypatch, answer)
    begun = run("begun")
    assert looks
    assert begun["run"] == stored(LOCK)["run"]


def test_a_record_that_is_long_is_read_and_leaves_nothing_behind(run: Run) -> None:
    applied(run, ds_stack_users=TEAM * 2)
    assert len(names()) == 3
    assert run("begun", kind="reads")["record"]["configuration"] == {"ds_stack_users": TEAM * 2}
    applied(run, ds_stack_users=["ada"])
    assert names() == [RECORD]


@pytest.mark.parametrize("operation", ["PutParameter", "DeleteParameters"])
def test_killed_while_it_writes_it_leaves_a_whole_record(
    run: Run, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """After each write: the old record is there, or the new one."""
    applied(run, ds_stack_users=TEAM * 2)
    begun = run("begun", mentioned=["ds_stack_users"])
    for number in range(1, 4):
        with monkeypatch.context() as patch:
            left = [number]

            def answer(_client: BaseClient, called: str, _options: dict[str, Any], left: Any = left) -> None:
                if called == operation:
                    left[0] -= 1
                    if left[0] <= 0:
                        raise KeyboardInterrupt

            refuse(patch, answer)
            with contextlib.suppress(KeyboardInterrupt):
                run("noted", run=begun["run"], configuration={"ds_stack_users": [*TEAM * 2, str(number)]})
        found = run("begun", kind="reads")["record"]["configuration"]["ds_stack_users"]
        assert found[: len(TEAM) * 2] == TEAM * 2
        assert len(found) <= len(TEAM) * 2 + 1


@pytest.mark.parametrize("text", ["nonsense", "{}", '{"schema": 7}'])
@pytest.mark.parametrize("kind", ["reads", "changes", "applies"])
def test_a_record_that_cannot_be_read_stops_every_run(run: Run, text: str, kind: str) -> None:
    put(RECORD, text)
    refused = run("begun", kind=kind, as_given=True)
    assert refused["msg"].startswith("Nothing was done. The ")
    assert RECORD in refused["msg"]
    assert names() == [RECORD]


def test_a_stack_without_a_record_gets_one_from_a_run_that_applies_alone(run: Run) -> None:
    put(f"{PATH}/machine/config", "of an old version")
    stopped = run("begun", kind="changes", playbook="stop")
    run("noted", run=stopped["run"], kind="changes", playbook="stop")
    run("ended", run=stopped["run"], kind="changes", playbook="stop", succeeded=True)
    assert names() == [f"{PATH}/machine/config"]
    applied(run, ds_stack_tls="none")
    assert names() == [f"{PATH}/machine/config", RECORD]


def test_a_run_that_changes_keeps_the_configuration(run: Run) -> None:
    applied(run, ds_stack_users=["ada"])
    before = stored()
    stopped = run("begun", kind="changes", playbook="stop")
    run("noted", run=stopped["run"], kind="changes", playbook="stop")
    run("ended", run=stopped["run"], kind="changes", playbook="stop", succeeded=True)
    after = stored()
    assert (after["configuration"], after["state"]) == (before["configuration"], before["state"])
    assert [one["playbook"] for one in after["runs"]] == ["stop", "site"]


def test_a_run_that_changes_adds_what_it_is_about(run: Run) -> None:
    applied(run, ds_stack_users=["ada"], ds_stack_cluster={"idle_minutes": 60})
    made = run("begun", kind="changes", playbook="cluster", mentioned=["ds_stack_cluster"])
    about = {"ds_stack_cluster": {"idle_minutes": 30}}
    run("noted", run=made["run"], kind="changes", playbook="cluster", configuration=about)
    run("ended", run=made["run"], kind="changes", playbook="cluster", succeeded=False)
    assert stored()["configuration"] == {"ds_stack_users": ["ada"], **about}


def test_after_the_stack_nothing_of_it_is_written(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """What destroy.yml does at its end, when the homes go: the record is gone, and stays so."""
    applied(run, ds_stack_users=["ada"])
    gone = run("begun", kind="changes", playbook="destroy")
    run("noted", run=gone["run"], kind="changes", playbook="destroy")
    with patch_module_args({"stack": "demo", "state": "absent"}), pytest.raises(SystemExit):
        user_credentials.main()
    capsys.readouterr()
    ended = run("ended", run=gone["run"], kind="changes", playbook="destroy", succeeded=True)
    assert "msg" not in ended
    assert names() == []


def test_with_the_homes_the_record_stays(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    applied(run, ds_stack_users=TEAM * 2)
    put(f"{PATH}/machine/config", "of the machine")
    before = names()
    arguments = {"stack": "demo", "state": "absent", "keep_users": True}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        user_credentials.main()
    removed = json.loads(capsys.readouterr().out)["removed_parameters"]
    assert removed == [f"{PATH}/machine/config"]
    assert names() == [name for name in before if name not in removed]


@pytest.mark.parametrize("kind", ["reads", "changes", "applies"])
def test_a_stack_in_another_region_is_named(run: Run, kind: str) -> None:
    put(f"{PATH}/machine/config", "of an old version", region="eu-west-1")
    put("/ds-stack/demo-2/machine/config", "of another stack", region="us-east-1")
    refused = run("begun", kind=kind)
    assert refused["msg"].startswith(
        "Nothing was done: demo is in eu-west-1, not in eu-central-1 (say -e ds_stack_region=eu-west-1"
    )
    assert ("ds_stack_as_given" in refused["msg"]) is (kind == "applies")
    assert names() == []
    assert names("eu-west-1") == [f"{PATH}/machine/config"]


def told(result: dict[str, Any], stack: str) -> str:
    """What a module warns of a stack's name; Ansible keeps the warnings of a process."""
    found = re.findall(rf"knows no stack {stack}\. ([^']+)", str(result.get("warnings", [])))
    return str(found[0]) if found else ""


@pytest.mark.parametrize("kind", ["reads", "changes"])
def test_to_a_mistyped_name_the_stacks_there_are_are_told(run: Run, kind: str) -> None:
    for number in range(60):  # more than a page
        put(f"/ds-stack/other-{number}/operator/stack", "{}")
    put("/ds-stack/other-0/operator/stack/1", "the rest of a long one")
    put("/ds-stack/dmeo/machine/config", "of a release without records")
    put(f"/other/{kind}/operator/stack", "of somebody else")
    put(f"/ds-stack/{kind}-demo/operator/stack", "{}")
    said = told(run("begun", kind=kind, stack=f"{kind}-dem"), f"{kind}-dem")
    assert re.match(rf"It knows {kind}-demo, other-\d+, ", said)
    assert (said.count("other-"), "dmeo" in said) == (19, False)
    assert told(run("begun", kind=kind, stack=f"{kind}-demo"), f"{kind}-demo") == ""
    assert told(run("begun", stack="new"), "new") == "", "whoever makes one has not mistyped it"


@pytest.mark.parametrize(("mistyped", "meant"), [("reserach", "research"), ("research-2", "research-1")])
def test_whoever_makes_a_stack_is_told_of_one_that_is_called_nearly_so(
    run: Run, mistyped: str, meant: str
) -> None:
    put(f"/ds-stack/{meant}/operator/stack", "{}")
    put("/ds-stack/teaching/operator/stack", "{}")
    said = (
        f"{mistyped} is a new stack, and eu-central-1 has {meant}. If you mean that one, interrupt this now"
    )
    assert said in str(run("begun", stack=mistyped)["warnings"])


def test_in_another_account_there_are_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(run("begun", kind="reads"), "demo") == "It knows none: is this the right account?"
    refuse(monkeypatch, failing("AccessDeniedException", "DescribeParameters"))
    assert told(run("begun", kind="reads", stack="another"), "another") == ""


def test_another_stack_of_the_name_can_be_made_in_another_region(run: Run) -> None:
    put(RECORD, "{}", region="eu-west-1")
    assert run("begun", as_given=True)["run"]
    # From now on each region has its own.
    run("ended", run=stored(LOCK)["run"])
    put(f"{PATH}/machine/config", "made")
    assert run("begun")["run"]


def test_regions_that_do_not_answer_are_done_without(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    put(f"{PATH}/machine/config", "there", region="eu-west-1")

    def answer(self: BaseClient, operation: str, _options: dict[str, Any]) -> None:
        if operation == "GetParametersByPath" and self.meta.region_name == "us-east-1":
            raise EndpointConnectionError(endpoint_url="https://ssm.us-east-1")
        if operation == "GetParametersByPath" and self.meta.region_name == "us-east-2":
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)

    refuse(monkeypatch, answer)
    assert "demo is in eu-west-1, not in eu-central-1" in run("begun", kind="reads")["msg"]


def test_without_the_right_to_ask_for_regions_all_are_asked(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(f"{PATH}/machine/config", "there", region="eu-west-1")
    monkeypatch.setattr(stack_record.aws, "enabled_regions", all_regions)
    refuse(monkeypatch, failing("UnauthorizedOperation", "DescribeRegions"))
    assert "demo is in eu-west-1, not in eu-central-1" in run("begun", kind="reads")["msg"]


@pytest.mark.parametrize("operation", ["GetParameter", "PutParameter"])
def test_a_right_that_is_lacking_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    put(f"{PATH}/machine/config", "there")
    refuse(monkeypatch, failing("AccessDeniedException", operation))
    problem = run("begun")["problem"]
    assert f"These credentials may not call {operation} on the record and the lock of demo." in problem
    assert f"ssm:{operation} on arn:aws:ssm:{REGION}:*:parameter/ds-stack/demo/operator/*" in problem
    assert names() == [f"{PATH}/machine/config"]


def test_the_end_that_cannot_be_noted_is_an_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = run("begun")
    run("noted", run=begun["run"])
    refuse(monkeypatch, failing("ExpiredTokenException", "PutParameter", "DeleteParameters"))
    failed = run("ended", run=begun["run"], succeeded=True)
    assert failed["failed"]
    assert failed["msg"].startswith(
        "The credentials have expired: get new ones, as you got these, and run this again."
    )
    assert "your next run on this machine takes it over" in failed["msg"]
    assert "-e ds_stack_take_over=true" in failed["msg"]


def test_throttling_that_lasts_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    refuse(monkeypatch, failing("ThrottlingException", "GetParameter"))
    assert run("begun")["problem"].startswith("AWS throttles Parameter Store in eu-central-1")


def test_a_record_that_vanishes_is_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    applied(run, ds_stack_users=["ada"])
    gone: list[str] = []

    def answer(_client: BaseClient, operation: str, options: dict[str, Any]) -> None:
        if operation == "PutParameter" and options["Name"] == LOCK and not gone:
            gone.append(RECORD)
            client().delete_parameter(Name=RECORD)

    refuse(monkeypatch, answer)
    begun = run("begun", mentioned=["ds_stack_users"])
    assert (begun["record"], bool(begun["run"])) == ({}, True)


def test_no_credentials_and_bad_names_are_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "stack: '../x' cannot name a stack" in run("begun", stack="../x")["msg"]
    monkeypatch.setattr(stack_record, "client_maker", own_clients)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    begun = run("begun")
    assert "credentials" in begun["problem"]
    assert begun["run"] == ""


def test_a_profile_and_a_key_are_told_from_one_another(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "research")
    assert run("begun")["msg"] == (
        "Both a profile (AWS_PROFILE) and an access key (AWS_ACCESS_KEY_ID) are set, and Ansible's modules "
        "take one of them. Unset the other."
    )


def test_check_mode_writes_nothing(run: Run) -> None:
    assert run("begun", check=True)["run"] == ""
    assert names() == []
    begun = run("begun")
    for state in ("noted", "ended"):
        assert run(state, check=True, run=begun["run"])["changed"] is False
    assert names() == [LOCK]
