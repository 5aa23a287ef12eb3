"""Folders are compared by where they are, whatever they are called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.fingerprint import (
    FingerprintError,
    digests,
    entries,
    printable,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.places import Place, absolute
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.workdir import WorkDir, WorkDirError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A template with folders in it, beside it, and links to it and into it."""
    (tmp_path / "template" / "sub" / "deeper").mkdir(parents=True)
    (tmp_path / "template" / "a.pkr.hcl").touch()
    (tmp_path / "beside").mkdir()
    (tmp_path / "to_template").symlink_to("template")
    (tmp_path / "to_sub").symlink_to(tmp_path / "template" / "sub")
    (tmp_path / "to_link").symlink_to("to_sub")
    (tmp_path / "to_nothing").symlink_to("template/not_yet")
    (tmp_path / "round").symlink_to("round")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.fault(23)
@pytest.mark.parametrize(
    ("work_dir", "lies_in"),
    [
        ("template", True),
        ("template/", True),
        ("./template/.", True),
        ("template/work/deep", True),
        ("beside/../template/work", True),
        ("template/sub/../work", True),
        ("to_template", True),
        ("to_template/work", True),
        ("to_sub/work", True),
        ("to_link/work", True),
        ("to_nothing", True),
        ("to_nothing/work", True),
        ("to_sub/..", True),
        ("to_sub/../work", True),
        ("template/sub/../../work", False),
        ("to_sub/../../work", False),
        ("template-work", False),
        ("beside", False),
        ("round", False),
    ],
)
def test_a_work_dir_in_the_template(root: Path, work_dir: str, lies_in: bool) -> None:
    for template in ("template", "template/", "to_template", "beside/../template", "template/sub/.."):
        assert Place(Path(work_dir)).lies_in(Path(template)) is lies_in, template
        assert Place(absolute(work_dir)).lies_in(absolute(template)) is lies_in, template


@pytest.mark.fault(23)
def test_a_template_in_the_work_dir(root: Path) -> None:
    for template in ("template/sub", "to_sub", "to_link/deeper", "template/a.pkr.hcl", "to_template/sub/."):
        for work_dir in ("template", "to_template", "to_sub/.."):
            assert Place(Path(work_dir)).holds(Path(template)), (work_dir, template)
        assert not Place(Path("beside")).holds(Path(template))
    (root / "template" / "out").symlink_to(root / "beside")
    assert Place(Path("template")).holds(Path("template/out")), "by its name"
    assert Place(Path("beside")).holds(Path("template/out")), "by what it is"


@pytest.mark.fault(23)
@pytest.mark.parametrize(
    ("spelling", "holder"),
    [
        ("template", "."),
        ("template/sub/..", "."),
        ("template/sub/deeper/../..", "."),
        ("to_sub/..", "."),
        ("template/sub", "template"),
        ("to_template", "."),
        ("..", "../.."),
    ],
)
def test_the_folder_that_holds_another(root: Path, spelling: str, holder: str) -> None:
    assert absolute(spelling).is_absolute()
    assert absolute(spelling).parent.samefile(holder)
    assert absolute(spelling).samefile(spelling)


@pytest.mark.fault(23)
@pytest.mark.parametrize(
    "link",
    [
        ("template/sub/link", ".."),  # holds the work_dir too, but that is told first
        ("template/sub/link", "../../beside"),
        ("template/link", "../beside/work"),
        ("template/link", "../beside/work/log"),
        ("template/last.json", "../beside/work/manifest.json"),
        ("template/sub/link", "../../again"),
    ],
    ids=lambda link: f"{link[0]}->{link[1]}",
)
@pytest.mark.parametrize("work", ["beside/work", "template/../beside/work", "again/work"])
def test_a_link_in_what_is_hashed_that_leads_to_the_work_dir(
    root: Path, link: tuple[str, str], work: str
) -> None:
    (root / "beside" / "work" / "log").mkdir(parents=True)
    (root / "beside" / "work" / "manifest.json").touch()
    (root / "again").symlink_to("beside")
    (root / link[0]).symlink_to(link[1])
    with pytest.raises(FingerprintError, match=r"link"):
        entries(root / "template", apart_from=Place(root / work))


@pytest.mark.fault(23)
def test_a_link_to_where_the_work_dir_will_be(root: Path) -> None:
    """It is told before the first bake, not after it."""
    (root / "template" / "sub" / "link").symlink_to("../../beside")
    with pytest.raises(FingerprintError, match=r"link leads to the folder .*beside/work/of/it, which is wri"):
        entries(root / "template", apart_from=Place(root / "beside/work/of/it"))
    assert [one.name for one in entries(root / "template", apart_from=Place(root / "elsewhere"))] == [
        "a.pkr.hcl"
    ], "the same link does no harm elsewhere"


ODD = ["two\nlines", "tab\there", "-rf", " spaces ", "é", "\x1b[31mred", os.fsdecode(b"\xe9"), "a,b=c'\""]


@pytest.mark.fault(23)
@pytest.mark.parametrize("name", ODD)
def test_files_with_odd_names(tmp_path: Path, name: str) -> None:
    """They count, are copied, are found again, and can be told."""
    template, work = tmp_path / "template", WorkDir(tmp_path / "work")
    (template / name).mkdir(parents=True)
    (template / name / name).write_text("content")
    found = entries(template)
    assert [entry.name for entry in found] == [f"{name}/{name}"]
    assert len(digests(found)) == 1
    for _run in range(2):
        work.create()
        work.lay_out(found)
        assert (work.path / name / name).read_text() == "content"
        assert work.strays(found) == []
    assert work.strays([]) == [], "it is known to be the module's own"
    work.lay_out([])
    assert not (work.path / name).exists()
    told = printable(found[0].name)
    assert told.isprintable()
    assert told.encode("utf-8")
    assert (told == found[0].name) is name.isprintable()


@pytest.mark.fault(23)
def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FingerprintError, match="pipe is neither a file nor a folder"):
        digests(entries(tmp_path))


@pytest.mark.fault(23)
@pytest.mark.parametrize("link", ["a.pkr.hcl", "sub", "sub/deeper"])
def test_links_in_the_work_dir_lead_nowhere(tmp_path: Path, link: str) -> None:
    """Under a name of the template's, a link to the template itself, or to what is others'."""
    template, others, work = tmp_path / "template", tmp_path / "others", WorkDir(tmp_path / "work")
    for folder in (template, others):
        (folder / "sub" / "deeper").mkdir(parents=True)
        for name in ("a.pkr.hcl", "sub/deeper/b.yml"):
            (folder / name).write_text(f"{name} of {folder.name}")
    found = entries(template)
    for target in (template, others):
        work.create()
        work.lay_out(found)
        place = work.path / link
        if place.is_dir():
            place.rename(tmp_path / f"was in work, {target.name}")
        else:
            place.unlink()
        place.symlink_to(target / link)
        work.lay_out(found)
        assert not place.is_symlink()
        for name in ("a.pkr.hcl", "sub/deeper/b.yml"):
            assert (work.path / name).read_text() == f"{name} of template"
            assert (others / name).read_text() == f"{name} of others"
        place.rename(tmp_path / f"was in work again, {target.name}")
        place.symlink_to(target / link)
        work.lay_out([])
        for folder in (template, others):
            assert (folder / "a.pkr.hcl").is_file()
            assert (folder / "sub/deeper/b.yml").is_file()


@pytest.mark.fault(23)
def test_a_file_that_becomes_a_folder_and_a_folder_that_becomes_a_file(tmp_path: Path) -> None:
    template, work = tmp_path / "template", WorkDir(tmp_path / "work")
    (template / "one").mkdir(parents=True)
    (template / "one" / "x").write_text("1")
    (template / "two").write_text("2")
    work.create()
    work.lay_out(entries(template))
    (template / "one" / "x").unlink()
    (template / "one").rmdir()
    (template / "one").write_text("1")
    (template / "two").unlink()
    (template / "two").mkdir()
    (template / "two" / "y").write_text("2")
    work.lay_out(entries(template))
    assert (work.path / "one").read_text() == "1"
    assert (work.path / "two" / "y").read_text() == "2"


@pytest.mark.fault(23)
def test_what_a_person_put_in_the_way_stays(tmp_path: Path) -> None:
    template, work = tmp_path / "template", WorkDir(tmp_path / "work")
    template.mkdir()
    (template / "notes").write_text("of the template")
    work.create()
    (work.path / "notes").mkdir()
    (work.path / "notes" / "mine").touch()
    with pytest.raises(WorkDirError, match=r"cannot be filled: .* \(.*notes\). Remove what is in"):
        work.lay_out(entries(template))
    assert (work.path / "notes" / "mine").exists()
