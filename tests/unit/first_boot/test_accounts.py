"""What is planned for users: the table of all that can have happened to an account."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ds_stack_init.accounts import END_UID, Account, Machine, Plan, closed, plan, recover, remember
from ds_stack_init.config import Credential, User
from ds_stack_init.registry import Record, digest

ISSUED, ISSUED_LATER, CHOSEN = "$6$first", "$6$second", "$y$own"
ADA = User("ada")
KNOWN = Record(2000, issued=digest(ISSUED), rotation=1, password=ISSUED)


def make(
    *,
    users: tuple[User, ...] = (ADA,),
    credential: str | None = ISSUED,
    record: Record | None = KNOWN,
    account: Account | None = None,
    members: tuple[str, ...] = ("ada",),
    others: dict[str, Account] | None = None,
    homes: dict[str, int] | None = None,
) -> Plan:
    """Plan for ada, as far as the case needs her."""
    accounts = {"root": Account(0), **(others or {}), **({"ada": account} if account else {})}
    return plan(
        users,
        {"ada": Credential(credential, 1)} if credential else {},
        {"ada": record} if record else {},
        Machine(accounts, {}, members, homes or {}),
        2000,
    )


def test_new_user() -> None:
    found = make(record=None)
    (one,) = found.users
    assert (one.uid, one.create, one.join, one.password) == (2000, True, True, ISSUED)
    assert found.registry == {"ada": KNOWN}
    assert not found.without_password


def test_nothing_to_do() -> None:
    found = make(account=Account(2000, password=ISSUED))
    (one,) = found.users
    assert (one.create, one.reopen, one.join, one.password) == (False, False, False, None)
    assert (found.close, found.registry) == ((), {"ada": KNOWN})


@pytest.mark.parametrize(
    ("credential", "remembered", "on_image", "set_to", "remembered_then"),
    [
        pytest.param(ISSUED, ISSUED, CHOSEN, None, CHOSEN, id="user has changed it"),
        pytest.param(ISSUED, CHOSEN, None, CHOSEN, CHOSEN, id="new image after the user changed it"),
        pytest.param(ISSUED, ISSUED, None, ISSUED, ISSUED, id="new image"),
        pytest.param(ISSUED, CHOSEN, "!", CHOSEN, CHOSEN, id="interrupted before it was set"),
        pytest.param(ISSUED_LATER, CHOSEN, CHOSEN, ISSUED_LATER, ISSUED_LATER, id="rotated"),
        pytest.param(ISSUED_LATER, ISSUED, None, ISSUED_LATER, ISSUED_LATER, id="rotated and new image"),
        pytest.param(None, CHOSEN, CHOSEN, None, CHOSEN, id="SSM has none, the machine has"),
        pytest.param(None, CHOSEN, None, CHOSEN, CHOSEN, id="SSM has none, the volume has"),
    ],
)
def test_password(
    credential: str | None, remembered: str, on_image: str | None, set_to: str | None, remembered_then: str
) -> None:
    found = make(
        credential=credential,
        record=replace(KNOWN, password=remembered),
        account=Account(2000, password=on_image) if on_image else None,
    )
    assert found.users[0].password == set_to
    assert found.registry["ada"].password == remembered_then


def test_second_plan_has_nothing_to_set_after_a_rotation() -> None:
    first = make(credential=ISSUED_LATER, account=Account(2000, password=CHOSEN))
    second = make(
        credential=ISSUED_LATER,
        record=first.registry["ada"],
        account=Account(2000, password=first.users[0].password or ""),
    )
    assert second.users[0].password is None


def test_stack_that_was_destroyed_and_made_again_issues_new_passwords() -> None:
    """Then the rotation begins at 1 again: its number alone would not tell."""
    found = make(credential=ISSUED_LATER, record=replace(KNOWN, rotation=7, password=CHOSEN))
    assert found.users[0].password == ISSUED_LATER


def test_user_without_any_password_is_told() -> None:
    found = make(credential=None, record=None)
    assert found.without_password == ("ada",)
    assert found.users[0].password is None


def test_removed_user_is_closed_once_and_keeps_the_uid() -> None:
    found = make(users=(), account=Account(2000, password=CHOSEN))
    assert found.close == ("ada",)
    assert found.registry["ada"] == replace(KNOWN, password=CHOSEN)
    assert make(users=(), account=Account(2000, password="!", expired=True)).close == ()


def test_removed_user_is_not_made_on_a_new_image() -> None:
    found = make(users=())
    assert (found.users, found.close) == ((), ())
    assert found.registry == {"ada": KNOWN}


def test_account_of_the_image_that_only_has_a_removed_users_name_stays_open() -> None:
    assert make(users=(), account=Account(1000)).close == ()


def test_user_who_comes_back() -> None:
    closed = Account(2000, "/usr/sbin/nologin", f"!{CHOSEN}", expired=True)
    (one,) = make(credential=ISSUED_LATER, account=closed).users
    assert (one.create, one.reopen, one.password) == (False, True, ISSUED_LATER)


def test_user_who_lost_the_group() -> None:
    assert make(account=Account(2000, password=ISSUED), members=()).users[0].join


@pytest.mark.parametrize(
    ("others", "homes", "uid"),
    [
        pytest.param({}, {}, 2000, id="first"),
        pytest.param({"image": Account(2000)}, {}, 2001, id="taken by the image"),
        pytest.param({}, {"ada": 2005}, 2005, id="owner of the home, when the registry is lost"),
        pytest.param({}, {"gone": 2000}, 2001, id="home of somebody who was forgotten"),
        pytest.param({}, {"ada": 0}, None, id="home of root"),
        pytest.param({"image": Account(2005)}, {"ada": 2005}, None, id="home of the image's account"),
    ],
)
def test_uid_of_a_new_user(others: dict[str, Account], homes: dict[str, int], uid: int | None) -> None:
    if uid is None:
        found = make(record=None, others=others, homes=homes)
        assert found.users == ()
        assert found.problems["ada"].startswith("The home of 'ada' belongs to uid")
    else:
        assert make(record=None, others=others, homes=homes).users[0].uid == uid


def test_uid_of_a_removed_user_goes_to_nobody_else() -> None:
    found = plan([User("bob")], {}, {"ada": KNOWN}, Machine({}), 2000)
    assert found.users[0].uid == 2001


def test_uids_in_the_order_of_the_configuration() -> None:
    found = plan([User("zoe"), User("ada")], {}, {}, Machine({}), 2000)
    assert [(one.user.name, one.uid) for one in found.users] == [("zoe", 2000), ("ada", 2001)]


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        (Machine({"ada": Account(1000)}), "has an account 'ada'"),
        (Machine({}, {"ada": 50}), "has a group 'ada'"),
        (Machine({}, {"other": 2000}), "gid 2000 of 'ada' belongs to the image's group 'other'"),
        (Machine({"other": Account(2000)}), "uid 2000 of 'ada' belongs to the image's account 'other'"),
        (Machine({}, home_owners={"ada": 2007}), "chown -R 2000:2000"),
    ],
)
def test_conflict_of_one_user_is_no_other_users_affair(machine: Machine, told: str) -> None:
    others = [User("bob"), ADA, User("eve")]
    known = {"ada": KNOWN, "gone": Record(2001)}
    accounts = {**machine.accounts, "gone": Account(2001)}
    found = plan(others, {}, known, replace(machine, accounts=accounts), 2000)
    assert set(found.problems) == {"ada"}
    assert told in found.problems["ada"]
    assert [one.user.name for one in found.users] == ["bob", "eve"]
    assert found.close == ("gone",)
    assert found.registry["ada"] == KNOWN


def test_no_uid_is_left() -> None:
    taken = {f"u{uid}": Account(uid) for uid in range(59998, END_UID)}
    found = plan([User("bob"), User("eve")], {}, {}, Machine(taken), 59997)
    assert [one.uid for one in found.users] == [59997]
    assert found.problems == {"eve": "No uid from 59997 to 59998 is left for 'eve'."}


@pytest.mark.parametrize(
    ("account", "credential", "record"),
    [
        pytest.param(
            Account(2000, password=CHOSEN, home="/data/home/ada"),
            ISSUED,
            Record(2000, issued=digest(ISSUED), password=CHOSEN),
            id="keeps the password that works",
        ),
        pytest.param(
            Account(2000, password=CHOSEN, home="/data/home/ada"),
            None,
            Record(2000, password=CHOSEN),
            id="no word",
        ),
        pytest.param(
            Account(2000, password="!", home="/data/home/ada"),
            ISSUED,
            Record(2000),
            id="is given the issued one",
        ),
        pytest.param(Account(2000, password=CHOSEN, home="/home/ada"), ISSUED, None, id="not ours"),
        pytest.param(Account(1000, password=CHOSEN, home="/data/home/ada"), ISSUED, None, id="the system's"),
    ],
)
def test_registry_from_the_accounts(account: Account, credential: str | None, record: Record | None) -> None:
    credentials = {"ada": Credential(credential, 1)} if credential else {}
    found = recover({"root": Account(0), "ada": account}, credentials, Path("/data/home"), 2000)
    assert found == ({"ada": record} if record else {})


def test_who_must_not_run_anything() -> None:
    registry = {
        "ada": Record(2000),
        "removed": Record(2001),
        "of another image": Record(2002),
        "reused": Record(2003),
    }
    accounts = {
        "ada": Account(2000),
        "removed": Account(2001, expired=True),
        "image": Account(2003),
    }
    assert set(closed(registry, accounts)) == {"removed", "of another image"}


def test_remember_takes_only_passwords_that_work() -> None:
    registry = {"ada": KNOWN, "bob": Record(2001), "eve": Record(2002, password=ISSUED)}
    accounts = {
        "ada": Account(2000, password=CHOSEN),
        "bob": Account(1000, password=CHOSEN),
        "eve": Account(2002, password="!"),
    }
    found = remember(registry, accounts)
    assert found["ada"].password == CHOSEN
    assert found["bob"].password is None
    assert found["eve"].password == ISSUED


def test_hashes_do_not_show() -> None:
    found = make(account=Account(2000, password=CHOSEN), credential=ISSUED_LATER)
    assert "$" not in repr(found) + repr(Account(2000, password=CHOSEN)) + repr(Credential(ISSUED, 1))
