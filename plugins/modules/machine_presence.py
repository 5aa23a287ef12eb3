#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_presence
short_description: Say who is at work on a stack's machine, and wait until nobody is
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - A machine whose image was made with the role P(iac.ds_stack.first_boot#role) tells every minute who is at
    work, in the parameter C(/ds-stack/<stack>/machine/status/<instance>).
  - At work is whose kernel is busy or was a moment ago, who runs something in a terminal or in RStudio, whose
    detached process uses the processor, who is connected by SSH, and who asked for it with C(ds-keep).
  - While it waits, the console shows for whom.
options:
  stack:
    description: Name of the stack, 2 to 31 lower-case letters, digits and hyphens, beginning with a letter.
    type: str
    required: true
  instance_id:
    description: The running instance that it is about.
    type: str
    required: true
  wait:
    description:
      - Whether to wait until nobody is at work. The machine is asked every half minute.
      - Where it is not known who is at work, nothing is waited for.
    type: bool
    default: false
  timeout:
    description: Seconds to wait at most. That somebody is at work at their end is no failure.
    type: int
    default: 28800
attributes:
  action:
    support: full
  check_mode:
    support: full
    details:
      - In check mode nothing is waited for.
  diff_mode:
    support: none
extends_documentation_fragment:
  - iac.ds_stack.attributes
  - iac.ds_stack.attributes.action
  - iac.ds_stack.attributes.aws
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Wait until nobody is at work
  iac.ds_stack.machine_presence:
    stack: demo
    instance_id: i-0123456789abcdef0
    wait: true
    timeout: 3600
  register: presence

- name: Stop while somebody is at work
  ansible.builtin.fail:
    msg: "{{ presence.at_work or presence.at_work_unknown }}"
  when: (presence.at_work or presence.at_work_unknown) != ''
"""

RETURN = r"""
at_work:
  description: Who is at work, in words; empty for nobody.
  returned: always
  type: str
  sample: ada (kernel ir, SSH) and grace (R session)
at_work_unknown:
  description: Why that is not known; empty where it is.
  returned: always
  type: str
  sample: It has reported nothing for 2 hours.
waited:
  description: Seconds that passed until then.
  returned: always
  type: float
  sample: 840.2
"""

import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from ansible_collections.iac.ds_stack.plugins.module_utils._run.progress import Progress
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import machine_status as pages
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.machine_status import Presence
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.names import (
    OptionError,
    check_instance,
    check_stack,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.parameters import ParameterStore

PAUSE_SECONDS = 30.0
REMINDER_SECONDS = 600.0

ARGUMENTS: dict[str, Any] = {
    "stack": {"type": "str", "required": True},
    "instance_id": {"type": "str", "required": True},
    "wait": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 28800},
}


def wait_until_idle(
    look: Callable[[], Presence], timeout: float, progress: Progress
) -> tuple[Presence, float]:
    """Look again and again while somebody is at work; return the last look, and the seconds that took."""
    began = said_at = time.monotonic()
    said = ""
    while True:
        found, now = look(), time.monotonic()
        left = timeout - (now - began)
        if not found.who or left <= 0 or (progress.lease and progress.lease.lost()):
            return found, now - began
        if found.who != said or now - said_at >= REMINDER_SECONDS:
            said, said_at = found.who, now
            progress.say(f"at work: {found.who}; waiting {pages.duration(left)} more at most")
        time.sleep(min(PAUSE_SECONDS, left))


def run(module: AnsibleAWSModule, progress: Progress) -> dict[str, Any]:
    """Do what the task asks for and return the module's result."""
    stack = check_stack(module.params["stack"])
    instance = check_instance(module.params["instance_id"])
    if module.params["timeout"] < 0:
        raise OptionError(f"timeout: {module.params['timeout']} is less than 0.")
    store = ParameterStore(module.client("ssm", retry_decorator=AWSRetry.jittered_backoff()))

    def look() -> Presence:
        seen = pages.read(store, stack, instance)
        age = pages.age(seen.document, datetime.now(timezone.utc)) if seen else None
        return pages.presence(instance, seen, age)

    waits = module.params["wait"] and not module.check_mode
    found, waited = wait_until_idle(look, module.params["timeout"] if waits else 0.0, progress)
    return {"at_work": found.who, "at_work_unknown": found.unknown, "waited": round(waited, 1)}


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    progress = Progress.from_environment()
    try:
        result = run(module, progress)
    except OptionError as error:
        module.fail_json(msg=str(error))
    except AnsibleAWSError as error:
        module.fail_json_aws_error(error)
    module.exit_json(changed=False, **result, **progress.result())


if __name__ == "__main__":
    main()
