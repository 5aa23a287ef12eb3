"""What the documentation of the Terraform plugins says is what they take."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.iac.ds_stack.plugins.doc_fragments.terraform import ModuleDocFragment
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.options import COMMON
from ansible_collections.iac.ds_stack.plugins.modules import terraform_drift_info, terraform_stack

MODULES = {
    "terraform_stack": (terraform_stack, terraform_stack.ARGUMENT_SPEC),
    "terraform_drift_info": (terraform_drift_info, COMMON),
}


def documented(module: Any) -> dict[str, Any]:
    fragment = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)
    return {**fragment["options"], **(yaml.safe_load(module.DOCUMENTATION).get("options") or {})}


@pytest.mark.parametrize("name", MODULES)
def test_options_are_documented_as_they_are(name: str) -> None:
    module, spec = MODULES[name]
    options = documented(module)
    assert options.keys() == spec.keys()
    for option, says in options.items():
        for key in ("type", "default", "elements", "choices", "required"):
            assert says.get(key) == spec[option].get(key), f"{option}: {key}"


@pytest.mark.parametrize("name", MODULES)
def test_examples_use_options_that_exist(name: str) -> None:
    for task in yaml.safe_load(MODULES[name][0].EXAMPLES):
        for plugin, options in task.items():
            short = plugin.rpartition(".")[2]
            if short in MODULES:
                assert options.keys() <= MODULES[short][1].keys()
                assert {"source", "work_dir"} <= options.keys()
