"""What the playbooks say about the collection is what the collection is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.ansible_values import value_of

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


def own_imports(plugin: Path) -> Iterator[Path]:
    """Yield the files of the collection's own module_utils that a plugin imports."""
    for node in ast.walk(ast.parse(plugin.read_text())):
        if isinstance(node, ast.ImportFrom):
            begin = plugin.parents[node.level - 1] if node.level else ROOT
            module = str(node.module or "").removeprefix("ansible_collections.iac.ds_stack.")
            folder = begin.joinpath(*module.split(".")) if module else begin
            files = [folder.with_suffix(".py"), *(folder / f"{name.name}.py" for name in node.names)]
            yield from (file for file in files if file.is_file())


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
            wanted += [str(path.relative_to(ROOT)) for path in own_imports(ROOT / plugin)]
    return found


@cache
def chosen(*components: str, spark: str = "") -> dict[str, list[str]]:
    """Return the facts about the image for these components, as Ansible makes them of the files.

    spark: the version of the cluster's Spark, where there is a cluster.
    """
    found: dict[str, list[str]] = value_of(
        "{{ {'roles': __components_roles, 'paths': __stack_image_roles} }}",
        [ROOT / f"playbooks/vars/{name}.yml" for name in ("components", "stack")],
        {"ds_stack_components": components, "spark_version": spark},
    )
    return found


def test_every_component_can_be_chosen() -> None:
    assert OPTIONS["ds_stack_components"]["choices"] == list(COMPONENTS["__components"])


def test_image_yml_runs_every_role_that_a_component_needs() -> None:
    needed = chosen(*COMPONENTS["__components"], spark="4.0.2")["roles"]
    assert sorted(needed) == sorted(image_roles())


def test_image_yml_runs_no_role_of_a_component_that_is_not_chosen() -> None:
    conditions = dict(re.findall(r"role: iac\.ds_stack\.(\w+)\n +when: \"(.+)\"", IMAGE))
    of_components = {role for one in COMPONENTS["__components"].values() for role in one["roles"]}
    optional = of_components | {"spark_client"}
    assert conditions == {role: f"'{role}' in __components_roles" for role in optional}


def test_node_image_yml_runs_the_roles_that_shape_its_fingerprint() -> None:
    text = (ROOT / "playbooks/node_image.yml").read_text()
    assert re.findall(r"name: iac\.ds_stack\.(\w+)", text) == COMPONENTS["__components_node_roles"]


def test_machine_and_nodes_have_the_same_python() -> None:
    """What a function of a user's is written with is there where it runs."""
    specs = [
        re.sub(
            r"__\w+_preset",
            "preset",
            " ".join(re.findall(pattern, (ROOT / "playbooks" / name).read_text())[0].split()),
        )
        for name in ("image.yml", "node_image.yml")
        for pattern in [r"jupyterhub_kernel_environment_extra_specs: >-\n +(\{\{.*\}\})"]
    ]
    assert specs[0] == specs[1]
    assert "__spark_packages.python" in specs[0]


@pytest.mark.parametrize(
    ("components", "alone"),
    [(["jupyterhub"], {"conda", "jupyterhub", "r"}), (["rstudio"], {"r", "rstudio_server"})],
)
def test_only_the_roles_of_chosen_components_shape_the_fingerprint(
    components: list[str], alone: set[str]
) -> None:
    every = {"base", "web_proxy", "first_boot", "smoke_test", "receipt", "image_cleanup"}
    assert set(chosen(*components)["paths"]) == {f"roles/{role}" for role in every | alone}


def test_the_order_of_the_components_makes_no_other_image() -> None:
    assert chosen("rstudio", "jupyterhub") == chosen("jupyterhub", "rstudio", "rstudio")


def test_the_fingerprint_covers_the_plugins_that_run_on_the_machine() -> None:
    assert set(FACTS["__stack_machine_plugins"]) == plugins_of(image_roles())


@pytest.mark.parametrize(
    "playbook",
    sorted(
        {path.stem for path in (ROOT / "playbooks").glob("*.yml")} - {"cite", "diff", "image", "node_image"}
    ),
)
def test_one_about_a_stack_begins_with_its_record(playbook: str) -> None:
    """Or consists of others, which do. test_one_record.py runs some, and all in `make soak`."""
    text = (ROOT / f"playbooks/{playbook}.yml").read_text()
    found = re.search(r"ansible\.builtin\.(\w+): (\S+)", text)
    assert found
    assert found.groups() == ("import_tasks", "tasks/begin.yml") or found[1] == "import_playbook"
