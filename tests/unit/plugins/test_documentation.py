"""What holds for the documentation of every module; sanity compares its options with the argument spec."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
NAMES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))
TYPES = {"str": str, "bool": bool, "int": int, "float": float, "list": list, "dict": dict}


def module(name: str) -> Any:
    return importlib.import_module(f"ansible_collections.iac.ds_stack.plugins.modules.{name}")


def documentation(name: str) -> dict[str, Any]:
    """A module's documentation with that of the collection's own fragments; other fragments are left out."""
    found: dict[str, Any] = yaml.safe_load(module(name).DOCUMENTATION)
    found.setdefault("options", {})
    found.setdefault("attributes", {})
    for fragment in found.get("extends_documentation_fragment", []):
        file, _dot, variant = fragment.removeprefix("iac.ds_stack.").partition(".")
        if fragment.startswith("iac.ds_stack."):
            path = f"ansible_collections.iac.ds_stack.plugins.doc_fragments.{file}"
            text = getattr(
                importlib.import_module(path).ModuleDocFragment, variant.upper() or "DOCUMENTATION"
            )
            shared = yaml.safe_load(text)
            found["options"] |= shared["options"]
            for attribute, says in shared.get("attributes", {}).items():
                found["attributes"][attribute] = {**says, **found["attributes"].get(attribute, {})}
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_attributes_are_told(name: str) -> None:
    attributes = documentation(name)["attributes"]
    assert {"check_mode", "diff_mode"} <= attributes.keys()
    for attribute, says in attributes.items():
        assert {"description", "support"} <= says.keys(), attribute
    assert ("action" in attributes) is (PLUGINS / f"action/{name}.py").exists()


@pytest.mark.parametrize("name", NAMES)
def test_the_action_groups_are_told(name: str) -> None:
    groups = yaml.safe_load((PLUGINS.parent / "meta/runtime.yml").read_text())["action_groups"]
    told = documentation(name)["attributes"].get("action_group", {"membership": [], "description": ""})
    assert told["membership"] == [
        f"iac.ds_stack.{group}" for group in sorted(groups) if name in groups[group]
    ]
    assert all(group in told["description"] for group in told["membership"])


def test_what_calls_aws_is_of_the_group_of_aws() -> None:
    groups = yaml.safe_load((PLUGINS.parent / "meta/runtime.yml").read_text())["action_groups"]
    callers = [name for name in NAMES if "amazon.aws.common.modules" in module(name).DOCUMENTATION]
    assert [one for one in groups["aws"] if isinstance(one, str)] == callers


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_use_options_that_exist(name: str) -> None:
    options = documentation(name)["options"]
    tasks = [task for task in yaml.safe_load(module(name).EXAMPLES) if f"iac.ds_stack.{name}" in task]
    assert tasks
    aws = {"region"} if "amazon.aws.common.modules" in str(documentation(name)) else set()
    for task in tasks:
        given = task[f"iac.ds_stack.{name}"]
        assert given.keys() <= options.keys() | aws
        assert given.keys() >= {option for option, says in options.items() if says.get("required")}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_returned_has_a_sample_of_its_type(name: str) -> None:
    for value, says in (yaml.safe_load(module(name).RETURN) or {}).items():
        assert "sample" in says or "contains" in says, value
        if "sample" in says:
            assert isinstance(says["sample"], TYPES[says["type"]]), value
