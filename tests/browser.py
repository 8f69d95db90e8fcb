"""A real browser for the pages; console messages and network requests fail the test."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium or google-chrome")


@contextmanager
def opened(
    page: Path, *, width: int = 1200, height: int = 900, **context: object
) -> Iterator[Page]:
    """Open a page in headless Chromium without a network.

    Args:
        page: Path of a self-contained HTML file.
        width: Width of the window in CSS pixels.
        height: Height of the window in CSS pixels.
        context: Further settings of Playwright's browser context, such as color_scheme="dark".

    Yields:
        The open page.

    Raises:
        AssertionError: The page has printed to the console, raised an error or requested a URL.
    """
    messages: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        window = browser.new_context(
            viewport={"width": width, "height": height}, offline=True, **context
        )
        tab = window.new_page()
        tab.set_default_timeout(30_000)
        tab.on("console", lambda message: messages.append(f"{message.type}: {message.text}"))
        tab.on("pageerror", lambda error: messages.append(f"error: {error}"))
        tab.on(
            "request",
            lambda request: messages.append(request.url) if _is_external(request.url) else None,
        )
        tab.goto(page.as_uri())
        yield tab
        browser.close()
    assert [line for line in messages if line != page.as_uri()] == []


def _is_external(url: str) -> bool:
    return not url.startswith(("data:", "blob:"))


def fits(tab: Page) -> bool:
    """Return whether the page needs no horizontal scrolling."""
    return bool(
        tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    )
