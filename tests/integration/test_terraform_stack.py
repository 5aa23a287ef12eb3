"""The module terraform_stack with the real terraform; terraform_data is built in and needs no provider."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.iac.ds_stack.plugins.module_utils._run.process import DirectoryLock
from ansible_collections.iac.ds_stack.plugins.modules import terraform_drift_info, terraform_stack

from tests.integration.interruptions import document
from tests.integration.terraform_stacks import (
    DRIFT,
    MAIN,
    SLOW,
    STACK,
    Stack,
    actions,
    files,
    find_tofu,
    isolated_stack,
    snapshot,
)
from tests.terraform_binary import BINARY, BY_HAND, NAME

SECRET = "correct-horse-battery"


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    return isolated_stack(tmp_path, monkeypatch)


@pytest.mark.fault(1)
@pytest.mark.fault(2)
def test_create_then_no_change_then_change_and_replace_then_destroy(stack: Stack) -> None:
    created = stack.apply()
    assert created["changed"] is True
    assert actions(created) == {"terraform_data.disk": "create", "terraform_data.machine": "create"}
    assert created["summary"]["add"] == 2
    assert created["outputs"]["size"] == 1
    assert len(created["outputs"]["disk_id"]) == 36
    assert created["outputs"]["password"] == "(sensitive)"
    assert created["workspace"] == "default"

    same = stack.apply()
    assert same["changed"] is False
    assert same["changes"] == []
    assert same["outputs"] == created["outputs"]
    assert same["version"].startswith("1.")

    changed = stack.apply(variables={"size": 2})
    assert changed["changed"] is True
    assert actions(changed) == {"terraform_data.disk": "update", "terraform_data.machine": "replace"}
    assert changed["changes"][1]["reason"] == "replace_because_cannot_update"
    assert {name: count for name, count in changed["summary"].items() if count} == {"change": 1, "replace": 1}
    assert changed["outputs"]["size"] == 2

    destroyed = stack.apply(state="absent", variables={"size": 2})
    assert destroyed["changed"] is True
    assert destroyed["summary"]["destroy"] == 2
    assert destroyed["outputs"] == {}
    assert stack.resources() == []

    assert stack.apply(state="absent")["changed"] is False


def test_absent_where_nothing_was_ever_applied(stack: Stack) -> None:
    assert stack.apply(state="absent")["changed"] is False
    assert not stack.work_dir.exists()


def test_absent_has_the_variables_of_the_last_run(stack: Stack) -> None:
    stack.write('variable "needed" {}\nresource "terraform_data" "x" {\n  input = var.needed\n}\n')
    stack.apply(variables={"needed": "yes"})
    assert stack.run(check=True, state="absent")["summary"]["destroy"] == 1
    assert stack.apply(state="absent")["summary"]["destroy"] == 1


def test_init_runs_only_when_its_inputs_changed(stack: Stack) -> None:
    def inits(result: dict[str, Any]) -> int:
        return Path(result["log_path"]).read_text().count(f"{BINARY} init ")

    assert inits(stack.apply()) == 0, "terraform_data is part of Terraform"
    assert inits(stack.apply(variables={"size": 2})) == 0
    stack.write('module "part" {\n  source = "./part"\n}\n', "more.tf")
    stack.write('resource "terraform_data" "part" {}\n', "part/main.tf")
    assert inits(stack.apply()) == 1
    assert inits(stack.apply(variables={"size": 3})) == 0
    shutil.rmtree(stack.work_dir / ".terraform")
    assert inits(stack.apply()) == 1


@pytest.mark.fault(2)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_what_is_applied_is_the_plan_that_was_reviewed(stack: Stack, tmp_path: Path, state: str) -> None:
    """Whatever happens to the configuration between the review and the apply."""
    stack.apply()
    late, more = tmp_path / "late", stack.work_dir / "late.tf"
    late.write_text(
        f"""#!/bin/sh
[ $1 != apply ] || echo 'resource "terraform_data" "late" {{}}' > {more}
exec {BINARY} "$@"
"""
    )
    late.chmod(0o755)
    result = stack.apply(binary=str(late), variables={"size": 2}, state=state)
    reviewed = {"present": ["replace", "update"], "absent": ["delete", "delete"]}
    assert sorted(actions(result).values()) == reviewed[state]
    assert stack.resources() == (
        [] if state == "absent" else ["terraform_data.disk", "terraform_data.machine"]
    )
    log = Path(result["log_path"]).read_text()
    assert ("-destroy" in log) is (state == "absent")
    assert re.search(r"^\$ .* apply .*plan\.tfplan$", log, re.MULTILINE)


@pytest.mark.fault(3)
def test_a_change_of_nothing_but_an_output_is_applied(stack: Stack) -> None:
    stack.apply()
    stack.write(MAIN + 'output "greeting" {\n  value = "hello"\n}\n')
    result = stack.apply()
    assert (result["changed"], result["changes"]) == (True, [])
    assert result["outputs"]["greeting"] == "hello"
    assert stack.apply()["changed"] is False


def test_a_moved_resource_is_applied_and_told_as_a_move(stack: Stack) -> None:
    stack.apply()
    moved = "moved {\n  from = terraform_data.disk\n  to = terraform_data.volume\n}\n"
    stack.write(MAIN.replace('"disk"', '"volume"').replace("data.disk", "data.volume") + moved)
    result = stack.apply(protect=["terraform_data.*"])
    assert result["changed"] is True
    assert result["changes"] == [
        {
            "action": "move",
            "actions": ["no-op"],
            "address": "terraform_data.volume",
            "previous_address": "terraform_data.disk",
        }
    ]
    assert result["summary"]["move"] == 1


def test_protect_covers_replacement_and_destruction(stack: Stack) -> None:
    stack.apply()
    before = stack.state()
    for options in ({"variables": {"size": 2}}, {"state": "absent"}):
        result = stack.fail(protect=["*.machine"], **options)
        assert "would destroy what `protect` guards: terraform_data.machine" in result["msg"]
        assert result["changed"] is False
        assert "terraform_data.machine" in actions(result)
    assert stack.state() == before


def test_max_destroys(stack: Stack) -> None:
    stack.apply()
    assert (
        "would destroy 2 resources, more than `max_destroys` (1)"
        in stack.fail(state="absent", max_destroys=1)["msg"]
    )
    assert stack.apply(variables={"size": 2}, max_destroys=1)["changed"] is True


@pytest.mark.fault(8)
def test_variables_of_every_type_arrive_as_they_are(stack: Stack) -> None:
    stack.write(
        """
variable "v" {}
resource "terraform_data" "v" {
  input = var.v
}
output "v" {
  value = terraform_data.v.output
}
"""
    )
    value: dict[str, Any] = {
        "boolean": True,
        "null": None,
        "text": "two\nlines\n",
        "unicode": "Grüße, 数据 🚀",
        "template": "${not.a.template} %{also} $${neither}",
        "quotes": "'\"\\",
        "big": 9007199254740993,
        "bigger": 123456789012345678901234567890,
        "fraction": 0.1,
        "list": [1, "two", [3], {}],
        "nested": {"a": {"b": [None, False]}},
    }
    stack.write('variable "set" {\n  type = set(object({ name = string, on = bool }))\n}\n', "set.tf")
    stack.write('output "set" {\n  value = var.set\n}\n', "set_output.tf")
    members = [{"name": "a", "on": True}, {"name": "${b}", "on": False}]
    for option in ("variables", "sensitive_variables"):
        result = stack.apply(**{option: {"v": value, "set": members}})
        written = json.loads((stack.work_dir / "terraform.tfstate").read_text())
        assert written["outputs"]["v"]["value"] == value
        assert sorted(written["outputs"]["set"]["value"], key=str) == sorted(members, key=str)
    assert result["changed"] is False


@pytest.mark.fault(7)
@pytest.mark.fault(9)
def test_a_secret_is_nowhere_to_be_found(stack: Stack, tmp_path: Path) -> None:
    stack.write(
        MAIN
        + """
resource "terraform_data" "talks" {
  input = nonsensitive(var.password)
  provisioner "local-exec" {
    command = "echo telling ${nonsensitive(var.password)}"
  }
}
output "leak" {
  value = nonsensitive(var.password)
}
"""
    )
    result = stack.apply(sensitive_variables={"password": SECRET}, diff=True)
    assert SECRET not in json.dumps(result)
    assert "telling" in Path(result["log_path"]).read_text()
    found = [path for path in files(tmp_path) if SECRET.encode() in path.read_bytes()]
    assert found == [stack.work_dir / "terraform.tfstate"], "only Terraform's own state holds it"
    assert not list(stack.work_dir.rglob("*.tfplan"))
    assert stack.work_dir.stat().st_mode & 0o777 == 0o700

    stack.write('variable "number" {\n  type = number\n}\n', "number.tf")
    failed = stack.fail(sensitive_variables={"password": SECRET, "number": SECRET})
    assert "a number is required" in failed["msg"]
    assert SECRET not in json.dumps(failed)
    assert not [
        path for path in files(stack.work_dir / ".terraform_stack") if SECRET.encode() in path.read_bytes()
    ]


def test_a_short_secret_does_not_mask_everything(stack: Stack) -> None:
    result = stack.apply(sensitive_variables={"password": "1"})
    assert result["summary"]["add"] == 2
    assert result["version"].startswith("1.")
    assert "'1'" not in repr(result["invocation"]["module_args"]["sensitive_variables"])


def test_reveal_outputs(stack: Stack) -> None:
    for _ in range(2):  # after an apply, and where nothing is to be done
        result = stack.apply(sensitive_variables={"password": SECRET}, reveal_outputs=["password"])
        assert result["outputs"]["password"] == SECRET


def test_diff_shows_what_changes_with_secrets_masked_at_every_depth(stack: Stack) -> None:
    stack.apply(sensitive_variables={"password": SECRET})
    result = stack.run(
        check=True, diff=True, variables={"size": 2}, sensitive_variables={"password": SECRET + "2"}
    )
    disk = next(item for item in result["diff"] if item["before_header"] == "terraform_data.disk")
    assert disk["before"]["input"] == {"size": 1, "password": "(sensitive)"}
    assert disk["after"]["input"] == {"size": 2, "password": "(sensitive, changed)"}
    assert SECRET not in json.dumps(result)


@pytest.mark.fault(12)
def test_a_failing_precondition_says_where_and_why(stack: Stack) -> None:
    stack.write(
        """
variable "number" {}
resource "terraform_data" "machine" {
  lifecycle {
    precondition {
      condition     = var.number > 0
      error_message = "There must be at least one."
    }
  }
}
"""
    )
    result = stack.fail(variables={"number": 0})
    assert result["msg"].startswith(f"{NAME} plan failed: Resource precondition failed (")
    assert f"{stack.source}/main.tf:6" in result["msg"]
    assert "There must be at least one." in result["msg"]
    assert result["msg"].endswith(f"Full text: {result['log_path']}")
    assert "There must be at least one." in Path(result["log_path"]).read_text()
    (diagnostic,) = result["diagnostics"]
    assert diagnostic["line"] == 6
    assert diagnostic["code"].strip() == "condition     = var.number > 0"


@pytest.mark.fault(12)
def test_a_failing_provisioner_keeps_all_of_its_text(stack: Stack) -> None:
    stack.write(
        'resource "terraform_data" "first" {}\n'
        'resource "terraform_data" "bad" {\n  depends_on = [terraform_data.first]\n'
        '  provisioner "local-exec" {\n    command = "echo line one; echo line two >&2; exit 7"\n  }\n}\n'
    )
    result = stack.fail()
    assert "exit status 7" in result["msg"]
    assert "line one\nline two" in result["msg"]
    assert result["changed"] is True, "the first resource was made"


@pytest.mark.fault(1)
def test_check_mode_changes_nothing_and_tells_what_would_be(stack: Stack, tmp_path: Path) -> None:
    result = stack.run(check=True, variables={"size": 3})
    assert result["changed"] is True
    assert result["summary"]["add"] == 2
    assert result["outputs"] == {"size": 3}
    assert result["outputs_unknown"] == ["disk_id", "password"]
    assert not stack.work_dir.exists()

    applied = stack.apply()
    before = snapshot(tmp_path)
    assert stack.run(check=True)["changed"] is False
    assert stack.run(check=True)["outputs"] == applied["outputs"]
    changed = stack.run(check=True, variables={"size": 3})
    assert actions(changed) == {"terraform_data.disk": "update", "terraform_data.machine": "replace"}
    assert stack.run(check=True, state="absent")["summary"]["destroy"] == 2
    stack.fail(check=True, state="absent", protect=["*"])
    assert snapshot(tmp_path) == before

    stack.write(MAIN + 'resource "terraform_data" "more" {}\n')
    before = snapshot(tmp_path)
    assert actions(stack.run(check=True)) == {"terraform_data.more": "create"}
    assert snapshot(tmp_path) == before


def test_the_source_is_never_written_to(stack: Stack) -> None:
    before = snapshot(stack.source)
    stack.apply()
    stack.run(check=True, variables={"size": 4})
    stack.apply(state="absent")
    assert snapshot(stack.source) == before


def test_the_work_dir_follows_the_source_and_keeps_what_is_not_of_it(stack: Stack) -> None:
    stack.write("hello", "templates/a.txt")
    stack.write("{}", "terraform.tfstate")  # a person ran terraform there: not ours
    stack.apply()
    assert (stack.work_dir / "templates/a.txt").read_text() == "hello"
    state = stack.state()
    (stack.work_dir / "notes.txt").write_text("a person's")
    (stack.source / "templates/a.txt").unlink()
    stack.apply()
    assert not (stack.work_dir / "templates").exists()
    assert (stack.work_dir / "notes.txt").exists()
    assert stack.state()["lineage"] == state["lineage"]


def test_modules_outside_of_the_source_are_found(stack: Stack) -> None:
    stack.write(
        """
module "network" {
  source = "../modules/network"
}
output "x" {
  value = module.network.x
}
"""
    )
    stack.write(
        'module "names" {\n  source = "../names"\n}\noutput "x" {\n  value = module.names.x\n}\n',
        "../modules/network/main.tf",
    )
    stack.write('output "x" {\n  value = file("${path.module}/files/x")\n}\n', "../modules/names/main.tf")
    stack.write("deep", "../modules/names/files/x")
    assert stack.run(check=True)["outputs"] == {"x": "deep"}
    assert stack.apply()["outputs"] == {"x": "deep"}
    stack.write("output x {", "../modules/names/bad.tf")
    assert f"{stack.source.parent}/modules/names/bad.tf:1" in stack.fail()["msg"]


@pytest.mark.fault(6)
def test_overrides_and_backend(stack: Stack, tmp_path: Path) -> None:
    overrides = {"output": {"size": {"value": "overridden"}}}
    backend = {"type": "local", "config": {"path": str(tmp_path / "elsewhere.tfstate")}}
    result = stack.apply(overrides=overrides, backend=backend)
    assert result["outputs"]["size"] == "overridden"
    assert (tmp_path / "elsewhere.tfstate").exists()
    assert not (stack.work_dir / "terraform.tfstate").exists()
    assert stack.run(check=True, overrides=overrides, backend=backend)["changed"] is False
    shutil.rmtree(stack.work_dir)
    assert stack.run(check=True, overrides=overrides, backend=backend)["changed"] is False
    destroyed = stack.apply(state="absent", overrides=overrides, backend=backend)
    assert destroyed["summary"]["destroy"] == 2


@pytest.mark.fault(5)
def test_workspaces(stack: Stack) -> None:
    assert stack.run(check=True, workspace="blue")["summary"]["add"] == 2
    assert not stack.work_dir.exists()
    assert stack.apply(workspace="blue")["changed"] is True
    assert stack.apply(workspace="blue")["changed"] is False
    assert stack.run(check=True, workspace="green")["summary"]["add"] == 2
    assert stack.apply(workspace="green", state="absent")["changed"] is False
    assert stack.apply()["changed"] is True, "the default workspace has a state of its own"
    assert stack.run(check=True, workspace="blue")["changed"] is False
    assert stack.apply(workspace="blue", state="absent")["summary"]["destroy"] == 2
    assert stack.apply()["changed"] is False


def test_targets_and_replace(stack: Stack) -> None:
    assert actions(stack.apply(targets=["terraform_data.disk"])) == {"terraform_data.disk": "create"}
    stack.apply()
    assert actions(stack.apply(replace=["terraform_data.disk"])) == {"terraform_data.disk": "replace"}


@pytest.mark.fault(18)
def test_a_second_run_is_refused_with_the_name_of_the_first(stack: Stack) -> None:
    stack.apply()
    with DirectoryLock(stack.work_dir / ".terraform_stack/lock", "terraform_stack, state present"):
        message = stack.fail()["msg"]
    assert "is in use by terraform_stack, state present (process" in message
    assert stack.apply()["changed"] is False


@pytest.mark.fault(14)
def test_a_locked_state_names_holder_age_and_the_way_out(stack: Stack) -> None:
    stack.apply()
    (stack.work_dir / ".terraform.tfstate.lock.info").write_text(
        json.dumps(
            {
                "ID": "11111111-2222",
                "Operation": "OperationTypeApply",
                "Who": "ada@desk",
                "Version": "1.11.4",
                "Created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 7200)),
                "Path": "terraform.tfstate",
            }
        )
    )
    import fcntl

    with (stack.work_dir / "terraform.tfstate").open("r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        pid = os.fork()
        if pid == 0:  # record locks do not bind their own process
            time.sleep(30)
            os._exit(0)
        message = stack.fail()["msg"]
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert "Error acquiring the state lock" in message
    assert "The state is locked by ada@desk (OperationTypeApply, 2 h 0 min ago)" in message
    assert f"cd {stack.work_dir} && {BY_HAND} force-unlock 11111111-2222" in message
    assert not list(stack.work_dir.rglob("*.tfplan"))
    assert stack.resources() == ["terraform_data.disk", "terraform_data.machine"]
    document(
        "Another Terraform holds the lock of the state",
        "the task fails after `lock_timeout`; names holder and age and the command that frees the lock",
        "ends",
        "untouched",
        "of the other",
        "removed",
        "",
    )


@pytest.mark.fault(15)
def test_a_hostile_environment_is_ignored_with_a_warning(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = {
        "TF_CLI_ARGS": "-no-such-flag",
        "TF_CLI_ARGS_plan": "-destroy",
        "TF_WORKSPACE": "elsewhere",
        "TF_LOG": "json",
        "TF_DATA_DIR": "/nonexistent",
        "TF_CLI_CONFIG_FILE": "/nonexistent/terraformrc",
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    result = stack.apply()
    assert result["summary"]["add"] == 2
    for name in hostile:
        assert f"{name} is ignored" in str(result["warnings"])


def test_ephemeral_variables_are_given_again_at_apply(stack: Stack) -> None:
    stack.write(
        """
variable "token" {
  type      = string
  ephemeral = true
}
resource "terraform_data" "x" {
  provisioner "local-exec" {
    command     = "test \\"$TOKEN\\" = correct-horse-battery"
    environment = { TOKEN = var.token }
  }
}
"""
    )
    assert stack.apply(sensitive_variables={"token": SECRET})["changed"] is True
    assert SECRET not in (stack.work_dir / "terraform.tfstate").read_text()
    assert stack.apply(sensitive_variables={"token": "another-token"})["changed"] is False


def test_undeclared_variables_are_told(stack: Stack) -> None:
    result = stack.apply(variables={"sise": 2})
    assert 'does not declare a variable named "sise"' in result["diagnostics"][0]["detail"]
    assert "sise" in str(result["warnings"])


def test_a_source_that_is_none(stack: Stack) -> None:
    shutil.rmtree(stack.source)
    assert "is no directory" in stack.fail()["msg"]


def test_work_dir_must_not_be_the_source(stack: Stack) -> None:
    stack.work_dir = stack.source
    assert "must not be or contain the source" in stack.fail()["msg"]


def test_a_missing_binary(stack: Stack) -> None:
    assert "There is no program no-such-terraform" in stack.fail(binary="no-such-terraform")["msg"]


@pytest.mark.fault(13)
def test_a_timeout_stops_terraform_cleanly(stack: Stack) -> None:
    stack.write(SLOW)
    began = time.monotonic()
    result = stack.fail(timeout=5)
    assert time.monotonic() - began < 25
    assert f"{NAME} apply was interrupted (timeout) after" in result["msg"]
    assert result["changed"] is True
    assert "terraform_data.quick" in stack.resources()
    assert not (stack.work_dir / ".terraform.tfstate.lock.info").exists()


@pytest.mark.fault(3)
def test_all_kinds_of_changes_in_one_plan(stack: Stack) -> None:
    stack.write(
        """
resource "terraform_data" "keep" {}
resource "terraform_data" "old_name" {}
resource "terraform_data" "forget" {}
resource "terraform_data" "before" {
  triggers_replace = 1
  lifecycle {
    create_before_destroy = true
  }
}
resource "terraform_data" "after" {
  triggers_replace = 1
}
resource "terraform_data" "change" {
  input = 1
}
resource "terraform_data" "each" {
  for_each = toset(["a", "b"])
}
"""
    )
    stack.apply()
    stack.write(
        """
resource "terraform_data" "keep" {}
resource "terraform_data" "new_name" {}
moved {
  from = terraform_data.old_name
  to   = terraform_data.new_name
}
removed {
  from = terraform_data.forget
  lifecycle {
    destroy = false
  }
}
import {
  to = terraform_data.imported
  id = "11111111-2222-3333-4444-555555555555"
}
resource "terraform_data" "imported" {}
resource "terraform_data" "before" {
  triggers_replace = 2
  lifecycle {
    create_before_destroy = true
  }
}
resource "terraform_data" "after" {
  triggers_replace = 2
}
resource "terraform_data" "change" {
  input = 2
}
resource "terraform_data" "each" {
  for_each = toset(["a", "c"])
}
"""
    )
    checked = stack.run(check=True)
    result = stack.apply()
    assert result["changes"] == checked["changes"]
    assert result["summary"] == {
        "add": 1,
        "change": 1,
        "replace": 2,
        "destroy": 1,
        "import": 1,
        "move": 1,
        "forget": 1,
    }
    changes = {change["address"]: change for change in result["changes"]}
    assert changes["terraform_data.before"]["actions"] == ["create", "delete"]
    assert changes["terraform_data.after"]["actions"] == ["delete", "create"]
    assert changes["terraform_data.imported"]["imported_id"] == "11111111-2222-3333-4444-555555555555"
    assert changes["terraform_data.new_name"]["previous_address"] == "terraform_data.old_name"
    assert changes['terraform_data.each["b"]']["reason"] == "delete_because_each_key"
    assert "terraform_data.keep" not in changes
    assert stack.apply()["changed"] is False


@pytest.mark.fault(7)
def test_a_secret_three_modules_deep_stays_masked(stack: Stack) -> None:
    down = """
variable "secret" {
  sensitive = true
}
module "down" {
  source = "./down"
  secret = var.secret
}
output "secret" {
  value     = module.down.secret
  sensitive = true
}
"""
    stack.write(down)
    stack.write(down, "down/main.tf")
    stack.write(
        """
variable "secret" {}
resource "terraform_data" "deep" {
  for_each = toset(["one"])
  input    = { list = [{ text = "the secret is ${var.secret}" }] }
}
output "secret" {
  value = terraform_data.deep["one"].output.list[0].text
}
""",
        "down/down/main.tf",
    )
    for secret in (SECRET, SECRET + "-changed"):
        result = stack.apply(diff=True, sensitive_variables={"secret": secret})
        assert result["changed"] is True
        assert secret not in json.dumps(result)
        assert "(sensitive" in json.dumps(result["diff"])
        assert secret not in Path(result["log_path"]).read_text()
        assert result["outputs"] == {"secret": "(sensitive)"}


def test_many_resources(stack: Stack) -> None:
    many = 'resource "terraform_data" "many" {\n  count = %d\n  input = count.index\n}\n'
    stack.write(many % 2000)  # only planned: Terraform itself takes a minute to make them
    planned = stack.run(check=True, diff=True)
    assert planned["summary"]["add"] == len(planned["changes"]) == len(planned["diff"]) == 2000
    stack.write(many % 200)
    assert stack.apply()["summary"]["add"] == 200
    assert stack.apply()["changed"] is False


def test_what_the_file_system_refuses_is_told(stack: Stack) -> None:
    stack.apply()
    logs = stack.work_dir / ".terraform_stack/logs"
    shutil.rmtree(logs)
    logs.write_text("in the way")
    assert stack.fail()["msg"] == f"{logs}: File exists"


def test_a_person_can_run_terraform_there_by_hand(stack: Stack) -> None:
    stack.write("", "terraform.tfvars")
    stack.apply(variables={"size": 5})
    plan = [BINARY, "plan", "-input=false", "-detailed-exitcode"]
    assert subprocess.run(plan, cwd=stack.work_dir, capture_output=True, check=False).returncode == 0


def version_of(tofu: Path) -> str:
    said = subprocess.run([tofu, "version"], capture_output=True, text=True, check=True).stdout
    return said.partition(" v")[2].split()[0]


@pytest.mark.fault(16)
def test_opentofu_is_run_by_its_own_name(stack: Stack, tmp_path: Path) -> None:
    tofu = find_tofu(tmp_path / "bin")
    result = stack.apply(binary=str(tofu))
    assert result["summary"]["add"] == 2
    assert result["version"] == version_of(tofu)
    assert f"$ {tofu} apply" in Path(result["log_path"]).read_text()
    assert stack.apply(binary=str(tofu))["changed"] is False
    stack.write(MAIN + 'output "greeting" {\n  value = "hello"\n}\n')
    only_output = stack.apply(binary=str(tofu))
    assert (only_output["changed"], only_output["changes"]) == (True, [])
    assert stack.apply(binary=str(tofu), state="absent")["summary"]["destroy"] == 2
    stack.write("output x {")
    assert stack.fail(binary=str(tofu))["msg"].startswith("tofu plan failed: ")


@pytest.mark.fault(16)
def test_opentofu_is_found_where_there_is_no_terraform(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(find_tofu(tmp_path / "bin").parent))
    tofu = Path(str(shutil.which("tofu")))
    assert stack.apply(binary=None)["version"] == version_of(tofu)


def test_results_are_documented(stack: Stack) -> None:
    ours = {"changed", "diff", "invocation", "warnings"}  # every module's
    for module, main in ((terraform_stack, STACK), (terraform_drift_info, DRIFT)):
        documented = yaml.safe_load(module.RETURN)
        result = stack.run(main, diff=True)
        assert set(result) - ours == set(documented)
    sample = yaml.safe_load(terraform_stack.RETURN)["summary"]["sample"]
    assert sample.keys() == stack.apply()["summary"].keys()


def test_module_outputs_that_happen_to_equal_a_sensitive_value_stay_readable(stack: Stack) -> None:
    stack.write(
        """
resource "terraform_data" "x" {
  input = sensitive("us-east-1")
}
output "zone" {
  value = "us-east-1a"
}
"""
    )
    assert stack.apply()["outputs"] == {"zone": "us-east-1a"}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_is_full_when_the_state_is_written_loses_nothing(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    for folder in (home, stack.work_dir):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    stack.write(
        """
resource "terraform_data" "big" {
  input = join("", [for index in range(1000) : join("", [for digit in range(120) : "x"])])
}
"""
    )
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", stack.work_dir], check=True)
    try:
        message = stack.fail()["msg"]
        (saved,) = home.glob("errored-*.tfstate")
        push = message.rpartition("then: ")[2]
        assert push == f"cd {stack.work_dir} && {BY_HAND} state push {saved}"
        assert saved.stat().st_mode & 0o777 == 0o600
        private = stack.work_dir / ".terraform_stack"
        assert not [name for name in ("plan.tfplan", "sensitive.tfvars.json") if (private / name).exists()]
        with DirectoryLock(private / "lock", "test"):
            pass
        assert "Unsupported state file format" in stack.fail()["msg"]
        subprocess.run(["mount", "-o", "remount,size=10M", stack.work_dir], check=True)
        (stack.work_dir / "terraform.tfstate").unlink()  # it is cut off in the middle
        subprocess.run(push, shell=True, check=True, capture_output=True)  # noqa: S602
        assert stack.apply()["changed"] is False
        document(
            "The disk is full when the state is written",
            "the task fails, says where the state is kept instead (your home, else the temporary folder) and "
            "with which command it is put back",
            "ends",
            "kept elsewhere, mode 0600",
            "free",
            "removed",
            "refuses a state that is cut off",
        )
    finally:
        subprocess.run(["umount", stack.work_dir], check=True)
