"""Whether a user's server is at work, for whoever stops idle ones.

Jupyter's own answer is when a kernel last said something. Here a kernel that computes counts too, and so do
what runs in the foreground of a terminal, a detached process that uses the processor, and `ds-keep`.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from datetime import datetime
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir
from jupyter_server._tz import utcnow
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

from ds_stack_server.work import Look, kept, processes

AT_WORK = "at-work.json"
"""In the server's own folder below /run. ds-stack-init tells the operator what is in it (presence.py)."""


class Activity(AsyncMappingKernelManager):
    """The server's own kernel manager, whose last activity is now while anything of the user's is at work."""

    _last_message: datetime = utcnow()
    _look = Look()

    @property
    def last_kernel_activity(self) -> datetime:
        """When something last happened, in UTC. The hub asks every minute, and AT_WORK is as new."""
        doing = self._doing()
        self._tell(doing)
        return utcnow() if doing else self._last_message

    @last_kernel_activity.setter
    def last_kernel_activity(self, moment: datetime) -> None:
        self._last_message = moment

    def _doing(self) -> list[str]:
        """What is at work here."""
        kernels = [self.get_kernel(one) for one in self.list_kernel_ids()]
        busy = [one.kernel_name for one in kernels if getattr(one, "execution_state", "") == "busy"]
        own = {os.getpid(), *(getattr(kernel.provisioner, "pid", 0) for kernel in kernels)}
        group = Path("/proc/self/cgroup").read_text()
        found = [one for one in processes(os.getuid().__eq__, group.__eq__) if one.pid not in own]
        working = self._look.working(found, time.clock_gettime(time.CLOCK_BOOTTIME))
        asked = ["ds-keep"] if kept(Path.home(), time.time()) else []
        return [*(f"kernel {name}" for name in busy), *(one.name for one in working), *asked]

    def _tell(self, doing: list[str]) -> None:
        told = Path(jupyter_runtime_dir(), AT_WORK)
        unfinished = told.with_suffix(".new")
        with contextlib.suppress(OSError):
            unfinished.write_text(json.dumps({"doing": doing, "last": self._last_message.timestamp()}))
            unfinished.replace(told)
