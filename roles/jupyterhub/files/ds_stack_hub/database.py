"""Put the hub's database aside where this hub cannot use it, so that it begins with an empty one.

A newer JupyterHub has upgraded it, and there is no way back: the machine runs an older image again. Or it
is damaged, by a full disk, say. What the hub loses with it: that people have signed in, which they do again,
and the tokens for its API that they made. Its users are the machine's, and so are their servers and files.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Collection
from contextlib import closing
from datetime import datetime
from pathlib import Path

import jupyterhub
from alembic.script import ScriptDirectory


def main(database: Path) -> None:
    """Look at the database before the hub does."""
    if why := objection(database, known()):
        aside = database.with_name(f"{database.name}.{datetime.now():%Y-%m-%dT%H-%M-%S}")
        database.rename(aside)
        print(f"{database} {why}: it is {aside} now, and JupyterHub begins with an empty one.")


def known() -> set[str]:
    """The revisions of a database that this JupyterHub knows."""
    scripts = ScriptDirectory(str(Path(jupyterhub.__file__).with_name("alembic")))
    return {one.revision for one in scripts.walk_revisions()}


def objection(database: Path, known: Collection[str]) -> str:
    """Why a database is of no use to a hub that knows these revisions; empty if it is or if there is none."""
    if not database.exists():
        return ""
    try:
        with closing(sqlite3.connect(database)) as connection:
            problem = connection.execute("pragma quick_check(1)").fetchone()[0]
            if problem != "ok":
                return f"is damaged ({problem})"
            revisions = connection.execute("select version_num from alembic_version").fetchall()
    except sqlite3.OperationalError:
        return ""  # it has no revision yet; or it cannot be read, which the hub tells
    except sqlite3.DatabaseError as error:
        return f"is damaged ({error})"
    unknown = sorted({str(one) for (one,) in revisions} - set(known))
    return f"is a newer JupyterHub's (revision {', '.join(unknown)})" if unknown else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
