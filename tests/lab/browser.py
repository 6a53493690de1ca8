"""A page in Debian's chromium, without a window: what it shows, and whatever it says or asks for meanwhile."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from playwright.sync_api import Browser, Dialog, Locator, sync_playwright

CHROMIUM = shutil.which("chromium")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser, or skip the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("no chromium on the PATH: the page was not looked at (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """A report, opened from a file."""

    def __init__(self, browser: Browser, path: Path, **options: Any) -> None:
        """`options` are those of a playwright context: a viewport, a colour scheme."""
        self._context = browser.new_context(**options)
        self.page = self._context.new_page()
        self.page.set_default_timeout(10_000)
        self.heard: list[str] = []
        """Errors, words on the console, dialogs."""
        self.asked: list[str] = []
        """Every address that the page wanted."""
        self.page.on("console", lambda message: self.heard.append(message.text))
        self.page.on("pageerror", lambda error: self.heard.append(str(error)))
        self.page.on("dialog", self._dismiss)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.url = path.as_uri()
        self.page.goto(self.url)

    def _dismiss(self, dialog: Dialog) -> None:
        self.heard.append(dialog.message)
        dialog.dismiss()

    def __enter__(self) -> Self:
        """Hand it over, loaded."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it; whatever it was about, it said nothing and asked for nothing but itself."""
        self._context.close()
        assert self.heard == []
        assert self.asked == [self.url]

    @property
    def shown(self) -> list[str]:
        """Names in the waterfall as a person sees them, from top to bottom."""
        return self.rows.filter(visible=True).locator(".name").all_inner_texts()

    @property
    def rows(self) -> Locator:
        """Every row of the waterfall, also those that the filter hides."""
        return self.page.locator(".rows > ol > li")

    def row(self, name: str) -> Locator:
        """One row, by what its name column shows."""
        return self.rows.filter(has=self.page.locator(".name").get_by_text(name, exact=True))

    def find(self, words: str) -> None:
        """Type into the search field."""
        self.page.get_by_label("Find").fill(words)

    def sort(self, words: str) -> None:
        """Choose an order."""
        self.page.get_by_label("Sort by").select_option(label=words)
