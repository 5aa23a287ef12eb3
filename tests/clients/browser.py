"""JupyterLab in a headless Chromium, used as people use it: by what they see, with mouse and keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
"""The distribution's."""
SECONDS = 60
"""That anything may take to show."""


@contextmanager
def chromium() -> Iterator[Page]:
    """Open a window. It takes the certificate that the machine made for itself, as people do who click on."""
    with sync_playwright() as playwright:
        # Root has no sandbox, and containers a small /dev/shm.
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        window = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        try:
            view: Any = {"width": 1180, "height": 740}
            page = window.new_context(ignore_https_errors=True, viewport=view).new_page()
            page.set_default_timeout(SECONDS * 1000)
            expect.set_options(timeout=SECONDS * 1000)
            yield page
        finally:
            window.close()


class Lab:
    """JupyterLab in a window.

    Args:
        page: the window.
    """

    def __init__(self, page: Page) -> None:
        self.page = page

    def sign_in(self, url: str, user: str, password: str) -> None:
        """Come to the hub's address, sign in, and wait until JupyterLab shows the files."""
        self.page.goto(url)
        self.page.get_by_label("Username").fill(user)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.locator(".jp-DirListing-content").wait_for(timeout=2 * SECONDS * 1000)

    def open_notebook(self, kernel: str) -> None:
        """Begin a notebook by its card in the launcher, which names the kernel, and wait for the kernel."""
        self._launch("Notebook", kernel)
        self._here(".jp-Notebook").wait_for()
        # The notebook's own sign says idle before there is a kernel, and what is run then is lost.
        self.page.locator("#jp-main-statusbar").get_by_text(f"{kernel} | Idle").wait_for()

    def open_terminal(self) -> None:
        """Open a terminal and wait until it can be typed into."""
        self._launch("Other", "Terminal")
        self._here(".xterm-helper-textarea").wait_for(state="attached")

    def _launch(self, category: str, title: str) -> None:
        self.page.get_by_title("New Launcher").first.click()
        card = f".jp-LauncherCard[data-category='{category}']:visible"
        self.page.locator(card, has_text=title).first.click()

    def _here(self, what: str) -> Locator:
        """What is in the tab in front."""
        return self.page.locator(f".jp-MainAreaWidget:not(.lm-mod-hidden) {what}").first

    def run(self, code: str) -> Locator:
        """Type into the last cell and run it. Returns what comes of it, which may yet be to come."""
        cells = self.page.locator(".jp-MainAreaWidget:not(.lm-mod-hidden) .jp-Notebook .jp-CodeCell")
        number = cells.count() - 1
        cells.nth(number).locator(".cm-content").click()
        self.page.keyboard.insert_text(code)
        self.page.keyboard.press("Shift+Enter")
        return cells.nth(number).locator(".jp-Cell-outputArea")

    def type(self, text: str) -> None:
        """Type into the terminal in front."""
        self._here(".xterm-helper-textarea").focus()  # a menu may have it
        self.page.keyboard.type(text)

    def upload(self, path: Path) -> None:
        """Begin to send a large file to the folder that is shown, by the file browser's button."""
        with self.page.expect_file_chooser() as chosen:
            self.page.get_by_title("Upload Files").click()
        chosen.value.set_files(path)
        # It asks whether so large a file is meant.
        self.page.get_by_role("button", name="Upload", exact=True).click()
        self.file(path.name).wait_for()

    def download(self, name: str, folder: Path) -> Path:
        """Fetch a file by the menu that a right click on it opens. Returns where it lies."""
        self.file(name).click(button="right")
        with self.page.expect_download(timeout=4 * SECONDS * 1000) as download:
            self.page.get_by_role("menuitem", name="Download", exact=True).click()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path

    def file(self, name: str) -> Locator:
        """A file in the file browser."""
        return self.page.locator(".jp-DirListing-item", has_text=name).first

    def show(self, path: Path) -> None:
        """Take a picture of the window."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path)
