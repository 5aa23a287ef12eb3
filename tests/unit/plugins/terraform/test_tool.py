"""Which program runs, and what its version can do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform import tool as tools
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.errors import TerraformError


def program(path: Path, said: str, code: int = 0) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\ncat <<'EOT'\n{said}\nEOT\nexit {code}\n")
    path.chmod(0o755)
    return path


def test_the_first_of_both_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TerraformError, match="Neither terraform nor tofu is on PATH"):
        tools.find_binary(None)
    (tmp_path / "tofu").touch(mode=0o755)
    assert tools.find_binary(None) == str(tmp_path / "tofu")
    (tmp_path / "terraform").touch(mode=0o755)
    assert tools.find_binary(None) == str(tmp_path / "terraform")
    assert tools.find_binary("tofu") == str(tmp_path / "tofu")
    with pytest.raises(TerraformError, match="There is no program other"):
        tools.find_binary("other")


@pytest.mark.fault(31)
@pytest.mark.parametrize("name", ["./mine", "bin/mine", "../there/bin/mine", "mine"])
def test_a_relative_path_means_the_same_from_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    here = tmp_path / "there"
    here.mkdir()
    program(here / "mine", "x")
    program(here / "bin/mine", "x")
    monkeypatch.chdir(here)
    monkeypatch.setenv("PATH", f"bin{os.pathsep}/nowhere")
    found = Path(tools.find_binary(name))
    assert found.is_absolute()
    # Not resolved by find_binary: what a link is called may tell which program it is.
    assert found.resolve() == here.resolve() / ("mine" if name == "./mine" else "bin/mine")


@pytest.mark.parametrize(
    ("said", "product", "version"),
    [
        ("Terraform v1.15.9\non linux_amd64", "Terraform", "1.15.9"),
        ("OpenTofu v1.12.6\non linux_amd64\n+ provider x v1.0.0", "OpenTofu", "1.12.6"),
        ("Warning: Unable to open\n\nTerraform v1.11.0-beta1", "Terraform", "1.11.0-beta1"),
    ],
)
def test_it_is_asked_for_its_version(tmp_path: Path, said: str, product: str, version: str) -> None:
    path = program(tmp_path / "bin/tool", said)
    assert tools.find_tool(str(path), os.environ).check() == tools.Release(product, version)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("Terraform v1.9.8", r"is version 1\.9\.8; 1\.10 or later is needed"),
        ("OpenTofu v1.6.0", r"is version 1\.6\.0; 1\.10 or later is needed"),
        ("Packer v1.16.0", "is neither Terraform nor OpenTofu: asked for its version it says: Packer"),
        ("", "is neither Terraform nor OpenTofu"),
    ],
)
def test_what_is_not_fit_is_refused(tmp_path: Path, said: str, message: str) -> None:
    with pytest.raises(TerraformError, match=message):
        tools.find_tool(str(program(tmp_path / "bin/tool", said, 1)), os.environ).check()


@pytest.mark.parametrize(
    ("event", "release"),
    [
        ({"type": "version", "terraform": "1.15.9", "ui": "1.2"}, tools.Release("Terraform", "1.15.9")),
        ({"type": "version", "tofu": "1.12.6", "ui": "1.2"}, tools.Release("OpenTofu", "1.12.6")),
    ],
)
def test_what_has_said_its_version_is_not_asked(event: dict[str, str], release: tools.Release) -> None:
    tool = tools.Tool("/nowhere/terraform")
    tool.heard(["a text", {"type": "log"}, event])
    assert tool.check() == release


def test_what_speaks_in_events_may_be_too_old() -> None:
    tool = tools.Tool("/nowhere/terraform")
    tool.heard([{"type": "version", "terraform": "1.9.8"}])
    with pytest.raises(TerraformError, match=r"is version 1\.9\.8; 1\.10 or later is needed"):
        tool.check()


def test_what_is_no_version_is_not_taken_for_one(tmp_path: Path) -> None:
    tool = tools.Tool(str(program(tmp_path / "bin/tool", "Terraform v1.15.9")))
    tool.heard([{"type": "version"}, {"type": "version", "terraform": None}, "version"])
    assert tool.release is None
    assert tool.check() == tools.Release("Terraform", "1.15.9")


@pytest.mark.parametrize(
    ("product", "version", "command", "takes"),
    [
        ("Terraform", "1.10.0", "init", True),
        ("Terraform", "1.10.0", "show", False),
        ("Terraform", "1.15.9", "show", True),
        ("Terraform", "1.15.9", "output", False),
        ("Terraform", "1.15.9", "workspace select", False),
        ("OpenTofu", "1.12.6", "workspace select", True),
        ("OpenTofu", "1.10.0", "output", True),
        ("OpenTofu", "1.10.0", "version", False),
    ],
)
def test_what_takes_variables(product: str, version: str, command: str, takes: bool) -> None:
    tool = tools.Tool("/bin/x", release=tools.Release(product, version))
    assert tool.takes_variables(command) is takes


def test_commands_of_two_words() -> None:
    assert tools.command_of(["workspace", "select", "x"]) == "workspace select"
    assert tools.command_of(["state", "list"]) == "state list"
    assert tools.command_of(["plan", "-json"]) == "plan"
