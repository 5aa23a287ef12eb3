"""The order of things, and what is reported whatever goes wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from ds_stack_init import __main__ as program
from ds_stack_init import accounts, memory, mounts, registry, steps, userdb, users
from ds_stack_init.accounts import Account, Machine
from ds_stack_init.config import Credential
from ds_stack_init.errors import InitError
from ds_stack_init.identity import Identity
from ds_stack_init.memory import Applied
from ds_stack_init.parameters import Parameter, Unavailable
from ds_stack_init.registry import Record
from ds_stack_init.settings import Settings

HASH = "$6$rounds=500000$saltsaltsalt$" + "h" * 86
CONFIG = {
    "schema": 1,
    "tls": "none",
    "data_volume_id": "vol-0123456789abcdef0",
    "users": [{"name": "ada"}],
}


class Ssm:
    """The machine's parameters."""

    def __init__(self, config: str = json.dumps(CONFIG)) -> None:
        self.reports: list[dict[str, Any]] = []
        self.text = config
        self.problem: Exception | None = None

    def config(self) -> Parameter:
        if self.problem:
            raise self.problem
        return Parameter(self.text, 7)

    def credential_versions(self) -> dict[str, int]:
        return {"ada": 1}

    def credentials(self) -> dict[str, Parameter]:
        return {"ada": Parameter(json.dumps({"hash": HASH, "rotation": 1}), 1)}

    def put_status(self, instance_id: str, document: str) -> None:
        self.reports.append(json.loads(document))
        assert self.reports[-1]["instance_id"] == instance_id


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    (tmp_path / "state").mkdir()
    (tmp_path / "home").mkdir()
    return Settings(None, None, "", "ds-users", 2000, tmp_path, (), (), 0, 0)


@pytest.fixture
def ssm(here: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ssm:
    """Let the program run here, as far as its steps do not touch the machine."""
    parameters = Ssm()
    machine = Identity("i-1", "ami-1", "eu-central-1", "demo")
    monkeypatch.setattr(program.settings, "load", lambda: here)
    monkeypatch.setattr(program.identity, "discover", lambda _: machine)
    monkeypatch.setattr(program.identity, "stands_by", lambda _: False)
    monkeypatch.setattr(steps.volume, "find", lambda _: None)
    monkeypatch.setattr(program.Parameters, "of_machine", lambda *_: parameters)
    monkeypatch.setattr(program, "_retry_boot", lambda: False)
    monkeypatch.setattr(steps.services, "start", lambda _: None)
    monkeypatch.setattr(steps.volume, "prepare", lambda *_: None)
    monkeypatch.setattr(userdb, "read_machine", lambda _: Machine({}))
    monkeypatch.setattr(userdb, "read_accounts", dict)
    monkeypatch.setattr(users, "apply", lambda *_: users.Problems())
    # The machine that the tests run on may have processes of the same uid, and they are to live.
    monkeypatch.setattr(users, "leftovers", lambda _: {})
    monkeypatch.setattr(users, "end_leftovers", lambda *_: None)
    monkeypatch.setattr(steps.services, "is_due", lambda _: False)
    monkeypatch.setattr(steps.services, "keep", lambda *_: None)
    monkeypatch.setattr(steps.volume, "fill", lambda *_: None)
    monkeypatch.setattr(steps.sign_ins, "keep", lambda _: None)
    monkeypatch.setattr(steps.health, "check", lambda _: [])
    monkeypatch.setattr(steps.mounts, "current", lambda: {str(here.data_mount): mounts.Mount("7:1", "/")})
    monkeypatch.setattr(memory, "FOLDER", tmp_path / "run")
    return parameters


def call(monkeypatch: pytest.MonkeyPatch, command: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ds-stack-init", command])
    code: int = program.main()
    return code


def noting(plans: list[accounts.Plan]) -> Callable[..., users.Problems]:
    def note(plan: accounts.Plan, *_: Any) -> users.Problems:
        plans.append(plan)
        return users.Problems()

    return note


def fail_with(error: Exception) -> Callable[..., None]:
    def fail(*_: Any) -> None:
        raise error

    return fail


def test_boot_then_check(ssm: Ssm, here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "boot") == 0
    assert [one["state"] for one in ssm.reports] == ["starting"] * 3
    assert ssm.reports[-1]["config_version"] == 7
    assert call(monkeypatch, "check") == 0
    assert ssm.reports[-1]["state"] == "ready"
    assert ssm.reports[-1]["config_version"] == 7
    assert registry.load(here.state)["ada"].password == HASH


@pytest.mark.parametrize(
    ("stands_by", "found", "states"),
    [
        pytest.param([True, True, False], [None] * 3, ["waiting"], id="until it is its turn"),
        pytest.param([True, True], [None, None, "/dev/nvme1n1"], ["waiting"], id="until the volume comes"),
        pytest.param([], ["/dev/nvme1n1"], [], id="the volume is there before"),
    ],
)
def test_it_waits_while_another_machine_has_the_homes(
    ssm: Ssm,
    monkeypatch: pytest.MonkeyPatch,
    stands_by: list[bool],
    found: list[str | None],
    states: list[str],
) -> None:
    """And reads the configuration again, which may have changed."""
    answers, devices = iter(stands_by), iter(found)
    read = Mock(side_effect=ssm.config)
    monkeypatch.setattr(ssm, "config", read)
    monkeypatch.setattr(program.identity, "stands_by", lambda _: next(answers))
    monkeypatch.setattr(steps.volume, "find", lambda _: next(devices))
    monkeypatch.setattr(steps.time, "sleep", lambda _: None)
    assert call(monkeypatch, "boot") == 0
    assert [one["state"] for one in ssm.reports] == ["starting", *states, "starting", "starting"]
    assert read.call_count == 1 + len(states)


def test_refresh_without_news_only_looks_and_reports(
    ssm: Ssm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    call(monkeypatch, "boot")
    call(monkeypatch, "check")
    said, logged = len(ssm.reports), len(caplog.records)
    monkeypatch.setattr(steps.volume, "prepare", fail_with(AssertionError("was called")))
    assert call(monkeypatch, "refresh") == 0
    assert [one["state"] for one in ssm.reports[said:]] == ["ready"]
    assert len(caplog.records) == logged


def test_refresh_reports_the_minute_and_not_the_boot(ssm: Ssm, monkeypatch: pytest.MonkeyPatch) -> None:
    call(monkeypatch, "boot")
    call(monkeypatch, "check")
    bad = [
        steps.Check("data volume", False, "/data is full"),
        steps.Check("system disk", True, "/ is 10% full"),
    ]
    monkeypatch.setattr(steps.health, "check", lambda _: bad)
    call(monkeypatch, "refresh")
    assert (ssm.reports[-1]["state"], ssm.reports[-1]["message"]) == ("failed", "data volume: /data is full")
    monkeypatch.setattr(steps.health, "check", lambda _: bad[1:])
    call(monkeypatch, "refresh")
    assert (ssm.reports[-1]["state"], ssm.reports[-1]["message"]) == ("ready", "All checks passed.")


def test_refresh_leaves_the_first_report_to_the_boots_check(
    ssm: Ssm, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(monkeypatch, "boot")
    said = len(ssm.reports)
    monkeypatch.setattr(steps.services, "is_due", lambda _: True)
    monkeypatch.setattr(steps.services, "keep", fail_with(AssertionError("was called")))
    assert call(monkeypatch, "refresh") == 0
    assert len(ssm.reports) == said


UPKEEP = ("guard.keep", "services.keep", "shares.watch", "users.end_leftovers", "volume.fill")


@pytest.mark.parametrize("error", [InitError("what SSM tells makes no sense"), PermissionError(13, "no")])
def test_what_is_wrong_with_the_cluster_is_not_the_machines(
    error: Exception, ssm: Ssm, here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program.settings, "load", lambda: replace(here, spark=True))
    monkeypatch.setattr(steps.cluster, "refresh", fail_with(error))
    assert call(monkeypatch, "boot") == 0
    assert call(monkeypatch, "refresh") == 0
    assert ssm.reports[-1]["state"] == "ready"


def test_no_image_without_the_client_looks_for_a_cluster(ssm: Ssm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps.cluster, "refresh", fail_with(AssertionError("looked")))
    assert call(monkeypatch, "boot") == 0
    assert call(monkeypatch, "refresh") == 0


@pytest.mark.parametrize("broken", UPKEEP)
def test_upkeep_goes_on_whatever_fails(
    ssm: Ssm,
    here: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: str,
) -> None:
    """And whether SSM answers or not."""
    monkeypatch.setattr(program.settings, "load", lambda: replace(here, guard=True))
    monkeypatch.setattr(steps.guard, "check", lambda *_: steps.Check("guard", True, ""))
    call(monkeypatch, "boot")
    call(monkeypatch, "check")
    ssm.problem = Unavailable("SSM cannot be reached.")
    done = []
    for name in UPKEEP:
        module, function = name.split(".")

        def work(*_: Any, name: str = name) -> None:
            done.append(name)
            if name == broken:
                raise InitError(f"{name} is broken")

        monkeypatch.setattr(getattr(steps, module), function, work)
    call(monkeypatch, "refresh")
    assert sorted(done) == [
        "guard.keep",
        "services.keep",
        "shares.watch",
        "users.end_leftovers",
        "volume.fill",
    ]
    assert done[0] == "guard.keep"
    assert f"{broken} is broken" in caplog.text


@pytest.mark.parametrize("command", ["refresh", "stop"])
def test_sign_ins_are_kept_whatever_else_goes_wrong(
    ssm: Ssm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, command: str
) -> None:
    call(monkeypatch, "boot")
    monkeypatch.setattr(steps.registry, "load", fail_with(InitError("the registry is gone")))
    monkeypatch.setattr(steps.sign_ins, "keep", fail_with(InitError("no room for sign-ins")))
    call(monkeypatch, command)
    assert "the registry is gone" in caplog.text
    assert "no room for sign-ins" in caplog.text
    monkeypatch.setattr(steps.mounts, "current", dict)
    caplog.clear()
    call(monkeypatch, command)
    assert "sign-ins" not in caplog.text


def test_volume_that_cannot_grow_now_is_told_once(
    ssm: Ssm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    call(monkeypatch, "boot")
    call(monkeypatch, "check")
    monkeypatch.setattr(steps.volume, "fill", fail_with(InitError("resize2fs: Permission denied")))
    for _ in range(2):
        call(monkeypatch, "refresh")
    (found,) = ssm.reports[-1]["checks"]
    assert (ssm.reports[-1]["state"], found["name"]) == ("ready", "data volume's size")
    assert found["detail"] == "the volume has grown; its file system will fill it from the next boot on"
    assert caplog.text.count("resize2fs: Permission denied") == 1
    monkeypatch.setattr(steps.volume, "fill", lambda *_: None)
    call(monkeypatch, "refresh")
    assert ssm.reports[-1]["checks"] == []


def test_no_upkeep_on_a_machine_that_was_not_made_ready(
    ssm: Ssm, here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps.services, "keep", fail_with(AssertionError("was called")))
    steps.upkeep(here, print)


def test_open_guard_is_told_until_the_next_boot(
    ssm: Ssm, here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded = replace(here, guard=True)
    monkeypatch.setattr(program.settings, "load", lambda: guarded)
    monkeypatch.setattr(steps.guard, "leaks", lambda *_: [])
    monkeypatch.setattr(steps.guard, "keep", lambda *_: True)
    call(monkeypatch, "boot")
    call(monkeypatch, "check")
    call(monkeypatch, "refresh")
    monkeypatch.setattr(steps.guard, "keep", lambda *_: False)
    memory.forget_state()
    call(monkeypatch, "refresh")
    (found,) = ssm.reports[-1]["checks"]
    assert found["ok"]
    assert found["detail"].startswith("closed again; users came through it at 20")


@pytest.mark.parametrize(
    "text", [b"\xff\x00", b"", b"{}", b'{"schema": 1, "users": {"bob": 7}}', None], ids=str
)
def test_damaged_registry_is_made_anew(
    ssm: Ssm, here: Settings, monkeypatch: pytest.MonkeyPatch, text: bytes | None
) -> None:
    """Or one that somebody has moved away: whoever was removed is closed, the others keep their passwords."""
    call(monkeypatch, "boot")
    call(monkeypatch, "check")
    homes = here.home
    machine = Machine(
        {
            "ada": Account(2000, password="$y$own", home=str(homes / "ada")),
            "bob": Account(2001, password="$y$bob", home=str(homes / "bob")),
        }
    )
    plans: list[accounts.Plan] = []
    closed: list[str] = []
    monkeypatch.setattr(userdb, "read_machine", lambda _: machine)
    monkeypatch.setattr(userdb, "read_accounts", lambda: machine.accounts)
    monkeypatch.setattr(users, "close", lambda names, *_: closed.extend(names))
    monkeypatch.setattr(users, "leftovers", lambda _: {})
    monkeypatch.setattr(users, "apply", noting(plans))
    if text is None:
        (here.state / registry.NAME).unlink()
    else:
        (here.state / registry.NAME).write_bytes(text)
    assert call(monkeypatch, "refresh") == 0
    assert closed == ["bob"]
    assert plans[0].users[0].password is None
    assert registry.load(here.state)["ada"].password == "$y$own"
    assert registry.load(here.state)["bob"].uid == 2001
    assert ssm.reports[-1]["state"] == "ready"
    if text is not None:
        assert (here.state / registry.DAMAGED).read_bytes() == text


def test_what_could_not_be_done_for_a_user_is_told_and_tried_again(
    ssm: Ssm, here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = users.Problems(ada="The home of ada cannot be made.")
    with monkeypatch.context() as patched:
        patched.setattr(users, "apply", lambda *_: broken)
        call(patched, "boot")
        call(patched, "check")
    assert ssm.reports[-1]["message"] == "user ada: The home of ada cannot be made."
    assert registry.load(here.state)["ada"].issued is None  # so that the password is set
    call(monkeypatch, "refresh")
    assert ssm.reports[-1]["state"] == "ready"
    assert registry.load(here.state)["ada"].password == HASH


def test_unreadable_hash_of_one_user_is_no_other_users_affair(
    ssm: Ssm, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssm.text = json.dumps({**CONFIG, "users": [{"name": "ada"}, {"name": "bob"}]})
    found = {**ssm.credentials(), "bob": Parameter("nonsense", 1), "gone": Parameter("nonsense", 1)}
    monkeypatch.setattr(ssm, "credentials", lambda: found)
    plans: list[accounts.Plan] = []
    monkeypatch.setattr(users, "apply", noting(plans))
    assert call(monkeypatch, "boot") == 0
    assert [(one.user.name, one.password) for one in plans[0].users] == [("ada", HASH), ("bob", None)]
    call(monkeypatch, "check")
    assert (
        ssm.reports[-1]["message"] == "user bob: The password hash of bob in SSM cannot be read. Rotate it."
    )


def test_refresh_after_a_failed_check_looks_again(ssm: Ssm, monkeypatch: pytest.MonkeyPatch) -> None:
    call(monkeypatch, "boot")
    down = steps.Check("hub", False, "down")
    with monkeypatch.context() as patched:
        patched.setattr(steps.services, "check_all", lambda *_: [down])
        call(patched, "check")
    assert ssm.reports[-1]["state"] == "failed"
    assert ssm.reports[-1]["checks"] == [{"name": "hub", "ok": False, "detail": "down"}]
    call(monkeypatch, "refresh")
    assert ssm.reports[-1]["state"] == "ready"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InitError("Attach the volume."), "Attach the volume."),
        (ValueError(HASH), "ds-stack-init has a fault: ValueError at "),
        (OSError(28, "No space left", HASH), "ds-stack-init has a fault: OSError at "),
    ],
)
@pytest.mark.parametrize("command", ["boot", "refresh"])
def test_every_failure_is_reported(  # noqa: PLR0917
    ssm: Ssm,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    command: str,
    error: Exception,
    told: str,
) -> None:
    monkeypatch.setattr(steps.volume, "prepare", fail_with(error))
    assert call(monkeypatch, command) == 1
    report = ssm.reports[-1]
    assert (report["state"], report["config_version"]) == ("failed", 7)
    assert report["message"].startswith(told)
    captured = capfd.readouterr()
    assert HASH not in json.dumps(ssm.reports) + captured.out + captured.err + caplog.text


@pytest.mark.parametrize(
    ("in_document", "apart", "keys"),
    [
        (["ssh-ed25519 OLD"], None, ("ssh-ed25519 OLD",)),  # as older releases have written it
        (None, "ssh-ed25519 NEW\nssh-rsa NEWER", ("ssh-ed25519 NEW", "ssh-rsa NEWER")),
        (["ssh-ed25519 OLD"], "ssh-ed25519 NEW", ("ssh-ed25519 OLD", "ssh-ed25519 NEW")),
        (None, None, ()),
    ],
)
def test_ssh_keys_from_both_places(
    ssm: Ssm,
    monkeypatch: pytest.MonkeyPatch,
    in_document: list[str] | None,
    apart: str | None,
    keys: tuple[str, ...],
) -> None:
    plans: list[accounts.Plan] = []
    monkeypatch.setattr(users, "apply", noting(plans))
    ssm.text = json.dumps({**CONFIG, "users": [{"name": "ada", "ssh_keys": in_document}]})
    others = {"ada2/ssh_keys": Parameter("ssh-rsa ANOTHER", 1)}
    own = {"ada/ssh_keys": Parameter(apart, 5)} if apart else {}
    monkeypatch.setattr(ssm, "credentials", lambda: {**others, **own})
    assert call(monkeypatch, "boot") == 0
    assert [one.user for one in plans[0].users] == [accounts.User("ada", keys)]


def test_changed_ssh_keys_are_applied_by_the_next_refresh(ssm: Ssm, monkeypatch: pytest.MonkeyPatch) -> None:
    call(monkeypatch, "boot")
    call(monkeypatch, "check")
    found = {**ssm.credentials(), "ada/ssh_keys": Parameter("ssh-ed25519 NEW", 2)}
    monkeypatch.setattr(ssm, "credentials", lambda: found)
    monkeypatch.setattr(
        ssm, "credential_versions", lambda: {name: one.version for name, one in found.items()}
    )
    plans: list[accounts.Plan] = []
    monkeypatch.setattr(users, "apply", noting(plans))
    assert call(monkeypatch, "refresh") == 0
    assert plans[0].users[0].user.ssh_keys == ("ssh-ed25519 NEW",)
    assert call(monkeypatch, "refresh") == 0
    assert len(plans) == 1


def test_failure_makes_the_next_refresh_do_everything(ssm: Ssm, monkeypatch: pytest.MonkeyPatch) -> None:
    call(monkeypatch, "boot")
    call(monkeypatch, "check")
    with monkeypatch.context() as patched:
        patched.setattr(ssm, "text", "nonsense")
        patched.setattr(ssm, "credential_versions", lambda: {"ada": 2})
        assert call(patched, "refresh") == 1
    assert ssm.reports[-1]["state"] == "failed"
    assert call(monkeypatch, "refresh") == 0
    assert ssm.reports[-1]["state"] == "ready"


def test_ssm_that_does_not_answer_for_a_moment_is_no_failure(
    ssm: Ssm, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(monkeypatch, "boot")
    call(monkeypatch, "check")
    said = len(ssm.reports)
    ssm.problem = Unavailable("SSM cannot be reached.")
    assert call(monkeypatch, "refresh") == 1
    assert len(ssm.reports) == said


def test_status_that_cannot_be_written_is_written_later(ssm: Ssm, monkeypatch: pytest.MonkeyPatch) -> None:
    call(monkeypatch, "boot")
    with monkeypatch.context() as patched:
        patched.setattr(ssm, "put_status", fail_with(Unavailable("throttled")))
        assert call(patched, "check") == 0
    call(monkeypatch, "refresh")
    assert ssm.reports[-1]["state"] == "ready"


def test_stop_keeps_passwords_and_reports(ssm: Ssm, here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.save(here.state, {"ada": Record(2000, password=HASH)})
    monkeypatch.setattr(userdb, "read_accounts", lambda: {"ada": Account(2000, password="$y$own")})
    assert call(monkeypatch, "stop") == 0
    assert registry.load(here.state)["ada"].password == "$y$own"
    assert ssm.reports[-1]["state"] == "stopped"


def test_interrupted_run_knows_its_accounts_and_sets_the_password(
    ssm: Ssm, here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(users, "apply", fail_with(InitError("power cut")))
        call(patched, "boot")
    assert registry.load(here.state) == {"ada": Record(2000)}
    machine = Machine({"ada": Account(2000)})
    credentials = {"ada": Credential(HASH, 1)}
    plan = accounts.plan([accounts.User("ada")], credentials, registry.load(here.state), machine, 2000)
    assert plan.users[0].password == HASH


def test_machine_of_no_stack_is_left_alone(ssm: Ssm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program.identity, "discover", lambda _: None)
    monkeypatch.setattr(steps.volume, "prepare", fail_with(AssertionError("was called")))
    assert call(monkeypatch, "boot") == 0
    assert ssm.reports == []


def test_check_before_boot_is_a_failure(ssm: Ssm, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "check") == 1
    assert "was not made ready" in ssm.reports[-1]["message"]


def test_user_without_a_password_is_told(ssm: Ssm, here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssm, "credentials", dict)
    call(monkeypatch, "boot")
    monkeypatch.setattr(userdb, "read_accounts", lambda: {"ada": Account(2000)})
    call(monkeypatch, "check")
    assert ssm.reports[-1]["state"] == "failed"
    assert "password of ada: none is in SSM" in ssm.reports[-1]["message"]


def test_applied_is_noted(ssm: Ssm, monkeypatch: pytest.MonkeyPatch) -> None:
    call(monkeypatch, "boot")
    found = memory.load()
    assert isinstance(found, Applied)
    assert (found.config_version, found.tls, found.credentials, found.state) == (7, "none", {"ada": 1}, None)


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["boot", "twice"]])
def test_usage(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["ds-stack-init", *arguments])
    assert program.main() == 2
