"""The texts that come in and go out: settings, configuration, credentials, registry, status."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import names
from ds_stack_init import config, mounts, registry, settings, status, userdb
from ds_stack_init.errors import InitError
from ds_stack_init.identity import Identity
from ds_stack_init.memory import Applied
from ds_stack_init.registry import Record
from ds_stack_init.status import Check, Person, Progress

SETTINGS = {
    "schema": 1,
    "region": None,
    "endpoint_url": None,
    "metadata_url": "http://169.254.169.254",
    "users_group": "ds-users",
    "first_uid": 2000,
    "data_mount": "/data",
    "services": [{"name": "jupyterhub", "url": "http://127.0.0.1:18000/"}, {"name": "nginx"}],
    "state_folders": [{"name": "jupyterhub", "path": "/var/lib/jupyterhub"}],
    "volume_seconds": 600,
    "services_seconds": 300,
}
CONFIG: dict[str, Any] = {
    "schema": 1,
    "tls": "self_signed",
    "data_volume_id": "vol-0123456789abcdef0",
    "group": "ds-users",
    "components": ["jupyterhub"],
    "users": [{"name": "ada", "ssh_keys": ["ssh-ed25519 AAAA ada"]}, {"name": "bob"}],
}
BACK = {"volume_id": "vol-0fedcba9876543210", "user": "ada", "folder": "restored-2026-11-28-03-00"}
HASH = "$6$rounds=500000$saltsaltsalt$" + "h" * 86


def test_settings() -> None:
    found = settings.parse(json.dumps({**SETTINGS, "later": "ignored"}))
    assert [service.url for service in found.services] == ["http://127.0.0.1:18000/", None]
    assert str(found.home) == "/data/home"
    assert str(found.state) == "/data/state"


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({**SETTINGS, "schema": 2})])
def test_settings_that_the_bake_did_not_write(text: str) -> None:
    with pytest.raises(InitError, match=r"init\.json"):
        settings.parse(text)


def test_configuration() -> None:
    found = config.parse_config(json.dumps(CONFIG), 4)
    assert found.version == 4
    assert [user.name for user in found.users] == ["ada", "bob"]
    assert found.users[0].ssh_keys == ("ssh-ed25519 AAAA ada",)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"schema": 3}, "schema 3 is newer than this image"),
        ({"tls": "acme"}, "tls is 'acme'"),
        ({"data_volume_id": "/dev/sda"}, "no volume id"),
        ({"users": [{"name": "../etc"}]}, "'../etc' is no login name"),
        ({"users": [{"name": "-rf"}]}, "'-rf' is no login name"),
        ({"users": [{"name": "ada"}, {"name": "ada"}]}, "there twice"),
        ({"users": [{"name": "ada", "ssh_keys": ["a\nb"]}]}, "SSH key of ada"),
        ({"users": None}, "cannot be read"),
        ({"users": [{}]}, "cannot be read"),
        ({"restore_home": "ada"}, "cannot be read"),
        ({"restore_home": {"user": "ada", "folder": "restored"}}, "cannot be read"),
        ({"restore_home": {**BACK, "user": ".."}}, "no volume, user and folder"),
        ({"restore_home": {**BACK, "folder": "../bob"}}, "no volume, user and folder"),
        ({"restore_home": {**BACK, "folder": ".config"}}, "no volume, user and folder"),
        ({"restore_home": {**BACK, "volume_id": "/dev/sda"}}, "no volume, user and folder"),
        ({"restore_home": {**BACK, "volume_id": CONFIG["data_volume_id"]}}, "is the data volume itself"),
    ],
)
def test_wrong_configuration(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InitError, match=told):
        config.parse_config(json.dumps({**CONFIG, **changes}), 1)


def test_configuration_of_a_stack_whose_keys_lie_apart() -> None:
    found = config.parse_config(json.dumps({**CONFIG, "schema": 2, "users": [{"name": "ada"}]}), 4)
    assert found.users == (config.User("ada"),)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ssh-ed25519 AAAA ada", ("ssh-ed25519 AAAA ada",)),
        ("ssh-ed25519 AAAA ada\nssh-rsa BBBB", ("ssh-ed25519 AAAA ada", "ssh-rsa BBBB")),
        ("\r\nssh-rsa BBBB\u0085é \r\n\n", ("ssh-rsa BBBB\u0085é",)),
        ("", ()),
    ],
)
def test_ssh_keys_of_a_user(text: str, keys: tuple[str, ...]) -> None:
    assert config.parse_ssh_keys(text) == keys


def test_one_rule_for_login_names() -> None:
    """The program on the machine comes without the collection, so it has the rule once more."""
    assert config.LOGIN_NAME == names.LOGIN_NAME


def test_configuration_that_is_no_json() -> None:
    with pytest.raises(InitError, match="cannot be read"):
        config.parse_config("nonsense", 1)


def test_credential() -> None:
    text = json.dumps({"hash": HASH, "rotation": 3, "operator_version": 2})
    assert config.parse_credential("ada", text) == config.Credential(HASH, 3)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense: top-secret",
        "{}",
        json.dumps({"hash": "top-secret", "rotation": 1}),
        json.dumps({"hash": f"{HASH}\nroot:top-secret", "rotation": 1}),
        json.dumps({"hash": f"{HASH}:top-secret", "rotation": 1}),
        json.dumps({"hash": HASH, "rotation": "top-secret"}),
    ],
)
def test_wrong_credential_is_not_repeated(text: str) -> None:
    with pytest.raises(InitError, match="hash of ada in SSM cannot be read") as caught:
        config.parse_credential("ada", text)
    assert "top-secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_registry_there_and_back() -> None:
    known = {"ada": Record(2000, "digest", 1, HASH), "bob": Record(2001)}
    assert registry.parse(registry.dump(known)) == known
    assert registry.parse(None) == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "top-secret",
        "[]",
        "{}",
        '{"schema": 1, "users": {"ada": {"password": "top-secret"}}}',
        '{"schema": 1, "users": {"ada": {"uid": "2000", "password": "top-secret"}}}',
        '{"schema": 1, "users": {"ada": {"uid": true, "password": "top-secret"}}}',
        '{"schema": 1, "users": {"ada": {"uid": 2000, "password": ["top-secret"]}}}',
    ],
)
def test_damaged_registry_is_not_repeated(text: str) -> None:
    with pytest.raises(InitError, match="damaged") as caught:
        registry.parse(text)
    assert "top-secret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_registry_of_a_later_release() -> None:
    with pytest.raises(InitError, match="another release"):
        registry.parse('{"schema": 9, "users": {}}')


def test_status() -> None:
    found = json.loads(
        status.document(
            Identity("i-1", "ami-1", "eu-central-1", "demo"),
            status.READY,
            "All well.",
            config_version=3,
            boot_id="b",
            now=datetime(2026, 11, 23, 12, 0, 5, tzinfo=timezone.utc),
            checks=[Check("nginx", True, "answers 200")],
            at_work=[Person("ada", "kernel ir, SSH")],
        )
    )
    assert found == {
        "schema": 1,
        "state": "ready",
        "instance_id": "i-1",
        "image_id": "ami-1",
        "boot_id": "b",
        "config_version": 3,
        "time": "2026-11-23T12:00:05Z",
        "message": "All well.",
        "checks": [{"name": "nginx", "ok": True, "detail": "answers 200"}],
        "restore": None,
        "at_work": [{"name": "ada", "doing": "kernel ir, SSH"}],
        "also_at_work": 0,
    }


@pytest.mark.parametrize(
    "restore", [None, Progress("vol-" + "0" * 17, "a" * 32, "f" * 64, "copying", '"' * 500)]
)
@pytest.mark.parametrize("people", [None, [], [Person("ada", "ssh")], [Person('"' * 50, "\\" * 500)] * 300])
def test_status_always_fits_a_parameter(people: list[Person] | None, restore: Progress | None) -> None:
    """And what fails is not what is left out, nor how many are at work."""
    long = '\u00e4"\\\x00\n' * 1000
    many = [Check(long, True, long) for _ in range(40)] + [Check("bad", False, "down")]
    text = status.document(
        Identity("i-1", "ami-1", "eu-central-1", "demo"),
        status.FAILED,
        long,
        config_version=3,
        boot_id="b",
        now=datetime(2026, 11, 23, tzinfo=timezone.utc),
        checks=many,
        at_work=people,
        restore=restore,
    )
    assert len(text.encode()) <= 4096
    found = json.loads(text)
    assert found["checks"][0]["name"] == "bad"
    if people is None:
        assert "at_work" not in found
    else:
        assert len(found["at_work"]) + found["also_at_work"] == len(people)


def test_verdict() -> None:
    good, bad = Check("hub", True, "answers 200"), Check("nginx", False, "the unit is failed")
    assert status.verdict([good]) == ("ready", "All checks passed.")
    assert status.verdict([good, bad]) == ("failed", "nginx: the unit is failed")


@pytest.mark.parametrize(
    ("changes", "covered"),
    [
        ({}, True),
        ({"config_version": 4}, False),
        ({"credentials": {"ada": 2}}, False),
        ({"credentials": {}}, False),
        ({"names": ("IP:10.0.0.2",)}, False),
        ({"now": 1000.0 + 25 * 3600}, False),
        ({"now": 500.0}, False),
    ],
)
def test_when_a_refresh_has_nothing_to_do(changes: dict[str, Any], covered: bool) -> None:
    applied = Applied(3, "none", {"ada": 1}, ["IP:10.0.0.1"], "ready", 1000.0)
    case: dict[str, Any] = {"config_version": 3, "credentials": {"ada": 1}, "now": 1060.0}
    assert applied.covers(**{**case, "names": ("IP:10.0.0.1",), **changes}) is covered


@pytest.mark.parametrize("state", ["failed", None])
def test_refresh_after_a_failure_has_something_to_do(state: str | None) -> None:
    assert not Applied(3, "none", {}, [], state, 1000.0).covers(3, {}, [], 1001.0)


def test_shadow() -> None:
    text = "root:*:20000:0:99999:7:::\nada:$6$x:20000:0:99999:7:::\nbob:!$6$y:20000:0:99999:7::1:\nbroken\n"
    assert userdb.parse_shadow(text) == {
        "root": ("*", False),
        "ada": ("$6$x", False),
        "bob": ("!$6$y", True),
    }


@pytest.mark.parametrize(
    ("mount", "own", "read_only"),
    [
        ("rw,nosuid", "rw,errors=remount-ro", False),
        ("rw,nosuid", "ro,errors=remount-ro", True),
        ("rw,nosuid", "rw,errors=remount-ro,emergency_ro", True),
        ("ro", "rw", True),
        ("rw", "rw,prorata", False),
    ],
)
def test_mounts_that_cannot_be_written(mount: str, own: str, read_only: bool) -> None:
    table = f"30 22 259:1 / /data {mount} shared:1 - ext4 /dev/nvme1n1 {own}\n"
    assert mounts.parse(table)["/data"].read_only is read_only


def test_mounts() -> None:
    table = (
        "22 1 0:20 / / rw - overlay overlay rw\n"
        "30 22 259:1 / /data rw,nosuid shared:1 - ext4 /dev/nvme1n1 rw\n"
        "31 22 259:1 /state/hub /var/lib/with\\040space rw - ext4 /dev/nvme1n1 rw\n"
    )
    found = mounts.parse(table)
    assert found["/data"] == mounts.Mount("259:1", "/", "/dev/nvme1n1")
    assert found["/var/lib/with space"] == mounts.Mount("259:1", "/state/hub", "/dev/nvme1n1")
