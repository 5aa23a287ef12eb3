#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_status
short_description: Read what a stack's machine says of itself, and wait until it is ready
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - A machine whose image was made with the role P(iac.ds_stack.first_boot#role) writes its status to the
    parameter C(/ds-stack/<stack>/machine/status/<instance>), and one of an older release to
    C(/ds-stack/<stack>/machine/status). This is how to know that it is ready, also when none of its
    ports is open.
options:
  stack:
    description: Name of the stack, 2 to 31 lower-case letters, digits and hyphens, beginning with a letter.
    type: str
    required: true
  instance_id:
    description: The instance whose word counts.
    type: str
    required: true
  state:
    description: With V(absent) what a machine has said of itself is removed, as the machine was before.
    type: str
    choices: [present, absent]
    default: present
  config_version:
    description: The version of the configuration, in SSM, that the machine must have applied, or a newer one.
    type: int
    default: 0
  wait:
    description:
      - Whether to wait until the machine is ready.
      - The module fails when the machine reports a failure. One that was reported before this module began to
        wait counts only after two minutes, since the machine tries again every minute.
    type: bool
    default: false
  standing_by:
    description: >-
      Whether it is enough that the machine waits for the data volume while another one has it, as a machine
      does that is to replace that one.
    type: bool
    default: false
  timeout:
    description: Seconds to wait at most.
    type: int
    default: 900
  urls:
    description:
      - Addresses at which the machine shall answer once it is ready, looked at from here for some seconds.
        The certificate is not checked.
      - That one does not answer is no failure. It may be open to others only.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    details: Nothing is changed but with O(state=absent).
  diff_mode:
    support: none
extends_documentation_fragment:
  - iac.ds_stack.attributes
  - iac.ds_stack.attributes.aws
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Wait until the machine is ready
  iac.ds_stack.machine_status:
    stack: demo
    instance_id: i-0123456789abcdef0
    config_version: 3
    wait: true
    urls: ["https://203.0.113.7:8000"]
"""

RETURN = r"""
ready:
  description: Whether this machine is ready, with this configuration; or is where O(standing_by) wants it.
  returned: with O(state=present)
  type: bool
  sample: true
status:
  description: What was reported last, by whatever machine; empty when nothing was.
  returned: with O(state=present)
  type: dict
  contains:
    state:
      description: V(starting), V(waiting), V(ready), V(failed) or V(stopped).
      type: str
      sample: ready
    message:
      description: What the machine is doing, or what is wrong.
      type: str
      sample: All checks passed.
    instance_id:
      description: Who reported.
      type: str
      sample: i-0123456789abcdef0
    image_id:
      description: Its image.
      type: str
      sample: ami-0a1b2c3d4e5f60718
    boot_id:
      description: The boot that it is about.
      type: str
      sample: 4be1c7f0-9d2a-4a53-b6f3-0e6fd1c6a2d9
    config_version:
      description: The configuration that it is about.
      type: int
      sample: 3
    time:
      description: When, in UTC.
      type: str
      sample: "2026-11-27T09:21:44Z"
    checks:
      description: What was looked at.
      type: list
      elements: dict
      sample:
        - name: jupyterhub
          ok: true
          detail: http://127.0.0.1:980/hub/login answers 200
      contains:
        name:
          description: The service.
          type: str
        ok:
          description: Whether it works.
          type: bool
        detail:
          description: How that shows.
          type: str
    restore:
      description:
        - How far it is with the restore of a user's home that was asked for, or none.
        - The images of releases before this do not tell it.
      type: dict
      sample:
        volume_id: vol-0fedcba9876543210
        user: ada
        state: copying
        message: ""
      contains:
        volume_id:
          description: The volume that the home is copied from.
          type: str
        user:
          description: Whose home it is.
          type: str
        state:
          description: V(copying), V(placing), V(done) or V(failed).
          type: str
        message:
          description: Where the home is, or what is wrong.
          type: str
    at_work:
      description:
        - Who is at work, as many as there is room for.
        - The images of releases before this do not tell it.
      type: list
      elements: dict
      sample:
        - name: ada
          doing: kernel ir, SSH
    also_at_work:
      description: How many more are at work.
      type: int
      sample: 0
at_work:
  description: Who is at work on the machine, if it runs, in words; empty for nobody.
  returned: with O(state=present)
  type: str
  sample: ada (kernel ir, SSH) and grace (R session)
at_work_unknown:
  description: Why that is not known; empty where it is.
  returned: with O(state=present)
  type: str
  sample: ""
unanswered:
  description: Those O(urls) that did not answer, or answered with an error.
  returned: with O(state=present)
  type: list
  elements: str
  sample: []
age:
  description: Seconds since that report, or none where nothing was reported or it does not tell when.
  returned: with O(state=present)
  type: float
  sample: 12.4
complaint:
  description:
    - What is wrong with the machine by its own words, or that it has been silent for more than five minutes,
      though it reports every minute; empty when nothing is.
    - It is about a machine that runs. Of one that was stopped nothing else is to be expected.
  returned: with O(state=present)
  type: str
  sample: "data volume: /data is full: 0 MiB are left for users"
waited:
  description: Seconds that passed until then.
  returned: with O(state=present)
  type: float
  sample: 84.2
"""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from ansible.module_utils.urls import open_url
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import machine_status as pages
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.machine_status import Seen, Verdict, Wanted
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.names import (
    OptionError,
    check_instance,
    check_stack,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.parameters import ParameterStore, Paths

PAUSE_SECONDS = 3.0
LOOKS = 5
"""How often an address is looked at that does not answer."""
LOOK_TIMEOUT_SECONDS = 5

ARGUMENTS: dict[str, Any] = {
    "stack": {"type": "str", "required": True},
    "instance_id": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "config_version": {"type": "int", "default": 0},
    "wait": {"type": "bool", "default": False},
    "standing_by": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 900},
    "urls": {"type": "list", "elements": "str", "default": []},
}


class NotReadyError(Exception):
    """The machine has failed, or the time is up."""

    def __init__(self, message: str, seen: Seen | None) -> None:
        super().__init__(message)
        self.seen = seen


def wait_until_ready(
    store: ParameterStore, stack: str, wanted: Wanted, timeout: float, advice: str
) -> tuple[Seen | None, float]:
    """Wait until the machine is ready; return its status and the seconds that took. Raises NotReadyError."""
    began = time.monotonic()
    first = seen = pages.read(store, stack, wanted.instance_id)
    while True:
        waited = time.monotonic() - began
        verdict = pages.judge(wanted, first, seen, waited)
        if verdict is Verdict.READY:
            return seen, waited
        if verdict is Verdict.FAILED and seen:
            message = seen.document.get("message")
            raise NotReadyError(
                f"The machine {wanted.instance_id} says that it has failed. {message} {advice}", seen
            )
        if waited >= timeout:
            raise NotReadyError(
                f"The machine {wanted.instance_id} was not ready within {timeout:.0f} seconds. "
                f"{pages.describe(wanted, seen)} {advice}",
                seen,
            )
        time.sleep(PAUSE_SECONDS)
        seen = pages.read(store, stack, wanted.instance_id)


def answers(url: str) -> bool:
    """Whether an address answers, with a page or by sending elsewhere."""
    for attempt in range(LOOKS):
        time.sleep(0 if attempt == 0 else PAUSE_SECONDS)
        try:
            open_url(url, validate_certs=False, follow_redirects="none", timeout=LOOK_TIMEOUT_SECONDS)
        except HTTPError as error:
            if error.code < 400:  # a redirect
                return True
        except (OSError, HTTPException):  # the latter where something answers that is not HTTP
            continue
        else:
            return True
    return False


def unanswered(urls: list[str]) -> list[str]:
    """The addresses that do not answer; all are looked at at once."""
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(answers, urls))
    return [url for url, answer in zip(urls, found, strict=True) if not answer]


def check(options: Mapping[str, Any]) -> None:
    """Raise OptionError for what nothing could ever be true of."""
    check_stack(options["stack"])
    check_instance(options["instance_id"])
    for name in ("timeout", "config_version"):
        if options[name] < 0:
            raise OptionError(f"{name}: {options[name]} is less than 0.")
    for url in options["urls"]:
        if not is_address(url):
            raise OptionError(f"urls: '{url}' is no address, such as https://198.51.100.7:8000.")


def is_address(url: str) -> bool:
    """Whether this is an address that can be looked at."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port beyond 65535
        return False


def forget(store: ParameterStore, stack: str, instance_id: str, check_mode: bool) -> dict[str, Any]:
    """Remove what a machine has said of itself."""
    doomed = [name for name in [Paths(stack).status(instance_id)] if store.get(name)]
    if not check_mode:
        store.delete(doomed)
    return {"changed": bool(doomed)}


def run(module: AnsibleAWSModule) -> dict[str, Any]:
    """Do what the task asks for and return the module's result."""
    check(module.params)
    store = ParameterStore(module.client("ssm", retry_decorator=AWSRetry.jittered_backoff()))
    stack = module.params["stack"]
    if module.params["state"] == "absent":
        return forget(store, stack, module.params["instance_id"], module.check_mode)
    wanted = Wanted(
        module.params["instance_id"], module.params["config_version"], module.params["standing_by"]
    )
    if module.params["wait"]:
        advice = pages.advice(wanted.instance_id, module.region)
        seen, waited = wait_until_ready(store, stack, wanted, module.params["timeout"], advice)
    else:
        seen, waited = pages.read(store, stack, wanted.instance_id), 0.0
    age = pages.age(seen.document, datetime.now(timezone.utc)) if seen else None
    at_work = pages.presence(wanted.instance_id, seen, age)
    ready = pages.judge(wanted, None, seen, waited) is Verdict.READY
    return {
        "changed": False,
        "ready": ready,
        "unanswered": unanswered(module.params["urls"]) if ready else module.params["urls"],
        "status": seen.document if seen else {},
        "age": age,
        "complaint": pages.complain(wanted.instance_id, seen, age),
        "at_work": at_work.who,
        "at_work_unknown": at_work.unknown,
        "waited": round(waited, 1),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module)
    except OptionError as error:
        module.fail_json(msg=str(error))
    except NotReadyError as error:
        module.fail_json(msg=str(error), status=error.seen.document if error.seen else {})
    except AnsibleAWSError as error:
        module.fail_json_aws_error(error)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
