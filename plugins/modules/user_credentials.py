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
  - Every hash is made before anything is written. What a run that was interrupted has left, the next one
    completes.
options:
  stack:
    description: Name of the stack, 2 to 31 lower-case letters, digits and hyphens, beginning with a letter.
    type: str
    required: true
  users:
    description:
      - Login names of all who have passwords. An empty list says that nobody has.
      - Without this option, or where it is null, nobody's parameters are touched.
      - Ignored with O(state=absent).
    type: list
    elements: str
  rotate:
    description: Those among O(users) who get another password now.
    type: list
    elements: str
    default: []
  purge:
    description:
      - Whether to remove the parameters of users who are not among O(users). Without O(users) nothing is
        removed whatever this says.
    type: bool
    default: true
  kms_key_id:
    description:
      - KMS key of the operator's parameters, as an alias (C(alias/NAME)), an ARN or an id. Those that have
        another are written again with this one, also those of users who are no longer named; no password and
        no hash changes by that.
      - Older versions of a parameter stay in its history with the key that they had. Rotate a password that
        they give away.
      - By default the account's own key for SSM, and what is there keeps the key that it has. The machine's
        parameters have the account's own key in any case.
    type: str
  state:
    description:
      - V(present) keeps the users' passwords.
      - V(absent) removes every parameter below C(/ds-stack/<stack>), those of the machine's configuration and
        status among them; with O(keep_users) only these.
    type: str
    choices: [present, absent]
    default: present
  keep_users:
    description:
      - With O(state=absent), whether the users' passwords and what the machine knows of users stay, because
        their homes do. A user who comes back to a home then keeps the password that they chose.
      - The record of the stack and its lock stay with them.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows who has a password before and after, and how often each has been given one.
extends_documentation_fragment:
  - iac.ds_stack.attributes
  - iac.ds_stack.attributes.aws
  - iac.ds_stack.parameters
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

- name: Remove the parameters of a machine whose homes are kept
  iac.ds_stack.user_credentials:
    stack: demo
    state: absent
    keep_users: true

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
moved:
  description: Users whose operator's parameter was written again with O(kms_key_id).
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
  description: Parameters whose tags were changed.
  returned: when O(state=present)
  type: list
  elements: str
  sample: [/ds-stack/demo/machine/users/ada]
parameters:
  description: For each of O(users) the operator's parameter, which holds the password.
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
done:
  description: What was changed before a call of AWS failed.
  returned: when a call of AWS failed
  type: list
  elements: str
  sample: [wrote /ds-stack/demo/operator/passwords/ada]
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import credentials
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.credentials import Action, Plan, Published
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.names import (
    OptionError,
    check_stack,
    check_users,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.parameters import (
    ParameterStore,
    Paths,
    Tagging,
    fail,
    is_same_key,
)

ARGUMENTS: dict[str, Any] = {
    "stack": {"type": "str", "required": True},
    "users": {"type": "list", "elements": "str"},
    "rotate": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "purge": {"type": "bool", "default": True},
    "kms_key_id": {"type": "str", "no_log": False},
    "tags": {"type": "dict"},
    "purge_tags": {"type": "bool", "default": False},
    "keep_users": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


class CredentialError(Exception):
    """The passwords cannot be kept as they are; the message says what to do."""


def present(module: AnsibleAWSModule, store: ParameterStore) -> dict[str, Any]:
    """Keep the passwords and return the module's result."""
    options = module.params
    paths = Paths(check_stack(options["stack"]))
    users = check_users("users", options["users"] or [])
    strangers = sorted(set(options["rotate"]) - set(users))
    if strangers:
        raise OptionError(f"rotate names {', '.join(strangers)}, who are not among the users.")
    tagging = Tagging.of(paths.stack, options["tags"], options["purge_tags"])
    operator = {user: one.version for user, one in store.below(paths.passwords).items()}
    machine = {
        user: credentials.parse_published(one.value)
        for user, one in store.below(paths.machine_users, decrypt=True).items()
    }
    module.no_log_values.update(one.hash for one in machine.values() if one)
    purge = options["purge"] and options["users"] is not None
    elsewhere = _under_another_key(module, store, paths) if options["users"] is not None else set()
    plan = credentials.plan(users, options["rotate"], purge, operator, machine, under_another_key=elsewhere)
    doomed = _names_of(paths, plan, operator, machine)
    retagged = tagging.changes(store, _kept(paths, plan))
    if plan.makes_hashes:
        credentials.require()
    if not module.check_mode:
        issuer = Issuer(store, paths, operator, machine, module.no_log_values.add)
        secrets = [
            issuer.make(user, action, user in plan.moved)
            for user, action in plan.actions.items()
            if action is not Action.KEEP
        ]
        for secret in secrets:
            issuer.write(secret, options["kms_key_id"], tagging.wanted)
        for name, change in retagged.items():
            store.change_tags(name, change)
        store.delete(doomed)
    return {
        "changed": plan.changes or bool(retagged),
        "created": list(plan.created),
        "rotated": list(plan.rotated),
        "republished": list(plan.republished),
        "moved": list(plan.moved),
        "removed": list(plan.removed),
        "tagged": list(retagged),
        "parameters": {user: f"{paths.passwords}/{user}" for user in sorted(set(users))},
        "removed_parameters": doomed,
        "diff": _diff(plan, machine),
    }


@dataclass(frozen=True)
class Secret:
    """What is to be written for a user.

    Attributes:
        published: what the machine is to know, but for the version of a password that is yet to be written;
            None where it knows nothing of the user, and is not to.
        password: to be written; None when the one that is there stays as it is.
    """

    user: str
    published: Published | None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Issuer:
    """Makes passwords and hashes, and writes them: first all of the one, then all of the other.

    Attributes:
        operator: user → version of the operator's parameter, as it was found.
        machine: user → what the machine's parameter says, as it was found.
        keep_secret: told every secret before it is used, so that nothing shows it.
    """

    store: ParameterStore
    paths: Paths
    operator: Mapping[str, int]
    machine: Mapping[str, Published | None]
    keep_secret: Callable[[str], None]

    def make(self, user: str, action: Action, move: bool) -> Secret:
        """Make a user's hash, and the password where there is to be a new one. Nothing is written.

        Args:
            move: write a password that stays again, with another key.
        """
        published = self.machine.get(user)
        rotation = credentials.next_rotation(published)
        if action is Action.ISSUE:
            password = credentials.generate_password()
            self.keep_secret(password)
            return Secret(user, Published(self._hash(user, password), rotation, 0), password)
        found = self.store.get(f"{self.paths.passwords}/{user}", decrypt=True)
        if found is None:
            raise CredentialError(f"The password of {user} was removed while this ran. Run it again.")
        self.keep_secret(found.value)
        # A run that was interrupted has moved it, or it was written again as it was. A password that the user
        # has changed since then stays theirs.
        if action is Action.PUBLISH and not credentials.is_hash_of(published, found.value):
            published = Published(self._hash(user, found.value), rotation, found.version)
        elif published:
            published = replace(published, operator_version=found.version)
        return Secret(user, published, found.value if move else None)

    def _hash(self, user: str, password: str) -> str:
        try:
            made = credentials.hash_password(password)
        except ValueError:
            # Not the error's own words: they may hold the password.
            raise CredentialError(
                f"No hash can be made of what is in {self.paths.passwords}/{user}. Write another password "
                f"there, or rotate {user}. Nothing was written."
            ) from None
        self.keep_secret(made)
        return made

    def write(self, secret: Secret, kms_key_id: str | None, tags: Mapping[str, str]) -> None:
        """Write a user's parameters, the password first: what is left half done, the next run completes."""

        def put(name: str, value: str, description: str, new: bool, key: str | None = None) -> int:
            return self.store.put_secret(
                name, value, description=description, kms_key_id=key, tags=tags, new=new
            )

        user, published = secret.user, secret.published
        if secret.password is not None:
            name, text = f"{self.paths.passwords}/{user}", f"Password of {user}, as it was issued"
            version = put(name, secret.password, text, user not in self.operator, kms_key_id)
            published = replace(published, operator_version=version) if published else None
        if published:
            name = f"{self.paths.machine_users}/{user}"
            put(name, credentials.document(published), f"Password hash of {user}", user not in self.machine)


def _under_another_key(module: AnsibleAWSModule, store: ParameterStore, paths: Paths) -> set[str]:
    """Return the users whose operator's parameter has not the key that it should."""
    wanted = module.params["kms_key_id"]
    found = store.keys(paths.passwords) if wanted else {}
    if not set(found.values()) - {wanted}:
        return set()
    kms = module.client("kms")
    same = {key for key in set(found.values()) if key == wanted or is_same_key(kms, key, wanted)}
    return {user for user, key in found.items() if key not in same}


def _names_of(
    paths: Paths, plan: Plan, operator: Mapping[str, int], machine: Mapping[str, Published | None]
) -> list[str]:
    """Return the parameters that go."""
    names = [f"{paths.passwords}/{user}" for user in plan.removed if user in operator]
    return names + [f"{paths.machine_users}/{user}" for user in plan.removed if user in machine]


def _kept(paths: Paths, plan: Plan) -> list[str]:
    """Return the parameters that stay as they are; the others get their tags when they are made."""
    return [
        f"{folder}/{user}"
        for user, action in plan.actions.items()
        if action is Action.KEEP
        for folder in (paths.passwords, paths.machine_users)
    ]


def _diff(plan: Plan, machine: Mapping[str, Published | None]) -> dict[str, Any]:
    """Return how often each user has been given a password, before and after."""
    before = {user: one.rotation if one else None for user, one in machine.items()}
    after = {user: rotation for user, rotation in before.items() if user not in plan.removed}
    for user, action in plan.actions.items():
        if action is not Action.KEEP:
            after[user] = credentials.next_rotation(machine.get(user))
    return {"before": {"rotations": before}, "after": {"rotations": after}}


def absent(module: AnsibleAWSModule, store: ParameterStore) -> dict[str, Any]:
    """Remove the parameters of the stack, all or all but the users', and return the module's result."""
    paths = Paths(check_stack(module.params["stack"]))
    found = sorted(f"{paths.root}/{name}" for name in store.below(paths.root, recursive=True))
    of_users = (f"{paths.passwords}/", f"{paths.machine_users}/", paths.record, paths.lock)
    kept = of_users if module.params["keep_users"] else ()
    names = [name for name in found if not name.startswith(kept)]
    if not module.check_mode:
        store.delete(names)
    return {
        "changed": bool(names),
        "removed_parameters": names,
        "diff": {
            "before": {"parameters": found},
            "after": {"parameters": [name for name in found if name not in names]},
        },
    }


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    store = ParameterStore(module.client("ssm", retry_decorator=AWSRetry.jittered_backoff()))
    try:
        work = present if module.params["state"] == "present" else absent
        result = work(module, store)
    except (OptionError, CredentialError) as error:
        module.fail_json(msg=str(error))
    except ImportError as error:
        module.fail_json(msg=missing_required_lib("passlib"), exception=str(error))
    except AnsibleAWSError as error:
        fail(module, store, error)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
