"""The reader of Packer's machine-readable output, on lines that Packer 1.6.6 and newer ones print."""

import json

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.output import (
    Artifact,
    BuildReader,
    Event,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.records import Record, parse_record

BUILD = "amazon-ebs.ds_stack"


def ui(text: str, level: str = "message") -> str:
    """A line of output, escaped as Packer does."""
    text = text.replace(",", "%!(PACKER_COMMA)").replace("\r", "\\r").replace("\n", "\\n")
    return f"1795464818,,ui,{level},{text}"


def ansible(*lines: str, newer: bool = False) -> list[str]:
    """Lines of an ansible-playbook that the ansible provisioner runs."""
    said = [ui(f"==> {BUILD}: {line}", "say") if newer else ui(f"    {BUILD}: {line}") for line in lines]
    return [
        ui(f"==> {BUILD}: Provisioning with Ansible...", "say"),
        ui(f"    {BUILD}: Executing Ansible: ansible-playbook -e packer_build_name=ds_stack /x/image.yml"),
        *said,
    ]


FAILED = [
    ui(f"==> {BUILD}: Provisioning step had errors: Running the cleanup provisioner, if present...", "say"),
    ui(
        f"Build '{BUILD}' errored after 2 seconds: Error executing Ansible: exit status 2",
        "error",
    ),
    f"1795464818,{BUILD},error,Error executing Ansible: exit status 2",
]


def read(lines: list[str]) -> tuple[BuildReader, list[Event]]:
    reader = BuildReader()
    return reader, [event for line in lines for event in reader.feed(line)]


@pytest.mark.parametrize(
    ("line", "record"),
    [
        ("1,,ui,say,a%!(PACKER_COMMA) b\\nc", ("", "ui", ("say", "a, b\nc"))),
        ("1,null.one,artifact,0,id,Null", ("null.one", "artifact", ("0", "id", "Null"))),
        ("1,,error-count,1\n", ("", "error-count", ("1",))),
        ("1,null.one,artifact,0,end\r\n", ("null.one", "artifact", ("0", "end"))),
    ],
)
def test_records(line: str, record: tuple) -> None:
    parsed = parse_record(line)
    assert parsed is not None
    assert (parsed.target, parsed.kind, parsed.data) == record


@pytest.mark.parametrize("line", ["", "noise", "a,b,c,d", "1,2", "panic: interface conversion, and so on"])
def test_no_records(line: str) -> None:
    assert parse_record(line) is None
    assert BuildReader().feed(line) == []


def test_a_backslash_of_the_text_survives_in_lines() -> None:
    record = parse_record('1,,ui,message,{"a": "x\\ny"}')
    assert record == Record("", "ui", ("message", '{"a": "x\\ny"}'))


def test_steps_and_tasks_become_events() -> None:
    _reader, events = read(
        [
            ui(f"==> {BUILD}: Creating temporary keypair: packer_1, really", "say"),
            ui(f"    {BUILD}: Instance ID: i-1"),
            *ansible(
                "PLAY [Image] ****",
                "TASK [base : Install packages] ****",
                f"changed: [{BUILD}] => (item=a)",
                f"changed: [{BUILD}] => (item=b)",
                "TASK [base : For others] ****",
                f"skipping: [{BUILD}]",
            ),
            ui(f"    {BUILD}: RUNNING HANDLER [web_proxy : Reload nginx] ***"),
            ui(f"    {BUILD}: \x1b[0;32mok: [{BUILD}]\x1b[0m"),
            ui(f"    {BUILD}: PLAY RECAP ****"),
            ui(f"==> {BUILD}: Stopping the source instance...", "say"),
            ui("\n==> Builds finished. The artifacts of successful builds are:", "say"),
            ui(f"--> {BUILD}: AMIs were created:\nus-east-1: ami-1\n", "say"),
        ]
    )
    assert events == [
        Event("step", BUILD, "Creating temporary keypair: packer_1, really"),
        Event("step", BUILD, "Provisioning with Ansible..."),
        Event("task", BUILD, "base : Install packages"),
        Event("result", BUILD, "changed"),
        Event("result", BUILD, "changed"),
        Event("task", BUILD, "base : For others"),
        Event("result", BUILD, "skipping"),
        Event("task", BUILD, "web_proxy : Reload nginx"),
        Event("result", BUILD, "ok"),
        Event("step", BUILD, "1 of 3 tasks changed something"),
        Event("step", BUILD, "Stopping the source instance..."),
    ]


def test_newer_versions_print_ansible_as_steps() -> None:
    _reader, events = read(
        [
            *ansible(
                "PLAY [Image] ***", "TASK [base : One] ***", f"ok: [{BUILD}]", "PLAY RECAP ***", newer=True
            ),
            ui(f"==> {BUILD}: Stopping the source instance...", "say"),
        ]
    )
    assert [event.text for event in events] == [
        "Provisioning with Ansible...",
        "base : One",
        "ok",
        "0 of 1 tasks changed something",
        "Stopping the source instance...",
    ]


@pytest.mark.parametrize("newer", [False, True])
def test_a_failed_task_is_named_with_its_message(newer: bool) -> None:
    result = json.dumps({"changed": False, "msg": "No package 'x', \"y\" or z\nis available\\n", "rc": 100})
    reader, _events = read(
        [
            *ansible(
                "TASK [base : Install, please] ****", f"fatal: [default]: FAILED! => {result}", newer=newer
            ),
            *FAILED,
        ]
    )
    assert reader.failure() == (
        f"{BUILD}: Task 'base : Install, please' failed: No package 'x', \"y\" or z\nis available\\n"
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            'fatal: [d]: UNREACHABLE! => {"msg": "Connection refused", "unreachable": true}',
            "Connection refused",
        ),
        (
            'fatal: [d]: FAILED! => {"dest": "/tmp/a", "msg": "The checksum did not match", "url": "https://u:p@b/a"}',
            "The checksum did not match\nURL: https://***@b/a",
        ),
        (
            'fatal: [d]: FAILED! => {"msg": "Request failed: https://b/a", "url": "https://b/a"}',
            "Request failed: https://b/a",
        ),
        ('failed: [d] (item=b, c) => {"msg": "no"}', "(item b, c) no"),
        (
            'fatal: [d]: FAILED! => {"msg": "non-zero return code", "stderr": "E: broken", "stdout": "a"}',
            "non-zero return code\nE: broken",
        ),
        (
            'fatal: [d]: FAILED! => {"msg": "non-zero return code", "stdout": "why"}',
            "non-zero return code\nwhy",
        ),
        ("fatal: [d]: FAILED! => {not json", "{not json"),
        ('fatal: [d]: FAILED! => {"changed": false}', '{"changed": false}'),
    ],
)
def test_the_words_of_a_failed_result(line: str, message: str) -> None:
    reader, _events = read([*ansible("TASK [a : b] ***", line), *FAILED])
    assert reader.failure() == f"{BUILD}: Task 'a : b' failed: {message}"


def test_a_playbook_that_cannot_be_read() -> None:
    reader, _events = read(
        [
            *ansible(
                "[ERROR]: YAML parsing failed: Colons in unquoted values must be followed by a space.",
                "Origin: /x/image.yml:9:30",
                "[ERROR]: something that follows from it",
            ),
            *FAILED,
        ]
    )
    assert reader.failure() == (
        f"{BUILD}: YAML parsing failed: Colons in unquoted values must be followed by a space."
    )


def test_an_ignored_failure_is_none() -> None:
    reader, _events = read(
        [
            *ansible(
                "TASK [a : ignored] ***",
                'fatal: [d]: FAILED! => {"msg": "first"}',
                "...ignoring",
                "TASK [a : other] ***",
            ),
            *FAILED,
        ]
    )
    assert "first" not in str(reader.failure()).splitlines()[0]


def test_a_rescued_failure_is_not_blamed_for_another_provisioner() -> None:
    reader, _events = read(
        [
            *ansible("TASK [a : rescued] ***", 'fatal: [d]: FAILED! => {"msg": "first"}', "PLAY RECAP ***"),
            ui(f"==> {BUILD}: Provisioning with shell script: /tmp/x", "say"),
            ui(f"    {BUILD}: about to fail"),
            ui(f"==> {BUILD}: on standard error", "error"),
            ui(f"==> {BUILD}: Provisioning step had errors: Running the cleanup provisioner...", "say"),
            ui(f"==> {BUILD}: Terminating the source AWS instance...", "say"),
            ui(f"    {BUILD}: cleaning up"),
            f"1,{BUILD},error,Script exited with non-zero exit status: 3",
        ]
    )
    assert reader.failure() == (
        f"{BUILD}: Script exited with non-zero exit status: 3\n"
        "Its last lines:\n  about to fail\n  on standard error"
    )


def test_one_of_two_builds_failed() -> None:
    reader, _events = read(
        [
            ui("==> null.two: Running local shell script: /tmp/x", "say"),
            ui("    null.two: failing"),
            ui("Build 'null.one' finished after 33 milliseconds 558 microseconds.", "say"),
            ui("Build 'null.two' errored after 46 milliseconds 733 microseconds: Script exited: 3.", "error"),
            "1,,error-count,1",
            ui("\n==> Some builds didn't complete successfully and had errors:", "error"),
            "1,null.two,error,Script exited: 3.",
            ui("--> null.two: Script exited: 3.", "error"),
            "1,null.one,artifact,0,id,Null",
        ]
    )
    assert reader.failure() == "null.two: Script exited: 3.\nIts last lines:\n  failing"
    assert reader.artifacts == [Artifact("null.one", "Null")]


def test_an_error_before_any_build() -> None:
    reader, _events = read(
        [ui('Error: Unsupported argument\n\n  on a.pkr.hcl line 3:\n\n"x" is not expected here.', "error")]
    )
    assert str(reader.failure()).startswith("Error: Unsupported argument")


def test_what_no_build_said_is_told_besides() -> None:
    reader, _events = read(
        [
            ui("Build 'null.one' errored after 1 second: Script exited: 3.", "error"),
            ui("the plugin has lost its connection, twice", "error"),
            ui("the plugin has lost its connection, twice", "error"),
            ui("\n==> Some builds didn't complete successfully and had errors:", "error"),
            "1,null.one,error,Script exited: 3.",
            ui("\n==> Builds finished but no artifacts were created.", "say"),
        ]
    )
    assert reader.failure() == "null.one: Script exited: 3.\nthe plugin has lost its connection, twice"


def test_several_errors_of_one_build_are_kept() -> None:
    reader, _events = read(["1,null.one,error,first", "1,null.one,error,second", "1,null.one,error,sec"])
    assert reader.failure() == "null.one: first\nsecond"


def test_no_failure() -> None:
    assert BuildReader().failure() is None


SCRIPT_FAILED = [
    ui("==> null.one: Provisioning step had errors: Running the cleanup provisioner, if present...", "say"),
    ui("Build 'null.one' errored after 2 seconds: Script exited with non-zero exit status: 100.", "error"),
    "1,null.one,error,Script exited with non-zero exit status: 100.",
]


def said(text: str, build: str = "null.one") -> str:
    """A line as today's Packer prints both its steps and what a script says."""
    return ui(f"==> {build}: {text}", "say")


@pytest.mark.fault(24)
@pytest.mark.parametrize(
    "output",
    [
        ["Reading package lists...", "E: Unable to locate package no-such-package"],
        ["status: error", "", "E: cloud-init: ('users_groups', ValueError('no such user'))"],
        ["TASK [not ours] ***", "fatal: [a]: FAILED! => {}", "E: a playbook that a script runs"],
        ["==> null.one: Creating a thing", "Build 'null.one' errored after 1 s: no", "E: like Packer's own"],
        ["one\\n==> two", "E: with a \\n of its own"],
    ],
)
@pytest.mark.parametrize("is_newer", [True, False])
def test_what_a_script_says_is_no_step_and_is_told_when_it_fails(output: list[str], is_newer: bool) -> None:
    lines = [said(line) if is_newer else ui(f"    null.one: {line}") for line in output]
    reader, events = read([said("Provisioning with shell script: /tmp/x"), *lines, *SCRIPT_FAILED])
    assert [event.text for event in events] == [
        "Provisioning with shell script: /tmp/x",
        "Failed: Script exited with non-zero exit status: 100.",
    ]
    told = str(reader.failure()).partition("Its last lines:\n")[2].splitlines()
    assert told[-1] == f"  {output[-1]}".replace("\\n", "\\n")
    assert len(told) == len([line for line in output if line])


@pytest.mark.fault(24)
def test_a_hundred_thousand_lines_of_output_are_not_shown() -> None:
    reader = BuildReader()
    events = reader.feed(said("Running local shell script: /tmp/x"))
    for number in range(100_000):
        events += reader.feed(said(f"line {number}"))
    events += reader.feed(said("Stopping the source instance..."))
    assert [event.text for event in events] == [
        "Running local shell script: /tmp/x",
        "Stopping the source instance...",
    ]


@pytest.mark.parametrize("step", ["Creating Ansible staging directory...", "Something that nobody knows"])
def test_where_records_tell_steps_apart_all_are_shown(step: str) -> None:
    script = said("Provisioning with shell script: /tmp/x")
    _reader, events = read([script, ui("    null.one: output"), said(step)])
    assert [event.text for event in events] == ["Provisioning with shell script: /tmp/x", step]
    _reader, events = read([script, said("output"), said(step)])
    assert len(events) == 1, "it may be output"
    assert [e.text for line in (script, said(step)) for e in BuildReader(told_apart=True).feed(line)][
        -1
    ] == step


def test_a_record_of_several_lines() -> None:
    record = f"1,,ui,say,==> {BUILD}: Not using Proxy adapter:\\n==> {BUILD}: \tUsing ssh keys from Packer"
    _reader, events = read([record, f"1,,ui,say,==> {BUILD}: One\\n==> {BUILD}: \\n==> {BUILD}: Two"])
    assert [event.text for event in events] == ["One", "Two"]


PRETTY = [
    "fatal: [default]: FAILED! => {",
    '    "assertion": "1 == 2",',
    '    "changed": false,',
    '    "msg": "first line\\nsecond, line"',
    "}",
]


@pytest.mark.fault(26)
@pytest.mark.parametrize("is_newer", [True, False])
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (PRETTY, "first line\nsecond, line"),
        (["failed: [default] (item=a) => {", *PRETTY[1:]], "(item a) first line\nsecond, line"),
        (PRETTY[:-1], '{\n    "assertion": "1 == 2",\n    "changed": false,\n    "msg": "first line'),
        (
            ["fatal: [default -> localhost]: FAILED! => ", "    changed: false", "    msg: no, not this"],
            "changed: false\nmsg: no, not this",
        ),
    ],
)
def test_a_result_of_several_lines(lines: list[str], message: str, is_newer: bool) -> None:
    """As assert prints it, a callback that is to be pretty, and one that writes YAML."""
    reader, _events = read(
        [*ansible("TASK [a : b] ***", *lines, "", "PLAY RECAP ***", newer=is_newer), *FAILED]
    )
    assert str(reader.failure()).startswith(f"{BUILD}: Task 'a : b' failed: {message}")


def recap(failed: int, rescued: int, host: str = "default") -> str:
    return f"{host} : ok=3 changed=0 unreachable=0 failed={failed} skipped=0 rescued={rescued} ignored=0"


def fatal(message: str, host: str = "default") -> str:
    return f'fatal: [{host}]: FAILED! => {{"msg": "{message}"}}'


@pytest.mark.fault(26)
@pytest.mark.parametrize("is_newer", [True, False])
@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        # Rescued, then another one that was not.
        (
            ["TASK [a] ***", fatal("1"), "TASK [b] ***", fatal("2"), "PLAY RECAP ***", recap(1, 1)],
            "Task 'b' failed: 2",
        ),
        # An always section goes on after the failure, and fails too.
        (
            ["TASK [a] ***", fatal("1"), "TASK [b] ***", fatal("2"), "PLAY RECAP ***", recap(2, 0)],
            "Task 'a' failed: 1",
        ),
        # Every item of a loop is one failure.
        (
            [
                "TASK [a] ***",
                'failed: [default] (item=x) => {"msg": "1"}',
                'failed: [default] (item=y) => {"msg": "2"}',
                "TASK [b] ***",
                fatal("3"),
                "PLAY RECAP ***",
                recap(1, 1),
            ],
            "Task 'b' failed: 3",
        ),
        # Ignored ones are none, whatever else there is.
        (
            [
                "TASK [a] ***",
                'failed: [default] (item=x) => {"msg": "1"}',
                'failed: [default] (item=y) => {"msg": "2"}',
                "...ignoring",
                "TASK [b] ***",
                fatal("3"),
                "PLAY RECAP ***",
                recap(1, 0),
            ],
            "Task 'b' failed: 3",
        ),
        # Another host was rescued.
        (
            [
                "TASK [a] ***",
                fatal("1", "one"),
                "TASK [b] ***",
                fatal("2", "two"),
                "PLAY RECAP ***",
                recap(1, 0, "one"),
                recap(0, 1, "two"),
            ],
            "Task 'a' failed: 1",
        ),
        # Rescued, and the playbook breaks later.
        (
            [
                "TASK [a] ***",
                fatal("1"),
                "TASK [b] ***",
                "ok: [default]",
                "[ERROR]: the role 'x' was not found",
            ],
            "the role 'x' was not found",
        ),
    ],
)
def test_the_task_that_ended_the_run_is_blamed(lines: list[str], reason: str, is_newer: bool) -> None:
    reader, _events = read([*ansible(*lines, newer=is_newer), *FAILED])
    assert reader.failure() == f"{BUILD}: {reason}"


@pytest.mark.fault(26)
def test_a_rescued_failure_is_not_blamed_when_ansible_is_killed() -> None:
    reader, _events = read(
        [*ansible("TASK [a] ***", fatal("1"), "TASK [b] ***", "ok: [default]", newer=True), *FAILED]
    )
    assert "Task 'a'" not in str(reader.failure()).splitlines()[0]


@pytest.mark.parametrize(
    "step", ["Stopping the source instance...", "Provisioning with shell script: /ansible.sh"]
)
def test_what_ansible_said_is_not_the_reason_of_what_follows(step: str) -> None:
    lines = ["TASK [a] ***", fatal("rescued"), "PLAY RECAP ***", recap(0, 1)]
    reader, _events = read(
        [
            *ansible(*lines, newer=True),
            said(step, BUILD),
            f"1,{BUILD},error,Error uploading /tmp/ansible.sh: no space left",
        ]
    )
    assert reader.failure() == f"{BUILD}: Error uploading /tmp/ansible.sh: no space left"
