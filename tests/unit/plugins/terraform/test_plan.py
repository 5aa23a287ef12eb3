"""What a plan means: told from its JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform import changes, review


def resource(actions: list[str], address: str = "a.b", **more: Any) -> dict[str, Any]:
    change = {"actions": actions, **more.pop("change", {})}
    return {"address": address, "change": change, **more}


def parse(*resources: dict[str, Any], **outputs: dict[str, Any]) -> changes.Plan:
    return changes.parse_plan({"resource_changes": list(resources), "output_changes": outputs})


@pytest.mark.parametrize(
    ("item", "action", "counts"),
    [
        (resource(["create"]), "create", {"add": 1}),
        (resource(["update"]), "update", {"change": 1}),
        (resource(["delete"]), "delete", {"destroy": 1}),
        (resource(["delete", "create"]), "replace", {"replace": 1}),
        (resource(["create", "delete"]), "replace", {"replace": 1}),
        (resource(["forget"]), "forget", {"forget": 1}),
        (resource(["create", "forget"]), "create", {"add": 1, "forget": 1}),
        (resource(["forget", "create"]), "create", {"add": 1, "forget": 1}),
        (
            resource(["forget", "create"], previous_address="a.c"),
            "create",
            {"add": 1, "forget": 1, "move": 1},
        ),
        (resource(["no-op"], previous_address="a.c"), "move", {"move": 1}),
        (resource(["update"], previous_address="a.c"), "update", {"change": 1, "move": 1}),
        (resource(["no-op"], change={"importing": {"id": "i-1"}}), "import", {"import": 1}),
        (resource(["no-op"], change={"importing": {"unknown": True}}), "import", {"import": 1}),
        (resource(["update"], change={"importing": {"id": "i-1"}}), "update", {"change": 1, "import": 1}),
        (resource(["something", "new"]), "something+new", {}),
    ],
)
def test_actions_are_told_apart(item: dict[str, Any], action: str, counts: dict[str, int]) -> None:
    (change,) = parse(item).changes
    assert change.action == action
    assert {name: count for name, count in review.summarize([change]).items() if count} == counts


def recorded(name: str) -> dict[str, Any]:
    """The document that a tool of today has printed."""
    text = (Path(__file__).parents[1] / "fixtures/terraform" / f"{name}.show.txt").read_text()
    document: dict[str, Any] = json.loads(text[text.index("{") :])
    return document


@pytest.mark.fault(28)
def test_a_replacement_that_forgets_is_counted() -> None:
    (change,) = changes.parse_plan(recorded("opentofu-1.12.6/forget-and-create")).changes
    assert (change.address, change.action, change.actions) == ("random_pet.x", "create", ["forget", "create"])
    assert review.say_summary(review.summarize([change])) == "1 to add, 1 to forget"
    assert review.refuse([change], ["random_pet.x"], 0) is None, "nothing is destroyed"


@pytest.mark.fault(28)
def test_an_action_is_a_change_like_another() -> None:
    plan = changes.parse_plan(recorded("terraform-1.15.9/action"))
    assert [change.to_dict() for change in plan.changes] == [
        {"address": "terraform_data.a", "action": "create", "actions": ["create"]},
        {
            "address": "action.local_command.say",
            "action": "invoke",
            "actions": ["invoke"],
            "reason": "AfterCreate of terraform_data.a",
        },
    ]
    assert review.say_summary(review.summarize(plan.changes)) == "1 to add, 1 to invoke"
    shown = review.diff_of(plan.changes)[1]
    assert shown["after_header"] == "action.local_command.say (invoke)"
    assert shown["after"]["arguments"] == ["hello"]
    assert plan.operations == 1


@pytest.mark.fault(28)
def test_what_is_secret_of_an_action_is_masked() -> None:
    item = {
        "address": "action.a.b",
        "config_values": {"text": "hidden-text", "list": ["hidden-too", "x"], "url": None},
        "config_sensitive": {"text": True, "list": [True, False]},
        "config_unknown": {"url": True},
    }
    plan = changes.parse_plan({"action_invocations": [item, {}, {"address": "action.c.d"}]})
    assert [change.address for change in plan.changes] == ["action.a.b", "?", "action.c.d"]
    assert plan.changes[0].after == {
        "text": "(sensitive)",
        "list": ["(sensitive)", "x"],
        "url": "(known after apply)",
    }
    assert plan.secrets == ["hidden-text", "hidden-too"]
    assert review.summarize(plan.changes)["invoke"] == 3


@pytest.mark.parametrize("folder", ["terraform-1.15.9", "opentofu-1.12.6"])
def test_what_is_removed_and_moved(folder: str) -> None:
    plan = changes.parse_plan(recorded(f"{folder}/removed-and-moved"))
    assert [(change.address, change.action) for change in plan.changes] == [
        ("terraform_data.a", "forget"),
        ("terraform_data.c", "move"),
    ]


@pytest.mark.parametrize("folder", ["terraform-1.15.9", "opentofu-1.12.6"])
def test_a_tainted_resource_is_a_change_that_no_event_tells(folder: str) -> None:
    text = (
        Path(__file__).parents[1] / "fixtures/terraform" / folder / "provisioner-failed.state.txt"
    ).read_text()
    state = json.loads(text[text.index("{") :])
    plan = parse(resource(["create"], "terraform_data.a"))
    assert changes.has_changed({}, plan, state) is True
    assert changes.has_changed({"prior_state": state}, plan, state) is False
    moved = parse(resource(["no-op"], "terraform_data.a", previous_address="terraform_data.b"))
    assert changes.has_changed({"prior_state": state}, moved, state) is True
    assert changes.has_changed({"prior_state": state}, moved, {"format_version": "1.0"}) is True


@pytest.mark.parametrize("actions", [["no-op"], ["read"]])
def test_nothing_and_reading_are_no_changes(actions: list[str]) -> None:
    assert parse(resource(actions)).changes == []


@pytest.mark.fault(10)
def test_unknown_fields_and_missing_ones_are_fine() -> None:
    empty = changes.parse_plan({"format_version": "99", "novelty": [1], "resource_changes": None})
    assert (empty.changes, empty.outputs, empty.applyable) == ([], {}, None)
    assert changes.parse_plan({"applyable": False}).applyable is False
    assert parse({"address": "a.b"}).changes == []


@pytest.mark.fault(1)
def test_ten_added_are_ten() -> None:
    plan = parse(*[resource(["create"], f"a.b[{index}]") for index in range(10)])
    assert review.summarize(plan.changes)["add"] == 10
    assert review.say_summary(review.summarize(plan.changes)) == "10 to add"
    assert plan.operations == 10


def test_to_dict_has_only_what_applies() -> None:
    (change,) = parse(resource(["delete"], action_reason="delete_because_no_module", deposed="abc")).changes
    assert change.to_dict() == {
        "address": "a.b",
        "action": "delete",
        "actions": ["delete"],
        "reason": "delete_because_no_module",
        "deposed": True,
    }


@pytest.mark.parametrize(
    ("actions", "before", "sensitive", "expected"),
    [
        (["delete"], {"id": "i-1"}, False, "i-1"),
        (["delete", "create"], {"id": "i-1"}, False, "i-1"),
        (["update"], {"id": "i-1"}, False, None),
        (["create"], None, False, None),
        (["delete"], {"name": "without"}, False, None),
        (["delete"], {"id": 7}, False, None),
        (["delete"], {"id": "token"}, {"id": True}, "(sensitive)"),
    ],
)
def test_what_is_destroyed_has_its_id(
    actions: list[str], before: dict[str, Any] | None, sensitive: Any, expected: str | None
) -> None:
    change = {"actions": actions, "before": before, "before_sensitive": sensitive}
    (found,) = parse({"address": "a.b", "change": change}).changes
    assert found.to_dict().get("id") == expected


SENSITIVE_CHANGE = {
    "before": {
        "name": "n",
        "password": "old-password",
        "list": [{"key": "old-key"}],
        "same": "unchanged-secret",
    },
    "after": {
        "name": "m",
        "password": "new-password",
        "list": [{"key": "new-key"}],
        "same": "unchanged-secret",
    },
    "before_sensitive": {"password": True, "list": [{"key": True}], "same": True},
    "after_sensitive": {"password": True, "list": [{"key": True}], "same": True},
    "after_unknown": {"id": True, "token": True, "list": [{"id": True}]},
}


def test_the_diff_masks_names_the_unknown_and_says_which_secret_changes() -> None:
    plan = parse(resource(["update"], change={**SENSITIVE_CHANGE}))
    (shown,) = review.diff_of(plan.changes)
    assert shown["before"] == {
        "name": "n",
        "password": "(sensitive)",
        "list": [{"key": "(sensitive)"}],
        "same": "(sensitive)",
    }
    assert shown["after"] == {
        "name": "m",
        "password": "(sensitive, changed)",
        "list": [{"key": "(sensitive, changed)", "id": "(known after apply)"}],
        "same": "(sensitive)",
        "id": "(known after apply)",
        "token": "(known after apply)",
    }
    assert "-password" not in json.dumps(shown)
    assert {"old-password", "new-password", "old-key", "new-key"} <= set(plan.secrets)
    assert "password" not in repr(plan)


def test_a_sensitive_value_that_is_unknown_stays_sensitive() -> None:
    change = {"after": {}, "after_unknown": {"password": True}, "after_sensitive": {"password": True}}
    assert parse(resource(["create"], change=change)).changes[0].after == {"password": "(sensitive)"}


def test_headers_tell_where_a_moved_resource_was() -> None:
    (shown,) = review.diff_of(parse(resource(["no-op"], previous_address="a.old")).changes)
    assert (shown["before_header"], shown["after_header"]) == ("a.old", "a.b (move)")


def test_outputs_to_come() -> None:
    plan = changes.parse_plan(
        {
            "output_changes": {
                "known": {"actions": ["create"], "after": [1], "after_unknown": False},
                "same": {"actions": ["no-op"], "before": "s", "after": "s", "after_unknown": False},
                "unknown": {"actions": ["create"], "after_unknown": True},
                "partly": {"actions": ["create"], "after": {"a": 1}, "after_unknown": {"b": True}},
                "gone": {"actions": ["delete"], "before": 1, "after": None, "after_unknown": False},
                "secret": {
                    "actions": ["create"],
                    "after": "hidden",
                    "after_unknown": False,
                    "after_sensitive": True,
                },
                "shown": {
                    "actions": ["create"],
                    "after": "wanted",
                    "after_unknown": False,
                    "after_sensitive": True,
                },
            }
        },
        reveal=["shown"],
    )
    assert plan.outputs == {
        "known": [1],
        "partly": {"a": 1},
        "same": "s",
        "secret": "(sensitive)",
        "shown": "wanted",
    }
    assert plan.outputs_unknown == ["partly", "unknown"]
    assert plan.secrets == ["hidden"]
    shown = {item["before_header"]: item["after"] for item in review.diff_of(plan.output_changes)}
    assert "output.same" not in shown
    assert shown["output.known"] == "[\n    1\n]\n"
    assert shown["output.secret"] == '"(sensitive)"\n'


@pytest.mark.parametrize(
    ("pattern", "address", "expected"),
    [
        ("aws_ebs_volume.data", "aws_ebs_volume.data", True),
        ("aws_ebs_volume.data", "aws_ebs_volume.data[0]", True),
        ("aws_ebs_volume.data", 'aws_ebs_volume.data["home"]', True),
        ("aws_ebs_volume.data", "aws_ebs_volume.database", False),
        ("aws_ebs_volume.data[0]", "aws_ebs_volume.data[0]", True),
        ("aws_ebs_volume.data[0]", "aws_ebs_volume.data[1]", False),
        ("aws_ebs_volume.data[0]", "aws_ebs_volume.data0", False),
        ("aws_ebs_volume.*", "aws_ebs_volume.data", True),
        ("aws_ebs_volume.*", "module.m.aws_ebs_volume.data", False),
        ("*.aws_ebs_volume.*", "module.m.aws_ebs_volume.data", True),
        ("module.data", "module.data.module.x.aws_ebs_volume.v[0]", True),
        ("module.data", 'module.data["a.b"].x.y', True),
        ("module.data", "module.database.x.y", False),
        ("module.?", "module.a.x.y", True),
        ("*", "anything.at_all", True),
    ],
)
def test_patterns(pattern: str, address: str, expected: bool) -> None:
    assert review.is_protected(address, [pattern]) is expected


@pytest.mark.parametrize(
    ("actions", "refused"),
    [
        (["delete"], True),
        (["delete", "create"], True),
        (["create", "delete"], True),
        (["update"], False),
        (["forget"], False),
    ],
)
def test_protection_is_against_destruction(actions: list[str], refused: bool) -> None:
    assert bool(review.refuse(parse(resource(actions)).changes, ["a.b"], None)) is refused
    assert bool(review.refuse(parse(resource(actions)).changes, [], 0)) is refused
    assert review.refuse(parse(resource(actions)).changes, ["a.c"], 1) is None


def test_protection_follows_a_resource_that_is_moved() -> None:
    moved = parse(resource(["delete", "create"], "a.new", previous_address="a.b"))
    assert "a.new (replace)" in str(review.refuse(moved.changes, ["a.b"], None))


def test_a_refusal_does_not_list_thousands() -> None:
    many = parse(*[resource(["delete"], f"a.b[{index}]") for index in range(2000)])
    refusal = review.refuse(many.changes, [], 3)
    assert refusal is not None
    assert "would destroy 2000 resources, more than `max_destroys` (3)" in refusal
    assert refusal.count("a.b[") == 20
    assert "and 1980 more" in refusal


def test_drift_without_what_providers_make_of_nothing() -> None:
    def drifted(address: str, before: Any, after: Any, actions: list[str]) -> dict[str, Any]:
        marks = {"before_sensitive": {"key": True}, "after_sensitive": {"key": True}}
        return {"address": address, "change": {"actions": actions, "before": before, "after": after, **marks}}

    found, secrets = changes.parse_drift(
        {
            "resource_drift": [
                drifted("a.same", {"tags": None, "n": 0}, {"tags": {}, "n": 0}, ["update"]),
                drifted("a.number", {"n": 1}, {"n": 0}, ["update"]),
                drifted("a.key", {"key": "old-secret", "x": 1}, {"key": "new-secret", "x": 1}, ["update"]),
                drifted("a.gone", {"n": 1}, None, ["delete"]),
                drifted("a.nothing", {"n": 1}, {"n": 1}, ["no-op"]),
            ]
        }
    )
    assert [changes.describe(change) for change in found if changes.is_real(change)] == [
        {"address": "a.number", "action": "update", "before": {"n": 1}, "after": {"n": 0}},
        {
            "address": "a.key",
            "action": "update",
            "before": {"key": "(sensitive)"},
            "after": {"key": "(sensitive, changed)"},
        },
        {"address": "a.gone", "action": "delete", "before": {"n": 1}, "after": {}},
    ]
    assert set(secrets) == {"old-secret", "new-secret"}
