"""The command ds-stack-init.

usage: ds-stack-init boot      make the machine ready, start the services (ds-stack-init.service)
       ds-stack-init check     see whether the services work, and report (ds-stack-ready.service)
       ds-stack-init refresh   apply what has changed (ds-stack-init-refresh.timer)
       ds-stack-init restore   copy a home from a snapshot beside the living one (ds-stack-restore.service)
       ds-stack-init shares    add up who has how much of the data volume (ds-stack-shares.service)
       ds-stack-init stop      note changed passwords and sign-ins, and report, before the machine stops
"""

from __future__ import annotations

import fcntl
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from . import files, identity, memory, presence, restore, settings, shares, status, steps
from .metadata import Metadata
from .parameters import Parameters, Unavailable
from .process import run
from .reporter import Reporter, explain

logger = logging.getLogger("ds-stack-init")

COMMANDS = {"boot": steps.boot, "check": steps.check, "refresh": steps.refresh, "stop": steps.stop}
# They may take long, and nothing waits for them.
APART: dict[str, Callable[[settings.Settings], None]] = {
    "restore": lambda here: restore.work(here, logger.info),
    "shares": shares.measure,
}
BOOT_UNIT = "ds-stack-init.service"


def main() -> int:
    """Run a command and return the exit code: 1 after an error, which is logged and reported."""
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(message)s")
    logger.setLevel(logging.INFO)
    command = sys.argv[1] if len(sys.argv) == 2 else ""
    if command not in (*COMMANDS, *APART):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return _run(command)
    except Exception as error:
        logger.error(explain(error))
        return 1


def _run(command: str) -> int:
    here = settings.load()
    files.make_folder(memory.FOLDER, 0o755)
    if command in APART:
        APART[command](here)
        return 0
    with Path(memory.FOLDER, "lock").open("w", encoding="ascii") as lock:
        try:
            # A refresh comes again; the others wait for their turn.
            fcntl.flock(lock, fcntl.LOCK_EX | (fcntl.LOCK_NB if command == "refresh" else 0))
        except BlockingIOError:
            logger.info("another run is at work")
            return 0
        if command in ("refresh", "stop"):
            steps.remember_passwords(here, logger.info)  # whatever else goes wrong
            steps.keep_sign_ins(here, logger.info)
        if command == "refresh":
            if _retry_boot():
                return 0
            steps.upkeep(here, logger.info)  # whatever SSM says, and whether it answers
        return _run_for_stack(command, here)


def _retry_boot() -> bool:
    """Begin the boot's work again if it has failed; whatever it missed may be there now."""
    state = run("systemctl", "is-failed", BOOT_UNIT, ok=range(256))
    if state.strip() == "failed":
        logger.info("trying again what failed at boot")
        run("systemctl", "--no-block", "start", BOOT_UNIT)
        return True
    return False


def _run_for_stack(command: str, here: settings.Settings) -> int:
    machine = identity.discover(Metadata(here.metadata_url).get)
    if machine is None:
        logger.info("this is no machine of a stack (it has no tag %s): nothing to do", identity.STACK_TAG)
        return 0
    parameters = Parameters.of_machine(here, machine.region, machine.stack)
    reporter = Reporter(
        machine, parameters, lambda: presence.look(here), logger.info, lambda: restore.known(here)
    )
    try:
        context = steps.Context(
            here,
            machine,
            parameters,
            reporter,
            logger.info,
            lambda: identity.stands_by(Metadata(here.metadata_url).get),  # a token would not last as long
        )
        COMMANDS[command](context)
    except Exception as error:
        if command == "refresh" and isinstance(error, Unavailable):
            logger.info(explain(error))  # nothing is wrong with the machine, and the next refresh comes soon
        else:
            reporter.report(status.FAILED, explain(error))
            memory.forget_state()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
