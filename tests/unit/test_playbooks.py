"""What the playbooks say about the collection is what the collection is."""

from __future__ import annotations

import json
import os
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FACTS = yaml.safe_load((ROOT / "playbooks/vars/stack.yml").read_text())
RECORD = yaml.safe_load((ROOT / "playbooks/vars/record.yml").read_text())
COMPONENTS = yaml.safe_load((ROOT / "playbooks/vars/components.yml").read_text())
OPTIONS = yaml.safe_load((ROOT / "roles/preflight/meta/argument_specs.yml").read_text())["argument_specs"][
    "configuration"
]["options"]
IMAGE = (ROOT / "playbooks/image.yml").read_text()


def image_roles() -> list[str]:
    """Return the roles that image.yml runs, in its order."""
    return re.findall(r"(?:role|name): iac\.ds_stack\.(\w+)", IMAGE)


def plugins_of(roles: list[str]) -> set[str]:
    """Return the collection's modules that these roles use, with all that these import of it."""
    text = "".join(path.read_text() for role in roles for path in (ROOT / "roles" / role).rglob("*.yml"))
    names = set(re.findall(r"^\s*(?:- )?iac\.ds_stack\.(\w+):", text, re.MULTILINE))
    wanted = [f"plugins/modules/{name}.py" for name in names]
    found: set[str] = set()
    while wanted:
        plugin = wanted.pop()
        if plugin not in found:
            found.add(plugin)
            imported = re.findall(
                r"plugins\.module_utils\.(\w+)(?:\.| import )(\w+)", (ROOT / plugin).read_text()
            )
            wanted += [f"plugins/module_utils/{package}/{name}.py" for package, name in imported]
    return found


@cache
def chosen(*components: str) -> dict[str, list[str]]:
    """Return the facts about the image for these components, as Ansible makes them of the playbooks' files.

    In a process of its own: in this one Ansible would take the warnings of the modules under test.
    """
    command = ["ansible", "localhost", "--connection=local", "--module-name=ansible.builtin.debug"]
    command += ["--args=msg={{ {'roles': __components_roles, 'paths': __stack_image_roles} }}"]
    command += [f"--extra-vars=@{ROOT}/playbooks/vars/{name}.yml" for name in ("components", "stack")]
    command += ["--extra-vars", json.dumps({"ds_stack_components": components})]
    environment = {**os.environ, "NO_COLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = json.loads(done.stdout.partition("=> ")[2])["msg"]
    return found


def test_what_the_record_leaves_out_are_variables_that_there_are() -> None:
    assert set(RECORD["__stack_of_one_run"] + RECORD["__stack_withheld"]) <= set(OPTIONS)


def test_of_what_may_hold_anything_the_record_has_no_values() -> None:
    """But for tags, which everything in the account shows."""
    free = {name for name, option in OPTIONS.items() if option["type"] == "dict" and "options" not in option}
    assert set(RECORD["__stack_withheld"]) == free - {"ds_stack_tags"}


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.stem)
def test_every_playbook_about_a_stack_begins_with_its_record(path: Path) -> None:
    """The others work on files of this machine, or on the machine that becomes the image."""
    text = path.read_text()
    if "import_playbook" in text or path.stem in ("image", "cite", "diff"):
        return
    (play,) = yaml.safe_load(text)
    first, *others = play["tasks"]
    if play["vars"]["__stack_kind"] == "reads":
        assert first["ansible.builtin.import_tasks"] == "tasks/begin.yml"
        return
    assert others == []
    assert first["block"][0]["ansible.builtin.import_tasks"] == "tasks/begin.yml"
    assert first["block"][-1]["ansible.builtin.set_fact"] == {"__stack_went_well": True}
    assert first["always"][0]["ansible.builtin.import_tasks"] == "tasks/end.yml"


def test_every_component_can_be_chosen() -> None:
    assert OPTIONS["ds_stack_components"]["choices"] == list(COMPONENTS["__components"])


def test_image_yml_runs_every_role_that_a_component_needs() -> None:
    needed = chosen(*COMPONENTS["__components"])["roles"]
    assert sorted(needed) == sorted(image_roles())


def test_image_yml_runs_no_role_of_a_component_that_is_not_chosen() -> None:
    conditions = dict(re.findall(r"role: iac\.ds_stack\.(\w+)\n +when: \"(.+)\"", IMAGE))
    of_components = {role for one in COMPONENTS["__components"].values() for role in one["roles"]}
    assert conditions == {role: f"'{role}' in __components_roles" for role in of_components}


@pytest.mark.parametrize(
    ("components", "alone"),
    [(["jupyterhub"], {"conda", "jupyterhub", "r", "smoke_test"}), (["rstudio"], {"r", "rstudio_server"})],
)
def test_only_the_roles_of_chosen_components_shape_the_fingerprint(
    components: list[str], alone: set[str]
) -> None:
    every = {"base", "web_proxy", "first_boot", "receipt", "image_cleanup"}
    assert set(chosen(*components)["paths"]) == {f"roles/{role}" for role in every | alone}


def test_the_order_of_the_components_makes_no_other_image() -> None:
    assert chosen("rstudio", "jupyterhub") == chosen("jupyterhub", "rstudio", "rstudio")


def test_the_fingerprint_covers_the_plugins_that_run_on_the_machine() -> None:
    assert set(FACTS["__stack_machine_plugins"]) == plugins_of(image_roles())
