#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: machine_receipt
short_description: Write down every package that a machine has
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - Writes a receipt, one JSON document with every package of the operating system, of each conda environment
    and of each R library, with version and source, and with the Jupyter kernels.
  - Two machines with the same packages have the same receipt, but for the fields C(made), C(image) and
    C(provenance), and for C(files) where apt knows other archives. M(iac.ds_stack.receipt_diff) compares two.
  - What is not on the machine, such as conda, is left out. A receipt that would say the same is not written
    again.
  - Passwords and tokens in the URLs of conda packages are masked.
options:
  path:
    description: The file to write. Its folder is made if it is not there.
    type: path
    required: true
  image:
    description: Name of the image that is being made of the machine.
    type: str
    default: ""
  collection_version:
    description: Version of the collection that made the machine.
    type: str
    default: ""
  provenance:
    description: What else tells where the machine comes from, such as a revision of its configuration; texts.
    type: dict
    default: {}
  settings:
    description: The roles' variables that have chosen versions, by their names; texts.
    type: dict
    default: {}
  conda_prefixes:
    description: Folders of conda environments, or patterns as a shell has them.
    type: list
    elements: path
    default: [/opt/conda, /opt/conda/envs/*]
  rscripts:
    description: Rscript programs, or patterns; each R is asked for the packages of all its libraries.
    type: list
    elements: path
    default: [/usr/bin/Rscript, /opt/R/*/bin/Rscript]
  kernel_folders:
    description:
      - Folders of Jupyter kernels, or patterns. Of two kernels with the same name the later one counts.
    type: list
    elements: path
    default: [/usr/share/jupyter/kernels, /usr/local/share/jupyter/kernels]
  os_release:
    description: The file that names the operating system.
    type: path
    default: /etc/os-release
extends_documentation_fragment:
  - iac.ds_stack.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows which packages differ from the receipt that is there.
seealso:
  - module: iac.ds_stack.receipt_diff
  - module: ansible.builtin.package_facts
"""

EXAMPLES = r"""
- name: Write down what is in the image
  iac.ds_stack.machine_receipt:
    path: /etc/ds-stack/receipt.json
"""

RETURN = r"""
path:
  description: The file.
  returned: always
  type: str
  sample: /etc/ds-stack/receipt.json
tools:
  description: The versions that people ask for first.
  returned: always
  type: dict
  sample: {R: 4.5.3, Python @ /opt/conda/envs/ds: 3.14.0}
counts:
  description: How many packages there are of each kind.
  returned: always
  type: dict
  sample: {os: 612, conda: 301, r: 74, kernels: 2}
"""

import datetime
import os
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.iac.ds_stack.plugins.module_utils._software.receipt import (
    ReceiptError,
    differences,
    dump,
    load,
    says_the_same,
    text_of,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._software.receipt_sources import read_machine

ARGUMENTS: dict[str, dict[str, Any]] = {
    "path": {"type": "path", "required": True},
    "image": {"type": "str", "default": ""},
    "collection_version": {"type": "str", "default": ""},
    "provenance": {"type": "dict", "default": {}},
    "settings": {"type": "dict", "default": {}},
    "conda_prefixes": {
        "type": "list",
        "elements": "path",
        "default": ["/opt/conda", "/opt/conda/envs/*"],
    },
    "rscripts": {
        "type": "list",
        "elements": "path",
        "default": ["/usr/bin/Rscript", "/opt/R/*/bin/Rscript"],
    },
    "kernel_folders": {
        "type": "list",
        "elements": "path",
        "default": ["/usr/share/jupyter/kernels", "/usr/local/share/jupyter/kernels"],
    },
    "os_release": {"type": "path", "default": "/etc/os-release"},
}


def earlier(path: Path) -> dict[str, Any] | None:
    """Return the receipt that is there; one that cannot be read is made anew."""
    try:
        return load(path.read_text(encoding="utf-8"), str(path))
    except (FileNotFoundError, ReceiptError, UnicodeError):
        return None


def write(module: AnsibleModule, path: Path, text: str) -> None:
    """Replace the file in one step."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(unfinished).chmod(0o644)
    module.atomic_move(unfinished, str(path))


def run(module: AnsibleModule) -> dict[str, Any]:
    """Do what the task asks for and return the module's result. Raises OSError and ReceiptError."""
    options = module.params
    path = Path(options["path"])
    receipt = {
        **read_machine(
            conda_prefixes=options["conda_prefixes"],
            rscripts=options["rscripts"],
            kernel_folders=options["kernel_folders"],
            os_release=options["os_release"],
        ),
        "made": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "image": options["image"],
        "collection": options["collection_version"],
        "provenance": {key: str(value) for key, value in options["provenance"].items()},
        "settings": {key: str(value) for key, value in options["settings"].items()},
    }
    before = earlier(path)
    changed = before is None or not says_the_same(before, receipt)
    if changed and not module.check_mode:
        write(module, path, dump(receipt))
    nested = {part: sum(map(len, receipt[part].values())) for part in ("conda", "r")}
    return {
        "changed": changed,
        "path": str(path),
        "tools": receipt["tools"],
        "counts": {"os": len(receipt["os"]), **nested, "kernels": len(receipt["kernels"])},
        "diff": {
            "before_header": str(path),
            "after_header": str(path),
            "before": "",
            "after": text_of(differences(before, receipt)) if before and changed else "",
        },
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module)
    except ReceiptError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
