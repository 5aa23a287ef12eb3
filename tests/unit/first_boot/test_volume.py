"""What is done with a data volume: never anything to what somebody has on it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from ds_stack_init import volume
from ds_stack_init.errors import InitError
from ds_stack_init.volume import Action, Content, decide

GIB = 1024**3


@pytest.mark.parametrize(
    ("content", "action"),
    [
        pytest.param(Content({}, True), Action.FORMAT, id="blank"),
        pytest.param(Content({"TYPE": "ext4", "LABEL": "ds-data"}, False), Action.USE, id="ours"),
        pytest.param(Content({}, False), "neither blank nor", id="something without a signature"),
        pytest.param(Content({"TYPE": "xfs"}, False), "holds xfs", id="other file system"),
        pytest.param(Content({"PTTYPE": "gpt"}, False), "holds gpt", id="partitions"),
        pytest.param(Content({"TYPE": "ext4"}, False), "e2label /dev/x ds-data", id="no label"),
        pytest.param(Content({"TYPE": "ext4", "LABEL": "x"}, False), "e2label /dev/x ds-data", id="label"),
        pytest.param(Content({"TYPE": "ext3", "LABEL": "ds-data"}, False), "holds ext3", id="older kind"),
        pytest.param(Content({"TYPE": "swap"}, True), "holds swap", id="signature amid zeros"),
        pytest.param(Content({"USAGE": "raid"}, True), "neither blank nor", id="unknown signature"),
    ],
)
def test_decision(content: Content, action: Action | str) -> None:
    if isinstance(action, str):
        with pytest.raises(InitError, match=action):
            decide(content, "/dev/x")
    else:
        assert decide(content, "/dev/x") is action


def test_names_under_which_udev_shows_a_volume() -> None:
    assert str(volume.candidates("vol-0123456789abcdef0")[0]) == (
        "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0"
    )


def test_signature() -> None:
    output = "DEVNAME=/dev/nvme1n1\nLABEL=ds-data\nUUID=0-1\nTYPE=ext4\n"
    assert volume.parse_signature(output) == {"LABEL": "ds-data", "UUID": "0-1", "TYPE": "ext4"}
    assert volume.parse_signature("") == {}


@pytest.mark.parametrize("options", [[], ["-O", "^64bit"], ["-b", "4096"]])
def test_size_in_the_superblock_of_a_real_file_system(tmp_path: Path, options: list[str]) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(48 * volume.MIB)
    mkfs = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin:/bin")
    assert mkfs, "install e2fsprogs"
    subprocess.run([mkfs, "-q", "-L", "ds-data", *options, image], check=True)
    superblock = image.read_bytes()[1024:2048]
    assert volume.filesystem_bytes(superblock) == 48 * volume.MIB


def test_no_superblock() -> None:
    assert volume.filesystem_bytes(bytes(1024)) is None


@pytest.mark.parametrize(
    ("device", "used", "grown"),
    [
        (GIB, GIB, False),
        (GIB + 3 * volume.MIB, GIB, False),
        (2 * GIB, GIB, True),
        (GIB, 2 * GIB, False),
        (GIB, None, False),
    ],
)
def test_growth(device: int, used: int | None, grown: bool) -> None:
    assert volume.has_grown(device, used) is grown


def test_volume_that_never_shows_up() -> None:
    with pytest.raises(InitError, match="vol-00000000 did not show up within 0 seconds"):
        volume.wait_for_device("vol-00000000", 0, pause=0)
