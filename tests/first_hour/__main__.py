"""python -m tests.first_hour table                    print the table of the documentation
python -m tests.first_hour http://ADDRESS:8000 USER    do it all; the password is in JUPYTERHUB_PASSWORD
"""

from __future__ import annotations

import os
import sys
from itertools import chain
from pathlib import Path

from tests.clients.jupyterhub import Hub
from tests.first_hour import browser
from tests.first_hour.session import do_all
from tests.first_hour.table import table

PICTURES = Path(__file__).resolve().parents[1] / "output/pictures"
"""What the browser showed."""


def main(arguments: list[str]) -> int:
    """Do it, and say what came of it. Returns how many did not go as they should."""
    if arguments == ["table"]:
        print(table())
        return 0
    url, user = arguments
    password = os.environ["JUPYTERHUB_PASSWORD"]
    hub = Hub(url)
    hub.wait_until_ready()
    hub.sign_in(user, password)
    hub.start_server()
    failed = 0
    for outcome in chain(do_all(hub, password), browser.do_all(url, user, password, PICTURES)):
        failed += bool(outcome.problem)
        print(
            f"{'FAILED' if outcome.problem else 'ok':6} {outcome.what} ({outcome.where}) {outcome.problem}",
            flush=True,
        )
    return min(failed, 100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
