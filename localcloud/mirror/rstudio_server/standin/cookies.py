"""Who is signed in: a cookie that only this machine can make."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from pathlib import Path


def load_key(path: Path) -> bytes:
    """The machine's own key, made when there is none. An image must not carry it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32), encoding="ascii")
    return path.read_bytes()


@dataclass(frozen=True)
class Signer:
    """Makes and reads the cookie's value: user, time it ends (seconds since 1970), and a signature."""

    key: bytes
    minutes: int = 60

    def make(self, user: str) -> str:
        """The value for a user who has just signed in."""
        claim = f"{user}|{int(time.time()) + self.minutes * 60}"
        return f"{claim}|{self._signature(claim)}"

    def read(self, value: str | None) -> str | None:
        """The user, or None when the value is missing, forged or over."""
        claim, _bar, signature = (value or "").rpartition("|")
        user, _bar, end = claim.partition("|")
        if not hmac.compare_digest(signature.encode(), self._signature(claim).encode()):
            return None
        return user if end.isdigit() and int(end) > time.time() else None

    def _signature(self, claim: str) -> str:
        return hmac.new(self.key, claim.encode(), hashlib.sha256).hexdigest()
