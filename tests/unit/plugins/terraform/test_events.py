"""Terraform's event stream, also a damaged one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform import events
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# A busy machine is no finding.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


ERROR: dict[str, Any] = {
    "@level": "error",
    "@message": "Error: It broke",
    "@timestamp": "2026-11-23T20:14:37.254977Z",
    "diagnostic": {
        "severity": "error",
        "summary": "It broke",
        "detail": "In this way.",
        "address": "terraform_data.a",
        "range": {"filename": "main.tf", "start": {"line": 12, "column": 3}},
        "snippet": {"code": "  input = broken"},
    },
    "type": "diagnostic",
}


def hook(kind: str, action: str = "create", seconds: float = 0, **more: Any) -> dict[str, Any]:
    resource = {"resource": {"addr": "aws_instance.ds"}, "action": action, "elapsed_seconds": seconds, **more}
    return {"type": kind, "@message": kind, "hook": resource}


def test_a_diagnostic_with_all_it_says() -> None:
    diagnostic = events.diagnostic_of(ERROR)
    assert diagnostic is not None
    assert diagnostic.place == "terraform_data.a, main.tf:12"
    assert diagnostic.text() == "It broke (terraform_data.a, main.tf:12)\n    input = broken\nIn this way."
    assert events.log_text(ERROR) == f"20:14:37 Error: {diagnostic.text()}"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "diagnostic"},
        {"type": "diagnostic", "diagnostic": None},
        {"type": "diagnostic", "diagnostic": {"range": None, "snippet": 1, "address": 5}},
        {"type": "diagnostic", "diagnostic": {"range": {"filename": "a.tf", "start": {"line": "x"}}}},
    ],
)
def test_a_diagnostic_with_next_to_nothing(event: dict[str, Any]) -> None:
    diagnostic = events.diagnostic_of(event)
    assert diagnostic is not None
    assert diagnostic.severity == "error"
    assert diagnostic.text()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        ("plain text", ["plain text"]),
        ('{"type":"a"}', [{"type": "a"}]),
        ('{"type":"a"}{"type":"b"}', [{"type": "a"}, {"type": "b"}]),
        ('text {"type":"a"} more', ["text ", {"type": "a"}, " more"]),
        ('{"@level":"in{"@level":"info","type":"a"}', ['{"@level":"in', {"@level": "info", "type": "a"}]),
        ('{"@level":"in', ['{"@level":"in']),
        ("{}", ["{}"]),
    ],
)
def test_lines(line: str, expected: list[Any]) -> None:
    assert list(events.parse_line(line)) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KINDS = st.sampled_from(
    ["version", "diagnostic", "outputs", "apply_complete", "apply_progress", "resource_drift", "unheard_of"]
)
EVENTS = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    KINDS,
    st.dictionaries(
        st.sampled_from(["hook", "change", "diagnostic", "outputs", "terraform", "@timestamp"]),
        JSON,
        max_size=4,
    ),
)


@pytest.mark.fault(10)
@PATIENT
@given(EVENTS)
def test_an_event_of_any_shape_is_no_exception(event: dict[str, Any]) -> None:
    events.digest([event])
    events.log_text(event)
    events.Narrator(3).line(event)


@pytest.mark.fault(10)
@pytest.mark.fault(12)
@PATIENT
@given(st.lists(EVENTS.map(json.dumps) | st.text(max_size=30), max_size=6), st.data())
def test_no_diagnostic_is_lost_between_damaged_lines(lines: list[str], data: st.DataObject) -> None:
    damaged = [line[: data.draw(st.integers(0, len(line)))] for line in lines]
    position = data.draw(st.integers(0, len(damaged)))
    glue = data.draw(st.sampled_from(["\n", ""]))
    stream = "\n".join(damaged[:position]) + glue + json.dumps(ERROR) + "\n" + "\n".join(damaged[position:])
    found = events.digest(events.parse(stream.encode("utf-8", "replace")))
    assert "It broke" in [item.summary for item in found.diagnostics]


def test_a_diagnostic_behind_a_truncated_event_on_the_same_line_is_found() -> None:
    stream = '{"@level":"info","@mess' + json.dumps(ERROR)
    assert events.digest(events.parse(stream.encode())).errors[0].summary == "It broke"


def test_digest() -> None:
    stream: list[Any] = [
        {"type": "resource_drift", "change": {"resource": {"addr": "a.b"}, "action": "update"}},
        ERROR,
        ERROR,
        "some text",
        hook("apply_complete"),
        {"type": "outputs", "outputs": {"x": {"sensitive": False, "value": 1}, "odd": 3}},
    ]
    found = events.digest(stream)
    assert found.drift == [{"address": "a.b", "action": "update"}]
    assert [item.summary for item in found.errors] == ["It broke"]
    assert found.text == "some text"
    assert found.applied == ["aws_instance.ds"]
    assert found.outputs == {"x": {"sensitive": False, "value": 1}}


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (hook("apply_complete", seconds=3), "aws_instance.ds: created after 3 s (1/2)"),
        (hook("apply_complete", "delete", 75), "aws_instance.ds: destroyed after 1 min 15 s (1/2)"),
        (hook("apply_progress", seconds=20), "aws_instance.ds: creating … 20 s"),
        (hook("apply_progress", "read", 10), "aws_instance.ds: reading … 10 s"),
        (hook("apply_errored", "update", 1), "aws_instance.ds: not updated after 1 s"),
        (
            hook("provision_progress", provisioner="local-exec", output="hello"),
            "aws_instance.ds (local-exec): hello",
        ),
        (hook("apply_start"), None),
        (hook("apply_complete", "read"), None),
        (hook("unheard_of"), None),
        ("text", None),
    ],
)
def test_lines_for_the_console(event: Any, line: str | None) -> None:
    assert events.Narrator(2).line(event) == line


@pytest.mark.fault(28)
def test_actions_are_told_as_they_run() -> None:
    text = (Path(__file__).parents[1] / "fixtures/terraform/terraform-1.15.9/action.apply.txt").read_bytes()
    items = list(events.parse(text))
    narrator = events.Narrator(1)
    lines = [line for item in items if (line := narrator.line(item))]
    assert lines == [
        "terraform_data.a: created after 0 s (1/1)",
        "action.local_command.say: running",
        "action.local_command.say: hello",
        "action.local_command.say: run",
    ]
    assert events.digest(items).applied == ["terraform_data.a", "action.local_command.say"]


@pytest.mark.parametrize("char", ["\u0085", "\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\r"])
def test_only_a_line_feed_ends_an_event(char: str) -> None:
    event = {**ERROR, "diagnostic": {**ERROR["diagnostic"], "detail": f"one{char}two"}}
    stream = json.dumps(event, ensure_ascii=False)
    assert events.digest(events.parse(f"{stream}\n".encode())).errors[0].detail == f"one{char}two"


@pytest.mark.parametrize("folder", ["terraform-1.15.9", "opentofu-1.12.6"])
def test_a_failed_provisioner_of_today(folder: str) -> None:
    text = (
        Path(__file__).parents[1] / "fixtures/terraform" / folder / "provisioner-failed.apply.txt"
    ).read_bytes()
    found = events.digest(events.parse(text))
    assert found.applied == []
    assert "local-exec provisioner error" in found.errors[0].text()
