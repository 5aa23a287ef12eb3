#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: receipt_diff
short_description: Compare the packages of two images
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - Compares two receipts, as M(iac.ds_stack.machine_receipt) writes them, and tells which packages were
    added, removed, or have another version, build, source or digest.
  - When, by what and as which image a receipt was made does not count.
options:
  before:
    description: File with the receipt of one image.
    type: path
    required: true
  after:
    description: File with the receipt of the other image.
    type: path
    required: true
extends_documentation_fragment:
  - iac.ds_stack.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
seealso:
  - module: iac.ds_stack.machine_receipt
"""

EXAMPLES = r"""
- name: Compare two images
  iac.ds_stack.receipt_diff:
    before: receipts/demo-20261127-093000_ami-0a1b2c3d4e5f60718.json
    after: receipts/demo-20261204-101500_ami-0f1e2d3c4b5a69788.json
  register: compared

- name: Show what differs
  iac.ds_stack.show_text:
    text: "{{ compared.text }}"
"""

RETURN = r"""
same:
  description: Whether both have the same packages.
  returned: always
  type: bool
  sample: false
differences:
  description: All that is not the same. Without C(before) it was added, without C(after) it was removed.
  returned: always
  type: list
  elements: dict
  sample:
    - part: conda
      place: /opt/conda/envs/ds
      name: numpy
      before: 2.3.4
      after: 2.3.5
  contains:
    part:
      description: V(system), V(os), V(conda), V(r) or V(kernels).
      type: str
    place:
      description: The conda environment or the R library.
      returned: for conda and R
      type: str
    name:
      description: Name of the package.
      type: str
    before:
      description: What there was.
      returned: unless it was added
      type: str
    after:
      description: What there is.
      returned: unless it was removed
      type: str
text:
  description: The same for people.
  returned: always
  type: str
  sample: "conda (/opt/conda/envs/ds): 1 changed\n  ~ numpy  2.3.4 → 2.3.5\n"
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.iac.ds_stack.plugins.module_utils._software.receipt import (
    ReceiptError,
    as_dict,
    differences,
    load,
    text_of,
)


def read(path: str) -> dict[str, Any]:
    """Return a receipt. Raises ReceiptError."""
    try:
        return load(Path(path).read_text(encoding="utf-8-sig"), path)
    except OSError as error:
        raise ReceiptError(f"There is no receipt {path}: {error.strerror}.") from error
    except UnicodeError:
        raise ReceiptError(f"{path} is no receipt: it is no text.") from None


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "before": {"type": "path", "required": True},
            "after": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        found = differences(read(module.params["before"]), read(module.params["after"]))
    except ReceiptError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False, same=not found, differences=[as_dict(one) for one in found], text=text_of(found)
    )


if __name__ == "__main__":
    main()
