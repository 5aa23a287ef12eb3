"""What is in a home beside its user's own: the skeleton of the image, and folders that outlive it."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ds_stack_init import homes, mounts, state_folders
from ds_stack_init.settings import Settings, StateFolder, parse

SETTINGS = """{"schema": 1, "region": null, "endpoint_url": null, "metadata_url": "http://169.254.169.254",
"users_group": "ds-users", "first_uid": 2000, "data_mount": "%s", "services": [], "volume_seconds": 1,
"services_seconds": 1, "state_folders": [
{"name": "crontabs", "path": "%s", "optional": true},
{"name": "none", "path": "/no/such/folder", "optional": true}]}"""

UID = 2345


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that the user gets to: each pytest that starts makes those of all root's alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    data, crontabs = tmp_path / "data", tmp_path / "crontabs"
    for folder in (data / "home", data / "state", crontabs):
        folder.mkdir(parents=True)
    return parse(SETTINGS % (data, crontabs))


@pytest.fixture
def skeleton(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "skel"
    (folder / ".config/deep").mkdir(parents=True)
    (folder / ".config").chmod(0o700)
    (folder / ".bashrc").write_text("the image's\n")
    (folder / ".config/deep/settings").write_text("the image's\n")
    (folder / ".link").symlink_to(".bashrc")
    monkeypatch.setattr(homes, "SKELETON", folder)
    return folder


def provide(settings: Settings) -> list[str]:
    said: list[str] = []
    homes.provide("ada", UID, settings, said.append)
    return said


def test_a_new_home_is_the_skeleton_and_gets_nothing_again(settings: Settings, skeleton: Path) -> None:
    assert provide(settings) == ["made the home of ada"]
    home = settings.home / "ada"
    assert home.stat().st_uid == (home / ".config/deep/settings").stat().st_uid == UID
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    (home / ".bashrc").unlink()
    assert provide(settings) == []
    assert not (home / ".bashrc").exists()


def test_an_older_home_gets_what_it_never_had_and_loses_nothing(settings: Settings, skeleton: Path) -> None:
    home = settings.home / "ada"
    home.mkdir()
    (home / ".bashrc").write_text("my own\n")
    os.chown(home, UID, UID)
    assert len(provide(settings)) == 1
    assert (home / ".bashrc").read_text() == "my own\n"
    given = home / ".config/deep/settings"
    assert (given.read_text(), given.stat().st_uid) == ("the image's\n", UID)
    assert stat.S_IMODE((home / ".config").stat().st_mode) == 0o700
    assert (home / ".link").readlink() == Path(".bashrc")
    # A newer image has more; what was thrown away stays away.
    given.unlink()
    (skeleton / "R").mkdir()
    assert len(provide(settings)) == 1
    assert (home / "R").stat().st_uid == UID
    assert not given.exists()


@pytest.mark.parametrize("in_the_way", ["link", "file", "closed", "fifo"])
def test_a_home_leads_root_nowhere(
    settings: Settings, skeleton: Path, tmp_path: Path, in_the_way: str
) -> None:
    """Where the user has put something in the way, nobody else's folder is written to, and nothing waits."""
    home, secret = settings.home / "ada", tmp_path / "root's"
    home.mkdir()
    secret.mkdir(mode=0o755)
    if in_the_way == "link":
        (home / ".config").symlink_to(secret)
    elif in_the_way == "file":
        (home / ".config").write_text("")
    elif in_the_way == "closed":
        (home / ".config").mkdir(mode=0)
    else:
        os.mkfifo(home / ".bashrc")
    for path in (home, *home.iterdir()):
        os.chown(path, UID, UID, follow_symlinks=False)
    provide(settings)
    assert list(secret.iterdir()) == []
    assert (home / ".link").is_symlink()


def test_damaged_notes_overwrite_nothing(settings: Settings, skeleton: Path) -> None:
    home = settings.home / "ada"
    provide(settings)
    (home / ".bashrc").write_text("my own\n")
    (settings.state / homes.GIVEN).write_text("[1, 2")
    provide(settings)
    assert (home / ".bashrc").read_text() == "my own\n"
    assert provide(settings) == []


def test_crontabs_are_the_new_images_groups(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian numbers the group crontab as the packages come; the folder on the volume has the old number."""
    shown = settings.state_folders[0].path
    old, new, user = 101, 104, 2000
    os.chown(shown, 0, old)
    shown.chmod(0o1730)
    mounted: list[tuple[str, ...]] = []
    monkeypatch.setattr(mounts, "current", dict)
    monkeypatch.setattr(state_folders, "run", lambda *command: mounted.append(command))
    state_folders.attach(settings, lambda _line: None)
    tab = settings.state / "crontabs/ada"
    tab.write_text("@reboot true\n")
    tab.chmod(0o600)
    os.chown(tab, user, old)
    os.chown(shown, 0, new)
    state_folders.attach(settings, lambda _line: None)
    folder = tab.parent.stat()
    assert (folder.st_uid, folder.st_gid, stat.S_IMODE(folder.st_mode)) == (0, new, 0o1730)
    assert (tab.stat().st_uid, tab.stat().st_gid, stat.S_IMODE(tab.stat().st_mode)) == (user, new, 0o600)
    assert {command[-1] for command in mounted} == {str(shown)}  # and not the one that the image has not


def test_a_folder_may_be_optional() -> None:
    assert parse(SETTINGS % ("/data", "/x")).state_folders[1] == StateFolder(
        "none", Path("/no/such/folder"), optional=True
    )
