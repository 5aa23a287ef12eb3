"""What stacks and users may be called."""

from __future__ import annotations

import grp
import pwd

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._names import (
    shown,
    stack_name_problem,
    user_name_problem,
)


@pytest.mark.parametrize("name", ["ab", "ada", "team-1", "a" * 31])
def test_names_of_stacks(name: str) -> None:
    assert stack_name_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", "a", "A1", "1a", "-a", "a_b", "a.b", "a/b", "../a", "a b", "ä1", "a\n", "ab\n", "a" * 32]
)
def test_what_names_no_stack(name: str) -> None:
    said = stack_name_problem(name)
    assert said
    assert "cannot name a stack. Take 2 to 31 lower-case letters" in said
    assert said.isprintable()


@pytest.mark.parametrize("name", ["a", "ada", "ada-l", "a_l", "x1", "a" * 32, "administrator", "rooty"])
def test_login_names(name: str) -> None:
    assert user_name_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", "Ada", "1ada", "-ada", "_ada", "ada.l", "ada@l", "team/ada", "a b", "ä", "ada\n", "a" * 33]
)
def test_what_is_no_login_name(name: str) -> None:
    said = user_name_problem(name)
    assert said
    assert "cannot be a login name" in said
    assert said.isprintable()


@pytest.mark.parametrize(
    "name",
    "root daemon admin ubuntu debian games nobody sudo users staff ds-users rstudio-server ssm-user "  # noqa: SIM905
    "jupyterhub sshd systemd-network systemd-anything".split(),
)
def test_the_systems_own_names_are_reserved(name: str) -> None:
    assert user_name_problem(name) == (
        f"'{name}' is an account or group of the machine's own system. Give that user another name."
    )


def test_every_account_of_base_passwd_is_reserved() -> None:
    """Those of this machine that every Debian has: with uids and gids below 100."""
    names = {one.pw_name for one in pwd.getpwall() if one.pw_uid < 100}
    names |= {one.gr_name for one in grp.getgrall() if one.gr_gid < 100}
    assert names
    assert [name for name in sorted(names) if user_name_problem(name) is None] == []


def test_what_is_shown_is_short_and_on_one_line() -> None:
    assert shown("Ädä") == "Ädä"
    assert shown("a\nb\0") == r"a\nb\x00"
    assert shown("-----BEGIN " + "PRIVATE KEY-----") == "(a private key)"
    assert shown("x" * 100) == "x" * 60 + "…"
