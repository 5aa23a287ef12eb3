"""Starts users' sessions as the real server does: in its own unit, without PAM, by ``rsession-path``."""

from __future__ import annotations

import os
import pwd
import secrets
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

SESSION = "/usr/lib/rstudio-server/bin/rsession"


class Sessions:
    """One session of each user."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._path = options["rsession-path"] or SESSION
        self._secret = secrets.token_hex(16)
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def begin(self, user: str) -> None:
        """Start the user's session, unless it runs: a session outlives the server that has started it.

        Nothing where there are none, as in the package of this stand-in.
        """
        if not Path(SESSION).exists():
            return
        account = pwd.getpwnam(user)
        with self._lock:
            before = self._started.get(user)
            if (before and before.poll() is None) or runs(account.pw_uid):
                return
            self._started[user] = subprocess.Popen(
                [self._path, "-u", user],
                user=account.pw_uid,
                group=account.pw_gid,
                extra_groups=os.getgrouplist(user, account.pw_gid),
                cwd=account.pw_dir if Path(account.pw_dir).is_dir() else "/",
                env={
                    "HOME": account.pw_dir,
                    "USER": user,
                    "LOGNAME": user,
                    "PATH": "/usr/local/bin:/usr/bin:/bin",
                    "MONITOR_SHARED_SECRET": self._secret,
                },
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )


def runs(uid: int) -> bool:
    """Whether there is a session of this user."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if folder.stat().st_uid == uid and (folder / "comm").read_text() == "rsession\n":
                return True
        except OSError:  # it has just ended
            continue
    return False
