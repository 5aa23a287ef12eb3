"""The order of things."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from . import (
    accounts,
    cluster,
    guard,
    health,
    memory,
    mounts,
    proxy,
    registry,
    restore,
    self_test,
    services,
    shares,
    sign_ins,
    state_folders,
    status,
    userdb,
    users,
    volume,
)
from .accounts import Account
from .certificate import CERTIFICATE, wanted_names
from .config import Config, Credential, User, parse_config, parse_credential, parse_ssh_keys
from .errors import InitError
from .identity import Identity
from .parameters import SSH_KEYS, Parameter, Parameters, Unavailable
from .registry import Record
from .reporter import Reporter, explain
from .settings import Settings
from .status import Check

PAUSE_SECONDS = 5.0
CONFIG_SECONDS = 300
TURN_SECONDS = 1.0
# After a change the services work already, or the next refresh finds them working.
REFRESH_SECONDS = 30


@dataclass(frozen=True)
class Context:
    """What every step works with."""

    settings: Settings
    identity: Identity
    parameters: Parameters
    reporter: Reporter
    log: Callable[[str], None]
    stands_by: Callable[[], bool]


def boot(context: Context) -> None:
    """Make everything ready for the services, and have them started. Raises InitError."""
    context.reporter.report(status.STARTING, "Reading the configuration.")
    config = _read_config(context, wait_for(context.parameters.config, CONFIG_SECONDS))
    if _wait_for_turn(context, config.data_volume_id):
        config = _read_config(context, context.parameters.config())  # it may have taken long
    context.reporter.report(status.STARTING, f"Waiting for the data volume {config.data_volume_id}.")
    _apply(context, config)
    context.reporter.report(status.STARTING, "Starting the services.")
    services.start(context.settings.services)


def _wait_for_turn(context: Context, volume_id: str) -> bool:
    """While this machine stands by for another one, wait for the volume. Return whether it had to wait."""
    waited = False
    while not volume.find(volume_id) and context.stands_by():
        if not waited:
            context.reporter.report(status.WAITING, f"Another machine has the data volume {volume_id}.")
        waited = True
        time.sleep(TURN_SECONDS)
    return waited


def refresh(context: Context) -> None:
    """Apply what has changed in SSM since the last time, and report how the machine is. Raises InitError."""
    applied = memory.load()
    found = context.parameters.config()
    versions = context.parameters.credential_versions()
    names = wanted_names(context.identity)
    config = _read_config(context, found)
    if not (applied and applied.covers(found.version, versions, names, time.time())):
        _apply(context, config)
    restore.heed(context.settings, config.restore_home, context.log)
    if context.settings.spark:
        _refresh_cluster(context)
    if services.is_due(services.READY_UNIT):
        return  # the services are starting for the first time, and are given the time that takes
    _check(context, min(REFRESH_SECONDS, context.settings.services_seconds))


def _refresh_cluster(context: Context) -> None:
    """Tell users of the Spark cluster. What is wrong with that is not the machine's."""
    try:
        cluster.refresh(context.settings, context.parameters, context.log)
    except (InitError, OSError, KeyError) as error:
        context.log(explain(error))


def upkeep(settings: Settings, log: Callable[[str], None]) -> None:
    """Put right what has gone wrong since the last time. Each part of it is logged when it fails."""
    applied = memory.load()
    if applied is None or services.is_due(services.READY_UNIT):
        return  # the machine was not made ready in this boot, or only now
    parts: list[Callable[[], object]] = [
        lambda: _fill(settings, applied, log),
        lambda: users.end_leftovers(registry.load(settings.state), log),
        lambda: services.keep(settings.services, log),
        lambda: shares.watch(settings),
    ]
    if settings.guard:
        # First: the services do not start without it.
        parts.insert(0, lambda: _keep_guard(settings, log))
    for part in parts:
        try:
            part()
        except Exception as error:
            log(explain(error))


def _keep_guard(settings: Settings, log: Callable[[str], None]) -> None:
    if guard.keep(settings, _uids(settings), log):
        memory.note(opened=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))


def _fill(settings: Settings, applied: memory.Applied, log: Callable[[str], None]) -> None:
    """Let the file system fill its volume; where the kernel refuses that is said once, and in the status."""
    unfilled = None
    try:
        volume.fill(settings, log)
    except InitError as error:
        unfilled = str(error)
    if unfilled != applied.unfilled:
        memory.note(unfilled=unfilled)
        if unfilled:
            log(unfilled)


def _uids(settings: Settings) -> list[int]:
    """Return the uids of this machine's users."""
    here = userdb.read_accounts().values()
    return [one.uid for one in here if settings.first_uid <= one.uid < accounts.END_UID]


def check(context: Context) -> None:
    """Give the services time to start, and report. Raises InitError when there is nothing to check yet."""
    _check(context, context.settings.services_seconds)


def _check(context: Context, seconds: float) -> None:
    applied = memory.load()
    if applied is None:
        raise InitError("The machine was not made ready: see the log of ds-stack-init.service.")
    settings = context.settings
    context.reporter.config_version = applied.config_version
    scheme = proxy.scheme(applied.tls)
    checks = services.check_all(
        settings.services,
        lambda one: services.check(one, scheme, settings.tls_folder / CERTIFICATE),
        seconds,
    )
    disks = [_with_shares(one) for one in health.check(settings)]
    instance = context.identity.instance_id
    # Where the disks are at fault it says nothing of the image.
    if self_test.is_due(settings, instance) and all(one.ok for one in disks):
        checks.append(self_test.check(settings, instance, scheme, checks))
    checks += disks
    if applied.unfilled:
        detail = "the volume has grown; its file system will fill it from the next boot on"
        checks.append(Check("data volume's size", True, detail))
    if settings.guard:
        checks.append(guard.check(settings, _uids(settings), applied.opened))
    checks += [Check(f"user {name}", False, problem) for name, problem in applied.problems.items()]
    known = registry.load(settings.state)
    checks += [
        Check(f"removed user {name}", False, f"still runs {len(found)} processes")
        for name, found in users.leftovers(known).items()
    ]
    checks += [Check(f"password of {one}", False, "none is in SSM: run site.yml") for one in _locked(known)]
    state, message = status.verdict(checks)
    as_before = (state, message) == (applied.state, applied.message)
    written = context.reporter.report(state, message, checks, quiet=as_before)
    memory.save(replace(applied, state=state if written else None, message=message))


def _with_shares(disk: Check) -> Check:
    """Add who has most of the data volume, where that was looked at since it is nearly full."""
    who = shares.known(time.time())[0] if disk.name == health.DATA else ""
    return replace(disk, detail=f"{disk.detail}: {who}") if who else disk


def stop(context: Context) -> None:
    """Report that the machine is no longer ready: whoever starts it again is to wait until it is."""
    context.reporter.report(status.STOPPED, "The machine was stopped, or is booting again.")
    memory.forget_state()


def remember_passwords(settings: Settings, log: Callable[[str], None]) -> None:
    """Note the passwords that users have changed, before this machine may be gone."""
    try:
        known = registry.load(settings.state)
        if known:
            registry.save(settings.state, accounts.remember(known, userdb.read_accounts()))
        elif not registry.is_there(settings.state):
            memory.forget_state()
    except Exception as error:
        log(explain(error))
        memory.forget_state()  # so that everything is done again, which mends the registry


def keep_sign_ins(settings: Settings, log: Callable[[str], None]) -> None:
    """Keep who has signed in, before this machine may be gone."""
    if str(settings.data_mount) not in mounts.current():
        return
    try:
        sign_ins.keep(settings)
    except Exception as error:
        log(explain(error))


def _read_config(context: Context, found: Parameter) -> Config:
    # Noted first, so that a failure tells which configuration it is about.
    context.reporter.config_version = found.version
    return parse_config(found.value, found.version)


def wait_for(read: Callable[[], Parameter], seconds: float, pause: float = PAUSE_SECONDS) -> Parameter:
    """Try until SSM answers: a new role's rights take a while to be known everywhere."""
    end = time.monotonic() + seconds
    while True:
        try:
            return read()
        except Unavailable:
            if time.monotonic() >= end:
                raise
        time.sleep(pause)


def _apply(context: Context, config: Config) -> None:
    settings, log = context.settings, context.log
    # Before anything that could fail. At boot the volume, and who was removed, is not known yet.
    _close_removed(settings, config, log)
    volume.prepare(settings, config.data_volume_id, log)
    found = context.parameters.credentials()
    problems = _apply_users(settings, config.users, found, log)
    state_folders.attach(settings, log)
    proxy.configure(settings, context.identity, config.tls, log)
    versions = {name: one.version for name, one in found.items()}
    before = memory.load()
    memory.save(
        memory.Applied(
            config.version,
            config.tls,
            versions,
            wanted_names(context.identity),
            at=time.time(),
            problems=problems,
            opened=before.opened if before else None,
            unfilled=before.unfilled if before else None,
        )
    )


def _close_removed(settings: Settings, config: Config, log: Callable[[str], None]) -> None:
    if str(settings.data_mount) not in mounts.current():
        return
    try:
        here = userdb.read_accounts()
        try:
            known = _registry(settings, here, {})[0]
        except InitError:  # another release's: who is to be closed can be told from the accounts
            known = accounts.recover(here, {}, settings.home, settings.first_uid)
        users.close(accounts.to_close({user.name for user in config.users}, known, here), settings, log)
    except Exception as error:
        log(explain(error))


def _registry(
    settings: Settings, here: Mapping[str, Account], credentials: Mapping[str, Credential]
) -> tuple[dict[str, Record], bool]:
    """Return the registry, and whether it had to be made anew from the accounts of this machine."""
    try:
        if registry.is_there(settings.state):
            return registry.load(settings.state), False
    except registry.DamagedError:
        pass
    return accounts.recover(here, credentials, settings.home, settings.first_uid), True


def _with_keys(user: User, found: Mapping[str, Parameter]) -> User:
    """Add the SSH keys of the user's own parameter to those in the configuration, their place of before."""
    own = found.get(f"{user.name}/{SSH_KEYS}")
    return replace(user, ssh_keys=user.ssh_keys + parse_ssh_keys(own.value)) if own else user


def _credentials(found: Mapping[str, Parameter], problems: users.Problems) -> dict[str, Credential]:
    """Return what can be read of the users' passwords; the rest is a problem of each user's own."""
    credentials = {}
    for name, one in found.items():
        if "/" not in name:
            with problems.of(name):
                credentials[name] = parse_credential(name, one.value)
    return credentials


def _apply_users(
    settings: Settings,
    wanted: Sequence[User],
    found: Mapping[str, Parameter],
    log: Callable[[str], None],
) -> dict[str, str]:
    """Make the users as they are wanted. Return what is wrong with whom."""
    unreadable = users.Problems()
    names = {user.name for user in wanted}
    credentials = _credentials({name: one for name, one in found.items() if name in names}, unreadable)
    machine = userdb.read_machine(settings)
    known, recovered = _registry(settings, machine.accounts, credentials)
    if recovered and registry.is_there(settings.state):
        registry.set_aside(settings.state)
        log(f"{registry.NAME} is damaged, and made anew from the accounts here: {', '.join(known) or 'none'}")
    people = [_with_keys(user, found) for user in wanted]
    plan = accounts.plan(people, credentials, known, machine, settings.first_uid)
    # First of all who has which uid, so that an interrupted run finds its own accounts again; that a password
    # was set only when it was.
    known = {**{one.user.name: Record(one.uid) for one in plan.users}, **known}
    registry.save(settings.state, known)
    problems = users.apply(plan, settings, log)
    undone = {name: known[name] for name in problems if name in known}
    registry.save(settings.state, {**plan.registry, **undone})
    return {**unreadable, **problems}


def _locked(known: Mapping[str, Record]) -> list[str]:
    """Return the users of this machine whom nothing gives a password."""
    here = userdb.read_accounts()
    return [name for name, one in known.items() if name in here and not (one.password or here[name].expired)]
