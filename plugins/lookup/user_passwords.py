# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
---
name: user_passwords
short_description: Read the passwords that were issued to a stack's users
version_added: 0.1.0
author:
  - The iac.ds_stack developers (@iac-ds-stack)
description:
  - Reads what M(iac.ds_stack.user_credentials) has written to C(/ds-stack/<stack>/operator/passwords). Runs
    on the control machine, with the credentials that are in its environment.
  - Unlike P(amazon.aws.ssm_parameter#lookup), it shows nothing of what it reads at any verbosity.
options:
  _terms:
    description: Names of stacks.
    type: list
    elements: str
    required: true
  region:
    description: The AWS region. That of the environment by default.
    type: str
  decrypt:
    description: Whether to read the passwords. Else each is an empty text.
    type: bool
    default: true
requirements:
  - boto3
notes:
  - Values that are looked up are not masked by Ansible. Set C(no_log) on the task.
seealso:
  - module: iac.ds_stack.user_credentials
  - module: iac.ds_stack.show_text
"""

EXAMPLES = r"""
- name: Show a password on the screen, and nowhere else
  iac.ds_stack.show_text:
    text: "{{ lookup('iac.ds_stack.user_passwords', 'demo', region='eu-central-1').ada }}"
  no_log: true
"""

RETURN = r"""
_raw:
  description: For each stack its users and their passwords.
  type: list
  elements: dict
  sample:
    - ada: 7mQw…
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry, RetryingBotoClientWrapper
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.names import OptionError, check_stack
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.parameters import (
    ParameterError,
    ParameterStore,
    Paths,
)

try:
    import boto3
    from botocore.exceptions import BotoCoreError
except ImportError as error:
    NO_BOTO3: ImportError | None = error
else:
    NO_BOTO3 = None


class LookupModule(LookupBase):
    """Called by Ansible."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Read the passwords; see DOCUMENTATION. Raises AnsibleLookupError."""
        self.set_options(var_options=variables, direct=kwargs)
        if NO_BOTO3:
            raise AnsibleLookupError("user_passwords needs the Python package boto3.") from NO_BOTO3
        try:
            client = boto3.session.Session().client("ssm", region_name=self.get_option("region"))
            store = ParameterStore(RetryingBotoClientWrapper(client, AWSRetry.jittered_backoff()))
            return [self._of(store, Paths(check_stack(stack))) for stack in terms]
        except OptionError as error:
            raise AnsibleLookupError(str(error)) from None
        except ParameterError as error:
            raise AnsibleLookupError(f"{error.message}: {error.exception}") from None
        except BotoCoreError as error:
            raise AnsibleLookupError(f"Parameter Store cannot be asked: {error}") from None

    def _of(self, store: ParameterStore, paths: Paths) -> dict[str, str]:
        decrypt = self.get_option("decrypt")
        found = store.below(paths.passwords, decrypt=decrypt)
        return {user: one.value if decrypt else "" for user, one in found.items()}
