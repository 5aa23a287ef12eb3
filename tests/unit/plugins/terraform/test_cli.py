"""Environment, errors and the record of a run."""

from __future__ import annotations

import fcntl
import json
import os
import re
import sys
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._run import log
from ansible_collections.iac.ds_stack.plugins.module_utils._run.outcome import Finished
from ansible_collections.iac.ds_stack.plugins.module_utils._run.progress import Progress, plain
from ansible_collections.iac.ds_stack.plugins.module_utils._run.secrets import Scrubber
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform import cli, hints
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.errors import InitNeeded, TerraformError
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.events import Diagnostic
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.record import Record
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.resolve import clean_environment
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.tool import TERRAFORM, Release, Tool
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.tree import Tree

RECORDINGS = Path(__file__).parents[1] / "fixtures/terraform"


def test_the_environment_is_cleaned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rc = tmp_path / "terraformrc"
    rc.touch()
    kept, warnings = clean_environment(
        {
            "PATH": "/bin",
            "AWS_PROFILE": "p",
            "TF_VAR_x": "1",
            "TF_CLI_CONFIG_FILE": str(rc),
            "TF_CLI_ARGS_plan": "-destroy",
            "TF_CLI_ARGS": "-x",
            "TF_WORKSPACE": "w",
            "TF_LOG": "json",
            "TF_LOG_PATH": "/tmp/log",
            "TF_DATA_DIR": "/tmp/data",
            "TF_INPUT": "1",
        }
    )
    assert kept == {
        "PATH": "/bin",
        "AWS_PROFILE": "p",
        "TF_VAR_x": "1",
        "TF_CLI_CONFIG_FILE": str(rc),
        "TF_INPUT": "0",
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
    }
    assert len(warnings) == 6
    monkeypatch.chdir(tmp_path)
    kept, warnings = clean_environment({"TF_CLI_CONFIG_FILE": "terraformrc", "AWS_CA_BUNDLE": "ca/x.pem"})
    assert kept["TF_CLI_CONFIG_FILE"] == str(rc), "Terraform runs in another folder"
    assert kept["AWS_CA_BUNDLE"] == str(tmp_path / "ca/x.pem")
    assert warnings == []
    rc.unlink()
    kept, warnings = clean_environment({"TF_CLI_CONFIG_FILE": str(rc)})
    assert "TF_CLI_CONFIG_FILE" not in kept
    assert f"there is no file {rc}" in warnings[0]


LOCKED = Diagnostic(
    "error",
    "Error acquiring the state lock",
    """Error message: operation error S3: PutObject, https response error StatusCode: 412,
RequestID: 4fb9a7ac, HostID: x, api error PreconditionFailed
Lock Info:
  ID:        8f0b1c9e-2d5f
  Path:      bucket/key.tfstate
  Operation: OperationTypeApply
  Who:       ada@desk
  Version:   1.11.4
  Created:   2026-11-23 18:14:37.25 +0000 UTC
  Info:

Terraform acquires a state lock to protect the state.""",
)


def test_a_state_lock_is_explained() -> None:
    now = datetime(2026, 11, 23, 20, 19, 37, tzinfo=timezone.utc).timestamp()
    hint = hints.lock_hint(LOCKED, "cd /stacks/demo && tofu", now)
    assert hint is not None
    assert hint.startswith("The state is locked by ada@desk (OperationTypeApply, 2 h 5 min ago).")
    assert hint.endswith("free the lock: cd /stacks/demo && tofu force-unlock 8f0b1c9e-2d5f")
    assert hints.lock_hint(Diagnostic("error", "Something else"), "", now) is None
    assert hints.lock_hint(Diagnostic("error", "Error acquiring the state lock"), "", now) is None


@pytest.fixture
def fake(tmp_path: Path) -> cli.Cli:
    """A Cli whose binary is a program that does what the test says."""
    binary = tmp_path / "terraform"
    binary.write_text(
        f"#!{sys.executable} -IS\nimport sys\nexec(open({str(tmp_path / 'program')!r}).read())\n"
    )
    binary.chmod(0o755)
    scrubber = Scrubber(["my-secret"])
    tree = Tree({"main.tf": Path("/source/main.tf")})
    return cli.Cli(
        Tool(str(binary), release=Release(TERRAFORM, "1.11.4")),
        tmp_path,
        dict(os.environ),
        tree,
        log.Log(tmp_path / "log", scrubber),
        scrubber,
        Progress(None),
    )


def program(fake: cli.Cli, code: str) -> None:
    (fake.directory / "program").write_text(code)


def test_a_failure_is_told_to_a_user_of_no_name_and_no_home(
    fake: cli.Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(fake, "sys.exit('no such disk')")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    with pytest.raises(TerraformError, match="no such disk"):
        replace(fake, environment={}).events(["plan"])


def test_text_without_diagnostics_is_not_lost(fake: cli.Cli) -> None:
    program(fake, "print('panic: my-secret'); print('goroutine 1', file=sys.stderr); sys.exit(11)")
    with pytest.raises(TerraformError) as caught:
        fake.events(["plan"])
    assert caught.value.message == (
        f"terraform plan failed: panic: (sensitive)\ngoroutine 1\nFull text: {fake.directory}/log"
    )
    log = (fake.directory / "log").read_text()
    assert "panic: (sensitive)" in log
    assert "goroutine 1" in log


def test_a_silent_failure(fake: cli.Cli) -> None:
    program(fake, "sys.exit(7)")
    with pytest.raises(TerraformError, match="terraform plan failed with exit code 7"):
        fake.events(["plan"])


def test_a_diagnostic_names_the_source_not_the_copy(fake: cli.Cli) -> None:
    event = {
        "type": "diagnostic",
        "diagnostic": {
            "severity": "error",
            "summary": "Bad my-secret",
            "detail": "d",
            "range": {"filename": "main.tf", "start": {"line": 3}},
        },
    }
    program(fake, f"print({json.dumps(event)!r}); sys.exit(1)")
    with pytest.raises(TerraformError) as caught:
        fake.events(["plan"])
    assert "Bad (sensitive) (/source/main.tf:3)" in caught.value.message


def test_an_error_that_asks_for_init_is_known(fake: cli.Cli) -> None:
    event = {
        "type": "diagnostic",
        "diagnostic": {
            "severity": "error",
            "summary": "Module not installed",
            "detail": 'Run "terraform init"',
        },
    }
    program(fake, f"print({json.dumps(event)!r}); sys.exit(1)")
    with pytest.raises(InitNeeded):
        fake.events(["plan"])


def test_text_that_asks_for_init_is_known(fake: cli.Cli) -> None:
    said = "\n\x1b[31m│ Error: \x1b[0mBackend initialization required\n│ Please\n"
    program(fake, f"print({said!r}, file=sys.stderr); sys.exit(1)")
    with pytest.raises(InitNeeded):
        fake.text(["workspace", "list"])


@pytest.mark.fault(29)
@pytest.mark.parametrize("folder", ["terraform-1.15.9", "opentofu-1.12.6"])
@pytest.mark.parametrize(
    "name",
    ["provider-gone.plan", "provider-gone.plan-human", "module-source-changed.plan", "backend-changed.plan"],
)
def test_the_tools_of_today_ask_for_init(fake: cli.Cli, folder: str, name: str) -> None:
    said = (RECORDINGS / folder / f"{name}.txt").read_text()
    program(fake, f"print({said!r}); sys.exit(1)")
    with pytest.raises(InitNeeded):
        fake.events(["plan"])


@pytest.mark.fault(29)
@pytest.mark.parametrize("folder", ["terraform-1.15.9", "opentofu-1.12.6"])
def test_they_do_so_to_people_too(fake: cli.Cli, folder: str) -> None:
    said = (RECORDINGS / folder / "provider-gone.plan-human.txt").read_text()
    program(fake, f"print({said!r}, file=sys.stderr); sys.exit(1)")
    with pytest.raises(InitNeeded):
        fake.text(["workspace", "list"])


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    "said",
    [
        '{"a": [1]}\n',
        '{"a": [1]}\n\n╷\n│ Warning: Value for undeclared variable\n│ {"not": "this"}\n',
        'Warning: something\n\n{broken\n{"a": [1]}',
        '{\n  "a": [\n    1\n  ]\n}\nWarning: x',
    ],
)
def test_a_document_is_found_between_warnings(fake: cli.Cli, said: str) -> None:
    program(fake, f"sys.stdout.write({said!r})")
    assert fake.document(["output", "-json"]) == {"a": [1]}


@pytest.mark.fault(30)
@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (15, "SIGTERM"), (11, "SIGSEGV")])
def test_a_terraform_that_was_killed_is_told_as_such(fake: cli.Cli, number: int, name: str) -> None:
    event = {"type": "apply_complete", "hook": {"resource": {"addr": "a.b"}, "action": "create"}}
    program(fake, f"import os; print({json.dumps(event)!r}, flush=True); os.kill(os.getpid(), {number})")
    with pytest.raises(TerraformError) as caught:
        fake.events(["apply"])
    error = caught.value
    said = rf"terraform apply was killed \({name}\) after [0-9]+ s: its state may lack what it did last"
    assert re.search(said, error.message)
    assert (error.killed, error.changed, error.interrupted) == (True, True, None)
    program(fake, f"import os; os.kill(os.getpid(), {number})")
    with pytest.raises(TerraformError, match=rf"was killed \({name}\) after \d+ s: nothing was changed"):
        fake.events(["plan"])


CRASH = """
Stack trace from the terraform-provider-aws_v5.100.0_x5 plugin:

panic: runtime error: my-secret or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1]

goroutine 1 [running]:
main.init()

Error: The terraform-provider-aws_v5.100.0_x5 plugin crashed!
"""


@pytest.mark.fault(30)
def test_a_provider_that_broke_is_named_with_its_reason(fake: cli.Cli) -> None:
    event = {
        "type": "diagnostic",
        "diagnostic": {"severity": "error", "summary": "Plugin did not respond", "detail": "EOF"},
    }
    program(fake, f"print({json.dumps(event)!r}); print({CRASH!r}, file=sys.stderr); sys.exit(1)")
    with pytest.raises(TerraformError) as caught:
        fake.events(["apply"])
    assert "Plugin did not respond" in caught.value.message
    assert (
        "terraform-provider-aws_v5.100.0_x5: panic: runtime error: (sensitive) or nil pointer dereference"
        in caught.value.message
    )
    assert "goroutine" not in caught.value.message
    for line in ("fatal error: out of memory", "panic: not a plugin's"):
        program(fake, f"print({json.dumps(event)!r}); print({line!r}, file=sys.stderr); sys.exit(1)")
        with pytest.raises(TerraformError, match=line):
            fake.events(["plan"])


def test_variables_reach_the_commands_that_take_them(fake: cli.Cli) -> None:
    program(fake, "print(' '.join(sys.argv[1:]))")
    given = replace(fake, var_files=[Path("/a"), Path("/b")])
    assert given.text(["init", "-json"]) == "init -var-file=/a -var-file=/b -json\n"
    assert given.text(["workspace", "select", "-or-create", "x"]) == "workspace select -or-create x\n"
    tofu = replace(given, tool=Tool(fake.tool.path, release=Release("OpenTofu", "1.12.6")))
    assert (
        tofu.text(["workspace", "select", "-or-create", "x"])
        == "workspace select -var-file=/a -var-file=/b -or-create x\n"
    )


def test_a_document_that_is_none(fake: cli.Cli) -> None:
    program(fake, "print('no json')")
    with pytest.raises(TerraformError, match="terraform show did not print JSON"):
        fake.document(["show"])


def test_a_document_is_not_logged(fake: cli.Cli) -> None:
    program(fake, """print('{"value": "hidden"}'); print('note', file=sys.stderr)""")
    assert fake.document(["output"]) == {"value": "hidden"}
    log = (fake.directory / "log").read_text()
    assert "hidden" not in log
    assert "note" in log


def test_a_state_that_terraform_can_save_nowhere_is_kept(
    fake: cli.Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    state = {"version": 4, "lineage": "x", "resources": [{"secret": "hidden"}]}
    event = {"type": "log", "@message": "Emergency state dump", "state": state}
    program(fake, f"print({json.dumps(event)!r}); sys.exit(1)")
    monkeypatch.setattr(cli.Cli, "_refuges", [tmp_path / "full", home])
    with pytest.raises(TerraformError) as caught:
        fake.events(["apply"])
    (saved,) = home.glob("errored-*.tfstate")
    assert json.loads(saved.read_text()) == state
    assert saved.stat().st_mode & 0o777 == 0o600
    assert f"cd {tmp_path} && {fake.tool.by_hand} state push {saved}" in caught.value.message
    assert "hidden" not in caught.value.message + (tmp_path / "log").read_text()


def test_record(tmp_path: Path) -> None:
    record = Record(tmp_path / "run.json")
    assert record.unseen() is None
    callbacks = record.begin("apply", tmp_path / "log")
    assert callbacks.started is not None
    assert callbacks.ended is not None
    callbacks.started(os.getpid())
    with pytest.raises(
        TerraformError, match=rf"still runs as process {os.getpid()}.*kill -INT {os.getpid()}"
    ):
        record.unseen()
    callbacks.started(2**22 + 1)  # nobody has this number
    assert "was killed before its end" in str(record.unseen())
    callbacks.ended(Finished(1, "SIGTERM", duration=5), False)
    assert "was interrupted (SIGTERM) after 5 s and stopped" in str(record.unseen())
    callbacks.ended(Finished(-9, duration=5), False)
    assert "was killed (SIGKILL) after 5 s: its state may lack what it did last" in str(record.unseen())
    callbacks.ended(Finished(0), True)
    assert "ended with exit code 0 after the play was gone" in str(record.unseen())
    record.reported()
    assert record.unseen() is None
    (tmp_path / "run.json").write_text("{broken")
    assert record.unseen() is None


def test_old_logs_are_removed(tmp_path: Path) -> None:
    for index in range(30):
        (tmp_path / f"20260101T0000{index:02}.000Z-1.log").touch()
    new = log.new_log_path(tmp_path)
    new.touch()
    kept = sorted(tmp_path.glob("*.log"))
    assert len(kept) == log.LOGS_KEPT
    assert kept[-1] == new
    assert kept[0].name.startswith("20260101T000021")


def test_plain_text_has_no_escapes() -> None:
    assert plain("\x1b[1;31mred\x1b[0m\r\n\ttab\x07") == "red\n\ttab"


def test_progress_reaches_the_file_and_never_fails(tmp_path: Path) -> None:
    Progress(None).say("nobody listens")
    missing = Progress(str(tmp_path / "missing"))
    missing.say("nobody listens")
    assert missing.lease is not None
    assert missing.lease.lost()
    (tmp_path / "lines").touch()
    progress = Progress(str(tmp_path))
    progress.say("one\ntwo\n")
    assert (tmp_path / "lines").read_text() == "one\ntwo\n"
    with (tmp_path / "lease").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lease = Progress(str(tmp_path)).lease
        assert lease is not None
        assert not lease.lost()
    assert lease.lost()


def test_progress_that_cannot_be_followed_is_returned() -> None:
    progress = Progress("return")
    pid = os.fork()
    if pid == 0:
        progress.say("from the supervisor")
        os._exit(0)
    os.waitpid(pid, 0)
    progress.say("from the module")
    assert progress.result() == {"progress": ["from the supervisor", "from the module"]}
    assert progress.lease is None
    assert Progress(None).result() == {}


def test_the_time_that_is_left_is_the_timeout(fake: cli.Cli) -> None:
    program(fake, "import time; time.sleep(20)")
    hurried = replace(fake, deadline=time.monotonic() + 0.3)
    with pytest.raises(TerraformError, match=r"was interrupted \(timeout\)") as caught:
        hurried.text(["workspace", "list"])
    assert caught.value.interrupted == "timeout"
