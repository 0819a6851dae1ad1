"""A real browser without a window, wherever the machine has one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from tests.support import IS_ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
)
# It shall ask nobody for updates and the like.
QUIET = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def find() -> str:
    """The path of Chromium or Chrome; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    found = found or next(filter(os.path.exists, PLACES), None)
    if found is None:
        pytest.skip(f"no Chromium or Chrome on this machine: none of {', '.join(NAMES)} on PATH")
    return found


@contextmanager
def started() -> Iterator[Browser]:
    path = find()
    # Root may start it only so.
    alone = ("--no-sandbox",) if IS_ROOT else ()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*QUIET, *alone])
        try:
            yield browser
        finally:
            browser.close()


class Opened:
    """One page in a fresh profile, and all that it complained of or asked for."""

    def __init__(self, browser: Browser, file: Path, **options: object) -> None:
        size = {"width": options.pop("width", 1280), "height": 900}
        self.context = browser.new_context(viewport=size, **options)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.answered: list[str] = []
        self.page.on("requestfinished", lambda request: self.answered.append(request.url))
        self.url = file.as_uri()
        self.page.goto(self.url)

    def close(self) -> None:
        self.context.close()
