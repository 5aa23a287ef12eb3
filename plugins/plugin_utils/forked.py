# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a module's work in a fork of Ansible's process, where starting the module would take longer than that.

To start a module, Ansible packs it, writes it to the disk and starts a Python that unpacks and imports it
all: most of a second, with AWS's libraries. On the control machine itself, all of it is in the memory of
Ansible's own process already. So a fork of that does the same work and gives the same result.

The fork stands where the module would: a process of its own, in the process group of Ansible's worker, with
its result going to its standard output. What `_process` and `_progress` say of the module is true of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ansible.module_utils import basic
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError
from ansible_collections.iac.ds_stack.plugins.module_utils._process import STOP_SIGNALS
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_masks import secrets_in
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_options import Ending

try:
    from ansible.module_utils.common.json import Direction, get_module_encoder
except ImportError:  # ansible-core before 2.19: modules are started there
    get_module_encoder = None

AVAILABLE = get_module_encoder is not None

MAIN_AVAILABLE = AVAILABLE and hasattr(basic, "_ANSIBLE_PROFILE") and sys.platform == "linux"
"""For what uses the network: on macOS a fork must not, see https://github.com/ansible/ansible/issues/76322."""

PROFILE = "legacy"
"""How arguments and results are written as JSON: as for any module."""


@dataclass(frozen=True)
class Program:
    """What a module is: its argument spec, and its work, called with the parameters, `check` and `diff`."""

    argument_spec: Mapping[str, Any]
    work: Callable[..., Ending]

    def run(self, name: str, arguments: Mapping[str, Any], *, check: bool, diff: bool) -> Ending:
        """Check the arguments, as Ansible does for a module, and do the work."""
        result = ArgumentSpecValidator(self.argument_spec).validate(arguments)
        if result.error_messages:
            message = result.errors.msg
            if isinstance(result.errors[0], UnsupportedError):
                message = f"Unsupported parameters for ({name}) module: {message}"
            secrets = secrets_in([arguments.get("sensitive_variables")])
            return Ending({"failed": True, "msg": message}, [], secrets)
        return self.work(result.validated_parameters, check=check, diff=diff)


def plain_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A task's arguments as a module gets them: without Ansible's tags, vaulted values decrypted."""
    encoder = get_module_encoder(PROFILE, Direction.CONTROLLER_TO_MODULE)
    plain: dict[str, Any] = json.loads(json.dumps(arguments, cls=encoder))
    return plain


@dataclass(frozen=True)
class Fork:
    """A process that does the work of a module."""

    pid: int
    answer: int

    def wait(self) -> str:
        """Wait for its end and return what it said."""
        with os.fdopen(self.answer, "rb") as file:
            said = file.read()
        os.waitpid(self.pid, 0)
        return said.decode("utf-8", "surrogateescape")

    def killed(self) -> dict[str, Any]:
        """The result when it said nothing."""
        return {"failed": True, "msg": f"Process {self.pid}, which did the work of the module, was killed."}

    def stop(self) -> None:
        """Let it end as a module does that is told to."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)


def fork(say: Callable[[], None], environment: Mapping[str, str], *unwanted: int) -> Fork:
    """Fork, and let the fork say what it has to on its standard output.

    environment: what it has beside Ansible's. unwanted: file descriptors that it must not hold.
    """
    answer_r, answer_w = os.pipe()
    pid = os.fork()
    if pid == 0:
        for descriptor in (answer_r, *unwanted):
            os.close(descriptor)
        _say_and_exit(say, environment, answer_w)
    os.close(answer_w)
    return Fork(pid, answer_r)


def start(
    work: Callable[[], Ending], environment: Mapping[str, str], *unwanted: int
) -> Callable[[], dict[str, Any]]:
    """Fork and do the work in the fork; return what waits for its result. The rest as for `fork`."""
    forked = fork(lambda: json.dump(_result(work), sys.stdout), environment, *unwanted)

    def wait() -> dict[str, Any]:
        answer = forked.wait()  # when a task timeout ends the wait, the fork ends by itself
        result: dict[str, Any] = json.loads(answer) if answer else forked.killed()
        return result

    return wait


def start_main(
    main: Callable[[], None], arguments: Mapping[str, Any], environment: Mapping[str, str], *unwanted: int
) -> Fork:
    """Fork and run a module's main function in the fork.

    arguments: the module's, with those that Ansible adds. The rest as for `fork`.
    """
    encoder = get_module_encoder(PROFILE, Direction.CONTROLLER_TO_MODULE)
    given = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}, cls=encoder).encode()

    def say() -> None:
        # As Ansible's own wrapper of a module does.
        basic._ANSIBLE_ARGS = given
        basic._ANSIBLE_PROFILE = PROFILE
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where warnings go that nobody reads of a module
        try:
            main()
        except Exception as error:
            json.dump(_failure(error), sys.stdout)

    return fork(say, environment, *unwanted)


def _say_and_exit(say: Callable[[], None], environment: Mapping[str, str], answer: int) -> NoReturn:
    """The life of the fork; it must never return into Ansible's code."""
    try:
        for number in (*STOP_SIGNALS, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)  # not what Ansible's worker does on them
        os.dup2(answer, 1)  # as a module's: what it starts in turn does not inherit it
        os.close(answer)
        os.environ.update(environment)
        tempfile.tempdir = None  # look again, TMPDIR may be in that environment
        with os.fdopen(1, "w") as sys.stdout, contextlib.suppress(SystemExit):
            say()
    finally:
        os._exit(0)


def _result(work: Callable[[], Ending]) -> dict[str, Any]:
    try:
        ending = work()
    except Exception as error:
        return _failure(error)
    warnings = {"warnings": ending.warnings} if ending.warnings else {}
    result = {**ending.result, **warnings}
    return remove_values(result, ending.secrets) if ending.secrets else result


def _failure(error: Exception) -> dict[str, Any]:
    return {
        "failed": True,
        "msg": f"{type(error).__name__}: {error}",
        "exception": "".join(traceback.format_exception(error)),
    }
