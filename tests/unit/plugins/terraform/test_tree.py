"""What the copy of a root module holds, and that nothing else is touched."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform import workdir as workdirs
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.errors import TerraformError
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.tree import (
    BACKEND,
    OVERRIDES,
    Tree,
    read_tree,
)


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

    def plan(self, **options: Any) -> Tree:
        given = {"variables": {}, "backend": None, "overrides": {}, **options}
        return read_tree(self.source, self.work_dir, **given)

    def update(self, tree: Tree) -> workdirs.Differences:
        differences = workdirs.update(tree, self.work_dir)
        assert not workdirs.compare(tree, self.work_dir)
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
    tree = folders.plan()
    assert sorted(tree.entries) == sorted(["main.tf", "terraform_stack.auto.tfvars.json", *wanted])
    assert tree.lock_file == folders.source / ".terraform.lock.hcl"


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
        BACKEND: {"terraform": {"backend": {"s3": {"bucket": "b"}}}},
        OVERRIDES: overrides,
    }
    assert workdirs.last_backend(folders.work_dir) == backend
    assert workdirs.last_overrides(folders.work_dir) == overrides
    folders.update(folders.plan())
    assert not list(folders.work_dir.glob("*override.tf.json"))
    assert workdirs.last_backend(folders.work_dir) is None
    assert workdirs.last_overrides(folders.work_dir) == {}


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
    assert [name.endswith(OVERRIDES) for name in found[-2:]] == [True, False]
    assert found[-1].endswith(BACKEND)
    assert workdirs.last_backend(folders.work_dir) == backend


def names(tree: Tree) -> list[str]:
    """What is copied, without what is ours."""
    return sorted(name for name, content in tree.entries.items() if isinstance(content, Path))


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
    tree = folders.plan()
    assert names(tree) == [
        "far/main.tf",
        "modules/net/main.tf",
        "modules/net/sub/main.tf",
        "modules/tags/tags.tf.json",
        "root/in/main.tf",
        "root/main.tf",
    ]
    assert tree.root == Path("root")
    assert "root/terraform_stack.auto.tfvars.json" in tree.entries
    folders.update(tree)
    for name in names(tree):
        source = folders.source.parent / name
        assert (folders.work_dir / name).read_bytes() == source.read_bytes(), "nothing is rewritten"
        assert tree.origin(os.path.relpath(name, "root")) == str(source), "as Terraform names it"
    assert tree.origin("unknown.tf") == "unknown.tf"


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
    called = {"terraform/main.tf", "tofu/main.tf", "tofu/more.tf", "tofu/more.tofu", "both/main.tf"}
    assert set(names(folders.plan())) == called | {"root/main.tf", "root/main.tofu", "root/only.tofu"}


CALLS = {
    "plain": 'module "m" {\n  source = "../m"\n}\n',
    "a label without quotes": 'module m {\n  source = "../m"\n}\n',
    "on one line": 'module "m" { source = "../m" }\n',
    "without spaces": 'module "m" {\nsource="../m"\n}\n',
    "a comment in between": 'module "m" /* here */ { # {\n  source = "../m" // there\n}\n',
    "a slash at its end": 'module "m" {\n  source = "../m/"\n}\n',
    "the long way": 'module "m" {\n  source = "./x/../../m/./"\n}\n',
    "through its own name": 'module "m" {\n  source = "../root/../m"\n}\n',
    "twice a slash": 'module "m" {\n  source = "..//m"\n}\n',
    "an expression at its end": 'module "m" {\n  source = "../m/${var.part}"\n}\n',
}


@pytest.mark.fault(23)
@pytest.mark.parametrize("call", CALLS)
def test_a_module_outside_is_found_however_it_is_called(folders: Folders, call: str) -> None:
    folders.write("main.tf", CALLS[call])
    folders.write("../m/files/x")
    folders.write("../unused/y")
    assert names(folders.plan()) == ["m/files/x", "root/main.tf"]
    (folders.source / "main.tf").unlink()
    folders.write("main.tf.json", '{"module": [{"m": [{"version": "1", "source" : "../m"}]}]}')
    assert names(folders.plan()) == ["m/files/x", "root/main.tf.json"]


@pytest.mark.fault(23)
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('file("${path.module}/../f")', ["f"]),
        ('templatefile("../files/a.tpl", {})', ["files/a.tpl"]),
        ('fileset("${path.module}/../files", "*.tpl")', ["files/a.tpl", "files/b.tpl"]),
        ('file("${path.root}/../files/${var.name}.tpl")', ["files/a.tpl", "files/b.tpl"]),
        ('jsondecode(file("${path.module}/../${var.name}"))', ["f", "g"]),
        ('"${path.module}/./sub/../../f"', ["f"]),
        ('file("../no-such")', []),
        ('file("/etc/../etc/passwd")', []),
        ('file("${path.module}//../f")', ["f"]),
        ('fileset("../../work", "*")', []),
        ('"../f"', []),  # text of who knows what
        ('file("${path.module}/../terraform.tfstate")', []),
    ],
)
def test_files_that_are_named_outside_come_along(folders: Folders, text: str, found: list[str]) -> None:
    folders.write("main.tf", f"locals {{\n  a = {text}\n}}\n")
    for name in ("f", "g", "files/a.tpl", "files/b.tpl", "sub/h", "terraform.tfstate"):
        folders.write(f"../{name}")
    main = "root/main.tf" if found else "main.tf"
    assert names(folders.plan()) == sorted([*found, main])


@pytest.mark.fault(23)
def test_the_module_above_its_example(folders: Folders) -> None:
    folders.source = folders.source / "examples/small"
    folders.write("main.tf", 'module "all" {\n  source = "../../"\n}\n')
    folders.work_dir = folders.source / "work"
    tree = folders.plan()
    assert (names(tree), tree.root) == (["examples/small/main.tf", "main.tf"], Path("examples/small"))
    for _ in range(2):
        folders.update(tree)
        assert folders.plan() == tree, "it does not copy itself"


@pytest.mark.fault(23)
def test_a_link_to_a_module_stands_where_it_stands(folders: Folders, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "f").write_text("f")
    (shared / "m").mkdir()
    (shared / "m/main.tf").write_text('output "f" {\n  value = file("${path.module}/../f")\n}\n')
    (folders.source / "m").symlink_to(shared / "m")
    tree = folders.plan()
    assert names(tree) == ["f", "m/main.tf", "main.tf"], "where the kernel looks for it"
    assert tree.entries["f"] == shared / "f"


@pytest.mark.fault(23)
@pytest.mark.parametrize("name", ["bucket.tfstate.tf", "x.tfstate.tfvars", "a.tfstate/main.tf", "tfplan.tf"])
def test_what_is_no_state_is_copied_whatever_its_name(folders: Folders, name: str) -> None:
    folders.write(name)
    for state in ("x.tfstate", "x.tfstate.backup", "x.tfstate.1700000000.backup", "a.tfplan"):
        folders.write(state)
    assert names(folders.plan()) == sorted(["main.tf", name])


@pytest.mark.fault(23)
def test_the_work_dirs_of_other_stacks_are_not_copied(folders: Folders) -> None:
    ours = folders.source / "stacks/a"
    for name in ("a", "b"):
        folders.work_dir = folders.source / "stacks" / name
        folders.update(folders.plan())
    folders.work_dir = ours
    assert names(folders.plan()) == ["main.tf"]
    (folders.source / "link").symlink_to(ours)
    (folders.source / "link2").symlink_to("stacks")
    assert names(folders.plan()) == ["main.tf"]


def test_a_work_dir_that_holds_a_module_is_refused(folders: Folders) -> None:
    folders.write("main.tf", 'module "m" {\n  source = "../m"\n}\n')
    folders.write("../m/main.tf")
    folders.work_dir = folders.source.parent / "m"
    with pytest.raises(TerraformError, match="must not be or contain the source"):
        folders.plan()


OUTSIDE = 'module "m" {\n  source = "../m"\n}\n'


@pytest.mark.fault(23)
@pytest.mark.parametrize("settled", [True, False])
def test_a_state_is_taken_along_when_the_root_moves(folders: Folders, settled: bool) -> None:
    """To a folder in the work_dir, to a deeper one, and back."""
    folders.update(folders.plan(variables={"a": 1}))
    top = folders.work_dir
    (top / "terraform.tfstate").write_text("the state")
    (top / ".terraform.lock.hcl").write_text("locked")
    (top / ".terraform").mkdir()
    (top / ".terraform/environment").write_text("blue")
    (top / "mine.auto.tfvars").write_text("b = 1")
    folders.write("../m/main.tf")
    folders.write("../../far/main.tf")
    for index, (text, root) in enumerate(
        [
            (OUTSIDE, "root"),
            (OUTSIDE.replace("../m", "../../far"), "terraform/root"),
            ("", "."),
            (OUTSIDE, "root"),
        ]
    ):
        folders.write("main.tf", text)
        folders.update(folders.plan(variables={"a": index}))
        there = workdirs.root_of(top)
        assert there == top / root
        for name in ("terraform.tfstate", ".terraform.lock.hcl", ".terraform", "mine.auto.tfvars"):
            assert (there / name).samefile(top / name)
            assert not (top / name).is_symlink()
        assert (there / "terraform.tfstate").read_text() == ("the state" if not index else f"{index - 1}")
        assert workdirs.last_variables(top) == {"a": index}
        # As Terraform does: the one in place, the other by a rename.
        (there / "terraform.tfstate").write_text(str(index))
        new = there / "new"
        new.write_text(f"locked {index}")
        new.rename(there / ".terraform.lock.hcl")
        if settled:
            workdirs.settle(top, there)
            assert (top / ".terraform.lock.hcl").read_text() == f"locked {index}"
    assert sorted(path.name for path in top.iterdir() if path.is_dir()) == [
        ".terraform",
        ".terraform_stack",
        "m",
        "root",
    ]


@pytest.mark.parametrize("name", ["terraform.tfstate", "terraform.tfstate.d/blue/terraform.tfstate"])
def test_a_new_state_is_brought_to_the_top(folders: Folders, name: str) -> None:
    folders.write("main.tf", OUTSIDE)
    folders.write("../m/main.tf")
    folders.update(folders.plan())
    made = folders.work_dir / "root" / name
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_text("made")
    for _ in range(2):
        workdirs.settle(folders.work_dir, folders.work_dir / "root")
        assert (folders.work_dir / name).read_text() == "made"
        assert made.samefile(folders.work_dir / name)


def test_of_two_states_none_is_lost(folders: Folders) -> None:
    folders.write("main.tf", OUTSIDE)
    folders.write("../m/main.tf")
    folders.update(folders.plan())
    for folder in ("root", "."):
        (folders.work_dir / folder / "terraform.tfstate").write_text(folder)
    with pytest.raises(TerraformError, match="There are two states"):
        workdirs.settle(folders.work_dir, folders.work_dir / "root")
    assert (folders.work_dir / "root/terraform.tfstate").read_text() == "root"
    assert (folders.work_dir / "terraform.tfstate").read_text() == "."


def test_the_lock_file_of_the_source_is_followed_when_it_moves(folders: Folders) -> None:
    lock_file = folders.work_dir / ".terraform.lock.hcl"
    folders.update(folders.plan())
    assert not lock_file.exists()
    folders.write(".terraform.lock.hcl", "first")
    assert workdirs.follows_lock_file(folders.plan(), folders.work_dir)
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
        workdirs.write_file(target, b"new")
    assert target.read_text() == "old"
    assert [path.name for path in folders.source.iterdir()].count("x") == 1
    assert sorted(path.name for path in folders.source.iterdir()) == ["main.tf", "x"]
