"""Ends ansible-playbook by SIGKILL as soon as the task is done that DS_STACK_KILL_AFTER names."""

from __future__ import annotations

import os
import signal
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: kill_after
type: aggregate
short_description: End the play after a task
description:
  - For the tests of what a run leaves that was killed.
"""


class CallbackModule(CallbackBase):
    """Called by Ansible, in its main process."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kill_after"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task is done."""
        if result.task.name == os.environ.get("DS_STACK_KILL_AFTER"):
            os.kill(os.getpid(), signal.SIGKILL)
