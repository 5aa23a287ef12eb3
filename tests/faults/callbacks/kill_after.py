"""Ends ansible-playbook by SIGKILL as soon as the task is done that DS_STACK_KILL_AFTER names.

Or as soon as the file is there that DS_STACK_KILL_WHEN names.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: kill_after
type: aggregate
short_description: End the play after a task
description:
  - For the tests of what a run leaves that was killed.
"""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_when_there(file: Path) -> None:
    while not file.exists():
        time.sleep(0.05)
    _die()


class CallbackModule(CallbackBase):
    """Called by Ansible, in its main process."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kill_after"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, *_: Any) -> None:
        """The run begins."""
        file = os.environ.get("DS_STACK_KILL_WHEN")
        if file:
            threading.Thread(target=_die_when_there, args=[Path(file)], daemon=True).start()

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task is done."""
        if result.task.name == os.environ.get("DS_STACK_KILL_AFTER"):
            _die()
