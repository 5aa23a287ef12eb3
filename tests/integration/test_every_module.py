"""Every module once in a play, as Ansible starts everybody's modules; run under each supported ansible-core.

The account is moto's. conda and R are stand-ins that play recorded answers; Terraform and Packer are real.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.packer_bakes import Baker
from tests.which_ansible import PLAYBOOK

pytest_plugins = ["tests.integration.packer_bakes"]
pytestmark = pytest.mark.usefixtures("needs_packer")

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests/unit/plugins/fixtures"
PACKAGE = "https://conda.example/conda-forge/noarch/alpha-1.1-0.conda#5347d9016da11412c919e7cedf891dae"
JSONLITE = ['installed\t"jsonlite"\t"1.8.4"\t"/library"', 'loading\t"jsonlite"', 'loads\t"jsonlite"']
SPECIFICATION = {"argument_specs": {"configuration": {"options": {"ds_stack_name": {"type": "str"}}}}}


def stand_in(folder: Path, name: str, source: str, script: dict[str, Any]) -> str:
    """Make a program that plays answers."""
    folder.mkdir()
    program = folder / name
    program.write_text(f"#!{sys.executable}\n" + (FIXTURES / source).read_text())
    program.chmod(0o755)
    (folder / "script.json").write_text(json.dumps(script))
    return str(program)


def calls(folder: Path, baker: Baker) -> dict[str, dict[str, Any]]:
    """Each module's options."""
    source = folder / "source"
    source.mkdir()
    (source / "main.tf").write_text('resource "terraform_data" "x" {}\noutput "n" {\n  value = 7\n}\n')
    stack = {"source": str(source), "work_dir": str(folder / "stack")}
    (folder / "spec.yml").write_text(json.dumps(SPECIFICATION))
    (folder / "lock").write_text(f"@EXPLICIT\n{PACKAGE}")
    looked = ['r\t"4.2.2"', 'library\t"/library"', *JSONLITE, "end"]
    conda = stand_in(folder / "bin", "conda", "conda/fake_conda.py", {"solution": [], "answers": {}})
    rscript = stand_in(folder / "R", "Rscript", "r/fake_rscript.py", {"look": looked})
    of_stack = {"stack": "every", "region": "us-east-1"}
    return {
        "ami_retention": {**of_stack},
        "check_configuration": {"specification": str(folder / "spec.yml")},
        "check_environment": {**of_stack, "stages": ["users"]},
        "cluster_connection": {**of_stack},
        "cluster_status": {**of_stack},
        "conda_environment": {
            "prefix": str(folder / "envs/ds"),
            "conda": conda,
            "lock": str(folder / "lock"),
        },
        "machine_config": {**of_stack, "config": {"tls": "none", "users": []}},
        "machine_presence": {**of_stack, "instance_id": "i-1"},
        "machine_status": {**of_stack, "instance_id": "i-1"},
        "machine_receipt": {
            "path": str(folder / "receipt.json"),
            "conda_prefixes": [str(folder / "no conda")],
            "rscripts": [],
        },
        "packer_image": {**baker.options, "variables": {"script": "echo started"}},
        "r_packages": {"name": ["jsonlite"], "rscript": rscript},
        "receipt_diff": {"before": str(folder / "receipt.json"), "after": str(folder / "receipt.json")},
        "stack_record": {**of_stack, "state": "begun", "playbook": "status", "kind": "reads"},
        "show_text": {"text": "a text\n  as it is"},
        "stack_inventory_info": {**of_stack, "work_dirs": {"data": str(folder / "data")}},
        "terraform_drift_info": stack,
        "terraform_stack": stack,
        "terraform_state_forget": {"work_dir": str(folder / "moved"), "id": "vol-1"},
        "terraform_state_move": {
            "work_dir": str(folder / "moved"),
            "backend": {"type": "local", "config": {"path": str(folder / "terraform.tfstate")}},
        },
        "text_files": {"files": [{"path": str(folder / "text"), "content": "written"}]},
        "user_credentials": {**of_stack, "users": ["ada"]},
    }


@pytest.fixture
def results(tmp_path: Path, baker: Baker) -> dict[str, dict[str, Any]]:
    """What each module returns. terraform_drift_info comes before there is anything to drift."""
    options = calls(tmp_path, baker)
    names = [*options]
    tasks: list[dict[str, Any]] = [
        {f"iac.ds_stack.{name}": options[name], "register": f"of_{name}"} for name in names
    ]
    wanted = "{{ {" + ", ".join(f"'{name}': of_{name}" for name in names) + "} | to_json }}"
    keep = {"content": wanted, "dest": str(tmp_path / "results.json"), "mode": "0600"}
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}", "ds_stack_name": "every"},
        "tasks": [*tasks, {"ansible.builtin.copy": keep}],
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    environment = {**baker.environment, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    environment["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")  # of the tests' runner, not the baker's
    done = subprocess.run(
        [PLAYBOOK, "-vv", tmp_path / "play.yml"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Malformed" not in said
    assert "DEPRECATION" not in said, "what the next ansible-core would refuse"
    found: dict[str, dict[str, Any]] = json.loads((tmp_path / "results.json").read_text())
    return found


@pytest.mark.fault(19)
def test_every_module_returns_what_it_has_done(results: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    assert sorted(results) == sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
    assert not any(result.get("failed") for result in results.values())
    changed = {name for name, result in results.items() if result["changed"]}
    assert changed == {
        "cluster_connection",
        "conda_environment",
        "machine_config",
        "machine_receipt",
        "packer_image",
        "terraform_stack",
        "text_files",
        "user_credentials",
    }
    assert results["ami_retention"]["removed"] == results["ami_retention"]["kept"] == []
    assert results["check_environment"]["found"]["account_id"] == "123456789012"
    assert results["cluster_connection"]["written"] == ["/ds-stack/every/cluster/connect"]
    assert (results["cluster_status"]["cluster"], results["cluster_status"]["machine_knows"]) == ({}, False)
    assert results["stack_inventory_info"]["machines"] == []
    assert results["conda_environment"]["added"] == ["alpha-1.1-0"]
    assert results["machine_config"]["version"] == 1
    assert results["machine_presence"]["at_work"] == ""
    assert (results["machine_status"]["ready"], results["machine_status"]["status"]) == (False, {})
    assert results["machine_receipt"]["counts"]["os"] > 100
    assert results["machine_receipt"]["counts"]["conda"] == 0
    assert results["receipt_diff"]["same"] is True
    assert results["packer_image"]["ami_id"].startswith("ami-")
    assert results["packer_image"]["reused"] is False
    assert [one["name"] for one in results["r_packages"]["packages"]] == ["jsonlite"]
    assert (results["stack_record"]["record"], results["stack_record"]["problem"]) == ({}, "")
    assert results["terraform_drift_info"]["drifted"] is False
    assert results["terraform_stack"]["outputs"] == {"n": 7}
    assert (tmp_path / "text").read_text() == "written"
    assert results["user_credentials"]["created"] == ["ada"]
