"""The command ds-stack-self-test.

It makes a user, signs in to all that the machine offers, runs cells, and removes the user. It prints one JSON
object with what it tried, and ends with 0 when all of that works, with 1 when something does not, and with 2
when nothing could be tried.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from . import checks, settings, system, user
from .hub import Hub
from .ide import Ide
from .notebooks import Notebooks
from .rstudio import RStudio


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="ds-stack-self-test", description=__doc__)
    parser.add_argument("--image", default="", help="name of the image that is to be made of the machine")
    parser.add_argument("--homes", type=Path, default=Path("/home"), help="folder of the homes")
    parser.add_argument("--scheme", choices=["http", "https"], default="http", help="what the proxy speaks")
    parser.add_argument("--ca-file", type=Path, help="the certificate to trust for https")
    parser.add_argument("--patience", type=float, default=60, help="seconds that one thing may take")
    parser.add_argument(
        "--start", action="store_true", help="start what does not run, and stop it again in the end"
    )
    options = parser.parse_args(arguments)
    os.environ["no_proxy"] = "*"  # a company's proxy has no part in this
    try:
        here = settings.load()
        with (
            system.started(here.services if options.start else ()),
            user.throw_away(here.group, options.homes) as one,
        ):
            found = checks.run(_chains(here, one, options))
            # Before they are stopped, of which they would tell.
            words = [] if checks.passed(found) else system.last_words(here.services)
    except (checks.WrongError, OSError, ValueError, KeyError, TypeError) as error:
        print(
            json.dumps(
                checks.document([checks.Check("self-test", checks.FAILED, str(error), 0)], options.image)
            )
        )
        return 2
    result = checks.document(found, options.image, words)
    print(json.dumps(result))
    return 0 if result["passed"] else 1


def _chains(here: settings.Settings, one: user.User, options: Any) -> list[list[checks.Step]]:
    offered: list[Notebooks | Ide] = []
    if here.hub_url:
        url = here.hub_url.replace("{scheme}", options.scheme)
        hub = Hub(url, ca_file=options.ca_file, check_hostname=False, timeout=options.patience)
        offered.append(Notebooks(here, one, hub, options.patience))
    if here.rstudio_url:
        url = here.rstudio_url.replace("{scheme}", options.scheme)
        browser = RStudio(url, ca_file=options.ca_file, check_hostname=False, timeout=options.patience)
        offered.append(Ide(one, browser, options.patience))
    return [chain for service in offered for chain in (service.steps(), service.refusal())]


if __name__ == "__main__":
    sys.exit(main())
