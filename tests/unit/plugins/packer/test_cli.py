"""What surrounds Packer: its environment, its log, the lines on the console, the folder it runs in."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._packer import workdir
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.cli import (
    Packer,
    _last_words,
    environment,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.fingerprint import entries, layered_entries
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.template import declared_variables
from ansible_collections.iac.ds_stack.plugins.module_utils._run.files import write_private_json
from ansible_collections.iac.ds_stack.plugins.module_utils._run.log import Log, new_log_path
from ansible_collections.iac.ds_stack.plugins.module_utils._run.outcome import Finished
from ansible_collections.iac.ds_stack.plugins.module_utils._run.secrets import Scrubber

ALWAYS = {
    "CHECKPOINT_DISABLE": "1",
    "PACKER_NO_COLOR": "1",
    "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    "ANSIBLE_DISPLAY_OK_HOSTS": "True",
    "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "True",
    "ANSIBLE_NOCOLOR": "True",
    "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
}
KEYS = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S", "AWS_SESSION_TOKEN": "T"}


@pytest.mark.parametrize(
    ("base", "connection", "expected"),
    [
        ({"PATH": "/bin", **KEYS}, {}, {"PATH": "/bin", **KEYS}),
        ({"PKR_VAR_x": "1", "PACKER_LOG": "1", "PACKER_LOG_PATH": "/x"}, {}, {}),
        (
            {"PACKER_PLUGIN_PATH": "/p", "PKR_VARIOUS": "1"},
            {},
            {"PACKER_PLUGIN_PATH": "/p", "PKR_VARIOUS": "1"},
        ),
        (
            {"AWS_PROFILE": "other", "AWS_SESSION_TOKEN": "old"},
            {"access_key": "A", "secret_key": "S", "session_token": None},
            {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S"},
        ),
        # What is meant for the caller's own play is none of the bake's.
        (
            {"ANSIBLE_STDOUT_CALLBACK": "dense", "ANSIBLE_FORCE_COLOR": "1", "ANSIBLE": "x"},
            {},
            {"ANSIBLE": "x"},
        ),
        (
            {
                "ANSIBLE_BECOME": "False",
                "ANSIBLE_GATHERING": "explicit",
                "ANSIBLE_GATHER_SUBSET": "!all",
                "ANSIBLE_VAULT_PASSWORD_FILE": "/gone",
                "ANSIBLE_CALLBACK_FORMAT_PRETTY": "True",
                "ANSIBLE_DISPLAY_FAILED_STDERR": "True",
                "_ANSIBLE_COVERAGE_CONFIG": "/x",
            },
            {},
            {},
        ),
        # Packer counts its looks at an image by these, boto3 the tries of a call.
        (
            {"AWS_MAX_ATTEMPTS": "3", "AWS_POLL_DELAY_SECONDS": "1", "AWS_TIMEOUT_SECONDS": "2"},
            {},
            {},
        ),
        ({"AWS_RETRY_MODE": "adaptive"}, {}, {"AWS_RETRY_MODE": "adaptive"}),
        (KEYS, {"profile": "team"}, {"AWS_PROFILE": "team"}),
        (
            {"AWS_ENDPOINT_URL": "http://old"},
            {"endpoint_url": "http://new", "region": "eu-central-1", "aws_ca_bundle": "/ca"},
            {"AWS_ENDPOINT_URL": "http://new", "AWS_REGION": "eu-central-1", "AWS_CA_BUNDLE": "/ca"},
        ),
    ],
)
def test_environment(base: dict, connection: dict, expected: dict) -> None:
    assert environment(base, connection) == {**expected, **ALWAYS}


def test_the_log_is_readable_private_and_without_secrets(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", Scrubber(["hunter2,hunter2"]), timed=True)
    packer = Packer("packer", tmp_path, {}, log)
    text = "\x1b[32mpassword hunter2,hunter2\x1b[0m, b".replace(",", "%!(PACKER_COMMA)")
    packer._note(f"1,,ui,message,    null.one: {text}\\nc".encode())
    packer._note(b"1,null.one,artifact,0,id,Null")
    packer._note(b"panic: \xff something")
    log.close()
    lines = [line[9:] for line in (tmp_path / "log").read_text().splitlines()]
    assert lines == ["    null.one: password (sensitive), b", "c", "panic: \ufffd something"]
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_paths_mean_the_same_from_the_folder_where_packer_runs() -> None:
    here = Path.cwd()
    given = {
        "PACKER_PLUGIN_PATH": "plugins",
        "AWS_CONFIG_FILE": "../aws",
        "AWS_CA_BUNDLE": "/c",
    }
    assert {name: environment(given, {})[name] for name in given} == {
        "PACKER_PLUGIN_PATH": str(here / "plugins"),
        "AWS_CONFIG_FILE": str(here / "../aws"),
        "AWS_CA_BUNDLE": "/c",
    }


@pytest.fixture
def template(tmp_path: Path) -> Path:
    folder = tmp_path / "template"
    (folder / "files").mkdir(parents=True)
    (folder / "a.pkr.hcl").write_text(
        """
        variable "one" { default = "variable \\"not_this\\" {}" }
        # variable "nor_this" {}
        variable "two" {
          type = string
        }
        """
    )
    (folder / "b.pkr.json").write_text(json.dumps({"variable": {"three": {}, "four": {"type": "string"}}}))
    (folder / "c.pkr.json").write_text(json.dumps({"variable": [{"five": {}}, {"six": {}}]}))
    (folder / "d.pkr.json").write_text("broken")
    (folder / "e.pkr.hcl").write_text(
        'variable seven {\n}\nvariables {\n  eight = 1\n  nine = {\n    inner = "x = 1"\n  }\n}\n'
        'variables { ten = "}" }\nlocals {\n  eleven = 1\n}\n'
    )
    (folder / "f.pkr.json").write_text(json.dumps({"variables": {"twelve": "", "thirteen": 1}}))
    (folder / "files" / "deep.pkr.hcl").write_text('variable "not_read" {}')
    (folder / "files" / "run").write_text("#!/bin/sh\n")
    (folder / "files" / "run").chmod(0o555)
    return folder


def test_declared_variables(template: Path) -> None:
    names = "one two three four five six seven eight nine ten twelve thirteen"
    assert declared_variables(entries(template)) == set(names.split())


def test_the_folder_follows_the_template_and_keeps_what_is_not_of_it(tmp_path: Path, template: Path) -> None:
    work = workdir.WorkDir(tmp_path / "work")
    work.create()
    (work.path / "mine.txt").write_text("mine")
    work.lay_out(entries(template))
    work.lay_out(entries(template))  # over files that may be read only
    run = work.path / "files" / "run"
    assert run.stat().st_mode & 0o777 == 0o755
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    (overlay / "a.pkr.hcl").write_text("from the overlay")
    (template / "files" / "run").unlink()
    work.lay_out(layered_entries([template, overlay]))
    assert (work.path / "a.pkr.hcl").read_text() == "from the overlay"
    assert not run.exists()
    assert (work.path / "mine.txt").exists()


def test_strays(tmp_path: Path, template: Path) -> None:
    work = workdir.WorkDir(tmp_path / "work")
    files = entries(template)
    assert work.strays(files) == []
    work.create()
    work.lay_out(files)
    write_private_json(work.variables, {})
    new_log_path(work.logs, "x").touch()
    work.lock.touch()
    (work.path / "old~").touch()
    assert work.strays(files) == []
    assert work.strays([]) == [], "they go with their template"
    (work.path / "sub").mkdir()
    (work.path / "sub" / "made").write_text("1")
    (work.path / "x.auto.pkrvars.json").write_text("{}")
    assert work.strays(files) == ["sub/made", "x.auto.pkrvars.json"]
    work.note_made()
    assert work.strays(files) == []
    (work.path / "sub" / "made").write_text("2")
    assert work.strays(files) == ["sub/made"]


def test_memory_of_bakes_and_attempts(tmp_path: Path) -> None:
    work = workdir.WorkDir(tmp_path)
    assert (work.last_bake(), work.attempts.read()) == (None, None)
    bake = workdir.Bake("ami-1", "f", {"template": {"a": "x"}}, {"base_image_id": "ami-0"})
    attempt = workdir.BakeAttempt(
        run_id="id", log_path="/log", pid=1, birth="birth", outcome="ended", succeeded=True
    )
    work.note_bake(bake)
    work.attempts.note(attempt)
    assert (work.last_bake(), work.attempts.read()) == (bake, attempt)
    work.attempts.reported()
    work.attempts.reported()
    assert work.attempts.read() is None
    (tmp_path / ".bake.json").write_text('{"of": "another version"}')
    assert work.last_bake() is None
    (tmp_path / ".bake.json").write_text("half a fi")
    assert work.last_bake() is None


def test_a_manifest_loses_what_is_sensitive(tmp_path: Path) -> None:
    work = workdir.WorkDir(tmp_path)
    scrubber = Scrubber(["hunter2hunter2"])
    work.remove_secrets(scrubber)
    write_private_json(work.sensitive_variables, {"key": "hunter2hunter2"})
    work.manifest.write_text('{"custom_data": {"key": "hunter2hunter2"}}')
    work.remove_secrets(scrubber)
    assert json.loads(work.manifest.read_text()) == {"custom_data": {"key": "(sensitive)"}}
    assert not work.sensitive_variables.exists()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"panic: one%!(PACKER_COMMA) two", "exit code 9: panic: one, two"),
        (
            b"1,,ui,say,==> null.x: a%!(PACKER_COMMA)b\\nc\n1,null.x,artifact,0,end",
            "exit code 9: ==> null.x: a,b\nc",
        ),
        (b"secret%!(PACKER_COMMA)secret", "exit code 9: (sensitive)"),
        (b"", "exit code 9"),
    ],
)
def test_last_words_are_readable_and_without_secrets(tmp_path: Path, said: bytes, words: str) -> None:
    log = Log(tmp_path / "log", Scrubber(["secret,secret"]))
    assert log.clean(_last_words(Finished(9, stdout=said))) == words
    assert log.clean(_last_words(Finished(9, stdout=b"other", stderr=said))) == (
        words if said else "exit code 9: other"
    )


def test_the_newest_logs_are_kept(tmp_path: Path) -> None:
    work = workdir.WorkDir(tmp_path)
    work.create()
    for number in range(12):
        path = new_log_path(work.logs, f"bake-{number}")
        path.touch()
        os.utime(path, (number, number))
    assert sorted(path.stem for path in work.logs.iterdir()) == sorted(f"bake-{n}" for n in range(2, 12))
