"""Doing the things of the table as a user who is signed in, and those that take more than typing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial

from tests.clients.jupyterhub import Hub, HubError, SignInRefusedError
from tests.clients.terminal import terminal
from tests.first_hour.things import AFTER, PLACES, PYTHON, TERMINAL, THINGS, R, Thing

SHOWN = 600


@dataclass(frozen=True)
class Outcome:
    """What came of a thing; ``problem`` is empty where it was what it should be."""

    what: str
    where: str
    problem: str = ""


def do_all(hub: Hub, password: str) -> Iterator[Outcome]:
    """Do everything with a browser that is signed in and has its server running.

    The password is the user's, who has it again at the end.
    """
    # One after the other: a server gives up clients that do not answer, and these do so while they wait.
    with ExitStack() as stack:
        kernels = {
            PYTHON: stack.enter_context(hub.kernel("python3")),
            R: stack.enter_context(hub.kernel("ir")),
        }
        for thing in (one for one in THINGS if one.where in kernels):
            yield _outcome(thing, partial(_cell, hub, kernels[thing.where], thing))
    with terminal(hub) as shell:
        for thing in (one for one in THINGS if one.where == TERMINAL):
            yield _outcome(thing, partial(shell.run, thing.code, thing.seconds))
    for what, where, act in MORE:
        yield _acted(what, where, partial(act, hub, password))


def do_after(hub: Hub) -> Iterator[Outcome]:
    """Do what shows that all is as it was left, on the machine that has taken the place of the one before."""
    with terminal(hub) as shell:
        for thing in AFTER:
            yield _outcome(thing, partial(shell.run, thing.code, thing.seconds))
    yield _acted(ENVIRONMENTS, "kernels", partial(_own_environments_are_kernels, hub, ""))


def _outcome(thing: Thing, do: Callable[[], str]) -> Outcome:
    try:
        came = do()
        problem = "" if re.fullmatch(thing.comes, came) else f"{came[:SHOWN]!r} came"
    except HubError as error:
        problem = str(error)
    return Outcome(thing.what, PLACES[thing.where], problem)


def _acted(what: str, where: str, act: Callable[[], None]) -> Outcome:
    try:
        act()
        problem = ""
    except (AssertionError, HubError, KeyError, ValueError) as error:
        problem = f"{error!r}"[:SHOWN]
    return Outcome(what, where, problem)


def _cell(hub: Hub, kernel: str, thing: Thing) -> str:
    cell = hub.run_in(kernel, thing.code, timeout=thing.seconds)
    return cell.output.strip() + (f" [{' '.join(cell.kinds)}]" if cell.kinds else "") + cell.error


def _kernels(hub: Hub) -> dict[str, str]:
    """The display names of the kernels by their names."""
    found = hub.server("GET", "api/kernelspecs").json()["kernelspecs"]
    return {name: one["spec"]["display_name"] for name, one in found.items()}


def _own_environments_are_kernels(hub: Hub, _password: str) -> None:
    offered = _kernels(hub)
    for label, prefix in (("own", ".conda/envs/own"), ("hour", ".virtualenvs/hour")):
        found = [name for name, display in offered.items() if display == f"Python 3 ({label})"]
        if label == "hour":  # its packages are those of the users' Python, and so is its kernel
            continue
        assert len(found) == 1, offered
        cell = hub.run_cell("import sys; print(sys.prefix)\n!command -v python", kernel=found[0])
        assert re.fullmatch(rf"\S+/{prefix}\s+\S+/{prefix}/bin/python\s+", cell.output), cell
    cell = hub.run_cell("import sys; print(sys.prefix)", kernel="mine")
    assert cell.output.strip().endswith("/.virtualenvs/hour"), cell


def _profile_that_hides_the_library(hub: Hub, _password: str) -> None:
    with terminal(hub) as shell:
        shell.run(
            "mkdir -p hidden/lib && cat > hidden/.Rprofile <<'END'\n"
            '.libPaths("lib", include.site = FALSE)\ngreeting <- "from the profile"\nEND'
        )
        with hub.kernel("ir", "hidden") as kernel:
            cell = hub.run_in(kernel, "cat(greeting, basename(.libPaths()[[1]]))")
        assert cell.output == "from the profile lib", cell


def _profile_with_an_error(hub: Hub, _password: str) -> None:
    with terminal(hub) as shell:
        shell.run("mkdir -p broken && echo 'library(no.such.package)' > broken/.Rprofile")
        with hub.kernel("ir", "broken") as kernel:
            cell = hub.run_in(kernel, "cat(6 * 7)")
        assert cell.output == "42", cell


def _workspace_that_cannot_be_read(hub: Hub, _password: str) -> None:
    with terminal(hub) as shell:
        shell.run("mkdir -p kept damaged && (cd kept && Rscript -e 'kept <- 42; save.image()')")
        shell.run("head -c 20 kept/.RData >damaged/.RData")
    for folder, came in (("kept", "42"), ("damaged", "nothing")):
        with hub.kernel("ir", folder) as kernel:
            cell = hub.run_in(kernel, "cat(get0('kept', ifnotfound = 'nothing'))")
        assert cell.output == came, cell


def _large_message(hub: Hub, _password: str) -> None:
    with hub.kernel() as kernel:
        cell = hub.run_in(kernel, f"x = '{'a' * 12_000_000}'\nprint(len(x))")
    assert cell.output == "12000000\n", cell


def _widgets_are_in_the_page(hub: Hub, _password: str) -> None:
    page = hub.server("GET", "lab").text
    assert "@jupyter-widgets/jupyterlab-manager" in page


def _no_question_about_news(hub: Hub, _password: str) -> None:
    plugin = "@jupyterlab/apputils-extension:notification"
    found = hub.server("GET", f"lab/api/settings/{plugin}").json()
    settings = {name: one["default"] for name, one in found["schema"]["properties"].items()}
    assert (settings["fetchNews"], settings["checkForUpdates"]) == ("false", False), settings


NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Größe and $x^2$"},
        {
            "cell_type": "code", "id": "b", "metadata": {}, "source": "6 * 7", "execution_count": 1,
            "outputs": [{"output_type": "stream", "name": "stdout", "text": "forty-two\n"}],
        },
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}  # fmt: skip


def _exports(hub: Hub, _password: str) -> None:
    saved = hub.server(
        "PUT", "api/contents/export.ipynb", {"type": "notebook", "format": "json", "content": NOTEBOOK}
    )
    assert saved.status in (200, 201), saved
    offered = sorted(hub.server("GET", "api/nbconvert").json())
    assert {"html", "latex", "markdown", "rst"} <= set(offered) and "webpdf" not in offered, offered
    for kind in (one for one in offered if one != "custom"):  # JupyterLab's menu leaves it out
        answer = hub.server("GET", f"nbconvert/{kind}/export.ipynb?download=true")
        assert answer.status == 200, (kind, answer.status, answer.text[:300])
        assert "forty-two" in answer.text or "6 * 7" in answer.text, kind


def _activity(hub: Hub) -> timedelta:
    """How long ago something was at work."""
    text = hub.server("GET", "api/status").json()["last_activity"]
    return datetime.now(timezone.utc) - datetime.fromisoformat(text)


def _busy_terminal(hub: Hub, _password: str) -> None:
    with terminal(hub) as shell:
        shell.run("true")
        time.sleep(2)  # what is said and asked is activity too
        assert _activity(hub) > timedelta(seconds=1), "something is at work that nobody knows of"
        shell.type("sleep 6\n")
        time.sleep(3)
        assert _activity(hub) < timedelta(seconds=1)
        shell.run("true")


def _detached_job(hub: Hub, _password: str) -> None:
    with terminal(hub) as shell:
        shell.run("setsid timeout 20 yes >/dev/null 2>&1 & disown")
    time.sleep(4)
    assert _activity(hub) < timedelta(seconds=1)
    with terminal(hub) as shell:
        shell.run("pkill -u $USER -x yes")


def _kept(hub: Hub, _password: str) -> None:
    with terminal(hub) as shell:
        shell.run("ds-keep 8h")
    time.sleep(2)
    assert _activity(hub) < timedelta(seconds=1)
    with terminal(hub) as shell:
        shell.run("ds-keep off")


def _large_cookies(hub: Hub, _password: str) -> None:
    own = "; ".join(f"{one.name}={one.value}" for one in hub.cookies if one.path in ("/", "/hub/"))
    others = "; ".join(f"company{number}={'c' * 3000}" for number in range(8))
    answer = hub.request("GET", "/hub/home", headers={"Cookie": f"{own}; {others}"})
    assert answer.status == 200 and answer.url.endswith("/hub/home"), answer.status


def _broken_home(hub: Hub, _password: str) -> None:
    """Leave old packages of the server's, and configurations that would keep it from starting."""
    with terminal(hub) as shell:
        shell.run(BREAK)
    try:
        hub.stop_server()
        hub.start_server()
        cell = hub.run_cell("import importlib.util as u; print(u.find_spec('jupyterlab').origin)")
        assert "/.local/lib/" in cell.output, cell
        with terminal(hub) as fresh:
            listed = fresh.run("jupyter kernelspec list 2>/dev/null | grep -c python3")
            assert listed == "1", listed
    finally:
        with terminal(hub) as fresh:
            fresh.run(MEND)


BREAK = """\
site=$(python -m site --user-site)
mkdir -p ~/.jupyter ~/.local/share/jupyter/kernels/odd
for name in jupyter_server jupyterlab jupyterhub; do echo 'raise ImportError' > $site/$name.py; done
echo 'raise SystemExit(3)' > ~/.jupyter/jupyter_server_config.py
cat > ~/.jupyter/jupyter_server_config.json <<'END'
{"ServerApp": {"port": 1, "contents_manager_class": "no.such.Class"}}
END
echo 'not json' > ~/.local/share/jupyter/kernels/odd/kernel.json
echo 'raise ImportError' > ~/secrets.py"""
MEND = """\
rm -rf ~/.jupyter/jupyter_server_config.* ~/.local/share/jupyter/kernels/odd ~/secrets.py
(cd $(python -m site --user-site) && rm -f jupyter_server.py jupyterlab.py jupyterhub.py)"""


def change_password(hub: Hub, old: str, new: str) -> None:
    """Change the user's password in a terminal."""
    with terminal(hub) as shell:
        shell.type("passwd\n")
        for question, answer in (("urrent .*word: ", old), ("ew .*word: ", new), ("new .*word: ", new)):
            shell.read_until(question)
            shell.type(answer + "\n")
        shell.read_until("updated successfully")


def _password_in_a_terminal(hub: Hub, password: str) -> None:
    fresh = "Sesame-7-opened-wide"
    for old, new in ((password, fresh), (fresh, password)):
        change_password(hub, old, new)
        hub.another().sign_in(hub.user, new)
        if old == password:
            refused = hub.another()
            try:
                refused.sign_in(hub.user, old)
            except SignInRefusedError:
                continue
            raise AssertionError("the old password still signs in")


def _files_up_and_down(hub: Hub, _password: str) -> None:
    text = "a,b\n" + "1,2\n" * 100_000
    hub.server("PUT", "api/contents/up.csv", {"type": "file", "format": "text", "content": text})
    assert hub.server("GET", "files/up.csv").text == text


def _hidden_file(hub: Hub, _password: str) -> None:
    with terminal(hub) as shell:
        shell.run("echo MINE=1 >.Renviron")
    assert hub.server("GET", "api/contents/.Renviron").json()["content"] == "MINE=1\n"
    assert hub.server("DELETE", "api/contents/.Renviron").status == 204


def _folder_with_something_in_it(hub: Hub, _password: str) -> None:
    with terminal(hub) as shell:
        shell.run("mkdir -p full/of && touch full/of/things")
        answer = hub.server("DELETE", "api/contents/full")
        assert answer.status == 204, answer.text
        assert shell.run("ls -d full 2>/dev/null") == ""


def _page_has_plotly(hub: Hub, _password: str) -> None:
    assert "jupyterlab-plotly" in hub.server("GET", "lab").text


Act = Callable[[Hub, str], None]
ENVIRONMENTS = "Compute in a conda environment and a virtual environment of one's own"
MORE: tuple[tuple[str, str, Act], ...] = (
    (ENVIRONMENTS, "kernels", _own_environments_are_kernels),
    (
        "Open a project with a saved workspace, and one with a damaged one",
        "a kernel of R",
        _workspace_that_cannot_be_read,
    ),
    (
        "Open a project whose .Rprofile hides the site library",
        "a kernel of R",
        _profile_that_hides_the_library,
    ),
    ("Open a project whose .Rprofile has an error", "a kernel of R", _profile_with_an_error),
    ("Send a message of 12 MB", "a kernel's websocket", _large_message),
    ("See widgets", "JupyterLab's page", _widgets_are_in_the_page),
    ("See plotly's figures", "JupyterLab's page", _page_has_plotly),
    ("Be asked nothing about news and updates", "JupyterLab's settings", _no_question_about_news),
    ("Export a notebook to everything that is offered", "JupyterLab's menu", _exports),
    ("Upload a table and download it", "JupyterLab's files", _files_up_and_down),
    ("Edit a hidden file", "JupyterLab's files", _hidden_file),
    ("Delete a folder with something in it", "JupyterLab's files", _folder_with_something_in_it),
    ("Leave a program running in a terminal", "the idle culler", _busy_terminal),
    ("Leave a detached job", "the idle culler", _detached_job),
    ("Ask that nothing be stopped", "the idle culler", _kept),
    ("Come with 24 KB of cookies of other services", "a browser", _large_cookies),
    ("Break one's home with old packages and configurations, start again", "the server", _broken_home),
    ("Change the password", "a terminal", _password_in_a_terminal),
)
