"""RStudio Server: its sign-in, and a session where the package has them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from .checks import NotShownError, Step, WrongError
from .notebooks import wait_for
from .rstudio import RStudio, SignInRefusedError
from .user import User, processes

UNIT = "rstudio-server.service"
SESSION = Path("/usr/lib/rstudio-server/bin/rsession")
#: What only a session answers.
OF_A_SESSION = "/help/doc/html/index.html"
SESSION_SECONDS = 20


@dataclass
class Ide:
    """A browser at RStudio Server."""

    user: User
    browser: RStudio
    patience: float

    def steps(self) -> list[Step]:
        """What a user does there, in this order."""
        return [
            ("RStudio answers", self.answers),
            ("RStudio sign-in", self.sign_in),
            ("RStudio session", self.session),
        ]

    def refusal(self) -> list[Step]:
        """That a wrong password gets nobody in."""
        return [("RStudio refuses a wrong password", self.is_refused)]

    def answers(self) -> str:
        return wait_for(UNIT, lambda: self.browser.wait_until_ready(1), self.patience)

    def sign_in(self) -> str:
        self.browser.sign_in(self.user.name, self.user.password)
        return "a user of the group signs in"

    def is_refused(self) -> str:
        self.answers()
        try:
            self.browser.another().sign_in(self.user.name, "not-" + self.user.password)
        except SignInRefusedError as error:
            return str(error)
        raise WrongError("a wrong password lets in")

    def session(self) -> str:
        """That a session of the user's runs. Never a failure: how it is begun is RStudio's own affair."""
        if not SESSION.exists():
            raise NotShownError("this rstudio-server has no sessions: it is a stand-in")
        end = time.monotonic() + SESSION_SECONDS
        while time.monotonic() < end:
            self.browser.get(OF_A_SESSION)
            if SESSION.name in processes().values():
                return "a session of the user's runs"
            time.sleep(0.5)
        raise NotShownError(f"no session of the user's was seen within {SESSION_SECONDS} s")
