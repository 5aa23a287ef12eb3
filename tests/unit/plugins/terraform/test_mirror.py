"""What the copy of a root module holds, and that nothing else is touched."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform import mirror as mirrors


class Folders:
    def __init__(self, top: Path) -> None:
        self.source = top / "terraform/root"
        self.work_dir = top / "work"
        self.write("main.tf", 'resource "terraform_data" "x" {}\n')

    def write(self, name: str, text: str = "") -> Path:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def plan(self, **options: Any) -> mirrors.Mirror:
        given = {"variables": {}, "backend": None, "overrides": {}, **options}
        return mirrors.plan_mirror(self.source, self.work_dir, **given)

    def update(self, mirror: mirrors.Mirror) -> mirrors.Differences:
        differences = mirrors.compare(mirror, self.work_dir)
        mirrors.write(mirror, differences, self.work_dir)
        assert not mirrors.compare(mirror, self.work_dir)
        return differences


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def test_what_is_not_needed_stays_behind(folders: Folders) -> None:
    for name in (
        ".terraform/providers/x",
        ".git/config",
        "terraform.tfstate",
        "terraform.tfstate.backup",
        ".terraform.tfstate.lock.info",
        "terraform.tfstate.d/blue/terraform.tfstate",
        "old.tfplan",
        ".terraform.lock.hcl",
        ".terraform_stack/lock",
    ):
        folders.write(name)
    wanted = ["templates/a.tpl", "terraform.tfvars", ".hidden"]
    for name in wanted:
        folders.write(name)
    (folders.source / ".#main.tf").symlink_to("ada@desk.4711")  # an editor's lock
    (folders.source / "modules").symlink_to("..")
    os.mkfifo(folders.source / "pipe")
    mirror = folders.plan()
    assert sorted(mirror.entries) == sorted(["main.tf", "terraform_stack.auto.tfvars.json", *wanted])
    assert mirror.lock_file == folders.source / ".terraform.lock.hcl"


def test_a_work_dir_below_the_source_is_not_copied_into_itself(folders: Folders) -> None:
    folders.work_dir = folders.source / "work"
    folders.update(folders.plan())
    assert "work/main.tf" not in folders.plan().entries


def test_links_to_folders_are_followed(folders: Folders, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "a.tf").write_text("# a")
    (folders.source / "one").symlink_to(shared)
    (folders.source / "two").symlink_to(shared)
    folders.update(folders.plan())
    assert (folders.work_dir / "one/a.tf").read_text() == (folders.work_dir / "two/a.tf").read_text() == "# a"
    assert not (folders.work_dir / "one").is_symlink()


def test_only_what_changed_is_written_and_what_went_is_removed(folders: Folders) -> None:
    script = folders.write("scripts/run.sh", "#!/bin/sh\n")
    script.chmod(0o755)
    folders.write("deep/er/a.txt")
    folders.update(folders.plan(variables={"a": 1}))
    assert (folders.work_dir / "scripts/run.sh").stat().st_mode & 0o777 == 0o755
    assert (folders.work_dir / "main.tf").stat().st_mode & 0o777 == 0o644
    variables = folders.work_dir / "terraform_stack.auto.tfvars.json"
    assert variables.stat().st_mode & 0o777 == 0o600
    assert json.loads(variables.read_text()) == {"a": 1}

    script.chmod(0o644)
    (folders.source / "deep/er/a.txt").unlink()
    (folders.work_dir / "terraform.tfstate").write_text("{}")
    (folders.work_dir / "deep/mine").write_text("a person's")
    differences = folders.update(folders.plan(variables={"a": 2}))
    assert sorted(differences.write) == ["scripts/run.sh", "terraform_stack.auto.tfvars.json"]
    assert differences.remove == ["deep/er/a.txt"]
    assert not (folders.work_dir / "deep/er").exists()
    assert (folders.work_dir / "deep/mine").exists()
    assert (folders.work_dir / "terraform.tfstate").exists()


def test_a_manifest_cannot_make_us_remove_a_state(folders: Folders) -> None:
    folders.update(folders.plan())
    (folders.work_dir / "terraform.tfstate").write_text("{}")
    manifest = folders.work_dir / ".terraform_stack/mirror.json"
    manifest.write_text(json.dumps([*json.loads(manifest.read_text()), "terraform.tfstate"]))
    folders.update(folders.plan())
    assert (folders.work_dir / "terraform.tfstate").exists()


def test_the_lock_file_of_a_work_dir_is_kept(folders: Folders) -> None:
    folders.write(".terraform.lock.hcl", "the source's")
    folders.update(folders.plan())
    lock_file = folders.work_dir / ".terraform.lock.hcl"
    assert lock_file.read_text() == "the source's"
    lock_file.write_text("its own")
    folders.update(folders.plan())
    assert lock_file.read_text() == "its own"


def test_backend_and_overrides_become_override_files(folders: Folders) -> None:
    overrides = {"provider": {"aws": {"endpoints": {"ec2": "http://127.0.0.1"}}}}
    backend = {"type": "s3", "config": {"bucket": "b"}}
    folders.update(folders.plan(backend=backend, overrides=overrides))
    written = {path.name: json.loads(path.read_text()) for path in folders.work_dir.glob("*override.tf.json")}
    assert written == {
        mirrors.BACKEND: {"terraform": {"backend": {"s3": {"bucket": "b"}}}},
        mirrors.OVERRIDES: overrides,
    }
    assert mirrors.last_backend(folders.work_dir) == backend
    assert mirrors.last_overrides(folders.work_dir) == overrides
    folders.update(folders.plan())
    assert not list(folders.work_dir.glob("*override.tf.json"))
    assert mirrors.last_backend(folders.work_dir) is None
    assert mirrors.last_overrides(folders.work_dir) == {}


@pytest.mark.parametrize(
    "theirs",
    [
        [],
        ["override.tf"],
        ["zz_override.tf"],
        ["terraform_stack_override_a_override.tf"],
        ["terraform_stack_override_zz_override.tf.json"],
        ["ö_override.tofu", "~_override.tofu.json", "zz_override.tf"],
    ],
)
def test_what_is_given_to_the_task_is_read_last(folders: Folders, theirs: list[str]) -> None:
    for name in theirs:
        folders.write(name)
    folders.write("zzz.tf")
    folders.write("sub/zzzz_override.tf")
    backend = {"type": "s3", "config": {"bucket": "b"}}
    folders.update(folders.plan(backend=backend, overrides={"locals": {"a": 1}}))
    found = sorted((path.name for path in folders.work_dir.iterdir()), key=os.fsencode)
    found = [name for name in found if name.endswith(("override.tf", "override.tf.json", "override.tofu"))]
    assert [name.endswith(mirrors.OVERRIDES) for name in found[-2:]] == [True, False]
    assert found[-1].endswith(mirrors.BACKEND)
    assert mirrors.last_backend(folders.work_dir) == backend


def test_modules_outside_keep_their_places_to_each_other(folders: Folders) -> None:
    folders.write(
        "main.tf", 'module "net" {\n  source = "../modules/net"\n}\nmodule "in" {\n  source = "./in"\n}\n'
    )
    folders.write("in/main.tf", 'module "tags" {\n  source = "../../modules/tags"\n}\n')
    folders.write("../modules/net/main.tf", 'module "tags" {\n  source = "../tags"\n}\n')
    folders.write("../modules/net/sub/main.tf", 'module "far" {\n  source = "../../../far"\n}\n')
    folders.write("../modules/tags/tags.tf.json", '{"module": {"net": {"source": "../net"}}}')
    folders.write("../far/main.tf", 'module "registry" {\n  source = "hashicorp/x/aws"\n  version = "1"\n}\n')
    folders.write("../modules/unused/main.tf")
    mirror = folders.plan()
    folders.update(mirror)
    outside = folders.work_dir / ".terraform_stack/modules"
    found = sorted(str(path.relative_to(outside)) for path in outside.rglob("*") if path.is_file())
    assert found == [
        "far/main.tf",
        "modules/net/main.tf",
        "modules/net/sub/main.tf",
        "modules/tags/tags.tf.json",
    ]

    def calls(folder: str) -> Any:
        return json.loads(
            (folders.work_dir / folder / "terraform_stack_modules_override.tf.json").read_text()
        )

    assert calls(".") == {"module": {"net": {"source": "./.terraform_stack/modules/modules/net"}}}
    assert calls("in") == {"module": {"tags": {"source": "../.terraform_stack/modules/modules/tags"}}}
    place = ".terraform_stack/modules/modules/net/main.tf"
    assert mirror.origin(place) == str(folders.source.parent / "modules/net/main.tf")
    assert mirror.origin("unknown.tf") == "unknown.tf"


@pytest.mark.fault(31)
def test_each_tool_has_the_modules_that_its_own_files_call(folders: Folders) -> None:
    def call(name: str) -> str:
        return f'module "m" {{\n  source = "../{name}"\n}}\n'

    for name in ("terraform", "tofu", "both"):
        folders.write(f"../{name}/main.tf")
    folders.write("only.tofu", call("tofu").replace('"m"', '"n"'))
    folders.write("main.tf", call("terraform"))
    folders.write("main.tofu", call("tofu"))
    folders.write("../tofu/more.tf", call("both"))
    folders.write("../tofu/more.tofu")
    name = "terraform_stack_modules_override.tf.json"

    def called(tofu: bool) -> Any:
        mirror = mirrors.plan_mirror(folders.source, folders.work_dir, {}, None, {}, tofu=tofu)
        content = mirror.entries[name]
        assert isinstance(content, bytes)
        assert {"main.tf", "main.tofu", "only.tofu"} <= mirror.entries.keys(), "all are there for a person"
        return json.loads(content)["module"]

    assert called(tofu=False) == {"m": {"source": "./.terraform_stack/modules/terraform"}}
    assert called(tofu=True) == {
        "m": {"source": "./.terraform_stack/modules/tofu"},
        "n": {"source": "./.terraform_stack/modules/tofu"},
    }


def test_the_lock_file_of_the_source_is_followed_when_it_moves(folders: Folders) -> None:
    lock_file = folders.work_dir / ".terraform.lock.hcl"
    folders.update(folders.plan())
    assert not lock_file.exists()
    folders.write(".terraform.lock.hcl", "first")
    assert mirrors.follows_lock_file(folders.plan(), folders.work_dir)
    folders.update(folders.plan())
    lock_file.write_text("upgraded")
    folders.update(folders.plan())
    assert lock_file.read_text() == "upgraded"
    folders.write(".terraform.lock.hcl", "second")
    folders.update(folders.plan())
    assert lock_file.read_text() == "second"
    (folders.source / ".terraform.lock.hcl").unlink()
    folders.update(folders.plan())
    assert lock_file.read_text() == "second"


def test_a_missing_module_is_left_for_terraform_to_complain_about(folders: Folders) -> None:
    folders.write("main.tf", 'module "gone" {\n  source = "../gone"\n}\n')
    assert sorted(folders.plan().entries) == ["main.tf", "terraform_stack.auto.tfvars.json"]


def test_a_file_is_never_half_written(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    target = folders.write("x", "old")

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        mirrors.write_file(target, b"new")
    assert target.read_text() == "old"
    assert [path.name for path in folders.source.iterdir()].count("x") == 1
    assert not list(folders.source.glob(".x.*"))
