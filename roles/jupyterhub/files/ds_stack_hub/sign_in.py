"""Signing in: bounded for whoever guesses passwords, and for nobody else.

Wrong passwords count for the account and the place together that they came from. Whoever tries a user's
passwords does not keep that user out, who is elsewhere, nor others who come from the same place, such as
those behind a port forward. A browser from which somebody has signed in before is a place of its own.
Whoever is on the machine comes by nginx too: the guard (role base) closes the hub's proxy to users.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pamela
from jupyterhub.auth import PAMAuthenticator
from tornado import web

MOST = 10
"""Passwords that are looked at for an account, from one place, in SECONDS, before one is right."""
SECONDS = 600.0
DELAY_SECONDS = 2.0
"""How long it takes until a refusal is told. Nobody else waits meanwhile."""
KNOWN = "jupyterhub-signed-in"
"""The signed cookie of a browser from which somebody has signed in: the account's name."""
KNOWN_DAYS = 400
MOST_TRIES = 10_000
"""As many accounts and places are remembered at once."""
CONNECTIONS = Path("/proc/net/tcp")
FIRST_UID = 1000
"""From here on they are users'; the role base has the same number."""


def owner(address: str, port: int) -> int:
    """Return whose socket a connection to this machine's own comes from; root's where that is not known."""
    wanted = f"{int.from_bytes(socket.inet_aton(address), 'little'):08X}:{port:04X}"
    for line in CONNECTIONS.read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1] == wanted:
            return int(fields[7])
    return 0


@dataclass
class Try:
    """Somebody who tries to sign in to an account from a place."""

    began: list[float] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Tries:
    """All who have tried of late and not come in."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nobody."""
        self._clock = clock
        self._tries: dict[tuple[str, str], Try] = {}

    def begin(self, account: str, place: str) -> Try | None:
        """Count one more try, and return it; None when there have been too many."""
        now = self._clock()
        one = self._tries.pop((account, place), None) or Try()
        self._tries[account, place] = one  # the last of all
        one.began = [began for began in one.began if now - began < SECONDS]
        if len(one.began) >= MOST:
            return None
        one.began.append(now)
        while len(self._tries) > MOST_TRIES:
            del self._tries[next(iter(self._tries))]
        return one

    def succeeded(self, account: str, place: str) -> None:
        """Forget the tries of somebody who came in."""
        self._tries.pop((account, place), None)


class Accounts(PAMAuthenticator):
    """PAM for the accounts of this machine that are allowed. Those who are signed in are looked at again."""

    tries = Tries()

    async def authenticate(self, handler: Any, data: dict[str, str]) -> str | None:
        """Return the account's name if the password is right, and None if not.

        Raises HTTPError after too many tries, and for a user's program that comes to the hub itself, past the
        proxies: what they say of the client's address is taken.
        """
        end = time.monotonic() + DELAY_SECONDS
        account = data["username"]
        if (uid := owner(*handler.request.connection.stream.socket.getpeername()[:2])) >= FIRST_UID:
            self.log.info("sign-in refused: %.40r from a program of uid %d", account, uid)
            raise web.HTTPError(403, "Sign in at the machine's address.")
        known = handler.get_secure_cookie(KNOWN, max_age_days=KNOWN_DAYS) == account.encode()
        place = "a browser known" if known else handler.request.remote_ip
        one = self.tries.begin(account, place)
        if one is None:
            await asyncio.sleep(end - time.monotonic())
            raise web.HTTPError(429, f"Too many wrong passwords. Try again in {SECONDS / 60:.0f} minutes.")
        if self._is_allowed(account):
            async with one.turn:
                if await super().authenticate(handler, data):
                    self.tries.succeeded(account, place)
                    handler.set_secure_cookie(
                        KNOWN,
                        account,
                        expires_days=KNOWN_DAYS,
                        path=handler.hub.base_url,
                        httponly=True,
                        secure=handler.request.protocol == "https",
                    )
                    self._note("accepted", account, handler)
                    return account
        self._note("refused", account, handler)
        await asyncio.sleep(end - time.monotonic())
        return None

    async def refresh_user(self, user: Any, handler: Any = None) -> bool:  # noqa: ARG002 - JupyterHub's own
        """Refuse who may not be here any more; the hub asks before a server starts and once a minute.

        An account may expire or leave the group meanwhile. Raises HTTPError.
        """
        try:
            await asyncio.to_thread(
                pamela.check_account, user.name, service=self.service, encoding=self.encoding
            )
            allowed = self._is_allowed(user.name)
        except pamela.PAMError:
            allowed = False
        if not allowed:
            # Raised: JupyterHub 6.1.1 breaks on a mere False, asking its handler for what is not there.
            raise web.HTTPError(403, "the account %s may not sign in any more", user.name)
        return True

    def _is_allowed(self, account: str) -> bool:
        try:
            return bool(self.check_allowed(account))
        except (KeyError, ValueError):  # there is no such account, nor can there be
            return False

    def _note(self, outcome: str, account: str, handler: Any) -> None:
        """Say it in one line, whatever the name is that somebody typed."""
        self.log.info("sign-in %s: %.40r from %s", outcome, account, handler.request.remote_ip)
