"""The order of things."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from . import accounts, memory, proxy, registry, services, state_folders, status, userdb, users, volume
from .certificate import CERTIFICATE, wanted_names
from .config import Config, Credential, User, parse_config, parse_credential, parse_ssh_keys
from .errors import InitError
from .identity import Identity
from .parameters import SSH_KEYS, Parameter, Parameters, Unavailable
from .registry import Record
from .reporter import Reporter
from .settings import Settings
from .status import Check

PAUSE_SECONDS = 5.0
CONFIG_SECONDS = 300
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


def boot(context: Context) -> None:
    """Make everything ready for the services, and have them started. Raises InitError."""
    context.reporter.report(status.STARTING, "Reading the configuration.")
    config = _read_config(context, wait_for(context.parameters.config, CONFIG_SECONDS))
    context.reporter.report(status.STARTING, f"Waiting for the data volume {config.data_volume_id}.")
    _apply(context, config)
    context.reporter.report(status.STARTING, "Starting the services.")
    services.start(context.settings.services)


def refresh(context: Context) -> None:
    """Apply what has changed in SSM since the last time. Raises InitError."""
    applied = memory.load()
    found = context.parameters.config()
    versions = context.parameters.credential_versions()
    names = wanted_names(context.identity)
    if applied and applied.covers(found.version, versions, names, time.time()):
        return
    _apply(context, _read_config(context, found))
    _check(context, min(REFRESH_SECONDS, context.settings.services_seconds))


def check(context: Context) -> None:
    """Give the services time to start, and report. Raises InitError when there is nothing to check yet."""
    _check(context, context.settings.services_seconds)


def _check(context: Context, seconds: float) -> None:
    applied = memory.load()
    if applied is None:
        raise InitError("The machine was not made ready: see the log of ds-stack-init.service.")
    settings = context.settings
    context.reporter.config_version = applied.config_version
    checks = services.check_all(
        settings.services,
        lambda one: services.check(one, proxy.scheme(applied.tls), settings.tls_folder / CERTIFICATE),
        seconds,
    )
    checks += [
        Check(f"password of {one}", False, "none is in SSM: run site.yml") for one in _locked(settings)
    ]
    state, message = status.verdict(checks)
    written = context.reporter.report(state, message, checks)
    memory.save(replace(applied, state=state if written else None))


def stop(context: Context) -> None:
    """Report that the machine is no longer ready: whoever starts it again is to wait until it is."""
    context.reporter.report(status.STOPPED, "The machine was stopped, or is booting again.")
    memory.forget_state()


def remember_passwords(settings: Settings) -> None:
    """Note the passwords that users have changed, before this machine may be gone. Raises InitError."""
    known = registry.load(settings.state)
    if known:
        registry.save(settings.state, accounts.remember(known, userdb.read_accounts()))


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
    volume.prepare(settings, config.data_volume_id, log)
    found = context.parameters.credentials()
    names = {user.name for user in config.users}
    credentials = {name: parse_credential(name, one.value) for name, one in found.items() if name in names}
    _apply_users(settings, [_with_keys(user, found) for user in config.users], credentials, log)
    state_folders.attach(settings, log)
    proxy.configure(settings, context.identity, config.tls, log)
    versions = {name: one.version for name, one in found.items()}
    memory.save(
        memory.Applied(config.version, config.tls, versions, wanted_names(context.identity), at=time.time())
    )


def _with_keys(user: User, found: Mapping[str, Parameter]) -> User:
    """Add the SSH keys of the user's own parameter to those in the configuration, their place of before."""
    own = found.get(f"{user.name}/{SSH_KEYS}")
    return replace(user, ssh_keys=user.ssh_keys + parse_ssh_keys(own.value)) if own else user


def _apply_users(
    settings: Settings,
    wanted: Sequence[User],
    credentials: Mapping[str, Credential],
    log: Callable[[str], None],
) -> None:
    known = registry.load(settings.state)
    plan = accounts.plan(wanted, credentials, known, userdb.read_machine(settings), settings.first_uid)
    # First of all who has which uid, so that an interrupted run finds its own accounts again; that a password
    # was set only when it was.
    registry.save(settings.state, {**{one.user.name: Record(one.uid) for one in plan.users}, **known})
    users.apply(plan, settings, log)
    registry.save(settings.state, plan.registry)


def _locked(settings: Settings) -> list[str]:
    """Return the users of this machine whom nothing gives a password."""
    here = userdb.read_accounts()
    known = registry.load(settings.state)
    return [name for name, one in known.items() if name in here and not (one.password or here[name].expired)]
