"""A stack to run the module terraform_stack on, in the test's own process."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.iac.ds_stack.plugins.modules import terraform_drift_info, terraform_stack

from tests.terraform_binary import BINARY, IS_TOFU

MAIN = """
variable "size" {
  default = 1
}
variable "password" {
  type      = string
  sensitive = true
  default   = "none-given"
}
resource "terraform_data" "disk" {
  input = { size = var.size, password = var.password }
}
resource "terraform_data" "machine" {
  triggers_replace = var.size
}
output "size" {
  value = var.size
}
output "disk_id" {
  value = terraform_data.disk.id
}
output "password" {
  value     = terraform_data.disk.output.password
  sensitive = true
}
"""

SLOW = """
resource "terraform_data" "quick" {}
resource "terraform_data" "slow" {
  depends_on = [terraform_data.quick]
  provisioner "local-exec" {
    command = "sleep 30"
  }
}
"""

STACK = terraform_stack.main
DRIFT = terraform_drift_info.main


class Stack:
    """A source and a work_dir, and the module run on them in this process."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.work_dir = folder / "work"
        self.source.mkdir()
        self.write(MAIN)

    def write(self, text: str, name: str = "main.tf") -> None:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(
        self, main: Callable[[], None] = STACK, *, check: bool = False, diff: bool = False, **options: Any
    ) -> dict[str, Any]:
        args = {
            "source": str(self.source),
            "work_dir": str(self.work_dir),
            "binary": BINARY,
            **options,
            "_ansible_check_mode": check,
            "_ansible_diff": diff,
        }
        printed = io.StringIO()
        with patch_module_args(args), redirect_stdout(printed), pytest.raises(SystemExit):
            main()
        return json.loads(printed.getvalue())

    def apply(self, **options: Any) -> dict[str, Any]:
        result = self.run(**options)
        assert "failed" not in result, result["msg"]
        return result

    def fail(self, **options: Any) -> dict[str, Any]:
        result = self.run(**options)
        assert result.get("failed"), result
        return result

    def state(self) -> dict[str, Any]:
        return json.loads((self.work_dir / "terraform.tfstate").read_text())

    def resources(self) -> list[str]:
        return sorted(f"{item['type']}.{item['name']}" for item in self.state()["resources"])


def isolated_stack(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack in a folder, with nothing of the caller's environment that could bend Terraform."""
    for name in [name for name in os.environ if name.startswith("TF_")]:
        monkeypatch.delenv(name)
    temporary = folder / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    return Stack(folder)


def find_tofu(folder: Path) -> Path:
    """The real thing where it is given, else one in disguise."""
    folder.mkdir()
    tofu = folder / "tofu"
    if IS_TOFU:
        tofu.symlink_to(BINARY)
        return tofu
    program = Path(__file__).with_name("simulated_tofu.py")
    tofu.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}" "{BINARY}" "$@"\n')
    tofu.chmod(0o755)
    return tofu


def files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files(folder)}


def actions(result: dict[str, Any]) -> dict[str, str]:
    return {change["address"]: change["action"] for change in result["changes"]}
