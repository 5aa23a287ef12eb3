"""What packer_image decides before Packer runs, and what it says after."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._packer import find as finding
from ansible_collections.iac.ds_stack.plugins.module_utils._packer import judge as judging
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.build import find_binary
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.cli import Built
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.content import Content, content_of
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.errors import BakeError
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.find import Found
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.fingerprint import (
    FingerprintError,
    changed_parts,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.images import Image
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.request import (
    OFFERED_VARIABLES,
    Request,
    resolve,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.workdir import Bake, WorkDir
from ansible_collections.iac.ds_stack.plugins.module_utils._run.outcome import Finished

TEMPLATE = "\n".join(
    f'variable "{name}" {{ type = any }}' for name in (*OFFERED_VARIABLES, "script", "instance_type")
)
IMAGE = Image("ami-1", "demo-1", ("snap-1",))


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """The module's, for a template that is there."""
    template = tmp_path / "template"
    template.mkdir()
    (template / "a.pkr.hcl").write_text(TEMPLATE)
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles" / "main.yml").touch()
    return {
        "template": str(template),
        "overlay": None,
        "work_dir": str(tmp_path / "work"),
        "name": "demo",
        "base_image_id": "ami-0",
        "variables": {"script": "true", "instance_type": "t3.medium"},
        "sensitive_variables": {},
        "provisioner_variables": {"r_version": "4.5.1", "r_locked_packages": {"dplyr": "1.1"}},
        "fingerprint_root": str(tmp_path),
        "fingerprint_paths": ["roles"],
        "fingerprint_exclude": ["instance_type", "r_locked_packages"],
        "fingerprint_extra": {"collection": "1.0"},
        "tags": {},
        "force": False,
        "timeout": 10,
        "self_test": None,
        "allow_unverified": False,
        "plugins": {},
        "ansible_playbook": "ansible-playbook",
        "collections_path": None,
    }


@pytest.fixture
def request_(options: dict[str, Any]) -> Request:
    return resolve(options, "us-east-1")


def find(request: Request, monkeypatch: pytest.MonkeyPatch, *images: Image) -> Found:
    monkeypatch.setattr(finding, "find_images", lambda _client, _fingerprint, _tags: list(images))
    monkeypatch.setattr(finding, "is_usable", lambda _client, ami_id: ami_id != "ami-gone")
    return finding.find(request, content_of(request), None)


def test_the_parts_of_a_fingerprint(request_: Request) -> None:
    assert sorted(content_of(request_).parts()) == [
        "base_image_id",
        "files.roles",
        "fingerprint_extra.collection",
        "provisioner_variables.r_version",
        "template",
        "variables.script",
    ]


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"base_image_id": "ami-9"}, ["base_image_id"]),
        ({"variables": {"script": "false"}}, ["variables.script"]),
        ({"provisioner_variables": {}}, ["provisioner_variables.r_version"]),
        ({"fingerprint_extra": {"collection": "1.1"}}, ["fingerprint_extra.collection"]),
        ({"fingerprint_paths": ()}, ["files.roles"]),
        # Where and under what name it is baked, for whom, and with which secrets, shapes nothing.
        ({"variables": {"script": "true", "instance_type": "t3.large"}}, []),
        ({"sensitive_variables": {"script": "other"}}, []),
        ({"name": "other", "region": "eu-west-1", "tags": {"a": "b"}, "timeout": 1}, []),
        ({"ansible_playbook": "/x", "collections_path": ("/y",), "work_dir": Path("/z")}, []),
    ],
)
def test_what_is_part_of_it(request_: Request, change: dict[str, Any], parts: list[str]) -> None:
    before, after = content_of(request_), content_of(replace(request_, **change))
    assert changed_parts(before.parts(), after.parts()) == parts
    assert (before.fingerprint() == after.fingerprint()) is not bool(parts)


def test_files_are_counted_and_values_shown_as_people_write_them() -> None:
    counted = Content({"a": {}, "b": {"x": "1"}, "c": {"x": "1", "y": "2"}}, {"d": "é"})
    assert counted.summary() == {"a": "0 files", "b": "1 file", "c": "2 files", "d": '"é"'}
    assert counted.lines()["d"] == '"é"'


@pytest.mark.parametrize("path", ["/roles", "../roles", "roles/../../roles"])
def test_paths_outside_of_the_root(request_: Request, path: str) -> None:
    with pytest.raises(FingerprintError, match="has to be relative to fingerprint_root"):
        content_of(replace(request_, fingerprint_paths=(path,)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variables": {"scirpt": "true"}}, "declares no variable scirpt. Did you mean script?"),
        ({"variables": {"quite_another": 1}}, r"declares no variable quite_another\.$"),
        ({"variables": {"tags": {}}}, "The variable tags is filled in by this module"),
        ({"sensitive_variables": {"script": "x"}}, "script is given twice"),
        ({"sensitive_variables": {"nothing": "x"}}, "declares no variable nothing"),
    ],
)
def test_variables_that_cannot_be(options: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(BakeError, match=message):
        resolve({**options, **change}, "us-east-1")


def test_variables_that_have_to_be(options: dict[str, Any]) -> None:
    Path(options["template"], "a.pkr.hcl").write_text(TEMPLATE.replace('"run_tags"', '"other"'))
    with pytest.raises(BakeError, match="declares no variable run_tags"):
        resolve(options, "us-east-1")


def test_a_region_has_to_be(options: dict[str, Any]) -> None:
    with pytest.raises(BakeError, match="Say in which region"):
        resolve(options, None)


def test_an_image_with_the_content_is_enough(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(request_, monkeypatch, IMAGE).reasons == []
    assert find(replace(request_, force=True), monkeypatch, IMAGE).reasons == ["force"]


def test_why_there_is_something_to_bake(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(request_, monkeypatch).reasons == ["no image with this content"]
    work = WorkDir(request_.work_dir)
    work.create()
    content = content_of(request_)
    work.note_bake(Bake("ami-7", "old", content.files, content.values))
    assert find(request_, monkeypatch).reasons == ["the image ami-7 is gone"]
    assert find(replace(request_, base_image_id="ami-9"), monkeypatch).reasons == ["base_image_id"]


def test_the_diff_names_files_and_values_that_differ(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find(request_, monkeypatch).diff() == {
        "before": "",
        "after": "\n".join(
            [
                "image: a new one",
                'base_image_id: "ami-0"',
                "files.roles: 1 file",
                'fingerprint_extra.collection: "1.0"',
                'provisioner_variables.r_version: "4.5.1"',
                "template: 1 file",
                'variables.script: "true"\n',
            ]
        ),
    }
    work = WorkDir(request_.work_dir)
    work.create()
    content = content_of(request_)
    work.note_bake(Bake("ami-7", "old", content.files, content.values))
    roles = request_.fingerprint_root / "roles"
    (roles / "new.yml").touch()
    (roles / "main.yml").write_text("changed")
    diff = find(replace(request_, provisioner_variables={"r_version": "4.5.2"}), monkeypatch).diff()
    before, after = diff["before"].splitlines(), diff["after"].splitlines()
    assert (before[0], after[0]) == ("image: ami-7", "image: a new one")
    assert [line.partition(": ")[0] for line in after[1:]] == [
        "files.roles/main.yml",
        "files.roles/new.yml",
        "provisioner_variables.r_version",
    ]
    assert before[2] == 'provisioner_variables.r_version: "4.5.1"'
    assert after[3] == 'provisioner_variables.r_version: "4.5.2"'
    assert set(before[1:2]).isdisjoint(after)


@pytest.mark.parametrize(
    ("strays", "said"),
    [
        (["a"], "holds a, which"),
        ([*"abcde"], "holds a, b, c, d, e, which"),
        ([*"abcdefg"], "holds a, b, c, d, e and 2 more, which"),
    ],
)
def test_strays_in_the_work_dir(
    request_: Request, monkeypatch: pytest.MonkeyPatch, strays: list[str], said: str
) -> None:
    monkeypatch.setattr(WorkDir, "strays", lambda _work, _files: strays)
    with pytest.raises(BakeError, match=said):
        find(request_, monkeypatch)


def test_options_that_are_left_out(options: dict[str, Any]) -> None:
    request = resolve({**options, "fingerprint_root": None, "ansible_playbook": None}, "us-east-1")
    assert request.fingerprint_root == request.template.parent
    assert request.ansible_playbook == "ansible-playbook"


@pytest.mark.fault(23)
@pytest.mark.parametrize(
    ("work_dir", "message"),
    [
        ("template/work", "and the template .* lie in each other"),
        ("overlay/work", "and the overlay .* lie in each other"),
        ("roles/work", "lies in roles, which is one of fingerprint_paths"),
    ],
)
def test_a_work_dir_among_the_input(options: dict[str, Any], work_dir: str, message: str) -> None:
    root = Path(options["fingerprint_root"])
    (root / "overlay").mkdir()
    with pytest.raises(BakeError, match=message):
        resolve({**options, "overlay": str(root / "overlay"), "work_dir": str(root / work_dir)}, "us-east-1")


def test_input_in_the_work_dir(options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "work" / "roles").mkdir(parents=True)
    with pytest.raises(BakeError, match=r"work/roles, .* fingerprint_paths, lies in the work_dir"):
        resolve({**options, "fingerprint_paths": ["work/roles"]}, "us-east-1")


def test_a_base_image_that_is_gone(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = replace(request_, base_image_id="ami-gone")
    with pytest.raises(
        BakeError, match="The base image ami-gone cannot be used: us-east-1 has no such image"
    ):
        find(gone, monkeypatch)
    assert find(gone, monkeypatch, IMAGE).reasons == [], "what was baked from it can still be used"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.txt": "x"}, r"There is no Packer template in .*: no file \*.pkr.hcl or \*.pkr.json\.$"),
        ({"image.json": '{"builders": []}'}, "Convert it with: packer hcl2_upgrade image.json"),
        ({"image.json": "{", "other.json": "[1]"}, r"\*.pkr.json\.$"),
    ],
)
def test_folders_without_a_template(options: dict[str, Any], files: dict[str, str], message: str) -> None:
    template = Path(options["template"])
    (template / "a.pkr.hcl").unlink()
    for name, text in files.items():
        (template / name).write_text(text)
    with pytest.raises(BakeError, match=message):
        resolve(options, "us-east-1")


def test_no_packer() -> None:
    with pytest.raises(BakeError, match="There is no no-such-packer on the PATH"):
        find_binary("no-such-packer")


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("demo", True),
        ("a/b (c) [d].e-f'@_", True),
        ("x" * 112, True),
        ("x" * 113, False),
        ("é", False),
        ("a*", False),
    ],
)
def test_what_can_begin_the_name_of_an_image(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, name: str, good: bool
) -> None:
    if good:
        named = resolve({**options, "name": name}, "us-east-1")
        assert find(named, monkeypatch).reasons == ["no image with this content"]
    else:
        with pytest.raises(BakeError, match="cannot begin the name of an image"):
            resolve({**options, "name": name}, "us-east-1")


BUILT = Built(
    Finished(0), None, came_to_its_end=True, images={"us-east-1": frozenset({"ami-1"})}, has_manifest=True
)
MADE = "us-east-1:ami-1"


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    ("built", "artifact", "image", "message"),
    [
        (replace(BUILT, came_to_its_end=False), MADE, IMAGE, "Its main process was probably killed"),
        (BUILT, None, IMAGE, "post-processor manifest has to be var.manifest_path"),
        (replace(BUILT, has_manifest=False), None, IMAGE, "needs a post-processor manifest"),
        (BUILT, "us-east-1:ami-2", IMAGE, "which Packer does not say that it has made"),
        (replace(BUILT, images={}), MADE, IMAGE, "which Packer does not say that it has made"),
        (BUILT, "eu-west-1:ami-1", IMAGE, "made no image in us-east-1"),
        (BUILT, MADE, None, "the account has no such image in us-east-1"),
        (BUILT, MADE, replace(IMAGE, state="pending"), "it cannot be used: its state is pending"),
        (BUILT, MADE, replace(IMAGE, state="failed"), "it cannot be used: its state is failed"),
    ],
)
def test_only_what_was_made_is_believed(
    tmp_path: Path, built: Built, artifact: str | None, image: Image | None, message: str
) -> None:
    work = WorkDir(tmp_path)
    if artifact:
        build = {"name": "a", "builder_type": "b", "artifact_id": artifact, "packer_run_uuid": "u"}
        work.manifest.write_text(json.dumps({"builds": [build], "last_run_uuid": "u"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "get_image", lambda _client, _ami_id: image)
        with pytest.raises(BakeError, match=message):
            judging.made_image(built, work, "us-east-1", None)
