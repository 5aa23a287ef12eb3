"""The fingerprint counts names, executable bits and bytes, and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._packer import fingerprint as fp


def make_tree(root: Path, umask: int) -> Path:
    """The same small tree, made under a umask."""
    before = os.umask(umask)
    try:
        (root / "tasks").mkdir(parents=True)
        (root / "tasks" / "main.yml").write_text("- name: One\n")
        (root / "files").mkdir()
        script = root / "files" / "run"
        script.write_bytes(b"#!/bin/sh\n")
        script.chmod(0o777 & ~umask)
    finally:
        os.umask(before)
    return root


def digest(path: Path) -> dict[str, str]:
    return fp.digests(fp.entries(path))


def test_equal_under_any_umask_and_at_any_place(tmp_path: Path) -> None:
    one = make_tree(tmp_path / "one", 0o002)
    other = make_tree(tmp_path / "elsewhere" / "other", 0o077)
    assert (one / "files" / "run").stat().st_mode != (other / "files" / "run").stat().st_mode
    assert digest(one) == digest(other)


def test_names_are_relative_and_ordered(tmp_path: Path) -> None:
    tree = make_tree(tmp_path, 0o022)
    assert [entry.name for entry in fp.entries(tree)] == ["files/run", "tasks/main.yml"]
    assert [entry.name for entry in fp.entries(tree / "tasks" / "main.yml")] == ["main.yml"]


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / "tasks" / "main.yml").write_text("- name: Two\n"),
        lambda tree: (tree / "tasks" / "main.yml").rename(tree / "tasks" / "other.yml"),
        lambda tree: (tree / "tasks" / "new.yml").touch(),
        lambda tree: (tree / "files" / "run").unlink(),
        lambda tree: (tree / "files" / "run").chmod(0o600),
        lambda tree: (tree / "files" / ".hidden_but_ours").touch(),
    ],
    ids=["bytes", "name", "new", "gone", "executable", "dotfile"],
)
def test_changes_that_count(tmp_path: Path, change: Callable[[Path], object]) -> None:
    tree = make_tree(tmp_path, 0o022)
    before = digest(tree)
    change(tree)
    assert digest(tree) != before


@pytest.mark.parametrize(
    "name",
    [
        "__pycache__/x.cpython-311.pyc",
        "x.pyc",
        "main.yml~",
        ".main.yml.swp",
        ".#main.yml",
        ".git/HEAD",
        ".DS_Store",
    ],
)
def test_leftovers_that_do_not_count(tmp_path: Path, name: str) -> None:
    tree = make_tree(tmp_path, 0o022)
    before = digest(tree)
    (tree / name).parent.mkdir(exist_ok=True)
    (tree / name).touch()
    (tree / "an_empty_folder").mkdir()
    os.utime(tree / "tasks" / "main.yml", (1, 1))
    assert digest(tree) == before


def test_a_link_counts_as_its_target(tmp_path: Path) -> None:
    linked, copied = make_tree(tmp_path / "linked", 0o022), make_tree(tmp_path / "copied", 0o022)
    (linked / "same.yml").symlink_to("tasks/main.yml")
    (linked / "more").symlink_to("tasks")
    (copied / "same.yml").write_text("- name: One\n")
    (copied / "more").mkdir()
    (copied / "more" / "main.yml").write_text("- name: One\n")
    assert digest(linked) == digest(copied)


def test_a_folder_that_links_into_itself_is_an_error(tmp_path: Path) -> None:
    tree = make_tree(tmp_path, 0o022)
    (tree / "tasks" / "up").symlink_to("..")
    with pytest.raises(fp.FingerprintError, match="links to a folder that holds it"):
        fp.entries(tree)


@pytest.mark.parametrize("kind", ["missing", "dangling"])
def test_what_cannot_be_read_is_an_error_that_names_it(tmp_path: Path, kind: str) -> None:
    if kind == "dangling":
        (tmp_path / "missing").symlink_to("nowhere")
    with pytest.raises(fp.FingerprintError, match="missing"):
        digest(tmp_path if kind == "dangling" else tmp_path / "missing")


def test_an_upper_layer_replaces_files_of_the_same_name(tmp_path: Path) -> None:
    template, overlay = make_tree(tmp_path / "template", 0o022), tmp_path / "overlay"
    (overlay / "tasks").mkdir(parents=True)
    (overlay / "tasks" / "main.yml").write_text("- name: Overlay\n")
    (overlay / "added.yml").touch()
    layered = fp.layered_entries([template, overlay])
    assert [entry.name for entry in layered] == ["added.yml", "files/run", "tasks/main.yml"]
    assert layered[2].path == overlay / "tasks" / "main.yml"
    before = fp.digests(layered)
    (template / "tasks" / "main.yml").write_text("what nobody sees\n")
    assert fp.digests(fp.layered_entries([template, overlay])) == before


def test_values_count_by_content() -> None:
    assert fp.value_digest({"a": 1, "b": [True, None]}) == fp.value_digest({"b": [True, None], "a": 1})
    assert fp.value_digest({"a": 1}) != fp.value_digest({"a": "1"})
    assert fp.value_digest(["é"]) == fp.value_digest(["\u00e9"])


def test_the_fingerprint_is_over_all_parts() -> None:
    parts = {"template": "1", "variables: a": "2"}
    assert fp.fingerprint(parts) == fp.fingerprint(dict(reversed(parts.items())))
    assert len(fp.fingerprint(parts)) == 64
    assert fp.fingerprint(parts) != fp.fingerprint({**parts, "base_image_id": "3"})


def test_changed_parts_say_why() -> None:
    assert fp.changed_parts({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "9", "d": "4"}) == ["b", "c", "d"]
