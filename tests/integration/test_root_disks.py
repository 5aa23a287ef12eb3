"""Root disks and images on true overlay file systems: what is in an image, and what is left of one.

Needs root. The machines are missing here, so that a disk can be looked at; test_localcloud.py boots them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud import root_disks
from localcloud.errors import LocalCloudError
from localcloud.root_disks import BASE, MOST_LAYERS, Layers, RootDisk, RootDisks

#: The attribute behind `setcap cap_net_raw=ep`.
NET_RAW = bytes.fromhex("0100000200200000000000000000000000000000")
MIB = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose name is awkward in the options of a mount. In the end nothing is mounted in it."""
    folder = tmp_path / "a b,c:d\\e"
    folder.mkdir()
    yield folder
    root_disks.unmount_below(folder)


@pytest.fixture
def disks(folder: Path) -> RootDisks:
    """An account's disks, over a small base image."""
    base = folder / "unpacked"
    for name in ("etc", "lib", "home", "bin"):
        (base / name).mkdir(parents=True)
    for name in ("gone", "kept", "changed", "lib/old", "lib/common", "etc/becomes-folder"):
        (base / name).write_text(f"{name} of the base\n")
    base.chmod(0o711)
    os.chown(base, 0, 50)
    return RootDisks(folder / "disks", base)


def image(disk: RootDisk, name: str, how: str) -> Layers:
    """An image of a mounted disk, made in either way."""
    return disk.keep(name) if how == "keep" else disk.copy(name)


def tree(root: Path) -> set[str]:
    """All paths in a folder."""
    return {str(path.relative_to(root)) for path in root.rglob("*")}


both_ways = pytest.mark.parametrize("how", ["keep", "copy"])


@both_ways
def test_an_image_has_what_was_changed_and_lacks_what_was_removed(disks: RootDisks, how: str) -> None:
    disk = disks.disk("i-1", (BASE,))
    root = disk.mount()
    (root / "gone").unlink()
    (root / "changed").write_text("changed\n")
    for path in (root / "lib").iterdir():
        path.unlink()
    (root / "lib").rmdir()
    (root / "lib").mkdir()  # another folder of the same name: nothing of the old one is in it
    (root / "lib/common").write_text("common of the new one\n")
    (root / "etc/becomes-folder").unlink()
    (root / "etc/becomes-folder").mkdir()
    (root / "home").rmdir()
    (root / "home").symlink_to("lib")
    other = disks.disk("i-2", image(disk, "ami-1", how)).mount()
    expected = ["bin", "changed", "etc", "etc/becomes-folder", "home", "kept", "lib", "lib/common"]
    assert sorted(tree(other)) == expected
    assert (other / "changed").read_text() == "changed\n"
    assert (other / "kept").read_text() == "kept of the base\n"
    assert (other / "lib/common").read_text() == "common of the new one\n"
    assert (other / "etc/becomes-folder").is_dir()
    assert (other / "home").readlink() == Path("lib")
    assert tree(disk.mount()) == set(expected)  # the first one goes on with the same content


@both_ways
def test_an_image_keeps_what_belongs_to_a_file(disks: RootDisks, how: str) -> None:
    disk = disks.disk("i-1", (BASE,))
    root = disk.mount()
    ping = root / "bin/ping"
    ping.write_text("#!/bin/true\n")
    os.setxattr(ping, "security.capability", NET_RAW)
    os.setxattr(ping, "user.note", b"mine")
    (root / "bin/su").write_text("")
    os.chown(root / "bin/su", 1234, 4321)
    (root / "bin/su").chmod(0o4750)
    os.link(ping, root / "bin/ping4")
    with (root / "sparse").open("wb") as sparse:
        sparse.truncate(64 * MIB)
    os.mkfifo(root / "fifo", 0o640)
    os.mknod(root / "device", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    os.utime(root / "kept", (1000, 2000))
    (root / "etc").chmod(0o1777)
    other = disks.disk("i-2", image(disk, "ami-1", how)).mount()
    found = (other / "bin/ping").stat()
    assert os.getxattr(other / "bin/ping", "security.capability") == NET_RAW
    assert os.getxattr(other / "bin/ping", "user.note") == b"mine"
    assert (found.st_nlink, found.st_ino) == (2, (other / "bin/ping4").stat().st_ino)
    su = (other / "bin/su").stat()
    assert (su.st_uid, su.st_gid, stat.S_IMODE(su.st_mode)) == (1234, 4321, 0o4750)
    sparse_file = (other / "sparse").stat()
    assert sparse_file.st_size == 64 * MIB
    assert sparse_file.st_blocks * 512 < MIB
    assert (other / "fifo").is_fifo()
    assert (other / "device").stat().st_rdev == os.makedev(1, 3)
    assert (other / "kept").stat().st_mtime == 2000
    assert stat.S_IMODE((other / "etc").stat().st_mode) == 0o1777
    top = other.stat()
    assert (stat.S_IMODE(top.st_mode), top.st_gid) == (0o711, 50)


@both_ways
def test_a_disk_and_its_image_do_not_see_each_others_later_work(disks: RootDisks, how: str) -> None:
    disk = disks.disk("i-1", (BASE,))
    (disk.mount() / "kept").write_text("in the image\n")
    layers = image(disk, "ami-1", how)
    first = disk.mount()
    second, third = disks.disk("i-2", layers).mount(), disks.disk("i-3", layers).mount()
    (first / "kept").write_text("first\n")
    with (second / "kept").open("a") as file:
        file.write("and more\n")
    (third / "kept").unlink()
    assert (first / "kept").read_text() == "first\n"
    assert (second / "kept").read_text() == "in the image\nand more\n"
    assert not (third / "kept").exists()
    assert (disks.disk("i-4", layers).mount() / "kept").read_text() == "in the image\n"


def test_an_image_of_a_disk_that_nobody_uses_is_not_copied(disks: RootDisks, folder: Path) -> None:
    disk = disks.disk("i-1", (BASE,))
    (disk.mount() / "large").write_bytes(bytes(MIB))
    written = (folder / "disks/i-1/upper/large").stat().st_ino
    disk.keep("ami-1")
    assert (folder / "disks/ami-1/large").stat().st_ino == written
    disk.mount()
    assert list((folder / "disks/i-1/upper").iterdir()) == []


def test_images_of_images_stand_on_each_other(disks: RootDisks) -> None:
    layers: Layers = (BASE,)
    for number, how in enumerate(("keep", "copy", "keep", "copy")):
        disk = disks.disk(f"i-{number}", layers)
        root = disk.mount()
        (root / f"made-{number}").write_text("")
        (root / f"made-{number - 1}").unlink(missing_ok=True)
        (root / "gone").write_text("back\n") if number == 2 else (root / "gone").unlink(missing_ok=True)
        layers = image(disk, f"ami-{number}", how)
    assert layers == ("ami-3", "ami-2", "ami-1", "ami-0", BASE)
    last = disks.disk("i-9", layers).mount()
    assert {name for name in tree(last) if name.startswith(("made", "gone"))} == {"made-3"}
    third = disks.disk("i-8", layers[1:]).mount()
    assert (third / "gone").read_text() == "back\n"


def test_a_disk_is_the_same_after_each_mount(disks: RootDisks, folder: Path) -> None:
    disk = disks.disk("i-1", (BASE,))
    (disk.mount() / "kept").write_text("mine\n")
    assert disk.mount() == folder / "disks/i-1/root"
    root_disks.unmount_below(folder)
    assert not (folder / "disks/i-1/root/kept").exists()
    assert (disk.mount() / "kept").read_text() == "mine\n"
    assert len(root_disks.unmount_below(folder)) == 1


def test_only_layers_that_nobody_uses_are_removed(disks: RootDisks, folder: Path) -> None:
    disk = disks.disk("i-1", (BASE,))
    (disk.mount() / "file").write_text("first\n")
    first = disk.keep("ami-1")
    (disk.mount() / "file").write_text("second\n")
    disk.keep("ami-2")
    (disk.mount() / "file").write_text("now\n")
    left = folder / "disks"

    def layers() -> set[str]:
        return {path.name for path in left.glob("ami-*")}

    disks.prune(lambda: {*first})  # as if the disk were not there
    assert layers() == {"ami-1"}
    assert (disks.disk("i-2", first).mount() / "file").read_text() == "first\n"
    disks.prune(set)
    assert layers() == set()
    assert (left / BASE / "kept").read_text() == "kept of the base\n"


def test_nobody_but_root_comes_near_the_programs_inside(disks: RootDisks, folder: Path) -> None:
    disks.disk("i-1", (BASE,)).mount()
    assert stat.S_IMODE((folder / "disks").stat().st_mode) == 0o700


def test_a_removed_disk_leaves_nothing_and_its_layers_stay(disks: RootDisks, folder: Path) -> None:
    disk = disks.disk("i-1", (BASE,))
    (disk.mount() / "file").write_text("")
    layers = disk.keep("ami-1")
    disk.mount()
    disk.remove()
    disk.remove()
    assert root_disks.unmount_below(folder) == []
    assert {path.name for path in (folder / "disks").iterdir()} == {BASE, "ami-1"}
    assert (disks.disk("i-2", layers).mount() / "file").exists()


def test_a_copy_that_fails_leaves_no_layer(disks: RootDisks, folder: Path) -> None:
    disk = disks.disk("i-1", (BASE,))
    disk.mount()
    (folder / "disks/ami-1").write_text("in the way")
    with pytest.raises(LocalCloudError, match="cannot overwrite non-directory"):
        disk.copy("ami-1")
    assert not (folder / "disks/ami-1").exists()
    assert disk.layers == (BASE,)


def test_a_disk_in_use_does_not_become_a_layer(disks: RootDisks, folder: Path) -> None:
    disk = disks.disk("i-1", (BASE,))
    with (disk.mount() / "open").open("w"), pytest.raises(LocalCloudError, match="busy"):
        disk.keep("ami-1")
    assert disk.layers == (BASE,)
    assert not (folder / "disks/ami-1").exists()


def test_as_many_layers_as_are_allowed_can_be_mounted(disks: RootDisks, folder: Path) -> None:
    names = [f"ami-{number:017x}" for number in range(MOST_LAYERS)]
    for name in names:
        (folder / "disks" / name).mkdir()
    (folder / "disks" / names[-1] / "lowest").write_text("seen\n")
    deep = disks.disk("i-0123456789abcdef0", (*names, BASE))
    assert (deep.mount() / "lowest").read_text() == "seen\n"
    assert (deep.mount() / "kept").read_text() == "kept of the base\n"
    for how in ("keep", "copy"):
        with pytest.raises(LocalCloudError, match=f"stands on {MOST_LAYERS} images"):
            image(deep, "ami-one-too-many", how)
    assert not (folder / "disks/ami-one-too-many").exists()


def test_mount_points_are_found_by_their_true_names_the_innermost_first() -> None:
    line = "36 35 98:0 / {} rw,noatime master:1 - overlay overlay rw"
    table = "\n".join(
        line.format(point)
        for point in ("/", "/a\\040b", "/a\\040b/disks/i-1/root", "/a\\040b/disks/i-1/root/x\\134y", "/a")
    )
    assert root_disks.mounts_below(Path("/a b/disks"), table) == [
        "/a b/disks/i-1/root/x\\y",
        "/a b/disks/i-1/root",
    ]


def test_a_folder_that_can_hold_root_disks_is_left_as_it_was(folder: Path) -> None:
    root_disks.check(folder)
    assert list(folder.iterdir()) == []


def test_a_file_system_that_cannot_hold_root_disks_is_told_before_anything_is_made(
    disks: RootDisks,
) -> None:
    overlay = disks.disk("i-1", (BASE,)).mount()  # an overlay file system holds no other
    before = tree(overlay)
    with pytest.raises(
        LocalCloudError, match="set DS_STACK_CACHE to a folder on ext4, xfs or btrfs"
    ) as caught:
        root_disks.check(overlay)
    assert f"in {overlay}:" in str(caught.value)
    assert tree(overlay) == before
