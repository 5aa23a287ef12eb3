"""Who is at work on this machine, so that nobody's work is ended unasked."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import accounts, files, memory, userdb
from .settings import Settings
from .status import Person
from .work import Look, Process, kept, processes, read_theirs

SEEN = "presence/processes.json"
RUN = Path("/run")
SERVERS = "jupyter/*/at-work.json"
"""Below /run, of each user's server of JupyterHub, which writes it (ds_stack_server/activity.py)."""
SERVER_GROUP = re.compile(r"/jupyter-[^/]+-singleuser\.service")
"""What runs in there, that server tells of: it knows its kernels, and itself."""
STALE_SECONDS = 300.0
"""A server tells every minute. One that has not for so long is stuck."""
RECENT_SECONDS = 300.0
"""Between two cells somebody thinks, and is at work."""
SSH = frozenset({"sshd", "sshd-session"})
SHOWN = {"rsession": "R session"}
MOST = 4


def look(settings: Settings) -> list[Person]:
    """Look who is at work now. Raises OSError."""
    here = {
        account.uid: (name, Path(account.home))
        for name, account in userdb.read_accounts().items()
        if settings.first_uid <= account.uid < accounts.END_UID
    }
    if not here:
        return []
    found = list(processes(here.__contains__, lambda group: not SERVER_GROUP.search(group)))
    before = Look(_load())
    working = before.working(found, time.clock_gettime(time.CLOCK_BOOTTIME))
    _save(before)
    now = time.time()
    told = servers(here, now)
    keeping = {uid for uid, (_name, home) in here.items() if kept(home, now)}
    return people({uid: name for uid, (name, _home) in here.items()}, found, working, told, keeping)


def people(
    names: Mapping[int, str],
    found: Sequence[Process],
    working: Sequence[Process],
    told: Mapping[int, Sequence[str]],
    keeping: set[int],
) -> list[Person]:
    """Return who is at work, by name.

    Args:
        found: the processes of these users outside of their servers of JupyterHub.
        working: those of them that work. Whoever is connected by SSH is there in any case.
        told: what those servers say.
        keeping: who asked by ds-keep that nothing be taken for idle.
    """
    doing: dict[int, list[str]] = {uid: list(told.get(uid, ())) for uid in names}
    for one in working:
        if one.name not in SSH:
            doing[one.uid].append(SHOWN.get(one.name, one.name))
    for uid in {one.uid for one in found if one.name in SSH}:
        doing[uid].append("SSH")
    for uid in keeping - {uid for uid, ones in told.items() if "ds-keep" in ones}:
        doing[uid].append("ds-keep")
    return sorted(
        (Person(names[uid], _words(ones)) for uid, ones in doing.items() if ones), key=lambda one: one.name
    )


def _words(doing: Sequence[str]) -> str:
    each = list(dict.fromkeys(doing))
    return ", ".join(each[:MOST]) + (" and more" if len(each) > MOST else "")


def servers(uids: Mapping[int, object], now: float, run: Path = RUN) -> dict[int, list[str]]:
    """Return uid → what that user's servers are doing. What is in such a file is the user's own saying."""
    doing: dict[int, list[str]] = {}
    for path in run.glob(SERVERS):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            text, stat = read_theirs(path)
            if stat.st_uid in uids and now - stat.st_mtime < STALE_SECONDS:
                told = json.loads(text)
                ones = [str(one) for one in told["doing"]]
                if not ones and now - float(told["last"]) < RECENT_SECONDS:
                    ones = ["a notebook a moment ago"]
                doing.setdefault(stat.st_uid, []).extend(ones)
    return doing


def _load() -> dict[tuple[int, float], tuple[float, float]]:
    text = files.read(memory.FOLDER / SEEN)
    try:
        return {(int(pid), began): (since, used) for pid, began, since, used in json.loads(text or "[]")}
    except (ValueError, TypeError):
        return {}


def _save(look: Look) -> None:
    seen = [[pid, began, since, used] for (pid, began), (since, used) in look.seen.items()]
    path = memory.FOLDER / SEEN
    files.make_folder(path.parent, 0o700)
    files.write(path, json.dumps(seen), 0o600)
