"""What the account remembers of a stack: what is in it, how it is taken apart, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.record import (
    RUNS_KEPT,
    Configuration,
    Lock,
    Record,
    RecordError,
    Run,
    Texts,
    join,
    refuse_lock,
    refuse_region,
    refuse_unmentioned,
)

NAME = "/ds-stack/demo/operator/stack"
TEAM = [f"user-{number:027}" for number in range(100)]
KNOWN = ["ds_stack_users", "ds_stack_allowed_cidrs", "ds_stack_downloads", "ds_stack_static_ip"]


def a_run(run: str = "1", **others: str) -> Run:
    return Run(run, "site", "arn:aws:iam::1:user/ada", "ada@laptop", "2026-11-27T09:14:02Z", **others)


def a_record(**values: Any) -> Record:
    return Record({"type": "local", "folder": "/home/ada"}, Configuration(values), (a_run(),))


def read(texts: Texts) -> Record:
    return Record.parse(join(texts.head, texts.parts, NAME), NAME)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"ds_stack_users": TEAM}, id="a hundred users with long names"),
        pytest.param({"ds_stack_users": TEAM * 3}, id="three parts"),
        pytest.param({"ds_stack_tags": {"owner": "Zoë \N{SNOWMAN}", "b": None}}, id="other letters"),
        pytest.param({"ds_stack_tags": {"a": "{{ssm:/other}} {{{x}}} \\u007b"}}, id="what SSM would look up"),
        pytest.param({"ds_stack_allowed_cidrs": [], "ds_stack_static_ip": "yes"}, id="empty is a value"),
    ],
)
def test_it_is_read_as_it_was_written(values: dict[str, Any]) -> None:
    texts = Texts.of(a_record(**values))
    assert read(texts) == a_record(**values)
    for text in (texts.head, *texts.parts.values()):
        assert text.isascii()
        assert 0 < len(text) <= 4096
        assert "{{" not in text


def test_a_part_belongs_to_one_record_alone() -> None:
    """So that a run that is killed while it writes leaves the old record whole."""
    one, other = Texts.of(a_record(ds_stack_users=TEAM * 2)), Texts.of(a_record(ds_stack_users=TEAM[1:] * 2))
    assert len(one.parts) == 2
    assert not set(one.parts) & set(other.parts)
    assert join(one.head, {**one.parts, **other.parts}, NAME) == "".join(one.parts.values())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "3",
        "null",
        "{}",
        '{"schema": "1"}',
        '{"schema": 0}',
        '{"schema": 1, "configuration": []}',
        '{"schema": 1, "runs": 3}',
        '{"schema": 1, "runs": [{"playbook": "site"}]}',
        '{"schema": 1, "withheld": {"ds_stack_downloads": 3}}',
        '{"schema": 1, "parts": 2}',
        '{"schema": 1, "parts": ["a-1"], "sha256": "x"}',
    ],
)
def test_a_damaged_record_says_how_to_get_the_last_good_one(text: str) -> None:
    with pytest.raises(RecordError, match=f"aws ssm get-parameter-history --name {NAME}") as raised:
        read(Texts(text))
    assert f"aws ssm delete-parameter --name {NAME}" in str(raised.value)


def test_parts_of_another_record_are_no_record() -> None:
    texts = Texts.of(a_record(ds_stack_users=TEAM * 2))
    names = list(texts.parts)
    with pytest.raises(RecordError, match="is not the record"):
        read(Texts(texts.head, {names[0]: texts.parts[names[1]], names[1]: texts.parts[names[0]]}))


def test_a_newer_record_asks_for_a_newer_collection() -> None:
    newer = json.dumps({"schema": 2, "state": "of another form"})
    with pytest.raises(RecordError, match="its schema is 2, and this version reads 1"):
        read(Texts(newer))


def test_what_a_later_version_adds_is_ignored() -> None:
    document = {**a_record(ds_stack_static_ip=True).document(), "added": 1}
    document["runs"][0]["added"] = 2
    assert read(Texts(json.dumps(document))) == a_record(ds_stack_static_ip=True)


def test_runs_begin_and_end() -> None:
    record = Record()
    for number in range(RUNS_KEPT + 3):
        record = record.begin(a_run(str(number)))
    last = str(RUNS_KEPT + 2)
    assert [one.run for one in record.runs] == [str(RUNS_KEPT + 2 - number) for number in range(RUNS_KEPT)]
    ended = record.end(last, "failed", "2026-11-27T10:00:00Z", "Make the network")
    assert ended.runs[0] == a_run(
        last, outcome="failed", ended="2026-11-27T10:00:00Z", play="Make the network"
    )
    assert ended.runs[1:] == record.runs[1:]
    assert {one.outcome for one in record.runs} == {"began"}
    assert record.end("nobody's", "failed", "now", "") == record


@pytest.mark.parametrize(
    ("values", "mentioned"),
    [
        pytest.param({}, [], id="nothing was given"),
        pytest.param({"ds_stack_users": ["ada"]}, ["ds_stack_users"], id="mentioned, with whatever value"),
        pytest.param({"ds_stack_of_old": 1}, [], id="no variable any more"),
    ],
)
def test_what_is_mentioned_is_let_be(values: dict[str, Any], mentioned: list[str]) -> None:
    refuse_unmentioned("demo", a_record(**values), mentioned, KNOWN)


def test_all_that_is_not_mentioned_is_told_with_its_value() -> None:
    values = {
        "ds_stack_users": ["ada", "grace"],
        "ds_stack_allowed_cidrs": [],
        "ds_stack_static_ip": True,
        "ds_stack_of_old": 1,
    }
    configuration = Configuration(values, {"ds_stack_downloads": ["r_repository", "conda_channel"]})
    with pytest.raises(RecordError) as raised:
        refuse_unmentioned("demo", Record({}, configuration), ["ds_stack_name"], KNOWN)
    lines = str(raised.value).splitlines()
    assert lines[0] == (
        "Nothing was done. The last run that made demo was given variables that this one does not mention:"
    )
    assert lines[1:-1] == [
        "  ds_stack_allowed_cidrs: []",
        "  ds_stack_downloads: with r_repository, conda_channel (the values are not in the record)",
        "  ds_stack_static_ip: true",
        "  ds_stack_users: ada, grace",
    ]
    assert "-e ds_stack_as_given=true" in lines[-1]


def test_a_long_value_is_cut() -> None:
    with pytest.raises(RecordError) as raised:
        refuse_unmentioned("demo", a_record(ds_stack_users=TEAM), [], KNOWN)
    assert len(str(raised.value)) < 1000


def test_the_second_operator_reads_who_was_first() -> None:
    lock = Lock("1", "arn:aws:iam::1:user/ada", "ada@laptop", "2026-11-27T09:14:02Z", "site")
    assert Lock.parse(lock.text()) == lock
    said = str(refuse_lock("demo", lock))
    assert said.startswith(
        "Nothing was done. demo is locked: site has held it since 2026-11-27T09:14:02Z, run by "
        "arn:aws:iam::1:user/ada on ada@laptop. "
    )
    assert "-e ds_stack_take_over=true" in said


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", '{"run": null}'])
def test_a_damaged_lock_is_a_lock(text: str) -> None:
    lock = Lock.parse(text)
    assert lock == Lock()
    assert "its parameter is damaged" in str(refuse_lock("demo", lock))


@pytest.mark.parametrize(
    ("others", "as_given", "said"),
    [
        (
            ["eu-central-1"],
            False,
            "Nothing was done: demo is in eu-central-1, not in us-east-1 (say -e "
            "ds_stack_region=eu-central-1).",
        ),
        (
            ["eu-central-1", "eu-west-1"],
            True,
            "Nothing was done: demo is in eu-central-1 and in eu-west-1, not in us-east-1 (say -e "
            "ds_stack_region=...; or, for another demo in us-east-1, -e ds_stack_as_given=true).",
        ),
    ],
)
def test_the_right_region_is_named(others: list[str], as_given: bool, said: str) -> None:
    assert str(refuse_region("demo", "us-east-1", others, as_given)) == said
