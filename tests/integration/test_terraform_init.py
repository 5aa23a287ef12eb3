"""When Terraform is initialized, with what, and what it is given."""

from __future__ import annotations

import copy
import os
import platform
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.preflight_tools import fetch_providers
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform import provider_lock
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.errors import TerraformError
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.outputs import read_outputs

from tests.integration.terraform_stacks import DRIFT, Stack, find_tofu, isolated_stack, snapshot
from tests.terraform_binary import BINARY, IS_TOFU, NAME

PLATFORM = f"linux_{ {'x86_64': 'amd64', 'aarch64': 'arm64'}[platform.machine()] }"

CONFIG = 'resource "terraform_data" "x" {}\n'

TOY = """
terraform {
  required_providers {
    toy = {
      source = "example.com/acme/toy"
    }
  }
}
"""
"""Requires a stand-in for a provider: it can be fetched and locked in three versions, but not be started."""

PACKAGES = ".terraform/providers/example.com/acme/toy"


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack, and a mirror of providers that holds the toy."""
    stack = isolated_stack(tmp_path, monkeypatch)
    stack.write(CONFIG)
    mirror = tmp_path / "mirror"
    for name in ("toy", "other"):
        for version in ("1.0.0", "1.1.0", "1.2.0"):
            package = mirror / f"example.com/acme/{name}/{version}/{PLATFORM}"
            package.mkdir(parents=True)
            program = package / f"terraform-provider-{name}_v{version}"
            program.write_text(f"{name} {version}")
            program.chmod(0o755)
    rc = tmp_path / "terraform.rc"
    rc.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(rc))
    return stack


def commands(result: dict[str, Any]) -> list[str]:
    lines = Path(result["log_path"]).read_text().splitlines()
    return [line.split()[2] for line in lines if line.startswith("$ ")]


def locked(folder: Path) -> list[str]:
    return re.findall(r'^  version += "(.*)"', (folder / ".terraform.lock.hcl").read_text(), re.MULTILINE)


def lock_at(stack: Stack, version: str) -> None:
    """Commit a lock file with this version to the source, as a person does."""
    folder = stack.work_dir.parent / f"lock-{version}"
    folder.mkdir(exist_ok=True)
    (folder / "main.tf").write_text(TOY.replace('toy"\n', f'toy"\n      version = "{version}"\n'))
    subprocess.run([BINARY, "init"], cwd=folder, check=True, capture_output=True)
    shutil.copyfile(folder / ".terraform.lock.hcl", stack.source / ".terraform.lock.hcl")


@pytest.mark.fault(29)
def test_a_module_whose_source_changed_is_no_failure_in_check_mode(stack: Stack) -> None:
    module = 'module "m" {\n  source = "./%s"\n}\noutput "m" {\n  value = module.m.name\n}\n'
    for name in ("a", "b", "c"):
        stack.write(f'output "name" {{\n  value = "{name}"\n}}\n', f"{name}/main.tf")
    stack.write(module % "a", "m.tf")
    assert stack.apply()["outputs"] == {"m": "a"}
    for name in ("b", "c"):
        stack.write(module % name, "m.tf")
        before = snapshot(stack.work_dir)
        checked = stack.apply(check=True)
        assert (checked["changed"], checked["outputs"]) == (True, {"m": name})
        assert snapshot(stack.work_dir) == before
        assert stack.apply()["outputs"] == {"m": name}
    stack.write(module % "gone", "m.tf")
    messages = [stack.fail(check=check)["msg"] for check in (True, False)]
    assert all("gone" in message for message in messages)


def fetch(stack: Stack, **options: Any) -> list[str]:
    """Run a stack that needs the toy, as far as that goes; return what is locked and what is there."""
    message = stack.fail(**options)["msg"]
    assert "failed to instantiate provider" in message, message
    there = {path.name for path in stack.work_dir.glob(f"{PACKAGES}/*")}
    assert set(locked(stack.work_dir)) <= there
    return locked(stack.work_dir)


@pytest.mark.fault(29)
def test_the_lock_file_of_the_source_is_honoured_whenever_it_moves(stack: Stack) -> None:
    stack.write(TOY)
    lock_at(stack, "1.0.0")
    assert fetch(stack) == ["1.0.0"], "not the newest"
    lock_at(stack, "1.1.0")
    before = snapshot(stack.work_dir)
    assert "failed to instantiate provider" in stack.fail(check=True)["msg"], "that version can be fetched"
    assert snapshot(stack.work_dir) == before
    assert fetch(stack) == ["1.1.0"]
    assert fetch(stack, upgrade=True) == ["1.2.0"], "that moves it"
    assert fetch(stack) == ["1.2.0"], "until the source's moves again"
    lock_at(stack, "1.0.0")
    assert fetch(stack, upgrade=True) == ["1.0.0"], "the source's has moved: that version is wanted"
    assert locked(stack.source) == ["1.0.0"]


@pytest.mark.fault(29)
def test_without_a_lock_file_in_the_source_a_stack_stays_on_its_own(stack: Stack) -> None:
    stack.write(TOY.replace('toy"\n', 'toy"\n      version = "~> 1.0, < 1.2"\n'))
    assert fetch(stack) == ["1.1.0"]
    stack.write(TOY)
    assert fetch(stack) == ["1.1.0"]
    assert fetch(stack, upgrade=True) == ["1.2.0"]


@pytest.mark.fault(29)
@pytest.mark.parametrize("gone", [".terraform", ".terraform/providers", f"{PACKAGES}/1.2.0"])
def test_a_provider_that_is_gone_is_fetched_again(stack: Stack, gone: str) -> None:
    stack.write(TOY)
    fetch(stack)
    shutil.rmtree(stack.work_dir / gone)
    before = snapshot(stack.work_dir)
    assert "failed to instantiate provider" in stack.fail(check=True)["msg"]
    assert snapshot(stack.work_dir) == before
    assert fetch(stack) == ["1.2.0"]


@pytest.mark.fault(29)
def test_a_lock_file_that_names_a_provider_no_longer_used(stack: Stack) -> None:
    stack.write(TOY)
    fetch(stack)
    stack.write(CONFIG)
    shutil.rmtree(stack.work_dir / ".terraform/providers")
    assert stack.apply(check=True)["summary"]["add"] == 1
    assert stack.apply()["summary"]["add"] == 1
    assert stack.apply()["changed"] is False
    assert stack.apply(state="absent")["summary"]["destroy"] == 1


def held(stack: Stack) -> dict[str, Any]:
    """What the module returns of a run: the toy cannot be started, so that none comes so far."""
    return provider_lock.read((stack.work_dir / ".terraform.lock.hcl").read_text())


def elsewhere(stack: Stack) -> Stack:
    """The same stack of somebody who has another folder."""
    other = copy.copy(stack)
    other.work_dir = stack.work_dir.with_name("elsewhere")
    return other


TOYS = "example.com/acme/toy"


def test_the_providers_that_are_given_are_kept_to_in_every_folder(stack: Stack) -> None:
    stack.write(TOY.replace('toy"\n', 'toy"\n      version = "< 1.1"\n'))
    assert fetch(stack) == ["1.0.0"]
    providers = held(stack)
    assert list(providers) == [TOYS]
    stack.write(TOY)
    other = elsewhere(stack)
    assert fetch(other, providers=providers) == ["1.0.0"], "not the newest"
    assert held(other) == providers
    assert fetch(stack, upgrade=True) == ["1.2.0"]
    newest = held(stack)
    before = snapshot(other.work_dir)
    assert "failed to instantiate provider" in other.fail(check=True, providers=newest)["msg"]
    assert snapshot(other.work_dir) == before
    assert fetch(other, providers=newest) == ["1.2.0"], "the lock was moved by somebody else"
    assert fetch(other, providers=providers) == ["1.0.0"], "and moved back"
    lock_at(stack, "1.1.0")
    assert fetch(other, providers=providers) == ["1.0.0"], "the source's moves: what is given goes before it"


def test_what_is_given_of_a_provider_that_is_not_used_yet_counts_when_it_is(stack: Stack) -> None:
    stack.write(TOY)
    lock_at(stack, "1.1.0")
    fetch(stack)
    (stack.source / ".terraform.lock.hcl").unlink()
    providers, other = held(stack), elsewhere(stack)
    stack.write(CONFIG)
    for _again in range(2):
        assert other.apply(providers=providers)["providers"] == {}
    stack.write(TOY)
    assert fetch(other, providers=providers) == ["1.1.0"]


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_a_given_provider_that_is_no_longer_so_is_refused_with_its_line(
    stack: Stack, check: bool, known: bool
) -> None:
    """known: whether the folder has been on another version."""
    stack.write(TOY)
    lock_at(stack, "1.1.0")
    fetch(stack)
    (stack.source / ".terraform.lock.hcl").unlink()
    providers, other = held(stack), elsewhere(stack)
    if known:
        assert fetch(other) == ["1.2.0"]
    mirror = stack.work_dir.parent / "mirror" / TOYS / "1.1.0"
    program = mirror / PLATFORM / "terraform-provider-toy_v1.1.0"

    stack.write(TOY.replace('toy"\n', 'toy"\n      version = "> 1.1"\n'))
    says = [other.fail(providers=providers, check=check)["msg"]]
    stack.write(TOY)
    program.write_text("another one under the same name")
    says.append(other.fail(providers=providers, check=check)["msg"])
    shutil.rmtree(mirror)
    says.append(other.fail(providers=providers, check=check)["msg"])

    for said, line in zip(
        says, ("constraint", "checksums", "the previously-selected version 1.1.0"), strict=True
    ):
        assert line in said
        assert said.endswith(
            f"It is held to {TOYS} 1.1.0 by `providers`. To take what there is now, lock the tools anew."
        )
    assert fetch(other) == ["1.2.0"], "without"


def test_before_all_else_it_is_seen_whether_what_will_be_fetched_can_be(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder where the stack was applied, which stays as it is; Terraform is not started to no end."""
    stack.write(TOY + 'variable "name" {}\n')
    assert fetch(stack, variables={"name": "a"}) == ["1.2.0"]
    providers = held(stack)
    lock_at(stack, "1.1.0")
    other = provider_lock.read((stack.source / ".terraform.lock.hcl").read_text())
    (stack.source / ".terraform.lock.hcl").unlink()
    before = snapshot(stack.work_dir)

    def look(wanted: dict[str, Any]) -> None:
        fetch_providers(stack.source, stack.work_dir, {}, wanted)

    look(other)
    with monkeypatch.context() as none:
        none.setenv("PATH", "")
        look(providers)
        look({})
    for gone, wanted in {"1.1.0": other, "1.2.0": providers}.items():
        shutil.rmtree(tmp_path / "mirror" / TOYS / gone)
        with pytest.raises(TerraformError, match=rf"version {gone} is no longer available"):
            look(wanted)
    assert snapshot(stack.work_dir) == before


@pytest.mark.parametrize(
    "providers",
    [
        {TOYS: "1.0.0"},
        {TOYS: {"version": "1.0.0"}},
        {TOYS: {"version": '1.0.0"\n', "hashes": []}},
        {TOYS: {"version": "1.0.0", "hashes": ["h1"]}},
        {"toy": {"version": "1.0.0", "hashes": []}},
    ],
)
def test_providers_that_no_lock_could_hold_are_refused(stack: Stack, providers: dict[str, Any]) -> None:
    assert "is not whole" in stack.fail(providers=providers)["msg"]
    assert not stack.work_dir.exists()


def test_who_holds_providers_and_upgrades_them_is_asked_which(stack: Stack) -> None:
    providers = {TOYS: {"version": "1.0.0", "hashes": []}}
    assert "give one of them" in stack.fail(providers=providers, upgrade=True)["msg"]


def variable_files(result: dict[str, Any], command: str) -> list[int]:
    """How many files of variables each call of a command was given."""
    lines = Path(result["log_path"]).read_text().splitlines()
    calls = [line for line in lines if line.startswith("$ ") and f" {command} " in f"{line} "]
    return [call.count("-var-file=") for call in calls]


@pytest.mark.fault(29)
def test_variables_reach_init_and_win_over_files_of_the_source(stack: Stack) -> None:
    stack.write('variable "size" {}\noutput "size" {\n  value = var.size\n}\n', "v.tf")
    stack.write("size = 5\n", "x.auto.tfvars")
    for size in (2, 3):
        result = stack.apply(variables={"size": size})
        assert result["outputs"] == {"size": size}
        assert set(variable_files(result, "plan") + variable_files(result, "apply")) == {2}
    assert stack.apply(check=True, variables={"size": 3})["changed"] is False
    stack.write('module "m" {\n  source = "./m"\n}\n', "m.tf")
    stack.write("", "m/main.tf")
    assert variable_files(stack.apply(variables={"size": 3}), "init") == [2]


ENCRYPTED = """
variable "passphrase" {
  sensitive = true
}
variable "module" {
  default = "none"
}
terraform {
  encryption {
    key_provider "pbkdf2" "k" {
      passphrase = var.passphrase
    }
    method "aes_gcm" "m" {
      keys = key_provider.pbkdf2.k
    }
    state {
      method   = method.aes_gcm.m
      enforced = true
    }
    plan {
      method   = method.aes_gcm.m
      enforced = true
    }
  }
}
module "m" {
  source = "./${var.module}"
}
resource "terraform_data" "x" {}
output "name" {
  value = module.m.name
}
"""


def encrypted(stack: Stack) -> None:
    (stack.source / "main.tf").unlink()
    stack.write(ENCRYPTED, "main.tofu")
    for name in ("a", "b", "none"):
        stack.write(f'output "name" {{\n  value = "{name}"\n}}\n', f"{name}/main.tf")
    stack.write('module = "b"\n', "x.auto.tfvars")


@pytest.mark.fault(29)
def test_every_command_of_opentofu_gets_the_variables(stack: Stack) -> None:
    """With the real one, what cannot be opened without: an encrypted state, a module named by a variable."""
    binary = str(find_tofu(stack.work_dir.parent / "bin"))
    if IS_TOFU:
        encrypted(stack)
    else:
        stack.write(
            CONFIG
            + 'variable "passphrase" {}\nvariable "module" {}\noutput "name" {\n  value = var.module\n}\n'
        )
    secret = {"passphrase": "correct-horse-battery-staple"}
    options: dict[str, Any] = {"variables": {"module": "a"}, "sensitive_variables": secret, "binary": binary}
    backend = {"type": "local", "config": {"path": "other.tfstate"}}
    options["backend"] = backend
    assert stack.apply(check=True, **options)["outputs"] == {"name": "a"}
    logs = []
    for more in ({}, {}, {"check": True}, {"workspace": "blue"}, {"workspace": "blue", "check": True}):
        result = stack.apply(**options, **more)
        assert result["outputs"] == {"name": "a"}
        logs += [] if result["log_path"] is None else [result]
    for command in ("init", "plan", "show", "apply", "output", "workspace"):
        calls = [count for result in logs for count in variable_files(result, command)]
        assert set(calls) == {2}, command
    assert stack.run(DRIFT, **options)["drifted"] is False
    del options["variables"]
    assert stack.apply(state="absent", **options)["summary"]["destroy"] == 1
    assert ("encrypted_data" in (stack.work_dir / "other.tfstate").read_text()) is IS_TOFU
    assert secret["passphrase"] not in "".join(
        path.read_text() for path in (stack.work_dir / ".terraform_stack/logs").glob("*")
    )


def wrapper(stack: Stack, text: str) -> str:
    path = stack.work_dir.parent / "bin" / NAME
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.fault(30)
@pytest.mark.parametrize("done", [True, False])
def test_a_terraform_that_was_killed_is_told_by_this_run_and_the_next(stack: Stack, done: bool) -> None:
    do = f'"{BINARY}" "$@"' if done else "true"
    binary = wrapper(stack, f'[ "$1" != apply ] || {{ {do}; kill -9 $$; }}\nexec "{BINARY}" "$@"')
    result = stack.fail(binary=binary)
    assert f"{NAME} apply was killed (SIGKILL) after" in result["msg"]
    assert "its state may lack what it did last, and may still be locked." in result["msg"]
    assert result["changed"] is done
    following = stack.apply()
    assert "The last apply here, of" in str(following["warnings"])
    assert "was killed (SIGKILL)" in str(following["warnings"])
    assert following["changed"] is not done
    assert not (stack.work_dir / ".terraform_stack/run.json").exists(), "once is enough"
    assert not list(stack.work_dir.rglob("plan.tfplan"))


@pytest.mark.fault(30)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGSEGV])
def test_a_plan_that_was_killed_has_changed_nothing(stack: Stack, number: signal.Signals) -> None:
    binary = wrapper(stack, f'[ "$1" != plan ] || kill -{int(number)} $$\nexec "{BINARY}" "$@"')
    result = stack.fail(binary=binary)
    said = rf"{NAME} plan was killed \({number.name}\) after [0-9]+ s: nothing was changed\."
    assert re.search(said, result["msg"])
    assert result["changed"] is False


@pytest.mark.fault(31)
@pytest.mark.parametrize("name", ["./bin/{}", "bin/{}", "{}"])
def test_relative_paths_mean_what_they_mean_where_the_play_runs(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    here = stack.work_dir.parent
    wrapper(stack, f'exec "{BINARY}" "$@"')
    monkeypatch.chdir(here)
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", "terraform.rc")
    monkeypatch.setenv("PATH", os.pathsep.join(["bin", os.environ["PATH"]]))
    options: dict[str, Any] = {"binary": name.format(NAME), "source": "source", "work_dir": "work"}
    result = stack.apply(**options)
    assert f"$ {here}/bin/{NAME} apply" in Path(result["log_path"]).read_text()
    stack.write(TOY)
    assert "failed to instantiate provider" in stack.fail(**options)["msg"]
    assert locked(stack.work_dir) == ["1.2.0"], "from the mirror that the relative file names"
    (stack.source / "main.tf").write_text(CONFIG)
    assert stack.apply(check=True, **options)["changed"] is False
    assert "terraform.rc is ignored" not in str(result.get("warnings"))


@pytest.mark.fault(31)
def test_what_is_neither_terraform_nor_opentofu_is_refused(stack: Stack) -> None:
    for text, message in (
        ("echo Packer v1.16.0", "is neither Terraform nor OpenTofu: asked for its version it says: Packer"),
        ("echo Terraform v1.9.8", "is version 1.9.8; 1.10 or later is needed"),
        ("echo broken >&2; exit 1", "it says: broken"),
    ):
        assert message in stack.fail(binary=wrapper(stack, text))["msg"]
    assert not stack.work_dir.exists()


@pytest.mark.fault(31)
def test_a_warning_behind_the_outputs_is_none_of_them(stack: Stack) -> None:
    stack.write(CONFIG + 'output "a" {\n  value = { b = [1] }\n}\n')
    backend = {"type": "local", "config": {"path": "other.tfstate"}}  # so that the tool is asked
    text = (
        f'"{BINARY}" "$@"; code=$?; [ "$1" != output ] || printf "\\nWarning: {{Value}} [x]\\n"; exit $code'
    )
    options: dict[str, Any] = {"binary": wrapper(stack, text), "backend": backend}
    assert stack.apply(**options)["outputs"] == {"a": {"b": [1]}}
    result = stack.apply(**options)
    assert (commands(result), result["outputs"]) == (["plan", "output"], {"a": {"b": [1]}})


@pytest.mark.fault(31)
def test_the_lookup_needs_no_program_where_it_reads_the_state(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.apply()
    monkeypatch.setenv("PATH", "/nowhere")
    for workspace in (None, "default"):
        assert read_outputs(stack.work_dir, None, workspace, os.environ) == ({}, [])
    with pytest.raises(TerraformError, match="Neither terraform nor tofu is on PATH"):
        read_outputs(stack.work_dir, None, "blue", os.environ)
    with pytest.raises(TerraformError, match="There is no program no-such"):
        read_outputs(stack.work_dir, "no-such", None, os.environ)
