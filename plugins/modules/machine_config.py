#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: machine_config
short_description: Tell a stack's machine its configuration
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - Writes the parameter C(/ds-stack/<stack>/machine/config), which a machine whose image was made with the
    role P(iac.ds_stack.first_boot#role) reads at boot and every minute.
  - The SSH keys of a user go to C(/ds-stack/<stack>/machine/users/<user>/ssh_keys), one in a line, since a
    parameter holds 4,096 bytes. They are written before the configuration, which says by their digest that
    they have changed, and which has C(schema) V(2) where anybody has keys.
  - The machine of an image that looks for keys in the configuration alone refuses C(schema) V(2), and asks
    for a new bake.
  - It is no place for secrets.
options:
  stack:
    description: Name of the stack, 2 to 31 lower-case letters, digits and hyphens, beginning with a letter.
    type: str
    required: true
  config:
    description:
      - The configuration. In it, C(users) is a list of dicts, each with a C(name) and maybe C(ssh_keys).
      - The keys of users who are not among them are removed. Without C(users) nobody's keys are touched.
    type: dict
    required: true
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
extends_documentation_fragment:
  - iac.ds_stack.attributes
  - iac.ds_stack.attributes.aws
  - iac.ds_stack.parameters
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: iac.ds_stack.machine_status
"""

EXAMPLES = r"""
- name: Tell the machine its configuration
  iac.ds_stack.machine_config:
    stack: demo
    config:
      schema: 1
      data_volume_id: vol-0123456789abcdef0
      tls: none
      users:
        - name: ada
          ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB0 ada@example.org]
"""

RETURN = r"""
version:
  description: The version of the configuration, by which the machine says what it has applied.
  returned: success
  type: int
  sample: 3
written:
  description: Parameters that were written, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [/ds-stack/demo/machine/users/ada/ssh_keys, /ds-stack/demo/machine/config]
removed:
  description: Parameters with the SSH keys of users who have none any more.
  returned: success
  type: list
  elements: str
  sample: [/ds-stack/demo/machine/users/eve/ssh_keys]
tagged:
  description: Parameters whose tags were changed.
  returned: success
  type: list
  elements: str
  sample: []
done:
  description: What was changed before a call of AWS failed.
  returned: when a call of AWS failed
  type: list
  elements: str
  sample: [wrote /ds-stack/demo/machine/users/ada/ssh_keys]
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from ansible_collections.iac.ds_stack.plugins.module_utils._run.files import parse_object
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.machine_config import Parts
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.names import OptionError, check_stack
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.parameters import (
    SSH_KEYS,
    ForeignParameterError,
    Parameter,
    ParameterStore,
    Paths,
    Tagging,
    fail,
)

ARGUMENTS: dict[str, dict[str, Any]] = {
    "stack": {"type": "str", "required": True},
    "config": {"type": "dict", "required": True},
    "tags": {"type": "dict"},
    "purge_tags": {"type": "bool", "default": False},
}


def read(found: Parameter | None, name: str) -> dict[str, Any]:
    """Return the configuration that is there, empty when there is none. Raises ForeignParameterError."""
    if found is None:
        return {}
    found.require(name, "String")
    document = parse_object(found.value)
    if document is None:
        raise ForeignParameterError(name, "holds no configuration (no object in JSON)")
    return document


def keys_found(store: ParameterStore, paths: Paths) -> dict[str, Parameter]:
    """Return the parameters with SSH keys."""
    below = store.below(paths.machine_users, recursive=True)
    return {
        f"{paths.machine_users}/{name}": one
        for name, one in below.items()
        if name.rpartition("/")[2] == SSH_KEYS
    }


def write(module: AnsibleAWSModule, store: ParameterStore) -> dict[str, Any]:
    """Write what is not there already, and return the module's result."""
    options = module.params
    paths = Paths(check_stack(options["stack"]))
    parts = Parts.of(options["config"])
    tagging = Tagging.of(paths.stack, options["tags"], options["purge_tags"])
    found = store.get(paths.config)
    before = read(found, paths.config)
    keys = {} if parts.keys is None else keys_found(store, paths)
    # The configuration last: whoever reads it finds the keys that it is about.
    texts = {paths.ssh_keys(user): text for user, text in (parts.keys or {}).items()}
    texts[paths.config] = parts.document
    there = {**keys, **({paths.config: found} if found else {})}
    for name, one in there.items():
        if name in texts:
            one.require(name, "String")
    fresh = {name: text for name, text in texts.items() if name not in there or there[name].value != text}
    doomed = sorted(set(keys) - set(texts))
    retagged = tagging.changes(store, [name for name in texts if name in there])
    version = found.version if found else 0
    if paths.config in fresh:
        version += 1
    if not module.check_mode:
        store.delete(doomed)
        for name, text in fresh.items():
            what = "Configuration of the machine" if name == paths.config else "SSH keys of a user"
            written = store.put_text(name, text, description=what, tags=tagging.wanted, new=name not in there)
            version = written if name == paths.config else version
        for name, change in retagged.items():
            store.change_tags(name, change)
    return {
        "changed": bool(fresh or doomed or retagged),
        "version": version,
        "written": list(fresh),
        "removed": doomed,
        "tagged": list(retagged),
        "diff": {
            "before": shown(before, {name: one.value for name, one in keys.items()}),
            "after": shown(parse_object(parts.document) or {}, texts),
        },
    }


def shown(document: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """Return a configuration with the SSH keys, as a difference shows it."""
    keys = {name: text.splitlines() for name, text in texts.items() if name.endswith(f"/{SSH_KEYS}")}
    return {**document, **keys}


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    store = ParameterStore(module.client("ssm", retry_decorator=AWSRetry.jittered_backoff()))
    try:
        result = write(module, store)
    except (OptionError, ForeignParameterError) as error:
        module.fail_json(msg=str(error))
    except AnsibleAWSError as error:
        fail(module, store, error)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
