"""A headless Chromium, where the machine has one: `JITSU_BACKUP_TEST_CHROMIUM`, or what the path finds."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
LAPTOP = {"width": 1366, "height": 768}


def chromium() -> str | None:
    """Return the path of the browser, or None where there is none."""
    named = os.environ.get("JITSU_BACKUP_TEST_CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def browser() -> Iterator[Any]:
    """Start the browser, with a profile of its own that goes with it."""
    from playwright.sync_api import sync_playwright  # not everybody who runs the tests has it

    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        try:
            yield running
        finally:
            running.close()


class Watched:
    """A page of the browser, and all that it said, asked for and popped up."""

    def __init__(self, running: Any, folder: Path, **options: Any) -> None:
        self.context = running.new_context(**{"viewport": LAPTOP, **options})
        self.page = self.context.new_page()
        self.folder, self.said, self.asked, self.refused, self.dialogs = folder, [], [], [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("requestfailed", lambda request: self.refused.append((request.url, request.failure)))
        self.page.on("dialog", self._dismiss)

    def _dismiss(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def show(self, text: str) -> Any:
        path = self.folder / "page.html"
        path.write_text(text, encoding="utf-8")
        self.page.goto(path.as_uri())
        return self.page
