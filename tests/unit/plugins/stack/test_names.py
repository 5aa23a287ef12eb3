"""The rules for names, users, keys and tags, which the check of a configuration and the modules share."""

from __future__ import annotations

import grp
import pwd
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.iac.ds_stack.plugins.module_utils._run.files import parse_object
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import names
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.machine_config import Parts
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.names import OptionError

ROLES = Path(__file__).resolve().parents[4] / "roles"
RSA = [f"ssh-rsa {'A' * 716} user-{number}@laptop" for number in range(6)]


def person(name: str, *keys: str) -> dict[str, Any]:
    return {"name": name, "ssh_keys": list(keys)}


@pytest.mark.parametrize("name", ["demo", "d2", "a-b-c", "d" * 31])
def test_names_of_stacks(name: str) -> None:
    assert names.check_stack(name) == name


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "..", "a/b", "/", "-demo", "2demo", "Demo", "d", "d" * 32, "demo ", "demo\n", "*", "dé"],
)
def test_what_names_no_stack(name: str) -> None:
    with pytest.raises(OptionError) as caught:
        names.check_stack(name)
    assert str(caught.value).startswith(f"stack: '{names.shown(name)}' cannot name a stack. Take 2 to 31")


def test_no_user_has_the_name_of_an_account_that_a_role_makes() -> None:
    found = [
        (name, value)
        for kind in ("defaults", "vars")
        for path in sorted(ROLES.glob(f"*/{kind}/main.yml"))
        for name, value in (yaml.safe_load(path.read_text()) or {}).items()
        if re.search("(_group|^__.*_user)$", name)
    ]
    assert len(found) > 5
    for name, value in found:
        assert names.reserved_problem(value), name


def test_names_of_users() -> None:
    assert names.check_users("users", ["grace", "_a", "a-b_2", "grace", "a" * 32]) == [
        "_a",
        "a-b_2",
        "a" * 32,
        "grace",
    ]


@pytest.mark.parametrize(
    "name", ["", " ", "..", "team/ada", "-rf", "1ada", "Ada", "ada\n", "ada.b", "*", "ä", "a" * 33]
)
def test_what_names_no_user(name: str) -> None:
    with pytest.raises(OptionError) as caught:
        names.check_users("rotate", ["ada", name])
    assert str(caught.value).startswith(f"rotate: '{names.shown(name)}' cannot be a login name.")


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1"), (True, "true"), (False, "false"), (1.5, "1.5"), ("yes", "yes"), ("", "")]
)
def test_tags_are_texts(value: Any, text: str) -> None:
    assert names.check_tags({"n": value, "theirs": None}) == {"n": text}


@pytest.mark.parametrize("tags", [{"": "x"}, {"k" * 129: "x"}, {"AWS:x": "x"}, {"k": "x" * 257}])
def test_tags_that_aws_refuses(tags: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=r"^tags: AWS takes no tag '"):
        names.check_tags(tags)
    assert names.check_tags({"k" * 128: "x" * 256, **dict.fromkeys(tags)}) == {"k" * 128: "x" * 256}


@pytest.mark.parametrize("value", [[], [1], {"a": 1}])
def test_tags_that_cannot_be(value: Any) -> None:
    with pytest.raises(OptionError, match=r"^tags: the value of 'n' is no text\."):
        names.check_tags({"n": value})


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            {"users": [person("ada", *RSA)]},
            "The SSH keys of 'ada' take 4433 bytes, and a parameter holds 4096.",
        ),
        ({"users": [person("ada", "ssh-rsa " + "é" * 2045)]}, "The SSH keys of 'ada' take 4098 bytes"),
        ({"users": [person("ada", "a\nb")]}, "An SSH key of 'ada' is empty or has several lines."),
        ({"users": [person("ada", " ")]}, "An SSH key of 'ada' is empty"),
        (
            {"users": [{"name": "ada", "ssh_keys": "ssh-rsa A"}]},
            "The SSH keys of 'ada' are no list of texts.",
        ),
        ({"users": [{"name": "ada", "ssh_keys": [1]}]}, "The SSH keys of 'ada' are no list"),
        ({"users": [person("../ada")]}, "'../ada' cannot be a login name."),
        ({"users": [{"ssh_keys": []}]}, "'' cannot be a login name."),
        ({"users": [person("ada"), person("ada")]}, "'ada' is there twice."),
        ({"users": ["ada"]}, "users is no list of users, each with a name."),
        ({"users": {"name": "ada"}}, "users is no list of users"),
        (
            {"users": [person(f"user-{number}") for number in range(200)]},
            "200 users are more than",
        ),
        (
            {"tls": "x" * 5000},
            "config: it takes 5011 bytes without the SSH keys, and the parameter holds 4096.",
        ),
    ],
)
def test_what_no_parameter_can_hold(config: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError) as caught:
        Parts.of(config)
    assert str(caught.value).startswith("config: ")
    assert told in str(caught.value)


def test_documents() -> None:
    assert parse_object('{"schema": 1}') == {"schema": 1}
    assert [parse_object(text) for text in ("", " ", "[]", "null", '"x"', "{", "1", "[" * 4096)] == [None] * 8


@pytest.mark.parametrize(
    "name",
    "root daemon admin ubuntu debian games nobody sudo users staff ds-users rstudio-server ssm-user "  # noqa: SIM905
    "jupyterhub sshd _apt _anything systemd-network systemd-anything".split(),
)
def test_the_systems_own_names_are_reserved(name: str) -> None:
    assert names.reserved_problem(name) == (
        f"'{name}' is an account or group of the machine's own system. Give that user another name."
    )


@pytest.mark.parametrize("name", ["ada", "administrator", "rooty", "ubuntu2", "systemd"])
def test_other_names_are_not(name: str) -> None:
    assert names.reserved_problem(name) is None


def test_every_account_of_base_passwd_is_reserved() -> None:
    """Those of this machine that every Debian has: with uids and gids below 100."""
    found = {one.pw_name for one in pwd.getpwall() if one.pw_uid < 100}
    found |= {one.gr_name for one in grp.getgrall() if one.gr_gid < 100}
    assert found
    assert [name for name in sorted(found) if names.reserved_problem(name) is None] == []


def test_what_is_shown_is_short_and_on_one_line() -> None:
    assert names.shown("Ädä") == "Ädä"
    assert names.shown("a\nb\0") == r"a\nb\x00"
    assert names.shown("x" * 100) == "x" * 60 + "…"
    assert names.shown("-----BEGIN " + "PRIVATE KEY-----") == "(a private key)"
