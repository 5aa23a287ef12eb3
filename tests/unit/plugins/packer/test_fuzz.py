"""Packer's output as it should not be: cut off, mixed up, of other versions, or not Packer's at all."""

from __future__ import annotations

import json

from ansible_collections.iac.ds_stack.plugins.module_utils._packer.output import BuildReader
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.progress import ProgressLines
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.records import parse_record
from hypothesis import given
from hypothesis import strategies as st

BUILDS = ("amazon-ebs.one", "amazon-ebs.two", "null.three")

#: What people write: no control characters, which are taken out of everything that is shown, and no
#: backslashes, which Packer does not escape, so that those before an n or an r look like its own.
CHARACTERS = st.characters(exclude_categories=("C", "Z"), exclude_characters="\\")
WORDS = st.text(CHARACTERS, min_size=1, max_size=40)


def escaped(text: str) -> str:
    return text.replace(",", "%!(PACKER_COMMA)").replace("\r", "\\r").replace("\n", "\\n")


def ui(text: str, level: str = "message") -> str:
    return f"1795464818,,ui,{level},{escaped(text)}"


def failing_task(build: str, task: str, message: str) -> list[str]:
    """The output of a build whose ansible provisioner fails."""
    result = json.dumps({"changed": False, "msg": message})
    return [
        ui(f"==> {build}: Provisioning with Ansible...", "say"),
        ui(f"    {build}: Executing Ansible: ansible-playbook image.yml"),
        ui(f"    {build}: TASK [{task}] ****"),
        ui(f"    {build}: fatal: [default]: FAILED! => {result}"),
        ui(f"    {build}: PLAY RECAP ****"),
        ui(
            f"==> {build}: Provisioning step had errors: Running the cleanup provisioner, if present...",
            "say",
        ),
        f"1795464818,{build},error,Error executing Ansible: Non-zero exit status: exit status 2",
    ]


def failing_script(build: str, message: str) -> list[str]:
    """The output of a build that fails with an error of its own."""
    return [
        ui(f"==> {build}: Provisioning with shell script: /tmp/x", "say"),
        ui(f"Build '{build}' errored after 2 seconds: {message}", "error"),
        f"1795464818,{build},error,{escaped(message)}",
    ]


NOISE = st.one_of(
    st.text(),
    st.builds("{},{},{},{}".format, st.integers(), st.text(), WORDS, st.text()),
    st.builds(
        lambda kind, text: f"1795464818,,{kind},{text}", st.sampled_from(["ui", "version", "new"]), WORDS
    ),
    st.builds(lambda text: f"1795464818,,ui,say,==> other.build: {text}", WORDS),
    st.sampled_from(["1795464818,,ui", "1795464818,,ui,error", ",,,", "panic: runtime error", '{"json": 1}']),
)


@st.composite
def merged(draw: st.DrawFn, sources: list[list[str]]) -> list[str]:
    """The lines of several writers: each writer's own in order, noise between."""
    rest = [list(source) for source in sources]
    lines: list[str] = []
    while any(rest):
        if draw(st.integers(0, 3)) == 0:
            lines.append(draw(NOISE))
        lines.append(draw(st.sampled_from([source for source in rest if source])).pop(0))
    return lines


@given(st.data(), st.lists(WORDS, min_size=3, max_size=3), WORDS)
def test_no_error_is_lost(data: st.DataObject, messages: list[str], task: str) -> None:
    sources = [
        failing_task(BUILDS[0], task, messages[0]),
        failing_script(BUILDS[1], messages[1]),
        failing_task(BUILDS[2], task, messages[2]),
    ]
    reader = BuildReader()
    for line in data.draw(merged(sources)):
        reader.feed(line)
    failure = reader.failure() or ""
    assert f"{BUILDS[0]}: Task '{task}' failed: {messages[0]}" in failure
    assert f"{BUILDS[1]}: {messages[1]}" in failure
    assert f"{BUILDS[2]}: Task '{task}' failed: {messages[2]}" in failure


@given(WORDS, st.integers(min_value=0))
def test_an_error_before_the_cut_is_kept(message: str, kept: int) -> None:
    """The output ends anywhere: Packer was killed, or the disk is full."""
    head = "\n".join(failing_script(BUILDS[1], message)) + "\n"
    tail = "\n".join(failing_task(BUILDS[0], "base : Install", "no package"))
    reader = BuildReader()
    for line in (head + tail[: kept % (len(tail) + 1)]).split("\n"):
        reader.feed(line)
    assert f"{BUILDS[1]}: {message}" in (reader.failure() or "")


@given(st.lists(st.one_of(NOISE, st.sampled_from(failing_task(BUILDS[0], "a : b", "c")))))
def test_nothing_raises(lines: list[str]) -> None:
    reader = BuildReader()
    shown: list[str] = []
    progress = ProgressLines(shown.append)
    for line in lines:
        for event in reader.feed(line):
            progress.show(event)
        progress.tick()
    reader.failure()
    assert all(line[:6].strip() for line in shown), "each has its time"


@given(st.lists(st.text()))
def test_what_was_escaped_comes_back(fields: list[str]) -> None:
    """But for backslashes, which Packer does not escape, and the ends of lines."""
    fields = [field.replace("\\", "/").replace("\r", "") for field in fields]
    record = parse_record(",".join(["1", "target", "kind", *map(escaped, fields)]) + "\r\n")
    assert record is not None
    assert record.data == tuple(fields)
