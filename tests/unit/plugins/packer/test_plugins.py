"""Packer's plugins: which ones there are, and a template that is held to them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.cli import PackerError
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.plugins import (
    compare,
    held,
    in_use,
    is_whole,
    merged,
)

ROOT = Path(__file__).parents[4]
AMAZON, ANSIBLE = "github.com/hashicorp/amazon", "github.com/hashicorp/ansible"
LOCKED: dict[str, dict[str, Any]] = {
    AMAZON: {"version": "1.3.9", "sha256": {"linux_amd64": "ab", "darwin_arm64": "cd"}}
}


def test_of_each_plugin_the_last_file_that_packer_names_is_used(tmp_path: Path) -> None:
    """As Packer 1.16 says it: in ascending order."""
    folder = tmp_path / "my plugins"
    folder.mkdir()
    files = [folder / f"packer-plugin-toy_v{version}_x5.0_linux_amd64" for version in ("1.9.0", "1.10.0")]
    for file in files:
        file.write_text(file.name)
    said = f'toy github.com/acme/toy "~> 1.0" {files[0]} {files[1]}\nnone github.com/acme/none ">= 1" \n'
    digest = hashlib.sha256(files[1].read_bytes()).hexdigest()
    assert in_use(said) == {"github.com/acme/toy": {"version": "1.10.0", "sha256": {"linux_amd64": digest}}}
    assert in_use("") == {}


def test_the_products_template_takes_the_locked_versions_alone() -> None:
    text = (ROOT / "packer/plugins.pkr.hcl").read_text()
    lines = held(text, LOCKED).splitlines()
    changed = [line.strip() for line in lines if line not in text.splitlines()]
    assert changed == ['version = "= 1.3.9"']
    assert lines[lines.index('      version = "= 1.3.9"') - 1] == f'      source  = "{AMAZON}"'
    assert held(text, {}) == text


def test_the_order_of_the_attributes_and_strings_of_other_blocks_do_not_matter() -> None:
    text = f'x = {{\n  version = "~> 1"\n  source = "{AMAZON}"\n}}\ny = {{\n  version = "~> 1"\n}}\n'
    assert held(text, LOCKED) == text.replace("~> 1", "= 1.3.9", 1)


def test_another_version_or_file_is_refused_and_another_platform_comes_to_it() -> None:
    for found, said in (
        ({"version": "1.4.0", "sha256": {"linux_amd64": "ab"}}, f"would take the plugin {AMAZON} 1.4.0."),
        (
            {"version": "1.3.9", "sha256": {"linux_amd64": "ef"}},
            "1.3.9 has the SHA-256 ef, the lock says ab.",
        ),
    ):
        with pytest.raises(PackerError) as error:
            compare({AMAZON: found}, LOCKED)
        assert said in str(error.value)
    new = {AMAZON: {"version": "1.3.9", "sha256": {"linux_arm64": "gh"}}, ANSIBLE: LOCKED[AMAZON]}
    compare(new, LOCKED)
    assert merged(new, LOCKED)[AMAZON]["sha256"] == {**LOCKED[AMAZON]["sha256"], "linux_arm64": "gh"}


def test_what_could_not_be_returned_is_not_whole() -> None:
    assert is_whole(LOCKED)
    several: list[Any] = ["1.3.9", {"version": "1.3.9"}, {"version": '1"', "sha256": {}}, {"sha256": {}}]
    assert not any(is_whole({AMAZON: broken}) for broken in several)
