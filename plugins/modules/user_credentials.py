#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: user_credentials
short_description: Keep the passwords of a stack's users in SSM Parameter Store
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - Sees to it that each user of a stack has a password. It is generated here, on the control machine.
  - The password goes to C(/ds-stack/<stack>/operator/passwords/<user>), which the machine's role cannot read;
    its hash (SHA-512-crypt) to C(/ds-stack/<stack>/machine/users/<user>), which it can. Both are
    SecureStrings, and neither is ever returned or shown.
  - A password is set on the machine once for each rotation. A user who has changed theirs keeps it until the
    next one.
  - Write a password of your own over the operator's parameter and run this again, and its hash is made anew.
options:
  stack:
    description: Name of the stack.
    type: str
    required: true
  users:
    description: The users who have passwords. Ignored with O(state=absent).
    type: list
    elements: str
    default: []
  rotate:
    description: Those among O(users) who get another password now.
    type: list
    elements: str
    default: []
  purge:
    description: Whether to remove the parameters of users who are not among O(users).
    type: bool
    default: true
  kms_key_id:
    description:
      - KMS key for parameters that are written; those that need no change keep theirs.
      - By default the account's own key for SSM. With another, the machine's role must be allowed to decrypt
        with it.
    type: str
  tags:
    description:
      - Tags of the parameters besides C(ds-stack:name). Tags that others have given them stay.
    type: dict
    default: {}
  state:
    description:
      - V(present) keeps the users' passwords.
      - V(absent) removes every parameter below C(/ds-stack/<stack>), those of the machine's configuration and
        status among them.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows who has a password before and after, and how often each has been given one.
extends_documentation_fragment:
  - iac.ds_stack.attributes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
requirements:
  - passlib
"""

EXAMPLES = r"""
- name: Keep the users' passwords
  iac.ds_stack.user_credentials:
    stack: demo
    users: [ada, grace]

- name: Give a user another password
  iac.ds_stack.user_credentials:
    stack: demo
    users: [ada, grace]
    rotate: [grace]

- name: Remove every parameter of a stack
  iac.ds_stack.user_credentials:
    stack: demo
    state: absent
"""

RETURN = r"""
created:
  description: Users who were given their first password.
  returned: when O(state=present)
  type: list
  elements: str
  sample: [ada]
rotated:
  description: Users who were given another one.
  returned: when O(state=present)
  type: list
  elements: str
  sample: [grace]
republished:
  description: Users whose hash was made anew from the password in the operator's parameter.
  returned: when O(state=present)
  type: list
  elements: str
  sample: []
removed:
  description: Users whose parameters were removed.
  returned: when O(state=present)
  type: list
  elements: str
  sample: [eve]
tagged:
  description: Parameters that were given tags that they had not.
  returned: when O(state=present)
  type: list
  elements: str
  sample: [/ds-stack/demo/machine/users/ada]
parameters:
  description: For each user the operator's parameter, which holds the password.
  returned: when O(state=present)
  type: dict
  sample:
    ada: /ds-stack/demo/operator/passwords/ada
removed_parameters:
  description: The parameters that were removed.
  returned: always
  type: list
  elements: str
  sample: [/ds-stack/demo/operator/passwords/eve, /ds-stack/demo/machine/users/eve]
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from ansible_collections.iac.ds_stack.plugins.module_utils import _credentials
from ansible_collections.iac.ds_stack.plugins.module_utils._credentials import Action, Plan, Published
from ansible_collections.iac.ds_stack.plugins.module_utils._parameters import (
    NAME_TAG,
    ParameterStore,
    Paths,
)

ARGUMENTS: dict[str, Any] = {
    "stack": {"type": "str", "required": True},
    "users": {"type": "list", "elements": "str", "default": []},
    "rotate": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "purge": {"type": "bool", "default": True},
    "kms_key_id": {"type": "str", "no_log": False},
    "tags": {"type": "dict", "default": {}},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


class CredentialError(Exception):
    """The parameters of the task contradict each other; the message says how."""


def present(module: AnsibleAWSModule, store: ParameterStore) -> dict[str, Any]:
    """Keep the passwords and return the module's result."""
    paths, users = Paths(module.params["stack"]), module.params["users"]
    strangers = sorted(set(module.params["rotate"]) - set(users))
    if strangers:
        raise CredentialError(f"rotate names {', '.join(strangers)}, who are not among the users.")
    operator = {user: one.version for user, one in store.below(paths.passwords).items()}
    machine = {
        user: _credentials.parse_published(one.value)
        for user, one in store.below(paths.machine_users, decrypt=True).items()
    }
    module.no_log_values.update(one.hash for one in machine.values() if one)
    plan = _credentials.plan(users, module.params["rotate"], module.params["purge"], operator, machine)
    tags = {**module.params["tags"], NAME_TAG: module.params["stack"]}
    doomed = _names_of(paths, plan, operator, machine)
    untagged = _untagged(store, paths, plan, tags)
    if not module.check_mode:
        writer = Writer(store, paths, module.params["kms_key_id"], tags, module.no_log_values.add)
        for user, action in plan.actions.items():
            if action is Action.ISSUE:
                writer.issue(user, machine.get(user), new=(user not in operator, user not in machine))
            elif action is Action.PUBLISH:
                writer.republish(user, machine.get(user), new=user not in machine)
        for name in untagged:
            store.add_tags(name, tags)
        store.delete(doomed)
    return {
        "changed": plan.changes or bool(untagged),
        "created": list(plan.created),
        "rotated": list(plan.rotated),
        "republished": list(plan.republished),
        "removed": list(plan.removed),
        "tagged": untagged,
        "parameters": {user: f"{paths.passwords}/{user}" for user in plan.actions},
        "removed_parameters": doomed,
        "diff": _diff(plan, machine),
    }


@dataclass(frozen=True)
class Writer:
    """Writes users' parameters.

    Attributes:
        keep_secret: told every secret before it is used, so that nothing shows it.
    """

    store: ParameterStore
    paths: Paths
    kms_key_id: str | None
    tags: Mapping[str, str]
    keep_secret: Callable[[str], None]

    def issue(self, user: str, published: Published | None, new: tuple[bool, bool]) -> None:
        """Make a password and its hash. ``new`` says of each parameter whether it is not there yet.

        The password is written first: what an interrupted run leaves, the next one mends.
        """
        password = _credentials.generate_password()
        self.keep_secret(password)
        name, description = f"{self.paths.passwords}/{user}", f"Password of {user}, as it was issued"
        version = self._put(name, password, description, new[0])
        self._publish(user, password, version, published, new[1])

    def republish(self, user: str, published: Published | None, new: bool) -> None:
        """Make the hash of the password that is there."""
        found = self.store.get(f"{self.paths.passwords}/{user}", decrypt=True)
        if found is None:
            raise CredentialError(f"The password of {user} was removed while this ran. Run it again.")
        self.keep_secret(found.value)
        self._publish(user, found.value, found.version, published, new)

    def _publish(self, user: str, password: str, version: int, last: Published | None, new: bool) -> None:
        password_hash = _credentials.hash_password(password)
        self.keep_secret(password_hash)
        published = Published(password_hash, _credentials.next_rotation(last), version)
        name, text = f"{self.paths.machine_users}/{user}", _credentials.document(published)
        self._put(name, text, f"Password hash of {user}", new)

    def _put(self, name: str, value: str, description: str, new: bool) -> int:
        return self.store.put_secret(
            name, value, description=description, kms_key_id=self.kms_key_id, tags=self.tags, new=new
        )


def _names_of(
    paths: Paths, plan: Plan, operator: Mapping[str, int], machine: Mapping[str, Published | None]
) -> list[str]:
    """Return the parameters that go."""
    names = [f"{paths.passwords}/{user}" for user in plan.removed if user in operator]
    return names + [f"{paths.machine_users}/{user}" for user in plan.removed if user in machine]


def _untagged(store: ParameterStore, paths: Paths, plan: Plan, tags: Mapping[str, str]) -> list[str]:
    """Return the parameters that are kept and lack tags; the others get theirs when they are made."""
    names = [
        f"{folder}/{user}"
        for user, action in plan.actions.items()
        if action is Action.KEEP
        for folder in (paths.passwords, paths.machine_users)
    ]
    return [name for name in names if not tags.items() <= store.tags(name).items()]


def _diff(plan: Plan, machine: Mapping[str, Published | None]) -> dict[str, Any]:
    """Return how often each user has been given a password, before and after."""
    before = {user: one.rotation if one else None for user, one in machine.items()}
    after = {user: rotation for user, rotation in before.items() if user not in plan.removed}
    for user, action in plan.actions.items():
        if action is not Action.KEEP:
            after[user] = _credentials.next_rotation(machine.get(user))
    return {"before": {"rotations": before}, "after": {"rotations": after}}


def absent(module: AnsibleAWSModule, store: ParameterStore) -> dict[str, Any]:
    """Remove all parameters of the stack and return the module's result."""
    paths = Paths(module.params["stack"])
    names = sorted(f"{paths.root}/{name}" for name in store.below(paths.root, recursive=True))
    if not module.check_mode:
        store.delete(names)
    return {
        "changed": bool(names),
        "removed_parameters": names,
        "diff": {"before": {"parameters": names}, "after": {"parameters": []}},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        store = ParameterStore(module.client("ssm", retry_decorator=AWSRetry.jittered_backoff()))
        work = present if module.params["state"] == "present" else absent
        result = work(module, store)
    except CredentialError as error:
        module.fail_json(msg=str(error))
    except ImportError as error:
        module.fail_json(msg=missing_required_lib("passlib"), exception=str(error))
    except AnsibleAWSError as error:
        module.fail_json_aws_error(error)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
