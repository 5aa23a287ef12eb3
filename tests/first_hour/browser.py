"""What people do in a browser: the things of the table for which there have to be eyes and a mouse."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from playwright.sync_api import Error, expect

from tests.clients.browser import SECONDS, Lab, chromium
from tests.first_hour.session import SHOWN, Outcome

WHERE = "a browser"
LARGE = 200 * 1024**2
"""Bytes of a file that is sent and fetched."""

PLOT = """\
import numpy as np, matplotlib.pyplot as plt
x = np.linspace(0, 12, 400)
plt.figure(figsize=(6, 2.4)); plt.plot(x, np.sin(x) * np.exp(-x / 6)); plt.title("größe");"""
SLIDER = """\
import ipywidgets as widgets
widgets.interact(lambda n: print("square:", n * n), n=widgets.IntSlider(3, 0, 10));"""
PLOT_IN_R = """\
library(ggplot2)
options(repr.plot.width = 6, repr.plot.height = 2.6)
ggplot(mtcars, aes(wt, mpg, colour = factor(cyl))) +
  geom_point(size = 2) + labs(title = "größe")"""


def do_all(url: str, user: str, password: str, pictures: Path, idle: float = 0) -> Iterator[Outcome]:
    """Do it all in one window, one thing after the other.

    Args:
        url: of the hub.
        pictures: the folder for what the window showed.
        idle: seconds to leave it alone before going on with the notebook.
    """
    with chromium() as page:
        lab = Lab(page)
        things: list[tuple[str, Callable[[], None]]] = [
            (SIGN_IN, lambda: lab.sign_in(url, user, password)),
            (PYTHON, lambda: _python(lab)),
            (WIDGET, lambda: _widget(lab)),
            (IDLE, lambda: _go_on(lab, idle)),
            (R, lambda: _r(lab)),
            (TERMINAL, lambda: _terminal(lab)),
            (FILES, lambda: _files(lab, pictures)),
        ]
        for number, (what, do) in enumerate(things, 1):
            try:
                do()
                problem = ""
            except (AssertionError, Error) as error:
                problem = f"{error}"[:SHOWN]
            lab.show(pictures / f"{number}.png")
            yield Outcome(what, WHERE, problem)


SIGN_IN = "Sign in on the page"
PYTHON = "See a plot in Python"
WIDGET = "Move a slider with the keyboard"
IDLE = "Leave it alone, and go on"
R = "See a plot in R"
TERMINAL = "Type into a terminal"
FILES = "Upload 200 MB and download them"
ALL = (SIGN_IN, PYTHON, WIDGET, IDLE, R, TERMINAL, FILES)


def _python(lab: Lab) -> None:
    lab.open_notebook("Python 3")
    expect(lab.run(PLOT).locator("img")).to_be_visible()


def _widget(lab: Lab) -> None:
    output = lab.run(SLIDER)
    handle = output.locator(".noUi-handle")
    handle.focus()
    for _step in range(4):
        lab.page.keyboard.press("ArrowRight")
    expect(output).to_contain_text("square: 49")


def _go_on(lab: Lab, idle: float) -> None:
    lab.run("kept = 6 * 7")
    time.sleep(idle)
    expect(lab.run("print('kept', kept)")).to_contain_text("kept 42")


def _r(lab: Lab) -> None:
    lab.open_notebook("R")
    expect(lab.run(PLOT_IN_R).locator("img, svg").first).to_be_visible()


def _terminal(lab: Lab) -> None:
    lab.open_terminal()
    lab.type("clear; python -c 'print(6 * 7)' | tee of-terminal.txt\n")
    # A terminal is drawn, and has no text that could be read in the page: what it did is.
    lab.file("of-terminal.txt").wait_for()


def _files(lab: Lab, folder: Path) -> None:
    sent = folder / "large.bin"
    with sent.open("wb") as file:
        for block in range(LARGE // 1024**2):
            file.write(hashlib.sha256(bytes([block])).digest() * (1024**2 // 32))
    wanted = _sum(sent)
    try:
        lab.upload(sent)
        lab.open_terminal()
        lab.type(f"until [ $(stat -c %s {sent.name}) = {LARGE} ]; do sleep 1; done\n")
        lab.type(f"touch of-$(sha256sum {sent.name} | cut -c1-64)\n")
        lab.file(f"of-{wanted}").wait_for(timeout=4 * SECONDS * 1000)
        sent.unlink()
        assert _sum(lab.download(sent.name, folder)) == wanted
        lab.type("rm of-* large.bin\n")
        lab.file(sent.name).wait_for(state="detached")
    finally:
        sent.unlink(missing_ok=True)


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
