#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: text_files
short_description: Write many small text files at once
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - Does what a loop over M(ansible.builtin.copy) or M(ansible.builtin.template) does, in one go. A loop needs
    several connections for each file, which is most of the time that a role with many small files takes.
  - The files belong to the user that the module runs as, root in most roles.
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description:
          - Where the file is, an absolute path that no other of O(files) has.
          - Folders that are missing are made, with mode C(0755).
        type: path
        required: true
      content:
        description: The text.
        type: str
        required: true
      mode:
        description: The permissions, in octal or symbolic notation.
        type: raw
        default: "0644"
  purge:
    description:
      - Patterns (as a shell has them, with absolute paths) of files that are removed unless they are among
        O(files). Links are removed, not followed; folders stay.
    type: list
    elements: path
    default: []
extends_documentation_fragment:
  - iac.ds_stack.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows each file's text before and after.
seealso:
  - module: ansible.builtin.copy
"""

EXAMPLES = r"""
- name: Write the units
  iac.ds_stack.text_files:
    files:
      - path: /etc/systemd/system/hub.service
        content: "{{ lookup('ansible.builtin.template', 'hub.service.j2') }}"
      - path: /etc/hub/token
        content: "{{ hub_token }}\n"
        mode: "0600"
    purge: ["/etc/hub/*.conf"]
"""

RETURN = r"""
written:
  description: Files whose text or permissions have changed, or in check mode would.
  returned: always
  type: list
  elements: str
  sample: [/etc/systemd/system/hub.service]
removed:
  description: Files that were removed, or in check mode would be.
  returned: always
  type: list
  elements: str
  sample: [/etc/hub/old.conf]
"""

import glob
import os
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

ARGUMENTS: dict[str, dict[str, Any]] = {
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "path": {"type": "path", "required": True},
            "content": {"type": "str", "required": True},
            "mode": {"type": "raw", "default": "0644"},
        },
    },
    "purge": {"type": "list", "elements": "path", "default": []},
}


def read(path: Path) -> bytes | None:
    """Return what is in a file, or None when there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def difference(path: Path, before: bytes | None, after: bytes) -> dict[str, Any]:
    """Return a difference to show: Ansible takes no result that is no UTF-8."""
    return {
        "before_header": str(path),
        "after_header": str(path),
        "before": (before or b"").decode("utf-8", "replace"),
        "after": after.decode("utf-8", "replace"),
    }


def write(module: AnsibleModule, path: Path, content: bytes) -> None:
    """Replace a file in one step, so that nobody ever reads half of it."""
    for folder in reversed([one for one in path.parents if not one.exists()]):
        folder.mkdir()
        folder.chmod(0o755)  # whatever the umask says
    descriptor, unfinished = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    module.atomic_move(unfinished, str(path))


def ensure(module: AnsibleModule, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """Give a file its text and permissions, and return the difference, or None when there was none."""
    path, content = Path(wanted["path"]), wanted["content"].encode("utf-8", "surrogateescape")
    before = read(path)
    if before != content and not module.check_mode:
        write(module, path, content)
    changed = before != content
    if path.exists():
        changed = module.set_mode_if_different(str(path), wanted["mode"], changed)
    return difference(path, before, content) if changed else None


def doomed(patterns: list[str], wanted: list[dict[str, Any]]) -> list[Path]:
    """Return the files that a pattern names and nobody wants."""
    # Path.glob takes no absolute patterns.
    found = {Path(name) for pattern in patterns for name in glob.glob(pattern)}  # noqa: PTH207
    kept = {place(Path(one["path"])) for one in wanted}
    return sorted(
        path for path in found if place(path) not in kept and (path.is_symlink() or not path.is_dir())
    )


def problems(files: list[str], patterns: list[str]) -> list[str]:
    """Return what is wrong with the paths, before anything is written."""
    relative = [path for path in [*files, *patterns] if not Path(path).is_absolute()]
    places = [place(Path(path)) for path in files]
    twice = sorted({str(one) for one in places if places.count(one) > 1})
    return [
        *(f"'{path}' is no absolute path." for path in relative),
        *(f"{path} is there twice. Remove one." for path in twice),
    ]


def place(path: Path) -> Path:
    """Return where a file is, whatever links and dots lead there. A link in its own place is the file."""
    return Path(os.path.realpath(path.parent), path.name)


def run(module: AnsibleModule, differences: list[dict[str, Any]]) -> dict[str, Any]:
    """Do what the task asks for and return the module's result; each difference is told as it is made.

    Raises OSError.
    """
    removed = doomed(module.params["purge"], module.params["files"])
    for one in module.params["files"]:
        if found := ensure(module, one):
            differences.append(found)
    for path in removed:
        found = difference(path, None if path.is_symlink() else read(path), b"")
        if not module.check_mode:
            path.unlink()
        differences.append(found)
    names = [found["before_header"] for found in differences]
    written = names[: len(names) - len(removed)]
    return {
        "changed": bool(differences),
        "written": written,
        "removed": [str(path) for path in removed],
        "diff": differences,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wrong = problems([one["path"] for one in module.params["files"]], module.params["purge"])
    if wrong:
        module.fail_json(msg=" ".join(wrong))
    made: list[dict[str, Any]] = []
    try:
        result = run(module, made)
    except OSError as error:
        changed = bool(made) and not module.check_mode
        module.fail_json(msg=f"{error.filename}: {error.strerror}", changed=changed)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
