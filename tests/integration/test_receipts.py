"""The playbooks on receipts: what a bake keeps, how two images differ, and how a paper cites one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.which_ansible import PLAYBOOK

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = "demo-20261127-093000_ami-0a1b2c3d4e5f60718", "demo-20261204-101500_ami-0f1e2d3c4b5a69788"


def receipt(image: str, **fields: Any) -> dict[str, Any]:
    """Return a small receipt."""
    return {
        "schema": 1,
        "made": "2026-11-27T09:30:00Z",
        "image": image,
        "collection": "0.1.0",
        "provenance": {},
        "system": {"name": "Debian GNU/Linux 12 (bookworm)", "architecture": "x86_64"},
        "tools": {"R": "4.2.2", "Python @ /opt/conda/envs/ds": "3.14.0"},
        "os": {"apt": {"version": "2.6.2"}, "git": {"version": "2.39.5"}},
        "conda": {"/opt/conda/envs/ds": {"python": {"version": "3.14.0"}}},
        "r": {},
        "kernels": {},
        **fields,
    }


def play(folder: Path, playbook: str, code: int = 0, **variables: Any) -> str:
    """Run a playbook, and return what it printed, in one line."""
    given = {"ds_stack_name": "demo", "ds_stack_dir": str(folder), **variables}
    played = subprocess.run(
        [PLAYBOOK, playbook, "-e", json.dumps(given)],
        cwd=folder,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == code, played.stdout + played.stderr
    return " ".join(played.stdout.replace("''", "'").split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a stack's folder with the receipts of two images."""
    kept = tmp_path / "receipts"
    kept.mkdir()
    (kept / f"{OLD}.json").write_text(json.dumps(receipt("old")))
    new = receipt("new", os={"apt": {"version": "2.6.3"}}, provenance={"configuration": "c0ffee-dirty"})
    (kept / f"{NEW}.json").write_text(json.dumps(new))
    return tmp_path


CHANGED = "OS: 1 removed, 1 changed ~ apt 2.6.2 → 2.6.3 - git 2.39.5"


def test_the_newest_two_are_compared(folder: Path) -> None:
    assert f"From {OLD} to {NEW} {CHANGED}" in play(folder, "iac.ds_stack.diff")


@pytest.mark.parametrize(
    "named",
    [
        ["ami-0a1b2c3d4e5f60718", "ami-0f1e2d3c4b5a69788"],
        ["demo-20261127-093000", "demo-20261204-101500"],
        [OLD, "{folder}/receipts/" + NEW + ".json"],
    ],
)
def test_images_are_named_by_name_id_or_path(folder: Path, named: list[str]) -> None:
    names = [name.format(folder=folder) for name in named]
    assert f"From {OLD} to {NEW} {CHANGED}" in play(folder, "iac.ds_stack.diff", ds_stack_receipts=names)
    back = play(folder, "iac.ds_stack.diff", ds_stack_receipts=names[::-1])
    assert f"From {NEW} to {OLD} OS: 1 added, 1 changed ~ apt 2.6.3 → 2.6.2 + git 2.39.5" in back


def test_what_is_not_there_is_told_with_what_is(folder: Path) -> None:
    said = play(folder, "iac.ds_stack.diff", 2, ds_stack_receipts=[OLD, "demo-2026"])
    assert f"1 was found of {OLD} and demo-2026." in said
    assert f"there are: {OLD}, {NEW}" in said
    for path in (folder / "receipts").iterdir():
        path.unlink()
    assert "there is none: bake.yml leaves one with each image that it bakes." in play(
        folder, "iac.ds_stack.cite", 2
    )


def test_a_paper_cites_the_newest_image(folder: Path) -> None:
    digest = hashlib.sha256((folder / f"receipts/{NEW}.json").read_bytes()).hexdigest()
    assert (
        "All computations were run on Debian GNU/Linux 12 (bookworm) (x86_64) with R 4.2.2, Python 3.14.0 "
        "(/opt/conda/envs/ds), on a machine of the image demo-20261204-101500 (ami-0f1e2d3c4b5a69788), "
        "made on 2026-11-27 with iac.ds_stack 0.1.0. The versions and sources of its 1 system and 1 conda "
        f"packages are in its receipt, which has the SHA-256 {digest}; "
        "the configuration is of the git revision c0ffee-dirty."
    ) in play(folder, "iac.ds_stack.cite")
    (folder / "receipts" / f"{NEW}.json").write_text("{}")
    assert f"{NEW}.json is no receipt: it has no schema." in play(folder, "iac.ds_stack.cite", 2)


@pytest.mark.parametrize(("baked", "kept"), [("demo-1", ["demo-1_ami-1.json"]), ("demo-2", [])])
def test_a_bakes_receipt_is_kept_for_its_own_image_only(tmp_path: Path, baked: str, kept: list[str]) -> None:
    (tmp_path / "receipt.json").write_text(json.dumps(receipt("demo-1")))
    tasks = [{"ansible.builtin.import_tasks": f"{ROOT}/playbooks/tasks/keep_receipt.yml"}]
    played = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]
    (tmp_path / "play.yml").write_text(json.dumps(played))
    given: dict[str, Any] = {
        "__stack_receipt": {"stat": {"path": str(tmp_path / "receipt.json")}},
        "__stack_image": {"image_name": baked, "ami_id": "ami-1"},
    }
    play(tmp_path, "play.yml", **given)
    assert [path.name for path in tmp_path.glob("receipts/*")] == kept
    assert "changed=0" in play(tmp_path, "play.yml", **given)


def test_the_lock_is_completed_from_the_receipt_once(tmp_path: Path) -> None:
    made = {**receipt("demo-1", files={"apt": "ab"}), "settings": {"base_apt_day": "2026-11-28"}}
    (tmp_path / "receipts").mkdir()
    (tmp_path / "receipts/demo-1_ami-1.json").write_text(json.dumps(made))
    lock = tmp_path / "lock.yml"
    lock.write_text("schema: 1\nbase_image: {image_id: ami-0}\n")
    (tmp_path / "templates").symlink_to(ROOT / "playbooks/templates")
    names = [f"{ROOT}/playbooks/tasks/{name}.yml" for name in ("lock", "complete_lock")]
    played = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [f"{ROOT}/playbooks/vars/lock.yml"],
        "vars": {"__preflight_lock": "{{ lookup('ansible.builtin.file', ds_stack_lock_file) | from_yaml }}"},
        "tasks": [{"ansible.builtin.import_tasks": name} for name in names],
    }
    (tmp_path / "play.yml").write_text(json.dumps([played]))
    given: dict[str, Any] = {
        "ds_stack_lock_file": str(lock),
        "ds_stack_os": "debian-12",
        "ds_stack_relock": [],
        "__stack_role_variables": {},
        "__stack_base_image": {"image_id": "ami-0"},
        "__stack_image": {"image_name": "demo-1", "ami_id": "ami-1"},
    }
    assert "changed=1" in play(tmp_path, "play.yml", **given)
    written = yaml.safe_load(lock.read_text())
    assert written["base_image"] == {"image_id": "ami-0"}
    assert written["os"] == {
        "base_image": "ami-0",
        "variables": {"base_apt_day": "2026-11-28"},
        "packages": {"apt": "2.6.2", "git": "2.39.5"},
        "files": {"apt": "ab"},
    }
    assert "changed=0" in play(tmp_path, "play.yml", **given)
    other = {**given, "__stack_role_variables": {"base_apt_day": "2026-11-01"}}
    said = " ".join(play(tmp_path, "play.yml", 2, **other).split())
    assert "base_apt_day is 2026-11-01, the lock says 2026-11-28" in said


def test_a_lock_of_another_region_is_no_lock_of_this_stack(tmp_path: Path) -> None:
    """Nor is one of another system: what moves the base image moves all that lies on it."""
    tasks = [{"ansible.builtin.import_tasks": f"{ROOT}/playbooks/tasks/base_image.yml"}]
    (tmp_path / "templates").symlink_to(ROOT / "playbooks/templates")
    played = {"hosts": "localhost", "gather_facts": False, "tasks": tasks}
    (tmp_path / "play.yml").write_text(json.dumps([played]))
    locked = {"os": "debian-12", "region": "eu-central-1", "owner": "1", "image_id": "ami-0", "name": "a"}
    given: dict[str, Any] = {
        "ds_stack_lock_file": str(tmp_path / "lock.yml"),
        "ds_stack_os": "debian-12",
        "ds_stack_region": "us-east-1",
        "__preflight_base": {"owner": "1"},
        "__preflight_lock": {"schema": 1, "base_image": locked},
        "__preflight_pinned": {},
        "__preflight_found": {"base_image": {"image_id": "ami-1", "name": "b"}},
    }
    said = play(tmp_path, "play.yml", 2, ds_stack_relock=["os"], **given)
    assert "would be debian-12 of 1 in us-east-1, the lock says debian-12 of 1 in eu-central-1." in said
    assert not (tmp_path / "lock.yml").exists()
    play(tmp_path, "play.yml", ds_stack_relock=["base"], **given)
    written = yaml.safe_load((tmp_path / "lock.yml").read_text())["base_image"]
    assert (written["region"], written["image_id"]) == ("us-east-1", "ami-1")


def test_a_bake_tells_the_revision_of_what_it_was_baked_from(tmp_path: Path) -> None:
    lock = tmp_path / "ds_stack.lock.yml"
    lock.write_text("schema: 1\n")
    tasks = [{"ansible.builtin.copy": {"content": "{{ __stack_provenance | to_json }}", "dest": "said"}}]
    played = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    (tmp_path / "play.yml").write_text(
        json.dumps([{**played, "vars_files": [f"{ROOT}/playbooks/vars/stack.yml"]}])
    )
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    for revision, path, said in (
        ({"rc": 0, "stdout": "c0ffee"}, lock, {"configuration": "c0ffee", "lock_sha256": digest}),
        ({"rc": 128, "stdout": ""}, tmp_path / "none", {}),
        ({"msg": "no git"}, lock, {"lock_sha256": digest}),
    ):
        play(tmp_path, "play.yml", __stack_revision=revision, ds_stack_lock_file=str(path))
        assert json.loads((tmp_path / "said").read_text()) == said
