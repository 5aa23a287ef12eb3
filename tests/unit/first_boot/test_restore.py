"""A user's home from a volume that was made from a snapshot: copied whole or not at all, over nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ds_stack_init import health, memory, process, restore, userdb, volume
from ds_stack_init.accounts import Account
from ds_stack_init.config import HomeRestore
from ds_stack_init.errors import InitError
from ds_stack_init.settings import Settings
from ds_stack_init.status import Progress

WANTED = HomeRestore("vol-0fedcba9876543210", "ada", "restored-2026-11-28-03-00")
ANOTHER = HomeRestore("vol-11111111", "bob", "restored-2026-11-28-03-00")


class Machine:
    """A machine whose second volume is a folder; what else it is asked to run is real."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(None, None, "", "ds-users", 2000, folder / "data", (), (), 0, 0)
        self.volume = folder / "snapshot"
        self.asked: list[str] = []
        self.attached = True
        for home in (self.settings.home, self.volume / "home"):
            (home / "ada").mkdir(parents=True)
        self.settings.state.mkdir()
        (self.settings.home / "ada/file").write_text("of today")
        (self.volume / "home/ada/file").write_text("of last week")
        (self.volume / "home/ada/link").symlink_to("file")

    def run(self, *command: str, **options: Any) -> str:
        """Run a command, if it does not need root."""
        if command[0] == "mount":
            place = Path(command[-1])
            place.rmdir()
            place.symlink_to(self.volume)
        elif command[0] == "umount":
            Path(command[-1]).unlink()
        elif command[0] != "systemctl":
            return process.run(*command, **options)
        self.asked.append(" ".join(command[:-1] if "mount" in command[0] else command))
        return ""

    def heed(self, wanted: HomeRestore | None) -> None:
        """Do what a refresh does."""
        restore.heed(self.settings, wanted, lambda _: None)

    def work(self) -> Progress:
        """Do what the unit does, and return what is known then."""
        restore.work(self.settings, lambda _: None)
        found = restore.known(self.settings)
        assert found
        return found


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(restore, "run", made.run)
    monkeypatch.setattr(memory, "FOLDER", tmp_path / "run")
    monkeypatch.setattr(volume, "find", lambda _: Path("/dev/second") if made.attached else None)
    monkeypatch.setattr(userdb, "read_accounts", lambda: {"ada": Account(2000), "bob": Account(2001)})
    return made


def begun(machine: Machine) -> None:
    machine.heed(WANTED)
    assert machine.asked == [f"systemctl --no-block start {restore.UNIT}"]
    machine.asked.clear()


def test_the_home_lies_beside_the_living_one(machine: Machine) -> None:
    begun(machine)
    home = machine.settings.home / "ada"
    assert machine.work() == Progress(
        WANTED.volume_id, "ada", WANTED.folder, "done", f"It is in {home}/{WANTED.folder}."
    )
    assert (home / "file").read_text() == "of today"
    assert (home / WANTED.folder / "file").read_text() == "of last week"
    assert (home / WANTED.folder / "link").readlink() == Path("file")
    assert machine.asked == [f"mount -t ext4 -o {restore.OPTIONS} /dev/second", "umount"]
    assert not restore._unfinished(machine.settings).exists()
    # Nothing more is done about it, until it is wanted no more.
    machine.asked.clear()
    machine.heed(WANTED)
    assert (machine.asked, machine.work().state) == ([], "done")
    machine.heed(None)
    assert restore.known(machine.settings) is None


def test_it_waits_for_the_volume(machine: Machine) -> None:
    machine.attached = False
    machine.heed(WANTED)
    assert (machine.asked, restore.known(machine.settings)) == ([], None)
    machine.attached = True
    begun(machine)


@pytest.mark.parametrize("command", ["mount", "cp", "umount"])
def test_killed_it_is_done_again_from_the_beginning(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    begun(machine)

    def run(*asked: str, **options: Any) -> str:
        if asked[0] == command:
            if command == "cp":  # half of it is there
                shutil.copytree(machine.volume / "home/ada", restore._unfinished(machine.settings))
            raise KeyboardInterrupt
        return machine.run(*asked, **options)

    with monkeypatch.context() as patched:
        patched.setattr(restore, "run", run)
        with pytest.raises(KeyboardInterrupt):
            restore.work(machine.settings, lambda _: None)
    shutil.rmtree(memory.FOLDER / "restore", ignore_errors=True)
    (memory.FOLDER / "restore").unlink(missing_ok=True)  # the namespace of the mount is gone
    machine.asked.clear()
    begun(machine)
    assert machine.work().state == "done"


def test_killed_after_it_was_put_in_its_place_it_is_done(machine: Machine) -> None:
    begun(machine)
    machine.work()
    found = restore.known(machine.settings)
    assert found
    restore._save(machine.settings, replace(found, state=restore.PLACING))
    machine.asked.clear()
    begun(machine)
    assert (machine.work(), machine.asked) == (found, [])


def no_home_in_the_snapshot(machine: Machine, _: pytest.MonkeyPatch) -> None:
    shutil.rmtree(machine.volume / "home/ada")


def no_home_here(machine: Machine, _: pytest.MonkeyPatch) -> None:
    shutil.rmtree(machine.settings.home / "ada")


def no_account(_: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(userdb, "read_accounts", dict)


def a_folder_of_that_name(machine: Machine, _: pytest.MonkeyPatch) -> None:
    (machine.settings.home / "ada" / WANTED.folder).mkdir()


def a_dangling_link_of_that_name(machine: Machine, _: pytest.MonkeyPatch) -> None:
    (machine.settings.home / "ada" / WANTED.folder).symlink_to("nowhere")


def no_room(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    with (machine.volume / "home/ada/large").open("wb") as file:
        file.write(b"x" * 3 * health.MIB)
    size = 10_000 * health.MIB
    monkeypatch.setattr(health, "usage", lambda _: health.Usage(size, 102 * health.MIB, 10**6, 10**6))


def an_error_of_ours(_: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(userdb, "read_accounts", lambda: 1 / 0)


def taken_off(machine: Machine, _: pytest.MonkeyPatch) -> None:
    machine.attached = False


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (no_home_in_the_snapshot, "The snapshot has no home of ada."),
        (no_home_here, "There is no user ada here who has a home."),
        (no_account, "There is no user ada here who has a home."),
        (a_folder_of_that_name, " is there already, and stays as it is: rename it, or remove it."),
        (a_dangling_link_of_that_name, " is there already, and stays as it is: rename it, or remove it."),
        (no_room, "It takes 3 MiB, and "),
        (an_error_of_ours, "ds-stack-init has a fault: ZeroDivisionError"),
        (taken_off, f"The volume {WANTED.volume_id} is not attached any more."),
    ],
)
def test_what_cannot_be_restored_leaves_nothing(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Machine, pytest.MonkeyPatch], None],
    told: str,
) -> None:
    begun(machine)
    change(machine, monkeypatch)
    before = sorted(machine.settings.home.rglob("*"))
    found = machine.work()
    assert found.state == "failed"
    assert told in found.message
    assert sorted(machine.settings.home.rglob("*")) == before
    assert not restore._unfinished(machine.settings).exists()
    assert not (memory.FOLDER / "restore").is_symlink()
    # It is not tried again, until another one is wanted.
    machine.asked.clear()
    machine.heed(WANTED)
    assert machine.asked == []


@pytest.mark.parametrize("wanted", [None, ANOTHER])
def test_what_is_wanted_no_more_ends(machine: Machine, wanted: HomeRestore | None) -> None:
    begun(machine)
    restore._unfinished(machine.settings).mkdir()
    machine.heed(wanted)
    assert machine.asked[0] == f"systemctl stop {restore.UNIT}"
    assert not restore._unfinished(machine.settings).exists()
    found = restore.known(machine.settings)
    assert (found.user if found else None) == (wanted.user if wanted else None)


def test_another_uid(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as that of a snapshot of another stack: its files would be somebody else's here."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to give a folder away")
    os.chown(machine.volume / "home/ada", 2001, 2001)
    begun(machine)
    assert "In the snapshot the home of ada is of uid 2001, and here of 0." in machine.work().message


def test_what_was_noted_may_be_anything(machine: Machine) -> None:
    for text in ("", "{}", "[]", '{"state": 1}'):
        (machine.settings.state / restore.NAME).write_text(text)
        assert restore.known(machine.settings) is None
    begun(machine)


def test_a_full_disk_half_way(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(machine)

    def run(*asked: str, **options: Any) -> str:
        if asked[0] == "cp":
            restore._unfinished(machine.settings).mkdir()
            raise InitError("'cp' failed with exit code 1: No space left on device")
        return machine.run(*asked, **options)

    monkeypatch.setattr(restore, "run", run)
    found = machine.work()
    assert (found.state, found.message.endswith(" No space left on device")) == ("failed", True)
    assert not restore._unfinished(machine.settings).exists()
