"""What the playbooks say about the collection is what the collection is."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
FACTS = yaml.safe_load((ROOT / "playbooks/vars/stack.yml").read_text())
IMAGE = (ROOT / "playbooks/image.yml").read_text()


def image_roles() -> set[str]:
    """Return the roles that image.yml runs."""
    return set(re.findall(r"(?:role|name): iac\.ds_stack\.(\w+)", IMAGE))


def plugins_of(roles: set[str]) -> set[str]:
    """Return the collection's modules that these roles use, with all that these import of it."""
    text = "".join(path.read_text() for role in roles for path in (ROOT / "roles" / role).rglob("*.yml"))
    names = set(re.findall(r"^\s*(?:- )?iac\.ds_stack\.(\w+):", text, re.MULTILINE))
    wanted = [f"plugins/modules/{name}.py" for name in names]
    found: set[str] = set()
    while wanted:
        plugin = wanted.pop()
        if plugin not in found:
            found.add(plugin)
            imported = re.findall(r"plugins\.module_utils\.(\w+) import", (ROOT / plugin).read_text())
            wanted += [f"plugins/module_utils/{name}.py" for name in imported]
    return found


def test_the_fingerprint_covers_the_roles_of_the_image() -> None:
    listed = set(re.findall(r"'(\w+)'", FACTS["__stack_image_roles"].split("|", maxsplit=1)[0]))
    assert listed == image_roles()


def test_the_fingerprint_covers_the_plugins_that_run_on_the_machine() -> None:
    assert set(FACTS["__stack_machine_plugins"]) == plugins_of(image_roles())
