"""What is looked at before anything is applied, and what is asked. Terraform's answers are made up here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._run.secrets import Scrubber
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.changes import Change
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.errors import TerraformError
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.events import Digest
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.options import Options
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.place import Place
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.plan import Planned
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.resolve import Asked
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.review import (
    Review,
    diff_of,
    permit,
    review,
)

GONE = {
    "address": "a.b",
    "change": {"actions": ["delete"], "before": {"key": "secret-key"}, "before_sensitive": {"key": True}},
}


NAMED = ", ".join(f"a.b{index:02} (delete)" for index in range(20))


class Answers:
    """Stands for the program and the console."""

    deadline = None

    def __init__(self, document: dict[str, Any], answer: str | None) -> None:
        self.scrubber = Scrubber()
        self.progress = self
        self.calls: list[str] = []
        self.said: list[str] = []
        self._document = document
        self._answer = answer

    def document(self, args: list[str]) -> dict[str, Any]:
        self.calls.append(args[0])
        return self._document

    def text(self, args: list[str]) -> str:
        self.calls.append(" ".join(args))
        return "a.b\n\n"

    def say(self, text: str) -> None:
        self.said.append(text)

    def ask(self, question: str, _deadline: float | None) -> str | None:
        self.said.append(question)
        return self._answer


def look(
    document: dict[str, Any] | None, answer: str | None = None, **options: Any
) -> tuple[Review, Answers]:
    asked = Asked(Options(Path("/source"), Path("/work"), **options), cast(Any, None), {}, None)
    answers = Answers(document or {}, answer)
    place = Place(asked, cast(Any, answers), Path("/private"))
    planned = Planned(place, document is not None, Digest([], "", [], None, [], []))
    return review(planned), answers


def test_an_empty_plan_is_not_looked_at() -> None:
    reviewed, answers = look(None)
    assert (reviewed.goes_on, reviewed.plan.changes, answers.calls) == (False, [], [])
    permit(reviewed)
    assert answers.said == []


@pytest.mark.parametrize(("pattern", "warned"), [("a.*", False), ("c.d", True)])
def test_of_an_empty_plan_the_patterns_are_held_against_the_state(pattern: str, warned: bool) -> None:
    reviewed, answers = look(None, protect=[pattern])
    assert answers.calls == ["state list"]
    told = [f"protect: {pattern} covers nothing in the state or the plan."]
    assert reviewed.warnings == (told if warned else [])


@pytest.mark.parametrize(("applyable", "goes_on"), [(True, True), (False, False), (None, True)])
def test_whether_there_is_anything_to_apply_is_the_programs_word(
    applyable: bool | None, goes_on: bool
) -> None:
    more = {} if applyable is None else {"applyable": applyable}
    reviewed, answers = look({"resource_changes": [GONE], **more})
    assert reviewed.goes_on is goes_on
    assert [change.address for change in reviewed.plan.changes] == ["a.b"]
    assert answers.scrubber.text("the secret-key") == "the (sensitive)"
    permit(reviewed)
    assert answers.said == (["plan: 1 to destroy"] if goes_on else [])


@pytest.mark.parametrize("options", [{"protect": ["a.b"]}, {"max_destroys": 0}])
def test_what_is_guarded_is_refused_before_anybody_is_asked(options: dict[str, Any]) -> None:
    reviewed, answers = look({"resource_changes": [GONE]}, "yes", confirm=True, **options)
    with pytest.raises(TerraformError, match=r"The plan would destroy .*a\.b \(delete\)"):
        permit(reviewed)
    assert answers.said == []


@pytest.mark.parametrize(
    ("answer", "message"), [("yes", None), (None, "nobody to ask"), ("", "turned down"), ("y", "turned down")]
)
def test_only_yes_is_yes(answer: str | None, message: str | None) -> None:
    reviewed, answers = look({"resource_changes": [GONE]}, answer, confirm=True)
    if message is None:
        permit(reviewed)
    else:
        with pytest.raises(TerraformError, match=message):
            permit(reviewed)
    assert answers.said == [
        "plan: 1 to destroy",
        "  a.b: delete",
        "Apply this plan? Only 'yes' does it",
    ]


@pytest.mark.parametrize(("count", "more"), [(20, ""), (21, " and 1 more"), (30, " and 10 more")])
def test_of_many_the_first_are_named_and_the_others_counted(count: int, more: str) -> None:
    changes = [{**GONE, "address": f"a.b{index:02}"} for index in range(count)]
    reviewed, _answers = look({"resource_changes": changes}, max_destroys=0)
    assert str(reviewed.refused).endswith(f"allows: {NAMED}{more}. Nothing was changed.")
    assert f"would destroy {count} resources, more than `max_destroys` (0)" in str(reviewed.refused)


def test_in_check_mode_nobody_is_asked() -> None:
    reviewed, answers = look({"resource_changes": [GONE]}, None, confirm=True, check=True)
    permit(reviewed)
    assert answers.said == ["plan: 1 to destroy"]


def test_a_difference_is_shown_as_people_write_it() -> None:
    (shown,) = diff_of([Change("a.b", "update", ["update"], before="Größe", after=["größer"])])
    assert (shown["before"], shown["after"]) == ('"Größe"\n', '[\n    "größer"\n]\n')
