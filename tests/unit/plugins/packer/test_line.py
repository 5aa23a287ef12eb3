"""The stages of a bake reach neither back nor forward: docs/packer_run.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
PACKAGE = ROOT / "plugins/module_utils/_packer"
STAGES = ["request", "content", "find", "build", "judge", "report"]


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports, wherever in it."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    here = [node for node in nodes if node.level == 1]
    names = {name.name for node in here if node.module is None for name in node.names}
    return names | {str(node.module) for node in here if node.module is not None}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_knows_the_ones_before_it_alone(stage: str) -> None:
    later = STAGES[STAGES.index(stage) :]
    assert imported(PACKAGE / f"{stage}.py").isdisjoint(later)


def test_what_stands_beside_the_line_knows_none_of_it() -> None:
    for path in sorted(PACKAGE.glob("*.py")):
        if path.stem not in STAGES:
            assert imported(path).isdisjoint(STAGES), path.stem


def test_the_module_shows_the_line_in_its_order() -> None:
    text = (ROOT / "plugins/modules/packer_image.py").read_text()
    run = text[text.index("\ndef run(") : text.index("\ndef main(")]
    calls = re.findall(r"\b(resolve|content_of|find|build|judge)\(", run)
    assert calls == ["resolve", "find", "content_of", "build", "judge"]
    assert re.search(r"\breturn \{\*\*report\(", run)


def test_the_page_names_every_file() -> None:
    page = (ROOT / "docs/packer_run.md").read_text()
    for path in PACKAGE.glob("*.py"):
        if path.stem not in ("__init__", "errors", "fingerprint", "manifest", "places", "retention"):
            assert f"`{path.name}`" in page, path.name
